"""R1812-5.3.4, R1812-5.3.5.1, R1812-5.3.5.2, R3021: broadcasts of the link, of everywhere, and of a network."""
import pytest
import reason
from net import DMZ, HOST, LAN, REMOTE, SERVER, datagram4, datagram6, from_dmz, from_lan, from_wan
from scapy.layers.inet import ICMP, IP


@pytest.mark.parametrize("mac", ["ff:ff:ff:ff:ff:ff", "01:00:5e:00:00:01", "33:33:00:00:00:01", "01:80:c2:00:00:21"])
def test_R1812_5_3_4_link_broadcast_with_a_unicast_destination_is_not_forwarded(gateway, mac):
    """R1812-5.3.4: a frame to a group address that holds a packet for one host stays on its link, IPv4 and IPv6."""
    result = gateway.send(("lan", from_lan(datagram4(), dst=mac)), ("lan", from_lan(datagram6(), dst=mac)))
    for line in result.packets:
        line.assert_silent(reason.link_group)


@pytest.mark.parametrize("mac", ["ff:ff:ff:ff:ff:ff", None])
@pytest.mark.parametrize("ttl", [1, 64])
def test_R1812_5_3_5_1_limited_broadcast_is_never_forwarded(gateway, mac, ttl):
    """R1812-5.3.5.1: 255.255.255.255, whatever the routes and switches say."""
    for interface in ("lan", "wan"):
        gateway.interface(interface, bc_forwarding=True, martian_filter=False)
    frame = from_lan(datagram4(dst="255.255.255.255", ttl=ttl), **({"dst": mac} if mac else {}))
    line = gateway.send(("lan", frame)).packets[0]
    assert line.verdict in ("drop", "consumed") and line.out == []


def test_R1812_5_3_5_2_directed_broadcasts_are_not_forwarded_by_default(gateway):
    """R1812-5.3.5.2, RFC 2644: the switch is off unless set, so that nobody's network answers a forged ping."""
    result = gateway.send(("wan", from_wan(datagram4(src=REMOTE.ip4, dst="192.168.1.255"))),
                          ("wan", from_wan(datagram4(src=REMOTE.ip4, dst="10.9.0.255"))))
    for line in result.packets:
        line.assert_silent(reason.directed_broadcast)


def test_R1812_5_3_5_2_directed_broadcasts_are_forwarded_by_option(gateway):
    """R1812-5.3.5.2: with bc_forwarding on the interface it comes in by it leaves as a broadcast of the link."""
    gateway.interface("wan", bc_forwarding=True)
    line = gateway.send(("wan", from_wan(datagram4(src=REMOTE.ip4, dst="192.168.1.255")))).packets[0]
    sent = line.forwarded("lan")
    assert (sent.dst, sent.src) == ("ff:ff:ff:ff:ff:ff", LAN.mac)
    assert (sent[IP].dst, sent[IP].ttl) == ("192.168.1.255", 63)


@pytest.mark.parametrize("other", ["lan", "dmz"])
def test_R1812_5_3_5_2_the_option_does_not_open_the_other_interfaces(gateway, other):
    """R1812-5.3.5.2: as with the sysctl of the name, the interface it comes in by decides, not the one it would leave by."""
    gateway.interface(other, bc_forwarding=True)
    line = gateway.send(("wan", from_wan(datagram4(src=REMOTE.ip4, dst="192.168.1.255")))).packets[0]
    line.assert_silent(reason.directed_broadcast)


def test_R1812_5_3_5_2_a_link_broadcast_is_not_sent_back(gateway):
    """R1812-5.3.5.2: the broadcast of the network it came from is not echoed onto it."""
    gateway.interface("lan", bc_forwarding=True)
    line = gateway.send(("lan", from_lan(datagram4(dst="192.168.1.255"), dst="ff:ff:ff:ff:ff:ff"))).packets[0]
    assert line.verdict in ("drop", "consumed") and line.out == []


@pytest.mark.parametrize("own, other", [("10.9.0.0", "10.9.0.1"), ("10.9.0.1", "10.9.0.0")])
def test_R3021_both_addresses_of_a_31_are_hosts(gateway, own, other):
    """R3021: on a link with a /31 neither address is a broadcast or names the network."""
    gateway.interface("dmz", addresses=[f"{own}/31", f"{DMZ.ip6}/64"])
    gateway.config["neighbours"] = [n for n in gateway.config["neighbours"] if n["ip"] != SERVER.ip4]
    gateway.config["neighbours"].append({"interface": "dmz", "ip": other, "mac": SERVER.mac})
    result = gateway.send(("lan", from_lan(datagram4(dst=other))),
                          ("lan", from_lan(IP(src=HOST.ip4, dst=own) / ICMP(id=1))),
                          ("dmz", from_dmz(datagram4(src=other))),
                          ("dmz", from_dmz(datagram4(src=other, ttl=1))))
    assert result.packets[0].forwarded("dmz").dst == SERVER.mac
    assert result.packets[1].answered("lan")[ICMP].type == 0
    assert result.packets[2].forwarded("wan")[IP].src == other
    assert result.packets[3].answered("dmz")[IP].src == own


def test_R3021_a_30_has_a_broadcast(gateway):
    """R3021: the counterpart: in a /30 the last address is the broadcast."""
    gateway.interface("dmz", addresses=["10.9.0.1/30"])
    gateway.config["neighbours"] = [n for n in gateway.config["neighbours"] if n["interface"] != "dmz"]
    line = gateway.send(("lan", from_lan(datagram4(dst="10.9.0.3")))).packets[0]
    line.assert_silent(reason.directed_broadcast)
