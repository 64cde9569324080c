"""The box both sides build, its interfaces, and the hosts around it.

    hosts 192.168.1.10-12, fd00:1::10-12 ── lan ┐            ┌ wan ── router 203.0.113.1, fd00:2::1 ── everything else
                                                ├─── box ────┤        host 203.0.113.20, fd00:2::20
    hosts 10.9.0.10-11, fd00:3::10-11 ───── dmz ┘            (MTU 1400)
"""
import dataclasses
import functools
import ipaddress


@dataclasses.dataclass(frozen=True)
class Side:
    """An interface of the box."""
    name: str
    mac: bytes
    ip4: str
    ip6: str
    mtu: int = 1500


@dataclasses.dataclass(frozen=True)
class Host:
    """A host: the interface it is behind, and the MAC its frames come from."""
    side: str
    mac: bytes
    ip4: str
    ip6: str

    def address(self, version: int) -> bytes:
        return packed(self.address_text(version))

    def address_text(self, version: int) -> str:
        return self.ip4 if version == 4 else self.ip6


@functools.cache
def packed(address: str) -> bytes:
    return ipaddress.ip_address(address).packed


def _mac(text: str) -> bytes:
    return bytes.fromhex(text.replace(":", ""))


def mac_text(mac: bytes) -> str:
    return mac.hex(":")


LAN = Side("lan", _mac("02:00:00:00:01:01"), "192.168.1.1", "fd00:1::1")
WAN = Side("wan", _mac("02:00:00:00:02:01"), "203.0.113.2", "fd00:2::2", mtu=1400)
DMZ = Side("dmz", _mac("02:00:00:00:03:01"), "10.9.0.1", "fd00:3::1")
SIDES = {side.name: side for side in (LAN, WAN, DMZ)}

LAN_HOSTS = [Host("lan", _mac(f"02:00:00:01:00:{n}"), f"192.168.1.{n}", f"fd00:1::{n}") for n in (10, 11, 12)]
DMZ_HOSTS = [Host("dmz", _mac(f"02:00:00:03:00:{n}"), f"10.9.0.{n}", f"fd00:3::{n}") for n in (10, 11)]
ROUTER = Host("wan", _mac("02:00:00:02:00:01"), "203.0.113.1", "fd00:2::1")
WAN_HOST = Host("wan", _mac("02:00:00:02:00:20"), "203.0.113.20", "fd00:2::20")
REMOTE_HOSTS = [Host("wan", ROUTER.mac, f"198.51.100.{n}", f"2001:db8:7::{n}") for n in (7, 8, 9)]
NEIGHBOURS = [*LAN_HOSTS, *DMZ_HOSTS, ROUTER, WAN_HOST]
HOSTS = [*LAN_HOSTS, *DMZ_HOSTS, WAN_HOST, *REMOTE_HOSTS]
# The box as the end of a conversation, by the interface it is reached through.
BOX = {side.name: Host(side.name, side.mac, side.ip4, side.ip6) for side in SIDES.values()}
BOX_ADDRESSES = {packed(each) for side in SIDES.values() for each in (side.ip4, side.ip6)}

# (network, what becomes of packets to it), besides the default route via ROUTER.
REFUSED = [("10.99.0.0/16", "unreachable"), ("10.98.0.0/16", "prohibit"), ("10.97.0.0/16", "blackhole"),
           ("fd00:98::/32", "prohibit"), ("fd00:97::/32", "blackhole")]


def sluice_config() -> dict:
    return {
        "interfaces": {
            side.name: {"device": f"net_null{number}", "mac": mac_text(side.mac), "mtu": side.mtu,
                        "addresses": [f"{side.ip4}/24", f"{side.ip6}/64"]}
            for number, side in enumerate(SIDES.values())
        },
        "neighbours": [{"interface": host.side, "ip": ip, "mac": mac_text(host.mac)}
                       for host in NEIGHBOURS for ip in (host.ip4, host.ip6)],
        "routes": [{"to": "0.0.0.0/0", "via": ROUTER.ip4}, {"to": "::/0", "via": ROUTER.ip6},
                   *({"to": network, "type": kind} for network, kind in REFUSED)],
        "icmp": {"errors": "unlimited"},
    }


def ip_commands() -> str:
    """The same for `ip -batch`."""
    lines = ["link set lo up"]
    for side in SIDES.values():
        # Without a link-local address, so that the kernel chooses the sources a box with one address has.
        lines += [f"link set {side.name} addrgenmode none", f"link set {side.name} address {mac_text(side.mac)}",
                  f"link set {side.name} mtu {side.mtu}", f"link set {side.name} up",
                  f"addr add {side.ip4}/24 dev {side.name}", f"addr add {side.ip6}/64 dev {side.name} nodad"]
    for host in NEIGHBOURS:
        lines += [f"neigh add {ip} lladdr {mac_text(host.mac)} dev {host.side} nud permanent"
                  for ip in (host.ip4, host.ip6)]
    lines += [f"route add default via {ROUTER.ip4}", f"route add default via {ROUTER.ip6}"]
    lines += [f"route add {kind} {network}" for network, kind in REFUSED]
    return "\n".join(lines) + "\n"
