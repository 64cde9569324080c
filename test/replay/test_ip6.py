"""R8200, R5722, R6946, R7112: what an IPv6 router does with headers and fragments."""
import struct
from socket import AF_INET6, inet_pton

import pytest
import reason
from net import HOST, LAN, REMOTE, ROUTER, SERVER, Ether, datagram6, from_lan, from_wan, pattern
from scapy.layers.inet import UDP
from scapy.layers.inet6 import (HBHOptUnknown, ICMPv6DestUnreach, ICMPv6EchoReply, ICMPv6EchoRequest,
                                ICMPv6PacketTooBig, ICMPv6ParamProblem, IPv6, IPv6ExtHdrDestOpt, IPv6ExtHdrFragment,
                                IPv6ExtHdrHopByHop, IPv6ExtHdrRouting, PadN)
from wire import assert_right_checksums, checksum, ip_bytes

MTU = 1400


@pytest.mark.parametrize("frame, why", [
    (bytes(from_lan(datagram6()))[:14 + 39], "ip6_too_short"),
    (bytes(from_lan(datagram6()))[:14], "ip6_too_short"),
    (bytes(from_lan(datagram6()))[:-1], "ip6_truncated"),
    (bytes(Ether(src=HOST.mac, dst=LAN.mac, type=0x86DD)) + b"\x40" + bytes(from_lan(datagram6()))[15:], "ip6_bad_version"),
], ids=["inside_the_header", "no_header", "shorter_than_it_says", "version_4"])
def test_R8200_malformed_header_is_dropped_silently(gateway, frame, why):
    """R8200 3: version 6, and a payload as long as the header says."""
    result = gateway.send(("lan", frame), ("lan", from_lan(datagram6())))
    result.packets[0].assert_silent(getattr(reason, why))
    assert result.packets[1].verdict == "accept"


def test_R8200_too_big_is_told_and_never_fragmented(gateway):
    """R8200 4.5, 5: only the source fragments; it is told the MTU of the next hop."""
    gateway.interface("dmz", mtu=MTU)
    packet = from_lan(datagram6(dst=SERVER.ip6, size=MTU - 48 + 1))
    line = gateway.send(("lan", packet)).packets[0].assert_dropped(reason.too_big)
    error = line.answered("lan")
    assert (error[ICMPv6PacketTooBig].mtu, error[ICMPv6PacketTooBig].code) == (MTU, 0)
    assert ip_bytes(error)[48:] == ip_bytes(packet)[:1232]
    assert_right_checksums(error)


def test_R8200_what_just_fits_is_forwarded(gateway):
    """R8200 5: the MTU counts the whole IPv6 packet."""
    gateway.interface("dmz", mtu=MTU)
    sent = gateway.send(("lan", from_lan(datagram6(dst=SERVER.ip6, size=MTU - 48)))).packets[0].forwarded("dmz")
    assert sent[IPv6].plen + 40 == MTU


def test_R8200_fragments_are_forwarded_as_they_came(gateway):
    """R8200 4.5: a router neither cuts nor joins; also a fragment too big for the next link is told."""
    gateway.interface("dmz", mtu=1280)
    parts = fragments(UDP(sport=4000, dport=5000) / pattern(2500), dst=REMOTE.ip6, proto=17)
    result = gateway.send(*[("lan", from_lan(part)) for part in parts],
                          ("lan", from_lan(fragments(UDP() / pattern(1300), dst=SERVER.ip6, proto=17, piece=1288)[0])))
    for line, part in zip(result.packets, parts):
        assert ip_bytes(line.forwarded("wan"))[40:] == bytes(part)[40:]
    assert result.packets[-1].answered("lan")[ICMPv6PacketTooBig].mtu == 1280


HEADERS = {
    "hop_by_hop": IPv6ExtHdrHopByHop(options=[PadN(optdata=bytes(4))]),
    "destination_options": IPv6ExtHdrDestOpt(options=[PadN(optdata=bytes(4))]),
    "routing_used_up": IPv6ExtHdrRouting(addresses=[], segleft=0),
}


@pytest.mark.parametrize("header", HEADERS)
def test_R8200_extension_headers_do_not_stop_a_packet(gateway, header):
    """R8200 4: on the way through, extension headers are carried as they are."""
    packet = from_lan(IPv6(src=HOST.ip6, dst=REMOTE.ip6) / HEADERS[header] / UDP(sport=4000, dport=5000) / pattern(30))
    sent = gateway.send(("lan", packet)).packets[0].forwarded("wan")
    assert ip_bytes(sent)[40:] == ip_bytes(packet)[40:]


@pytest.mark.parametrize("header", HEADERS)
def test_R8200_extension_headers_are_read_by_the_box(gateway, header):
    """R8200 4: the box finds the echo request behind them."""
    ping = IPv6(src=HOST.ip6, dst=LAN.ip6) / HEADERS[header] / ICMPv6EchoRequest(id=3)
    assert gateway.send(("lan", from_lan(ping))).packets[0].answered("lan")[ICMPv6EchoReply].id == 3


def test_R8200_hop_by_hop_stands_first_or_is_refused(gateway):
    """R8200 4.1, 4.3: behind another header it is an unrecognised next header: parameter problem code 1."""
    ping = (IPv6(src=HOST.ip6, dst=LAN.ip6) / IPv6ExtHdrDestOpt(options=[PadN(optdata=bytes(4))]) /
            IPv6ExtHdrHopByHop(options=[PadN(optdata=bytes(4))]) / ICMPv6EchoRequest())
    line = gateway.send(("lan", from_lan(ping))).packets[0]
    assert line.verdict == "drop"
    problem = line.answered("lan")[ICMPv6ParamProblem]
    assert (problem.code, problem.ptr) == (1, 40), "the next-header field of the destination options"


def test_R8200_fragments_have_no_place_for_hop_by_hop(gateway):
    """R8200 4.1: nor is a hop-by-hop header right that fragments bring: the field that names it is told when they are whole."""
    body = bytes(IPv6ExtHdrHopByHop(nh=17, options=[PadN(optdata=bytes(4))])) + pattern(16)
    parts = fragment(body[:16], 0, True, proto=0), fragment(body[16:], 16, False, proto=0), fragment(body, 0, False, proto=0)
    first, last, atomic = gateway.send(*[("lan", from_lan(part)) for part in parts]).packets
    assert first.out == []
    problem = last.answered("lan")[ICMPv6ParamProblem]
    assert (problem.code, problem.ptr) == (1, 6)
    problem = atomic.answered("lan")[ICMPv6ParamProblem]
    assert (problem.code, problem.ptr) == (1, 40), "the fragment header is still there"


def test_R8200_a_fragment_header_that_is_cut_is_told(gateway):
    """As Linux: parameter problem 0 where it begins."""
    packet = IPv6(src=HOST.ip6, dst=LAN.ip6, nh=44) / b"\x11\0\0\x01"
    problem = gateway.send(("lan", from_lan(packet))).packets[0].answered("lan")[ICMPv6ParamProblem]
    assert (problem.code, problem.ptr) == (0, 40)


def test_R8200_options_are_read_in_the_order_of_their_headers(gateway):
    """R8200 4: of two destination options headers the first, too."""
    unknown = IPv6ExtHdrDestOpt(options=[HBHOptUnknown(otype=0x9E, optlen=4, optdata=bytes(4))])
    packet = IPv6(src=HOST.ip6, dst=LAN.ip6) / unknown / IPv6ExtHdrRouting(addresses=[], segleft=0) / (
        IPv6ExtHdrDestOpt(options=[PadN(optdata=bytes(4))])) / UDP()
    problem = gateway.send(("lan", from_lan(packet))).packets[0].answered("lan")[ICMPv6ParamProblem]
    assert (problem.code, problem.ptr) == (2, 42)


def test_R8200_unknown_next_header_to_the_box_is_told(gateway):
    """R8200 4: parameter problem code 1 with a pointer to the field that names it."""
    line = gateway.send(("lan", from_lan(IPv6(src=HOST.ip6, dst=LAN.ip6, nh=253) / pattern(20)))).packets[0]
    problem = line.answered("lan")[ICMPv6ParamProblem]
    assert (problem.code, problem.ptr) == (1, 6)


@pytest.mark.parametrize("right", [True, False], ids=["right_checksum", "wrong_checksum"])
def test_R8200_udp_of_length_0_is_as_long_as_its_packet(gateway, right):
    """RFC 2675 4, as Linux: also where it is short; its checksum counts."""
    data = struct.pack("!HHHH", 4000, 5000, 0, 0) + b"data"
    pseudo = inet_pton(AF_INET6, HOST.ip6) + inet_pton(AF_INET6, LAN.ip6) + struct.pack("!II", len(data), 17)
    data = data[:6] + struct.pack("!H", checksum(pseudo + data) ^ (not right)) + data[8:]
    line = gateway.send(("lan", from_lan(IPv6(src=HOST.ip6, dst=LAN.ip6, nh=17) / data))).packets[0]
    if right:
        assert line.answered("lan")[ICMPv6DestUnreach].code == 4
    else:
        line.assert_silent(reason.transport_malformed)


def test_R8200_source_routes_through_the_box_are_refused(gateway):
    """R8200 4.4, RFC 5095: a routing header with segments left asks the box to forward: parameter problem code 0."""
    packet = IPv6(src=HOST.ip6, dst=LAN.ip6) / IPv6ExtHdrRouting(addresses=[REMOTE.ip6], segleft=1) / UDP()
    line = gateway.send(("lan", from_lan(packet))).packets[0]
    assert line.verdict == "drop"
    assert all(interface == "lan" for interface, _ in line.out)
    problem = line.answered("lan")[ICMPv6ParamProblem]
    assert (problem.code, problem.ptr) == (0, 42)


def fragments(payload, dst=LAN.ip6, proto=58, ident=0x1234, piece=1000) -> list[IPv6]:
    """The payload in fragments of `piece` bytes; checksums of the whole."""
    whole = bytes(IPv6(src=HOST.ip6, dst=dst) / payload)[40:]
    return [fragment(whole[at:at + piece], at, at + piece < len(whole), dst, proto, ident)
            for at in range(0, len(whole), piece)]


def fragment(data: bytes, offset: int, more: bool, dst=LAN.ip6, proto=58, ident=0x1234) -> IPv6:
    assert offset % 8 == 0
    return IPv6(src=HOST.ip6, dst=dst) / IPv6ExtHdrFragment(nh=proto, offset=offset // 8, m=int(more), id=ident) / data


def ping(size=2400, **fields):
    return ICMPv6EchoRequest(id=11, seq=1, data=pattern(size), **fields)


def replies(result) -> int:
    return sum(Ether(frame).nh in (44, 58) for line in result.lines for _, frame in line.out)


@pytest.mark.parametrize("order", [(0, 1, 2), (2, 1, 0), (1, 2, 0)])
def test_R8200_fragments_for_the_box_are_reassembled(gateway, order):
    """R8200 4.5: in any order; the reply, too long for the link, leaves in fragments."""
    parts = fragments(ping())
    result = gateway.send(*[("lan", from_lan(parts[place])) for place in order])
    assert [bool(line.out) for line in result.packets] == [False, False, True]
    sent = result.packets[-1].sent("lan")
    assert all(frame[IPv6].plen + 40 <= 1500 for frame in sent)
    data = b"".join(bytes(frame[IPv6ExtHdrFragment].payload) for frame in sorted(sent, key=lambda f: f[IPv6ExtHdrFragment].offset))
    assert data[0] == 129 and data[8:] == pattern(2400)


@pytest.mark.parametrize("offset, size", [(992, 1000), (0, 1000), (8, 16), (1992, 416)])
def test_R5722_overlapping_fragments_are_all_discarded(gateway, offset, size):
    """R5722: with the overlap the datagram goes, and so do the fragments that follow; no error is sent."""
    parts = fragments(ping())
    overlap = fragment(bytes(b ^ 0xFF for b in pattern(size)), offset, True)
    result = gateway.send(*[("lan", from_lan(part)) for part in (parts[0], parts[2], overlap, parts[1], parts[0])])
    assert all(not line.out for line in result.lines)
    assert result.packets[2].verdict == "drop"
    assert result.packets[3].verdict == "drop", "what arrives later belongs to a datagram thrown away"


def test_R6946_atomic_fragments_stand_alone(gateway):
    """R6946: a fragment that is the whole datagram is answered, and leaves fragments of the same identification alone."""
    parts = fragments(ping())
    whole = bytes(IPv6(src=HOST.ip6, dst=LAN.ip6) / ICMPv6EchoRequest(id=22, data=b"atomic"))[40:]
    atomic = fragment(whole, 0, False)
    result = gateway.send(*[("lan", from_lan(part)) for part in (parts[0], atomic, parts[1], parts[2])])
    assert result.packets[1].answered("lan")[ICMPv6EchoReply].data == b"atomic"
    assert result.packets[3].out, "the other datagram came together as well"


def test_R7112_a_first_fragment_without_the_whole_header_chain_is_discarded(gateway):
    """R7112: the first fragment must reach to the upper header; parameter problem code 3 tells the sender."""
    options = bytes(IPv6ExtHdrDestOpt(nh=58, options=[PadN(optdata=bytes(12))]))
    assert len(options) == 16
    body = bytes(IPv6(src=HOST.ip6, dst=LAN.ip6) / ping(100))[40:]
    first = fragment(options[:8], 0, True, proto=60)
    rest = fragment(options[8:] + body, 8, False, proto=60)
    result = gateway.send(("lan", from_lan(first)), ("lan", from_lan(rest)))
    assert result.packets[0].verdict == "drop"
    assert result.packets[0].answered("lan")[ICMPv6ParamProblem].code == 3
    assert result.packets[1].out == []


def test_R7112_a_header_chain_that_is_cut_is_told_before_an_odd_length(gateway):
    """R7112, as Linux: parameter problem 3, not 0."""
    line = gateway.send(("lan", from_lan(fragment(bytes(13), 0, True, proto=6)))).packets[0]
    problem = line.answered("lan")[ICMPv6ParamProblem]
    assert (line.verdict, problem.code, problem.ptr) == ("drop", 3, 0)


def test_R7112_a_first_fragment_may_end_in_front_of_an_extension_header(gateway):
    """As Linux: it does not show that the chain is cut, and the whole is answered."""
    options = bytes(IPv6ExtHdrDestOpt(nh=60, options=[PadN(optdata=bytes(4))]))
    body = bytes(IPv6(src=HOST.ip6, dst=LAN.ip6) / ping(16))[40:]
    parts = fragment(options, 0, True, proto=60), fragment(bytes((58,)) + options[1:] + body, 8, False, proto=60)
    first, last = gateway.send(*[("lan", from_lan(part)) for part in parts]).packets
    assert first.out == []
    assert last.answered("lan")[ICMPv6EchoReply].id == 11


def test_R8200_an_odd_fragment_is_told(gateway):
    """R8200 4.5: a fragment that is not the last has a multiple of eight bytes: parameter problem 0 at the length field."""
    line = gateway.send(("lan", from_lan(fragment(bytes(ping())[:1001], 0, True)))).packets[0]
    problem = line.answered("lan")[ICMPv6ParamProblem]
    assert (line.verdict, problem.code, problem.ptr) == ("drop", 0, 4)


def test_R8200_who_cannot_be_told_of_an_incomplete_datagram_is_not(gateway):
    """The way back of the error itself is another one than that of the subnet's anycast address which was sent to."""
    gateway.config["conntrack"] = {}
    gateway.routes({"to": "default", "via": ROUTER.ip6, "table": "out"})
    gateway.config["route_rules"] = [{"saddr": "fd00:1::/64", "table": "out"}]
    whole = bytes(IPv6(src=REMOTE.ip6, dst="fd00:1::") / ping())[40:]
    first = IPv6(src=REMOTE.ip6, dst="fd00:1::") / IPv6ExtHdrFragment(nh=58, offset=0, m=1, id=7) / whole[:1000]
    result = gateway.send(("wan", from_wan(first)), options=("--until", "61"))
    assert not [frame for line in result.timers for _, frame in line.out]
    assert result.summary["packets"]["held"] == 0


def test_R8200_a_datagram_that_stays_incomplete_is_told_after_a_minute(gateway):
    """R8200 4.5: time exceeded code 1 if the first fragment came; the fragments end as counted drops."""
    first = fragments(ping())[0]
    result = gateway.send(("lan", from_lan(first)), options=("--until", "59"))
    assert result.timers == [] and result.packets[0].verdict in ("held", "consumed")
    result = gateway.send(("lan", from_lan(first)), options=("--until", "61"))
    errors = [Ether(frame) for line in result.timers for _, frame in line.out]
    assert len(errors) == 1 and struct.unpack_from("!BB", bytes(errors[0]), 54) == (3, 1)
