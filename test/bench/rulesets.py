"""A stateful default-drop ruleset in Sluice's words and in nft's: `established` first, then services, the last of which lets
the traffic of the case begin; and source NAT, where a case asks for it.

The kernel is given the same rules in the same order, and besides that the form an expert would choose: one look-up
in a verdict map.
"""
import dataclasses

FIRST_PORT, PORTS = 1000, 500
EXTERNAL = 0xC0000202  # 192.0.2.2, the address that flows are masqueraded by
EXTERNAL6 = bytes.fromhex("20010db8ffff00000000000000000002")
_POOL = "203.0.113.0/24"
_NETWORKS = 0x0A000000  # a /24 of 10.0.0.0/8 for each service


def dotted(address):
    """There are millions of them: ten times as fast as ipaddress."""
    return f"{address >> 24}.{address >> 16 & 255}.{address >> 8 & 255}.{address & 255}"


def network_of(service):
    return _NETWORKS | service << 8


def network6_of(service):
    """The first half of the addresses."""
    return bytes.fromhex("fd0000000000") + service.to_bytes(2)


def port_of(service):
    return FIRST_PORT + service % PORTS


@dataclasses.dataclass(frozen=True)
class Ruleset:
    """`services` rules, each for one network and port; or, with `sources`, one rule for a set of these addresses. `nat`:
    none, `masquerade`, or `pool` of more addresses than one. What comes from a `blocked` source is dropped before all else.
    The kernel is told of IPv4 only."""
    proto: str
    services: int = 0
    sources: tuple = ()
    nat: str = ""
    is_ip6: bool = False
    blocked: tuple = ()

    def forms(self):
        """How the kernel may be told: `rules` is the same as Sluice is given."""
        return ("rules",) if self.sources else ("rules", "map")

    def yaml(self, sources_file=None):
        """The sections `sets`, `nat` and `filter`; addresses of the set stand in `sources_file`."""
        lines = []
        if self.nat:
            source = "masquerade: true" if self.nat == "masquerade" else f"snat: {_POOL}"
            lines.append(f"nat: {{postrouting: [{{name: source, out: outside, {source}}}]}}")
        for name, sources in self._sets():
            sources_file.write_text("".join(f"{dotted(source)}\n" for source in sources))
            lines += ["sets:", f"  {name}: {{type: ip, size: {len(sources)}, file: {sources_file}}}"]
        # What comes to an external port before its flow has begun must not begin one itself.
        lines += ["filter:", *(["  input: {policy: drop, rules: []}"] if self.nat else []),
                  "  forward:", "    policy: drop", "    rules:",
                  *(['      - {name: blocked, saddr: "@blocked", action: drop}'] if self.blocked else []),
                  "      - {name: established, ct: [established, related], action: accept}"]
        if self.sources:
            lines.append(f'      - {{name: sources, proto: {self.proto}, saddr: "@sources", action: accept}}')
        for number in range(self.services):
            lines.append(f"      - {{name: service-{number}, saddr: {self._network(number)}, proto: {self.proto}, "
                         f"dport: {port_of(number)}, action: accept}}")
        return "\n".join(lines) + "\n"

    def _sets(self):
        """At most one."""
        return [(name, sources) for name, sources in (("sources", self.sources), ("blocked", self.blocked)) if sources]

    def _network(self, service):
        return f'"fd00:0:0:{service:x}::/64"' if self.is_ip6 else _cidr(service)

    def nft(self, form="rules"):
        lines = ["table inet gateway {"]
        for name, sources in self._sets():
            lines += [f" set {name} {{", "  type ipv4_addr", f"  size {len(sources)}", "  elements = {",
                      ",\n".join(dotted(source) for source in sources), "  }", " }"]
        if form == "map":
            lines += [" map services {", "  type ipv4_addr . inet_service : verdict", "  elements = {",
                      ",\n".join(f"{dotted(network_of(number))} . {port_of(number)} : accept"
                                 for number in range(self.services)), "  }", " }"]
        lines += [" chain forward {", "  type filter hook forward priority filter; policy drop;",
                  *(["  ip saddr @blocked drop"] if self.blocked else []), "  ct state established,related accept"]
        if self.sources:
            lines.append(f"  meta l4proto {self.proto} ip saddr @sources accept")
        elif form == "map":
            lines.append(f"  ip saddr & 255.255.255.0 . {self.proto} dport vmap @services")
        else:
            lines += [f"  ip saddr {_cidr(number)} {self.proto} dport {port_of(number)} accept"
                      for number in range(self.services)]
        if self.nat:
            source = "masquerade" if self.nat == "masquerade" else f"snat ip to {_POOL}"
            lines += [" }", " chain input {", "  type filter hook input priority filter; policy drop;",
                      " }", " chain source {", "  type nat hook postrouting priority srcnat;",
                      f'  oifname "outside" {source}']
        return "\n".join([*lines, " }", "}"]) + "\n"


def _cidr(service):
    return f"{dotted(network_of(service))}/24"
