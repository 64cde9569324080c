"""Seeded rulesets about the hosts, ports and protocols that traffic.py uses."""
import random

from topology import DMZ_HOSTS, LAN_HOSTS, REMOTE_HOSTS, WAN_HOST, mac_text
from traffic import CLIENT_PORTS, SERVER_PORTS

_STATES = ["new", "established", "related", "invalid", "untracked"]
_REJECTS = ["port-unreachable", "host-unreachable", "admin-prohibited"]
_FLAGS = ["syn", "ack", "rst", "fin", "psh", "syn/syn,ack,rst", "syn,ack/syn,ack", "none/syn,ack,rst,fin", "fin/fin,syn",
          "ack/ack,syn,fin,rst", "rst/rst,ack"]
_ICMP_TYPES = ["echo-request", "echo-reply", "destination-unreachable", "time-exceeded", "parameter-problem", 13]
_ICMPV6_TYPES = ["echo-request", "echo-reply", "destination-unreachable", "packet-too-big", "time-exceeded", 139]
_PROTOCOLS = ["tcp", "udp", "icmp", "icmpv6", "sctp", "gre", "esp", 89]
_TIMEOUTS = ["tcp_syn_sent", "tcp_syn_recv", "tcp_established", "tcp_fin_wait", "tcp_close_wait", "tcp_last_ack",
             "tcp_time_wait", "tcp_close", "tcp_max_retrans", "tcp_unacknowledged", "udp", "udp_stream", "icmp", "icmpv6",
             "gre", "gre_stream", "sctp_closed", "sctp_cookie_wait", "sctp_cookie_echoed", "sctp_established",
             "sctp_heartbeat_sent", "generic"]
_IN_HOOKS = {"prerouting", "input", "forward"}
_OUT_HOOKS = {"forward", "output", "postrouting"}
_SIDES = ["lan", "wan", "dmz"]


class Rulesets:
    """Those `about_time` have timeouts of a few seconds; those `about_flows` count them."""

    def __init__(self, r: random.Random, about_time: bool = False, about_flows: bool = False):
        self.r = r
        self._about_time = about_time
        self._about_flows = about_flows
        self._sets: dict[str, dict] = {}
        self._chains: dict[str, list] = {}
        self._names = 0

    def ruleset(self) -> dict:
        r = self.r
        self._sets = {"hosts": {"type": "ip", "elements": self._some(self._addresses(), 1, 6)},
                      "nets": {"type": "net", "elements": self._some(_NETS, 1, 4)},
                      "ports": {"type": "port", "elements": sorted(self._some(SERVER_PORTS + CLIENT_PORTS, 1, 4))},
                      "pairs": {"type": "ip,port", "elements": sorted({
                          f"{r.choice(self._addresses())},{r.choice(SERVER_PORTS)}" for _ in range(4)})},
                      "seen": {"type": "ip", "size": 1024}, "talks": {"type": "ip,port", "size": 1024, "timeout": "1h"}}
        self._chains, self._names = {}, 0
        filter_chains = self._regular("f", "filter", r.choice((0, 0, 1, 3)))
        mangle_chains = self._regular("m", "mangle", r.choice((0, 0, 0, 1)))
        rules: dict = {"conntrack": self._options(), "sets": self._sets}
        if r.random() < 0.25:
            rules["raw"] = {hook: self._rules("raw", hook, r.choice((1, 2)), [])
                            for hook in ("prerouting", "output") if r.random() < 0.7}
        if r.random() < 0.45:
            rules["mangle"] = {hook: self._rules("mangle", hook, r.choice((1, 2, 3)), mangle_chains)
                               for hook in ("prerouting", "input", "forward", "output", "postrouting")
                               if r.random() < 0.4}
        rules["filter"] = {}
        for hook, chance in (("input", 0.6), ("forward", 0.95), ("output", 0.35)):
            if r.random() < chance:
                # Chains may reject, which the box does not do to packets of its own.
                rules["filter"][hook] = self._base(hook, [] if hook == "output" else filter_chains)
        rules["chains"] = self._chains
        return {key: value for key, value in rules.items() if value}

    def _options(self) -> dict:
        r = self.r
        choices = {"tcp_loose": False, "tcp_be_liberal": True, "tcp_ignore_invalid_rst": True, "checksum": False,
                   "tcp_max_retrans": r.choice((1, 2, 5))}
        options: dict = {key: value for key, value in choices.items() if r.random() < 0.06}
        if self._about_time:
            options["timeouts"] = {name: r.choice((1, 3)) for name in _TIMEOUTS}
        return options

    def _base(self, hook: str, chains: list[str]) -> dict:
        r = self.r
        rules = self._rules("filter", hook, r.choice((0, 2, 4, 8, 15)), chains)
        policy = r.choice(("accept", "accept", "drop"))
        if policy == "drop" or r.random() < 0.5:
            # As people write it, so that conversations get somewhere.
            place = r.choice((0, 0, 0, len(rules)))
            rules.insert(place, self._named({"ct": r.choice((["established", "related"], ["established"])),
                                             "action": "accept"}))
            if r.random() < 0.5:
                rules.insert(place + 1, self._named({"ct": "invalid", "action": self._action("filter", [], "drop", hook=hook)}))
            if policy == "drop":
                rules.append(self._named({"ct": r.choice(("new", ["new", "untracked"])), "action": "accept"}))
        return {"policy": policy, "rules": rules}

    def _regular(self, prefix: str, table: str, count: int) -> list[str]:
        """Chains to jump to, each only to later ones."""
        names = [f"{prefix}{n}" for n in range(count)]
        for n in range(count - 1, -1, -1):
            self._chains[names[n]] = self._rules(table, "any", self.r.choice((1, 2, 4)), names[n + 1:], inner=True)
        return names

    def _rules(self, table: str, hook: str, count: int, chains: list[str], inner: bool = False) -> list[dict]:
        return [self._rule(table, hook, chains, inner) for _ in range(count)]

    def _named(self, rule: dict) -> dict:
        self._names += 1
        if any(key in rule and "addr" not in rule[key].get("per", "") for key in ("limit", "connlimit")):
            # In nft's language a rule about addresses or the TTL is two rules, each with a limit of its own.
            for key in ("saddr", "daddr", "ttl", "match", "add_to"):
                rule.pop(key, None)
        return {"name": f"r{self._names}", **rule}

    def _rule(self, table: str, hook: str, chains: list[str], inner: bool) -> dict:
        r = self.r
        rule: dict = {}
        for _ in range(r.choice((1, 1, 2, 2, 3))):
            rule.update(self._match(table, hook, rule))
        rule = _consistent(rule)
        if table == "raw":
            rule["notrack"] = True
            return self._named(rule)
        if table == "mangle":
            statement = r.choice(("mark", "mark", "ct_mark", "mss", "action"))
            if statement == "mark":
                rule["set_mark"] = r.choice((1, 2, 7))
            elif statement == "ct_mark":
                rule["ct_mark"] = r.choice((1, 5))
            elif statement == "mss":
                rule = {**{key: value for key, value in rule.items() if key in ("in", "out", "saddr", "daddr", "family")},
                        "proto": "tcp", "tcp_flags": "syn", "mss": r.choice((536, 1200, "clamp"))}
                if hook in ("prerouting", "input", "any") and rule["mss"] == "clamp":
                    rule["mss"] = 1000
            else:
                rule["action"] = self._action(table, chains, None, inner, None, hook)
            return self._named(rule)
        if r.random() < 0.85:
            rule["action"] = self._action(table, chains, None, inner, rule, hook)
        if self._about_flows and hook in ("input", "forward") and r.random() < 0.7:
            # Packets without a flow are a deliberate difference.
            rule["ct"] = r.choice(("new", "new", ["new", "established"], ["established", "related"]))
            rule["connlimit"] = {"over": r.choice((0, 1, 2, 4)), **self._per(rule)}
        if r.random() < 0.1:
            fields = self._fields(rule)
            rule["add_to"] = r.choice(("@seen", "@talks") if "saddr . dport" in fields else ("@seen",))
        for key, value in (("observe", True), ("log", f"rule {self._names} ")):
            if r.random() < 0.07:
                rule[key] = value
        return self._named(rule)

    def _fields(self, rule: dict) -> list[str]:
        """What a limit may be for in such a rule."""
        ports = ["dport", "saddr . dport", "daddr . dport"] if rule.get("proto") in ("tcp", "udp", ["tcp", "udp"]) else []
        return ["saddr", "daddr", "saddr . daddr", *ports]

    def _per(self, rule: dict) -> dict:
        return {"per": self.r.choice(self._fields(rule))} if self.r.random() < 0.6 else {}

    def _action(self, table: str, chains: list[str], default: str | None, inner: bool = False,
                rule: dict | None = None, hook: str = "any"):
        r = self.r
        choices: list = ["accept", "drop", "drop"] if default is None else [default]
        if chains:
            choices += [{"jump": r.choice(chains)}, {"jump": r.choice(chains)}, {"goto": r.choice(chains)}]
        if inner:
            choices += ["return"]
        if table == "filter" and hook != "output":
            choices.append({"reject": r.choice(_REJECTS)})
            if rule and rule.get("proto") == "tcp":
                choices.append({"reject": "tcp-reset"})
        return r.choice(choices)

    def _match(self, table: str, hook: str, so_far: dict) -> dict:
        r = self.r
        kinds = ["saddr", "daddr", "proto", "port", "port", "tcp_flags", "icmp", "length", "ttl", "family", "exthdr",
                 "pairs"]
        if hook in _IN_HOOKS:
            kinds += ["in", "in", "mac"]
        if hook in _OUT_HOOKS:
            kinds += ["out", "out"]
        if table != "raw":
            kinds += ["ct"] * 6 + ["ct_status", "ct_direction"] * 2 + ["limit"]
        if table == "filter":
            kinds += ["mark"]
        kind = r.choice(kinds)
        if kind in ("in", "out"):
            return {kind: self._list(_SIDES)}
        if kind in ("saddr", "daddr"):
            return {kind: self._address()}
        if kind == "proto":
            return {"proto": self._list(_PROTOCOLS)}
        if kind == "port":
            key = r.choice(("dport", "dport", "sport"))
            value = r.choice((self._list(SERVER_PORTS), "1-1023", "1024-65535", ["22", "50-100"], "!80", "@ports",
                              "!@ports", self._list(CLIENT_PORTS)))
            return {"proto": r.choice(("tcp", "tcp", "udp", "sctp", ["tcp", "udp"])), key: value}
        if kind == "tcp_flags":
            return {"proto": "tcp", "tcp_flags": r.choice(_FLAGS)}
        if kind == "icmp":
            return r.choice(({"proto": "icmp", "icmp_type": self._list(_ICMP_TYPES)},
                             {"proto": "icmpv6", "icmpv6_type": self._list(_ICMPV6_TYPES)}))
        if kind == "length":
            return {"length": r.choice(("<60", ">100", "40-60", ">1000", "!40"))}
        if kind == "ttl":
            return {"ttl": r.choice(("<5", ">63", 64, "!64", 1))}
        if kind == "family":
            return {"family": r.choice(("ip4", "ip6"))}
        if kind == "exthdr":
            return {"family": "ip6", "exthdr": r.choice(("hbh", "rt", "frag", "dst"))}
        if kind == "pairs":
            return {"proto": r.choice(("tcp", "udp")), "match": {r.choice(("saddr . dport", "daddr . dport")): r.choice(("@pairs", "@pairs", "@talks"))}}
        if kind == "mac":
            return {"mac_saddr": mac_text(r.choice([*LAN_HOSTS, *DMZ_HOSTS]).mac)}
        if kind == "ct":
            return {"ct": self._list(_STATES)}
        if kind == "ct_status":
            return {"ct_status": r.choice(("assured", "seen_reply", ["assured", "seen_reply"]))}
        if kind == "ct_direction":
            return {"ct_direction": r.choice(("original", "reply"))}
        if kind == "limit":
            return {"limit": {r.choice(("rate", "over")): f"{r.choice((1, 3))}/hour", "burst": r.choice((1, 5, 20)),
                              **self._per(so_far)}}
        return {"mark": r.choice(("=1", "=2", "=7", "!1", "<3"))}

    def _list(self, values: list):
        """One of the values, several, or all but some."""
        r = self.r
        form = r.choice(("one", "one", "some", "not one", "not some"))
        some = self._some(values, 2, 3) if len(values) > 1 else values
        if form == "one":
            return r.choice(values)
        if form == "some":
            return some
        return f"!{r.choice(values)}" if form == "not one" else {"not": some}

    def _some(self, values: list, least: int, most: int) -> list:
        return self.r.sample(values, min(len(values), self.r.randint(least, most)))

    def _addresses(self) -> list[str]:
        return [each for host in [*LAN_HOSTS, *DMZ_HOSTS, *REMOTE_HOSTS, WAN_HOST] for each in (host.ip4, host.ip6)]

    def _address(self):
        r = self.r
        return r.choice((r.choice(self._addresses()), r.choice(_NETS), self._some(self._addresses(), 2, 5), "@hosts", "!@hosts",
                         "@seen", "!@seen",
                         "@nets", "!@nets", f"!{r.choice(_NETS)}", {"not": self._some(self._addresses(), 2, 5)},
                         "192.168.1.10-192.168.1.11"))


_NETS = ["192.168.1.0/24", "10.9.0.0/16", "198.51.100.0/29", "fd00:1::/64", "fd00:3::10/128", "2001:db8::/32",
         "203.0.113.0/24", "10.96.0.0/12"]


def _consistent(rule: dict) -> dict:
    """Without matches that contradict each other in a way a configuration is refused for."""
    proto = rule.get("proto")
    if "tcp_flags" in rule and proto != "tcp":
        rule.pop("tcp_flags")
    if "icmp_type" in rule and proto != "icmp":
        rule.pop("icmp_type")
    if "icmpv6_type" in rule and proto != "icmpv6":
        rule.pop("icmpv6_type")
    if {"sport", "dport", "match"} & rule.keys() and proto not in ("tcp", "udp", "sctp", ["tcp", "udp"]):
        for key in ("sport", "dport", "match"):
            rule.pop(key, None)
    if "match" in rule and proto not in ("tcp", "udp"):
        rule.pop("match")
    family = rule.get("family")
    if "icmp_type" in rule and family == "ip6" or "icmpv6_type" in rule and family == "ip4":
        rule.pop("family")
        rule.pop("exthdr", None)
    if "exthdr" in rule and rule.get("family") != "ip6":
        rule.pop("exthdr")
    versions = {4 if family == "ip4" else 6} if family else {4, 6}
    if "icmp_type" in rule:
        versions &= {4}
    if "icmpv6_type" in rule:
        versions &= {6}
    for key in ("saddr", "daddr"):
        if key in rule:
            if not versions & _versions_of(rule[key]):
                rule.pop(key)
            else:
                versions &= _versions_of(rule[key])
    return rule


def _versions_of(value) -> set[int]:
    items = value["not"] if isinstance(value, dict) else value if isinstance(value, list) else [value]
    return {version for each in items for version in
            ((4, 6) if "@" in each else (6,) if ":" in each else (4,))}
