"""Neighbours in a replay, and R4861: what the box believes and answers."""
import pytest
import reason
from net import HOST, LAN, REMOTE, SERVER, Ether, datagram4, datagram6, from_lan
from scapy.layers.inet6 import (ICMPv6ND_NA, ICMPv6ND_NS, ICMPv6ND_RA, ICMPv6ND_Redirect, ICMPv6NDOptDstLLAddr,
                                ICMPv6NDOptSrcLLAddr, IPv6)
from scapy.layers.l2 import ARP

STRICT = ("--strict-neighbours",)


def test_unlisted_neighbours_get_a_made_up_mac(gateway):
    """docs/replay.md: locally administered, unicast, the same for the same address, another for another."""
    frames = [datagram4(dst="10.9.0.50"), datagram4(dst="10.9.0.51"), datagram4(dst="10.9.0.50"),
              datagram6(dst="fd00:3::50"), datagram6(dst="fd00:3::50")]
    result = gateway.send(*[("lan", from_lan(frame)) for frame in frames])
    macs = [line.forwarded("dmz").dst for line in result.packets]
    assert all(int(mac[:2], 16) & 3 == 2 for mac in macs)
    assert macs[0] == macs[2] != macs[1] and macs[3] == macs[4] != macs[0]
    assert gateway.send(("lan", from_lan(frames[0]))).packets[0].forwarded("dmz").dst == macs[0]


def test_listed_neighbours_are_used(gateway):
    """docs/replay.md: `neighbours:` decides, strict or not."""
    for options in ((), STRICT):
        result = gateway.send(("lan", from_lan(datagram4(dst=SERVER.ip4))), ("lan", from_lan(datagram6(dst=SERVER.ip6))),
                              options=options)
        assert [line.forwarded("dmz").dst for line in result.packets] == [SERVER.mac, SERVER.mac]


def test_strict_neighbours_cannot_be_reached(gateway):
    """docs/replay.md: with --strict-neighbours what is not listed is dropped; nothing is asked."""
    result = gateway.send(("lan", from_lan(datagram4(dst="10.9.0.50"))), ("lan", from_lan(datagram6(dst="fd00:3::50"))),
                          options=STRICT)
    for line in result.packets:
        line.assert_dropped(reason.neighbour_unresolved)
        assert [interface for interface, _ in line.out] == ["lan"], "the error and nothing else"


def test_arp_for_own_addresses_is_answered(gateway):
    """RFC 826: who has an address of that interface is told its MAC."""
    request = Ether(src=HOST.mac, dst="ff:ff:ff:ff:ff:ff") / ARP(op=1, hwsrc=HOST.mac, psrc=HOST.ip4, pdst=LAN.ip4)
    line = gateway.send(("lan", request)).packets[0]
    assert line.verdict == "consumed"
    reply = line.answered("lan")
    assert (reply.dst, reply[ARP].op, reply[ARP].hwsrc, reply[ARP].psrc) == (HOST.mac, 2, LAN.mac, LAN.ip4)


def test_arp_for_others_is_not_answered(gateway):
    """RFC 826: no proxy ARP."""
    request = Ether(src=HOST.mac, dst="ff:ff:ff:ff:ff:ff") / ARP(op=1, hwsrc=HOST.mac, psrc=HOST.ip4, pdst="192.168.1.77")
    assert gateway.send(("lan", request)).packets[0].out == []


@pytest.mark.parametrize("fields", [{"hwtype": 6}, {"ptype": 0x86DD}, {"hwlen": 8}, {"plen": 16}, {"op": 0}], ids=str)
def test_malformed_arp_is_dropped(gateway, fields):
    """RFC 826: what is no request or reply about IPv4 on Ethernet."""
    arp = ARP(op=1, hwsrc=HOST.mac, psrc=HOST.ip4, pdst=LAN.ip4)
    data = bytearray(bytes(arp))
    places = {"hwtype": (0, 2), "ptype": (2, 2), "hwlen": (4, 1), "plen": (5, 1), "op": (6, 2)}
    (name, value), = fields.items()
    at, size = places[name]
    data[at:at + size] = value.to_bytes(size, "big")
    frame = Ether(src=HOST.mac, dst="ff:ff:ff:ff:ff:ff", type=0x0806) / bytes(data)
    line = gateway.send(("lan", frame)).packets[0]
    assert line.verdict in ("drop", "consumed") and line.out == []


def solicitation(hop_limit=255, target=LAN.ip6, code=0, **ether):
    group = "ff02::1:ff00:1"
    packet = IPv6(src=HOST.ip6, dst=group, hlim=hop_limit) / ICMPv6ND_NS(tgt=target, code=code)
    return from_lan(packet / ICMPv6NDOptSrcLLAddr(lladdr=HOST.mac), **{"dst": "33:33:ff:00:00:01", **ether})


def test_R4861_solicitations_are_answered(gateway):
    """R4861 7.2.4: a solicited advertisement from the target, to the one that asked, with hop limit 255."""
    line = gateway.send(("lan", solicitation())).packets[0]
    assert line.verdict == "consumed"
    answer = line.answered("lan")
    assert (answer.dst, answer[IPv6].src, answer[IPv6].dst, answer[IPv6].hlim) == (HOST.mac, LAN.ip6, HOST.ip6, 255)
    advertisement = answer[ICMPv6ND_NA]
    assert (advertisement.tgt, advertisement.S, advertisement.O) == (LAN.ip6, 1, 1)
    assert answer[ICMPv6NDOptDstLLAddr].lladdr == LAN.mac


@pytest.mark.parametrize("hop_limit", [0, 1, 64, 254])
def test_R4861_only_hop_limit_255_is_believed(gateway, hop_limit):
    """R4861 7.1.1: what came through a router is nobody's neighbour."""
    gateway.send(("lan", solicitation(hop_limit))).packets[0].assert_silent(reason.neighbour_malformed)


@pytest.mark.parametrize("message, hop_limit", [
    (ICMPv6ND_NA(tgt=SERVER.ip6, S=1, O=1) / ICMPv6NDOptDstLLAddr(lladdr="02:00:00:00:66:66"), 254),
    (ICMPv6ND_NA(tgt=SERVER.ip6, S=1, O=1) / ICMPv6NDOptDstLLAddr(lladdr="02:00:00:00:66:66"), 64),
    (ICMPv6ND_NS(tgt=LAN.ip6, code=1), 255),
    (ICMPv6ND_NS(tgt="ff02::1"), 255),
], ids=["advertisement_254", "advertisement_64", "code_1", "multicast_target"])
def test_R4861_invalid_messages_are_dropped(gateway, message, hop_limit):
    """R4861 7.1: hop limit, code and target."""
    packet = IPv6(src=HOST.ip6, dst=LAN.ip6, hlim=hop_limit) / message
    gateway.send(("lan", from_lan(packet))).packets[0].assert_silent(reason.neighbour_malformed)


def test_R4861_solicitation_with_a_bad_checksum_is_dropped(gateway):
    """R4861 7.1.1: the ICMP checksum is valid."""
    frame = bytearray(bytes(solicitation()))
    frame[14 + 40 + 2] ^= 0x55
    gateway.send(("lan", bytes(frame))).packets[0].assert_silent(reason.neighbour_malformed, reason.icmp_malformed)


def test_R4861_solicitations_for_others_are_not_answered(gateway):
    """R4861 7.2.3: only for the addresses of that interface."""
    result = gateway.send(("lan", solicitation(target="fd00:1::77")), ("lan", solicitation(target="fd00:3::1")))
    assert all(line.out == [] for line in result.packets)


def test_R4861_redirects_and_router_advertisements_change_nothing(gateway):
    """R4861 6.2.6, 8.1: a router obeys no redirect, nor takes a default router from an advertisement."""
    redirect = IPv6(src="fe80::1", dst=LAN.ip6, hlim=255) / ICMPv6ND_Redirect(tgt="fd00:1::66", dst=REMOTE.ip6)
    advert = IPv6(src="fe80::1", dst="ff02::1", hlim=255) / ICMPv6ND_RA(routerlifetime=1800)
    result = gateway.send(("lan", from_lan(redirect)), ("lan", from_lan(advert, dst="33:33:00:00:00:01")),
                          ("lan", from_lan(datagram6())))
    result.packets[0].assert_silent(reason.redirect)
    result.packets[1].assert_silent(reason.router_advertisement)
    assert result.packets[2].verdict == "accept"


def test_R4861_a_scan_of_a_64_is_bounded(gateway):
    """R4861, RFC 6583: packets to thousands of neighbours nobody is: each is sent or a counted drop, and others get through."""
    scan = [("lan", from_lan(datagram6(dst=f"fd00:3::{number:x}")), number / 10_000) for number in range(0x100, 0x100 + 3_000)]
    known = ("lan", from_lan(datagram6(dst=SERVER.ip6)), 2)
    for options in ((), STRICT):
        result = gateway.send(*scan, known, options=options)
        assert all(line.verdict in ("accept", "drop") for line in result.packets)
        assert result.packets[-1].forwarded("dmz").dst == SERVER.mac
