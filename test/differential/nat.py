"""Seeded rules of NAT, and traffic that knows by which addresses the hosts inside are seen: few hosts and ports, so that
they collide; answers and errors to guessed endpoints, most of which are right.
"""
import random

import packets as p
from case import Packet
from topology import BOX, DMZ_HOSTS, LAN_HOSTS, REMOTE_HOSTS, ROUTER, WAN, WAN_HOST, Host, packed

_INSIDE = [*LAN_HOSTS, *DMZ_HOSTS]
_OUTSIDE = [*REMOTE_HOSTS, WAN_HOST]
_PORTS = [1024, 4000, 40000, 700, 80]
_SERVICES = [53, 80, 443, 8080]
# Of networks that lead nowhere: nobody is asked for the Ethernet address of what is not translated.
_POOL4, _POOL6 = "10.97.0.50-10.97.0.53", "fd00:97::50-fd00:97::53"
_SHOWN4 = [WAN.ip4, *(f"10.97.0.{n}" for n in (50, 51, 52, 53, 60))]
_SHOWN6 = [WAN.ip6, *(f"fd00:97::{n}" for n in (50, 51, 52, 53))]
_ERRORS4 = [(3, 0), (3, 1), (3, 3), (3, 4), (11, 0), (12, 0)]
_ERRORS6 = [(1, 0), (1, 3), (2, 0), (3, 0), (4, 0)]


def case(r: random.Random, count: int) -> tuple[dict, list[Packet]]:
    traffic = _Traffic(r)
    frames: list[Packet] = []
    while len(frames) < count:
        frames += traffic.some()
    return _rules(r), frames[:count]


def _rules(r: random.Random) -> dict:
    number = iter(range(1000))
    named = lambda rule: {"name": f"n{next(number)}", **rule}
    server, other = r.choice(LAN_HOSTS), r.choice(DMZ_HOSTS)
    before = [
        {"in": "wan", "proto": "tcp", "dport": 8080, "dnat": f"{server.ip4}:80"},
        {"in": "wan", "proto": "tcp", "dport": 8080, "dnat": f"[{server.ip6}]:80"},
        {"in": "wan", "proto": "udp", "dport": 53, "dnat": f"{other.ip4}:53"},
        {"in": "wan", "daddr": "10.97.0.60", "dnat": other.ip4},
        {"in": "wan", "proto": "tcp", "dport": 443, "dnat": f"{server.ip4}-{LAN_HOSTS[-1].ip4}"
         if server is not LAN_HOSTS[-1] else server.ip4},
        {"in": "lan", "proto": ["tcp", "udp"], "dport": 53, "redirect": 5353},
        {"in": "dmz", "proto": "icmp", "dnat": BOX["dmz"].ip4},
        {"daddr": REMOTE_HOSTS[0].ip4, "dnat": REMOTE_HOSTS[1].ip4},
        {"in": "wan", "proto": "tcp", "dport": 80, "dnat": f"{server.ip4}:8000-8003"},
    ]
    behind = [
        {"out": "wan", "masquerade": True},
        {"out": "wan", "masquerade": True, "family": "ip4"},
        {"out": "wan", "saddr": "10.9.0.0/16", "snat": _POOL4},
        {"out": "wan", "snat": _POOL4, "persistent": True},
        {"out": "wan", "snat": _POOL6},
        {"out": "wan", "proto": ["tcp", "udp"], "snat": "10.97.0.50", "ports": "4000-4999"},
        {"out": "wan", "proto": "udp", "masquerade": True, "ports": "2000-2100"},
        {"out": "lan", "proto": "tcp", "ct_status": "dnat", "masquerade": True},
        {"out": "dmz", "snat": "10.9.0.1", "proto": "udp"},
        {"proto": "icmp", "action": "accept"},
    ]
    arrived = [{"saddr": "192.168.1.0/24", "snat": "192.168.1.99"}, {"proto": "udp", "snat": "10.9.0.99"}]
    some = lambda rules, most: [named(rule) for rule in r.sample(rules, r.randint(1, most))]
    rules: dict = {"conntrack": {}, "nat": {"prerouting": some(before, 4), "postrouting": some(behind, 3)}}
    if r.random() < 0.2:
        rules["nat"]["input"] = some(arrived, 1)
    if r.random() < 0.5:
        rules["filter"] = {"forward": {"policy": r.choice(("accept", "drop")), "rules": [
            named({"ct": ["established", "related"], "action": "accept"}),
            named({"ct": "invalid", "action": "drop"}),
            named({"in": "wan", "ct_status": "dnat", "action": r.choice(("accept", {"reject": "port-unreachable"}))}),
            named({"in": ["lan", "dmz"], "action": "accept"})]}}
    return rules


class _Traffic:
    def __init__(self, r: random.Random):
        self.r = r
        self._talks: list[tuple] = []  # (version, host, protocol, its port, remote, remote's port)

    def some(self) -> list[Packet]:
        r = self.r
        kind = r.choices(("begin", "again", "answer", "error", "outside", "local"), (4, 3, 6, 2, 3, 1))[0]
        if kind in ("again", "answer", "error") and not self._talks:
            kind = "begin"
        if kind == "outside":
            return self._from_outside()
        if kind == "local":
            version = r.choice((4, 6))
            host, box = r.choice(_INSIDE), BOX["lan"]
            return self._send(host, version, host.address(version), box.address(version), r.choice(self._kinds(version)),
                              r.choice(_PORTS), r.choice(_SERVICES))
        if kind == "begin":
            version, host, remote = r.choice((4, 4, 6)), r.choice(_INSIDE), r.choice(_OUTSIDE)
            self._talks.append((version, host, r.choice(self._kinds(version)), r.choice(_PORTS), remote,
                                r.choice(_SERVICES)))
            self._talks = self._talks[-8:]
            talk = self._talks[-1]
        else:
            talk = r.choice(self._talks)
        version, host, proto, port, remote, service = talk
        if kind in ("begin", "again"):
            return self._send(host, version, host.address(version), remote.address(version), proto, port, service,
                              flags=p.SYN if kind == "begin" else r.choice((p.SYN, p.ACK, p.ACK, p.FIN | p.ACK, p.RST)))
        shown = self._shown(version, host)
        if kind == "answer":
            return self._send(remote, version, remote.address(version), shown, proto, service, port, reply=True,
                              flags=r.choice((p.SYN | p.ACK, p.SYN | p.ACK, p.ACK, p.RST | p.ACK)))
        return self._error(version, shown, remote, proto, port, service)

    @staticmethod
    def _kinds(version: int) -> list[int]:
        return [p.TCP, p.TCP, p.UDP, p.UDP, 1 if version == 4 else 58]

    def _shown(self, version: int, host: Host) -> bytes:
        """How the host is perhaps seen from outside."""
        r = self.r
        known = _SHOWN4 if version == 4 else _SHOWN6
        return host.address(version) if r.random() < 0.15 else packed(known[0] if r.random() < 0.5 else r.choice(known))

    def _from_outside(self) -> list[Packet]:
        r = self.r
        version = r.choice((4, 4, 4, 6))
        host = r.choice(_OUTSIDE)
        target = packed(r.choice(_SHOWN4 if version == 4 else _SHOWN6))
        if r.random() < 0.35:
            # Answers of servers inside.
            server = r.choice(_INSIDE)
            return self._send(server, version, server.address(version), host.address(version),
                              r.choice((p.TCP, p.UDP)), r.choice((80, 53, 443, 8000)), r.choice(_PORTS), reply=True,
                              flags=p.SYN | p.ACK)
        return self._send(host, version, host.address(version), target, r.choice(self._kinds(version)), r.choice(_PORTS),
                          r.choice(_SERVICES))

    def _body(self, src: bytes, dst: bytes, proto: int, sport: int, dport: int, reply: bool, flags: int) -> bytes:
        r = self.r
        data = p.pattern(r.choice((0, 1, 30, 900)))
        if proto == p.TCP:
            begins = flags & p.SYN != 0
            return p.tcp(src, dst, sport, dport, flags, 5000 if begins else 5001, 5001 if flags & p.ACK else 0,
                         data=b"" if begins or flags & p.RST else data)
        if proto == p.UDP:
            return p.udp(src, dst, sport, dport, data)
        return p.echo(src, dst, (dport if reply else sport), 1, data, reply=reply)

    def _send(self, host: Host, version: int, src: bytes, dst: bytes, proto: int, sport: int, dport: int,
              reply: bool = False, flags: int = p.SYN) -> list[Packet]:
        r = self.r
        packet = p.ip(src, dst, proto, self._body(src, dst, proto, sport, dport, reply, flags),
                      ttl=r.choice((64, 64, 64, 64, 1)))
        pieces = [packet]
        if len(packet) > 200 and r.random() < 0.2:
            pieces = p.cut(packet, [8, 400], r.randrange(1, 60000))
            if r.random() < 0.3:
                r.shuffle(pieces)
        return [Packet(host.side, p.frame(host, piece)) for piece in pieces]

    def _error(self, version: int, shown: bytes, remote: Host, proto: int, port: int, service: int) -> list[Packet]:
        """About what was sent to the remote, from it or from the router."""
        r = self.r
        to = remote.address(version)
        quoted = p.ip(shown, to, proto, self._body(shown, to, proto, port, service, False, p.ACK), ttl=1)
        quoted = quoted[:r.choice((len(quoted), len(quoted), 28, 48, 60))]
        reporter = r.choice((ROUTER, remote))
        source = reporter.address(version)
        kind, code = r.choice(_ERRORS4 if version == 4 else _ERRORS6)
        body = p.icmp(source, shown, kind, code, r.choice((0, 1300)), quoted)
        return [Packet(reporter.side, p.frame(reporter, p.ip(source, shown, p.icmp_proto(source), body)))]
