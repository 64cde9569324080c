"""Says in nft's language what a Sluice configuration says: one table of family inet, its base chains at the standard
priorities.

A rule about addresses or the TTL becomes one nft rule for each family it can match; a packet meets at most one of them.
Each nft rule counts, and carries its Sluice name as a comment: `filter.forward/NAME`, `chains.CHAIN/NAME`.
"""
import ipaddress

from topology import SIDES

# What conntrack says of a packet that leaves is told by the frame's source MAC: put into the mark where all rules are
# over, and from there into the frame on its way to the device.
STATES = ("invalid", "established", "related", "new", "untracked")
STATE_MAC = bytes.fromhex("02ff000000")  # and the number of the state
_STATE_SHIFT = 28

_PRIORITIES = {"raw": -300, "mangle": -150, "nat": -100, "filter": 0}
_SOURCE_NAT = 100  # the priority of nat where sources are translated
_HOOKS = {"nat": ("prerouting", "input", "output", "postrouting"),
          "raw": ("prerouting", "output"),
          "mangle": ("prerouting", "input", "forward", "output", "postrouting"),
          "filter": ("input", "forward", "output")}
_HELPED = {"ftp": ("tcp", 21), "tftp": ("udp", 69)}
_FAMILIES = {4: "ip", 6: "ip6"}
_ADDRESS_TYPES = {"ip", "net"}
_REJECTS = {"tcp-reset": "tcp reset", "port-unreachable": "icmpx port-unreachable",
            "host-unreachable": "icmpx host-unreachable", "admin-prohibited": "icmpx admin-prohibited"}
_FLAGS_NONE = "0"
_KEYED = ("limit", "connlimit")  # asked behind all other matches, in this order
_FIELD_TYPES = {"saddr": "ip", "daddr": "ip", "dport": "port"}
_ADDED = {"ip": "saddr", "port": "dport"}  # what a set is given of a packet


def ruleset(config: dict) -> str:
    sets = config.get("sets", {})
    lines = ["table inet sluice {"]
    rules = list(_all_rules(config))
    grown = {rule["add_to"][1:] for _, rule in rules if "add_to" in rule}
    for name, declared in sets.items():
        lines += _set(name, declared, name in grown)
    for chain, rule in rules:
        for version in _versions(rule):
            lines += [line for key in _KEYED if key in rule for line in _keyed_set(chain, rule, key, version)]
    # Regular chains before those that jump to them; nft takes them in any order within one table.
    for name, rules in config.get("chains", {}).items():
        lines += [f" chain c_{name} {{", *_rules(f"chains.{name}", rules, sets), " }"]
    for table, priority in _PRIORITIES.items():
        for hook in _HOOKS[table]:
            chain = config.get(table, {}).get(hook)
            if chain is None:
                continue
            rules, policy = (chain, "accept") if isinstance(chain, list) else (
                chain.get("rules", []), chain.get("policy", "accept"))
            kind = "route" if (table, hook) == ("mangle", "output") else "nat" if table == "nat" else "filter"
            if table == "nat" and hook in ("input", "postrouting"):
                priority = _SOURCE_NAT
            lines += [f" chain {table}_{hook} {{",
                      f"  type {kind} hook {hook} priority {priority}; policy {policy};",
                      *_rules(f"{table}.{hook}", rules, sets), " }"]
    # Sluice asks for helpers by their ports.
    for helper in config.get("conntrack", {}).get("helpers", []):
        protocol, port = _HELPED[helper]
        lines += [f" ct helper {helper}_helper {{", f'  type "{helper}" protocol {protocol}', " }",
                  f" chain {helper} {{", "  type filter hook prerouting priority -190; policy accept;",
                  f'  {protocol} dport {port} ct state new ct helper set "{helper}_helper"', " }"]
    # Sluice always tracks; the kernel does so when a rule asks for it.
    lines += [" chain tracking {", "  type filter hook prerouting priority 300; policy accept;",
              "  ct state new accept", " }"]
    # Reports of the kernel's own multicast groups come when they like; no rule shall count them.
    lines += [" chain quiet {", "  type filter hook output priority -500; policy accept;",
              "  ip6 daddr ff02::16 drop", " }"]
    lines += [" chain states {", "  type filter hook postrouting priority 400; policy accept;"]
    lines += [f"  ct state {state} meta mark set meta mark or {(n + 1) << _STATE_SHIFT:#x}" for n, state in enumerate(STATES)]
    lines += [" }", "}", "table netdev told {"]
    for side in SIDES:
        lines += [f" chain {side} {{", f'  type filter hook egress device "{side}" priority 0; policy accept;']
        lines += [f"  meta mark and {15 << _STATE_SHIFT:#x} == {(n + 1) << _STATE_SHIFT:#x} "
                  f"ether saddr set {(STATE_MAC + bytes((n,))).hex(':')}" for n in range(len(STATES))]
        lines.append(" }")
    return "\n".join([*lines, "}"]) + "\n"


def _all_rules(config: dict):
    """(chain, rule) of all chains."""
    for name, rules in config.get("chains", {}).items():
        yield from ((f"chains.{name}", rule) for rule in rules)
    for table, hooks in _HOOKS.items():
        for hook in hooks:
            chain = config.get(table, {}).get(hook, [])
            yield from ((f"{table}.{hook}", rule) for rule in (chain if isinstance(chain, list) else chain.get("rules", [])))


def _keyed_set(chain: str, rule: dict, key: str, version: int) -> list[str]:
    """The set in which a limit per address or port keeps what it remembers."""
    fields = _per(rule[key])
    if not fields:
        return []
    kinds = [_set_field(_FIELD_TYPES[field], version) for field in fields]
    return [f" set {_keyed_name(chain, rule, key, version)} {{", f"  type {' . '.join(kinds)}", "  size 65535",
            "  flags dynamic", " }"]


def _keyed_name(chain: str, rule: dict, key: str, version: int) -> str:
    return f"{key}_{chain.replace('.', '_')}_{rule['name']}{version or ''}"


def _per(value) -> list[str]:
    per = value.get("per", "rule") if isinstance(value, dict) else "rule"
    return [] if per == "rule" else [each.strip() for each in per.split(".")]


def _set(name: str, declared: dict, grows: bool) -> list[str]:
    fields = [each.strip() for each in declared["type"].split(",")]
    elements = [str(each) for each in declared.get("elements", [])]
    families = _FAMILIES if _ADDRESS_TYPES & set(fields) else {0: ""}
    lines = []
    for version in families:
        kinds = [_set_field(field, version) for field in fields]
        mine = [each for each in elements if not version or _version(each.split(",")[0]) == version]
        lines += [f" set s_{name}{version or ''} {{", f"  type {' . '.join(kinds)}"]
        if "net" in fields or any("-" in each for each in elements):
            lines += ["  flags interval", "  auto-merge"] if len(fields) == 1 else ["  flags interval"]
        elif grows:
            timeout = declared.get("timeout")
            lines += [f"  size {declared['size']}", "  flags dynamic,timeout" if timeout else "  flags dynamic",
                      *([f"  timeout {timeout}"] if timeout else [])]
        if mine:
            lines.append("  elements = { " + ", ".join(" . ".join(each.split(",")) for each in mine) + " }")
        lines.append(" }")
    return lines


def _targets(rule: dict) -> list[str]:
    targets = rule.get("dnat", rule.get("snat", []))
    return [targets] if isinstance(targets, str) else targets


def _target_version(target: str) -> int:
    return 6 if target.count(":") > 1 else 4


def _nat(rule: dict, version: int):
    """The NAT statement; a list of targets is beyond nft's language."""
    flags = "".join(f" {word}" for word in ("random", "persistent") if rule.get(word))
    ports = f":{rule['ports']}" if "ports" in rule else ""
    for key in ("dnat", "snat"):
        if key in rule:
            target, = (each for each in _targets(rule) if _target_version(each) == version)
            if ports and version == 6:
                target = f"[{target}]"
            yield f"{key} {_FAMILIES[version]} to {target}{ports}{flags}"
    if "redirect" in rule:
        yield f"redirect to :{rule['redirect']}{flags}"
    if rule.get("masquerade"):
        yield f"masquerade{f' to {ports}' if ports else ''}{flags}"


def _set_field(field: str, version: int) -> str:
    return {"ip": f"ipv{version}_addr", "net": f"ipv{version}_addr", "port": "inet_service", "mac": "ether_addr"}[field]


def _rules(chain: str, rules: list[dict], sets: dict) -> list[str]:
    return [f'  {text} comment "{chain}/{rule["name"]}"' for rule in rules for text in _rule(chain, rule, sets)]


def _rule(chain: str, rule: dict, sets: dict) -> list[str]:
    texts = []
    for version in _versions(rule):
        words = [*_matches(rule, version, sets)]
        if None not in words:
            words += [_limited(chain, rule, key, version) for key in _KEYED if key in rule]
            texts.append(" ".join([*words, "counter", *_statements(rule, version, sets)]))
    return texts


def _versions(rule: dict) -> list[int]:
    """The families a rule needs a text of its own for; 0 for a text that does for both."""
    targets = _targets(rule)
    if targets:
        return sorted({_target_version(each) for each in targets})
    if "family" in rule:
        return [4 if rule["family"] == "ip4" else 6]
    by_address = any(field.endswith("addr") for key in _KEYED if key in rule for field in _per(rule[key]))
    if {"saddr", "daddr", "ttl", "match", "add_to"} & rule.keys() or by_address:
        return [4, 6]
    return [0]


def _matches(rule: dict, version: int, sets: dict):
    """The matches in nft's words; None if no packet of this family can match."""
    proto = rule.get("proto")
    if version:
        yield f"meta nfproto ipv{version}"
    for key, word in (("in", "iifname"), ("out", "oifname")):
        if key in rule:
            yield _member(word, rule[key])
    if proto is not None:
        yield _member("meta l4proto", proto, {"icmpv6": "ipv6-icmp"})
    for key in ("saddr", "daddr"):
        if key in rule:
            yield _address(key, rule[key], version)
    for key in ("sport", "dport"):
        if key in rule:
            yield _member(f"{proto if isinstance(proto, str) else 'th'} {key}", rule[key])
    for fields, name in rule.get("match", {}).items():
        parts = [_field(each.strip(), version, proto) for each in fields.split(".")]
        yield f"{' . '.join(parts)} @s_{name[1:]}{version}"
    if "ct" in rule:
        yield _member("ct state", rule["ct"])
    if "ct_status" in rule:
        states = rule["ct_status"] if isinstance(rule["ct_status"], list) else [rule["ct_status"]]
        yield "ct status " + ",".join(each.replace("_", "-") for each in states)
    if "ct_direction" in rule:
        yield f"ct direction {rule['ct_direction']}"
    if "tcp_flags" in rule:
        yield _tcp_flags(rule["tcp_flags"])
    if "icmp_type" in rule:
        yield _member("icmp type", rule["icmp_type"])
    if "icmpv6_type" in rule:
        yield _member("icmpv6 type", rule["icmpv6_type"])
    if "mark" in rule:
        yield _member("meta mark", rule["mark"])
    if "length" in rule:
        yield _member("meta length", rule["length"])
    if "ttl" in rule:
        yield _member("ip ttl" if version == 4 else "ip6 hoplimit", rule["ttl"])
    if "exthdr" in rule:
        yield f"exthdr {rule['exthdr']} exists"
    if "mac_saddr" in rule:
        yield _member("ether saddr", rule["mac_saddr"])


def _negated(value) -> tuple[bool, list]:
    if isinstance(value, dict):
        inner = value["not"]
        return True, inner if isinstance(inner, list) else [inner]
    if isinstance(value, str) and value.startswith("!"):
        return True, [value[1:]]
    return False, value if isinstance(value, list) else [value]


def _member(word: str, value, names: dict | None = None) -> str:
    """A field against one value, a range, a comparison or a list, negated or not."""
    negated, items = _negated(value)
    items = [str((names or {}).get(each, each)) for each in items]
    if len(items) == 1 and items[0].startswith("@"):
        return f"{word} {'!= ' if negated else ''}@s_{items[0][1:]}"
    if len(items) == 1 and items[0][0] in "<>=":
        return f"{word} {items[0][0].replace('=', '==')} {items[0][1:]}"
    listed = items[0] if len(items) == 1 else "{ " + ", ".join(items) + " }"
    return f"{word} {'!= ' if negated else ''}{listed}"


def _version(address: str) -> int:
    return ipaddress.ip_network(address.split("-")[0], strict=False).version


def _address(key: str, value, version: int) -> str | None:
    negated, items = _negated(value)
    word = f"{_FAMILIES[version]} {key}"
    if len(items) == 1 and items[0].startswith("@"):
        return f"{word} {'!= ' if negated else ''}@s_{items[0][1:]}{version}"
    mine = [each for each in items if _version(each) == version]
    if not mine:
        return None
    return f"{word} {'!= ' if negated else ''}" + (mine[0] if len(mine) == 1 else "{ " + ", ".join(mine) + " }")


def _field(name: str, version: int, proto) -> str:
    if name in ("saddr", "daddr"):
        return f"{_FAMILIES[version]} {name}"
    return f"{proto if isinstance(proto, str) else 'th'} {name}"


def _tcp_flags(text: str) -> str:
    value, _, mask = text.partition("/")
    if not mask:
        return f"tcp flags & {value} == {value}"
    wanted = _FLAGS_NONE if value == "none" else value.replace(",", "|")
    return f"tcp flags & ({mask.replace(',', '|')}) == {wanted}"


def _limited(chain: str, rule: dict, key: str, version: int) -> str:
    """A limit of packets or flows, for the rule or in a set for each key."""
    limit = _limit(rule[key]) if key == "limit" else f"ct count over {rule[key]['over']}"
    fields = _per(rule[key])
    if not fields:
        return limit
    words = " . ".join(_field(field, version, rule.get("proto")) for field in fields)
    return f"add @{_keyed_name(chain, rule, key, version)} {{ {words} {limit} }}"


def _limit(value) -> str:
    if isinstance(value, str):
        value = {"rate": value}
    over = "over " if "over" in value else ""
    rate = value.get("over", value.get("rate"))
    return f"limit rate {over}{rate} burst {value.get('burst', 5)} packets"


def _statements(rule: dict, version: int, sets: dict):
    if "log" in rule:
        yield f'log prefix "{rule["log"]}"'
    if rule.get("observe"):
        return
    if "set_mark" in rule:
        yield f"meta mark set {rule['set_mark']}"
    if "ct_mark" in rule:
        yield f"ct mark set {rule['ct_mark']}"
    if rule.get("notrack"):
        yield "notrack"
    if "mss" in rule:
        yield f"tcp option maxseg size set {'rt mtu' if rule['mss'] == 'clamp' else rule['mss']}"
    if "add_to" in rule:
        name = rule["add_to"][1:]
        fields = [_ADDED[each.strip()] for each in sets[name]["type"].split(",")]
        words = " . ".join(_field(field, version, rule.get("proto")) for field in fields)
        yield f"add @s_{name}{version} {{ {words} }}"
    yield from _nat(rule, version)
    action = rule.get("action")
    if isinstance(action, str):
        yield action
    elif action:
        kind, argument = next(iter(action.items()))
        yield f"reject with {_REJECTS[argument]}" if kind == "reject" else f"{kind} c_{argument}"
