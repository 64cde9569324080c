"""The first packet of a flow takes a short way where the configuration allows it, and the same becomes of it as on the long
one, which a check of sources (`rp_filter`) asks for."""
import pytest
from net import HOST, REMOTE, Station, from_lan, from_wan, pattern
from scapy.layers.inet import ICMP, IP, TCP, UDP
from scapy.layers.inet6 import ICMPv6EchoRequest, IPv6, IPv6ExtHdrDestOpt, IPv6ExtHdrFragment, IPv6ExtHdrHopByHop

LAYERS = {"ip4": lambda source, to, **more: IP(src=source.ip4, dst=to.ip4, **more),
          "ip6": lambda source, to, **more: IPv6(src=source.ip6, dst=to.ip6, **more)}
PROTOCOL = {"ip4": "proto", "ip6": "nh"}
HOPS = {"ip4": "ttl", "ip6": "hlim"}


def beginnings(family):
    """Packets that begin flows, that nearly do, and that belong to those."""
    ip = LAYERS[family]

    def udp(sport, dport=80, **more):
        return UDP(sport=sport, dport=dport, **more) / pattern(18)

    def out(upper, **more):
        return "lan", from_lan(ip(HOST, REMOTE, **more) / upper)

    def back(upper):
        return "wan", from_wan(ip(REMOTE, HOST) / upper)

    syn = {"flags": "S", "seq": 1000, "options": [("MSS", 1460), ("WScale", 7)]}
    frames = [
        out(udp(1)), out(udp(1)), back(UDP(sport=80, dport=1) / b"answer"), out(udp(1)),
        out(udp(2, chksum=0)), out(udp(2, chksum=0)), out(udp(3, chksum=0x1234)), out(udp(4, len=7)), out(udp(5, len=9)),
        out(udp(6, len=2000)), out(UDP(sport=7, dport=80)),
        out(TCP(sport=1, dport=80, **syn)), back(TCP(sport=80, dport=1, flags="SA", seq=9, ack=1001)),
        out(TCP(sport=1, dport=80, flags="A", seq=1001, ack=10)),
        out(TCP(sport=2, dport=80, flags="SA")), out(TCP(sport=3, dport=80, flags="A")), out(TCP(sport=4, dport=80, flags="SF")),
        out(TCP(sport=5, dport=80, chksum=1, **syn)), out(TCP(sport=6, dport=80, dataofs=4, **syn)),
        out(TCP(sport=1, dport=81, **syn)), out(udp(1, 81)), out(udp(1, 82)), out(TCP(sport=1, dport=83, **syn)), back(udp(80, 9)),
        out(udp(8), **{HOPS[family]: 1}), out(udp(9), **{HOPS[family]: 2}), out(udp(10) / pattern(1400)),
        out(ICMP() if family == "ip4" else ICMPv6EchoRequest()), out(pattern(3), **{PROTOCOL[family]: 17}),
        out(pattern(6), **{PROTOCOL[family]: 6}),
    ]
    if family == "ip6":
        frames += [out(extension / udp(11)) for extension in (IPv6ExtHdrHopByHop(), IPv6ExtHdrDestOpt(), IPv6ExtHdrFragment())]
    else:
        frames += [out(udp(11), flags="MF"), out(udp(12), frag=3), out(udp(13), options=b"\x01\x01\x01\x00")]
    # Of two more hosts, which cannot all keep their ports behind NAT, and from a port that has a mapping to another remote.
    others = [("lan", from_lan(ip(other, REMOTE) / udp(port, to)))
              for other in OTHERS for port in range(100, 120) for to in (80, 84)]
    return frames + [out(udp(port)) for port in range(100, 140)] + others


OTHERS = [Station(HOST.mac, f"192.168.1.{number}", f"fd00:1::{number}") for number in (77, 78)]
MASQUERADE = {"name": "out", "out": "wan", "masquerade": True}
POOL = {"name": "out", "out": "wan", "snat": ["203.0.113.8-203.0.113.9", "fd00:2::8-fd00:2::9"]}
NAT = {
    "plain": None,
    "masquerade": MASQUERADE,
    "pool": POOL,
    "udp-alone": {**MASQUERADE, "proto": "udp"},
    "to-one-port": {**POOL, "dport": 80, "proto": ["tcp", "udp"]},
    "random": {**MASQUERADE, "random": True},
    "few-ports": {**MASQUERADE, "ports": "100-107", "proto": "udp"},
    "by-remote": {**POOL, "mapping": "address_and_port_dependent", "filtering": "address_and_port_dependent"},
}


@pytest.mark.parametrize("nat", NAT)
@pytest.mark.parametrize("at_once", [True, False], ids=["at-once", "one-by-one"])
@pytest.mark.parametrize("family", ["ip4", "ip6"])
def test_the_short_way_does_what_the_long_one_does(gateway, family, at_once, nat):
    gateway.config["filter"] = {"forward": {"policy": "drop", "rules": [
        {"name": "established", "ct": ["established", "related"], "action": "accept"},
        {"name": "invalid", "ct": "invalid", "action": "drop"},
        {"name": "marked", "in": "lan", "dport": 80, "proto": ["tcp", "udp"], "ct_mark": 7},
        {"name": "served", "in": "lan", "dport": 80, "action": "accept"},
        {"name": "clamped", "in": "lan", "proto": "tcp", "dport": 83, "mss": "clamp"},
        {"name": "served-as-well", "in": "lan", "proto": "udp", "dport": 84, "action": "accept"},
        {"name": "served-too", "in": "lan", "proto": "tcp", "dport": 83, "action": "accept"},
        {"name": "refused", "in": "lan", "dport": 81, "action": {"reject": "admin-prohibited"}},
    ]}}
    if NAT[nat]:
        gateway.config["nat"] = {"postrouting": [NAT[nat]]}
    frames = [(*each, 0.0) if at_once else each for each in beginnings(family)]
    short = gateway.send(*frames)
    gateway.interface("lan", rp_filter="loose")
    gateway.interface("wan", rp_filter="loose")
    long = gateway.send(*frames)
    assert short.files() == long.files()
    assert len(short.flows) > (7 if nat == "few-ports" else 40)
