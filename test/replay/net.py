"""The network around the gateway, and frames of its hosts.

      host 192.168.1.10 ── lan ┐                 ┌ wan ── router 203.0.113.1 ── everything else
           fd00:1::10          ├─── gateway ─────┤               fd00:2::1
    server 10.9.0.10   ── dmz ─┘ .1 / ::1 on lan and dmz, .2 / ::2 on wan
           fd00:3::10
"""
import copy
import dataclasses

from scapy.layers.inet import IP, UDP
from scapy.layers.inet6 import IPv6
from scapy.layers.l2 import Ether


@dataclasses.dataclass(frozen=True)
class Station:
    mac: str
    ip4: str
    ip6: str


# The gateway's own sides.
LAN = Station("02:00:00:00:01:01", "192.168.1.1", "fd00:1::1")
WAN = Station("02:00:00:00:02:01", "203.0.113.2", "fd00:2::2")
DMZ = Station("02:00:00:00:03:01", "10.9.0.1", "fd00:3::1")

HOST = Station("02:00:00:01:00:10", "192.168.1.10", "fd00:1::10")
ROUTER = Station("02:00:00:02:00:01", "203.0.113.1", "fd00:2::1")
SERVER = Station("02:00:00:03:00:10", "10.9.0.10", "fd00:3::10")
# Somewhere behind the router.
REMOTE = Station(ROUTER.mac, "198.51.100.7", "2001:db8:7::7")

_NEIGHBOURS = {"lan": HOST, "wan": ROUTER, "dmz": SERVER}
_SIDES = {"lan": LAN, "wan": WAN, "dmz": DMZ}

_CONFIG = {
    "interfaces": {
        name: {
            "device": f"net_null{number}",
            "mac": side.mac,
            "addresses": [f"{side.ip4}/24", f"{side.ip6}/64"],
        }
        for number, (name, side) in enumerate(_SIDES.items())
    },
    "neighbours": [
        {"interface": name, "ip": ip, "mac": station.mac}
        for name, station in _NEIGHBOURS.items()
        for ip in (station.ip4, station.ip6)
    ],
    "routes": [
        {"to": "default", "via": ROUTER.ip4},
        {"to": "::/0", "via": ROUTER.ip6},
    ],
    "icmp": {"errors": "unlimited"},
}


def config() -> dict:
    """The configuration of the picture above, for a test to change."""
    return copy.deepcopy(_CONFIG)


def arriving(interface: str, packet, **ether):
    """The packet in a frame from the neighbour on that interface to the gateway."""
    fields = {"src": _NEIGHBOURS[interface].mac, "dst": _SIDES[interface].mac, **ether}
    return Ether(**fields) / packet


def from_lan(packet, **ether):
    return arriving("lan", packet, **ether)


def from_wan(packet, **ether):
    return arriving("wan", packet, **ether)


def from_dmz(packet, **ether):
    return arriving("dmz", packet, **ether)


def datagram4(src: str = HOST.ip4, dst: str = REMOTE.ip4, size: int = 20, **ip):
    """A UDP datagram over IPv4 with `size` bytes of data that tell their place."""
    return IP(src=src, dst=dst, **ip) / UDP(sport=4000, dport=5000) / pattern(size)


def datagram6(src: str = HOST.ip6, dst: str = REMOTE.ip6, size: int = 20, **ip):
    return IPv6(src=src, dst=dst, **ip) / UDP(sport=4000, dport=5000) / pattern(size)


def pattern(size: int) -> bytes:
    return bytes(place * 7 % 256 for place in range(size))
