"""Hosts on both sides of a NAT, and what they send one another.

      X1 192.168.1.10 ┐                      ┌ Y 198.51.100.7
      X2 192.168.1.11 ┴─ gateway 203.0.113.2 ┴ Z 198.51.100.8

Moments are seconds after the start.
"""
import itertools

from net import HOST, REMOTE, ROUTER, WAN, from_lan, from_wan, pattern
from scapy.layers.inet import ICMP, IP, TCP, UDP
from wire import assert_right_checksums, ip_bytes

X1, X2, Y, Z, OUTSIDE = HOST.ip4, "192.168.1.11", REMOTE.ip4, "198.51.100.8", WAN.ip4
ROUTER4 = ROUTER.ip4  # in the middle, with no part in anything
PORT = 40000  # of whoever does not say, inside and outside
SERVICE = 53
EVERYBODY = {"filtering": "endpoint_independent"}


def behind_nat(gateway, rule=None, *, conntrack=None, filter=None, **options):
    """Profile rfc; `rule` changes the one rule there is."""
    gateway.config["conntrack"] = {"profile": "rfc", **(conntrack or {})}
    whole = {"name": "source", "out": "wan"} | (rule or {})
    gateway.config["nat"] = {"postrouting": [whole if "snat" in whole else {**whole, "masquerade": True}], **options}
    if filter:
        gateway.config["filter"] = filter
    return gateway


def pool(*targets, ports=None, proto=("tcp", "udp")):
    """A rule's words for source NAT to these in place of masquerading."""
    rule = {"snat": list(targets)}
    return {**rule, "proto": list(proto), "ports": ports} if ports else rule


_UPPER = {"udp": lambda **ports: UDP(**ports) / pattern(20), "tcp": lambda **ports: TCP(**ports, flags="S", seq=100)}


def out(at=None, src=X1, dst=Y, sport=PORT, dport=SERVICE, proto="udp", size=None, **ip):
    """From inside; of TCP a SYN."""
    upper = UDP(sport=sport, dport=dport) / pattern(size) if size is not None else _UPPER[proto](sport=sport, dport=dport)
    return timed("lan", from_lan(IP(src=src, dst=dst, **ip) / upper), at)


def back(at=None, src=Y, dst=OUTSIDE, sport=SERVICE, dport=PORT, proto="udp", **ip):
    """From outside; of TCP a SYN."""
    return timed("wan", from_wan(IP(src=src, dst=dst, **ip) / _UPPER[proto](sport=sport, dport=dport)), at)


def timed(side, frame, at=None):
    return (side, frame) if at is None else (side, frame, at)


def query(at=None, src=X1, dst=Y, ident=77, kind=8, size=20):
    return timed("lan", from_lan(IP(src=src, dst=dst) / ICMP(type=kind, id=ident, seq=1) / pattern(size)), at)


def reply(at=None, src=Y, dst=OUTSIDE, ident=77, kind=0, size=20):
    return timed("wan", from_wan(IP(src=src, dst=dst) / ICMP(type=kind, id=ident, seq=1) / pattern(size)), at)


def talk(flags, seq, ack=0, size=0, at=None, sport=PORT, src=X1):
    """A segment from inside of the connection to Y's port 80."""
    return timed("lan", from_lan(IP(src=src, dst=Y) / TCP(sport=sport, dport=80, flags=flags, seq=seq, ack=ack)
                                 / pattern(size)), at)


def answer(flags, seq, ack=0, size=0, at=None, dport=PORT, src=Y):
    return timed("wan", from_wan(IP(src=src, dst=OUTSIDE) / TCP(sport=80, dport=dport, flags=flags, seq=seq, ack=ack)
                                 / pattern(size)), at)


def opening(at=0.0):
    """Three segments; the next byte from inside is 101, that from outside 501."""
    return [talk("S", 100, at=at), answer("SA", 500, 101, at=at + 0.01), talk("A", 101, 501, at=at + 0.02)]


def quoting(packet, limit=None):
    """What an ICMP error shows of an IP packet."""
    return ip_bytes(from_wan(packet))[:limit]


def error_from_outside(quoted, kind=3, code=3, at=None, src=ROUTER4, dst=OUTSIDE, limit=None, **fields):
    frame = from_wan(IP(src=src, dst=dst) / ICMP(type=kind, code=code, **fields) / quoting(quoted, limit))
    return timed("wan", frame, at)


def error_from_inside(quoted, kind=3, code=3, at=None, src=X1, dst=Y, limit=None):
    return timed("lan", from_lan(IP(src=src, dst=dst) / ICMP(type=kind, code=code) / quoting(quoted, limit)), at)


def as_seen_outside(proto="udp", port=PORT, dst=Y, dport=SERVICE, **ip):
    """What left as X's packet."""
    return IP(src=OUTSIDE, dst=dst, **ip) / _UPPER[proto](sport=port, dport=dport)


def ends(frame):
    """(source, source port, destination, destination port)"""
    transport = frame[TCP] if TCP in frame else frame[UDP]
    return frame[IP].src, transport.sport, frame[IP].dst, transport.dport


def sent(line, interface="wan"):
    """The ends of the one frame it was forwarded as."""
    frame = line.forwarded(interface)
    assert_right_checksums(frame)
    return ends(frame)


def source(line):
    """The external endpoint it left by."""
    return sent(line)[:2]


def reached(line):
    """The inside endpoint that a packet from outside came to."""
    return sent(line, "lan")[2:]


def passes(line) -> bool:
    return line.verdict == "accept"


def permutations(frames):
    return [list(order) for order in itertools.permutations(frames)]
