"""ICMPv6 by the box: R4443-3.1, R4443-2.4c, R4443-2.4e, R4443-2.4f, echo, and R4890: what passes through."""
import pytest
import reason
from net import DMZ, HOST, LAN, REMOTE, SERVER, WAN, datagram6, from_lan, from_wan, pattern
from scapy.layers.inet import UDP
from scapy.layers.inet6 import (ICMPv6DestUnreach, ICMPv6EchoReply, ICMPv6EchoRequest, ICMPv6ND_Redirect, ICMPv6PacketTooBig,
                                ICMPv6ParamProblem, ICMPv6TimeExceeded, ICMPv6Unknown, IPv6, IPv6ExtHdrDestOpt, HBHOptUnknown)
from wire import assert_right_checksums, ip_bytes

STRICT = ("--strict-neighbours",)


def unreachable(line, interface="lan") -> int:
    error = line.answered(interface)
    assert_right_checksums(error)
    return error[ICMPv6DestUnreach].code


def test_R4443_3_1_no_route_is_code_0(gateway):
    """R4443-3.1: no route to destination."""
    gateway.routes()
    line = gateway.send(("lan", from_lan(datagram6()))).packets[0].assert_dropped(reason.no_route)
    assert unreachable(line) == 0


@pytest.mark.parametrize("kind, code, why", [("prohibit", 1, "prohibit"), ("unreachable", 3, "unreachable")])
def test_R4443_3_1_routes_that_refuse(gateway, kind, code, why):
    """R4443-3.1: administratively prohibited is code 1, address unreachable code 3."""
    gateway.routes({"to": "2001:db8:7::/48", "type": kind})
    line = gateway.send(("lan", from_lan(datagram6()))).packets[0].assert_dropped(getattr(reason, why))
    assert unreachable(line) == code


def test_R4443_3_1_a_neighbour_that_does_not_answer_is_code_3(gateway):
    """R4443-3.1: address unreachable."""
    line = gateway.send(("lan", from_lan(datagram6(dst="fd00:3::99"))), options=STRICT).packets[0]
    assert unreachable(line.assert_dropped(reason.neighbour_unresolved)) == 3


def test_R4443_3_1_a_closed_port_of_the_box_is_code_4(gateway):
    """R4443-3.1: port unreachable."""
    assert unreachable(gateway.send(("lan", from_lan(datagram6(dst=LAN.ip6)))).packets[0]) == 4


def test_R4443_3_1_blackhole_is_silent(gateway):
    """R4443-3.1: the option to discard without a word."""
    gateway.routes({"to": "2001:db8:7::/48", "type": "blackhole"})
    gateway.send(("lan", from_lan(datagram6()))).packets[0].assert_silent(reason.blackhole)


def test_R4443_3_1_source_is_the_address_of_the_interface_it_leaves_by(gateway):
    """R4443 2.2: also when the error leaves by another interface than the packet came in by."""
    error = gateway.send(("lan", from_lan(datagram6(src=SERVER.ip6, hlim=1)))).packets[0].answered("dmz")
    assert (error[IPv6].src, error.src) == (DMZ.ip6, DMZ.mac)


def test_R4443_3_1_a_box_without_global_addresses_speaks_by_its_link_local_one(gateway):
    """RFC 4443 2.2: as Linux; an error from no address at all would reach nobody."""
    for name in ("lan", "wan"):
        gateway.interface(name, addresses=["fe80::1/64"] if name == "lan" else [])
    gateway.config["neighbours"] = [{"interface": "lan", "ip": HOST.ip6, "mac": HOST.mac}]
    gateway.config["interfaces"].pop("dmz")
    gateway.routes({"to": "fd00:1::/64", "interface": "lan"})
    error = gateway.send(("lan", from_lan(datagram6()))).packets[0].answered("lan")
    assert error[IPv6].src == "fe80::1"
    echo = IPv6(src=HOST.ip6, dst="ff02::1", hlim=1) / ICMPv6EchoRequest(id=1)
    reply = gateway.send(("lan", from_lan(echo, dst="33:33:00:00:00:01"))).packets[0].answered("lan")
    assert reply[IPv6].src == "fe80::1"


@pytest.mark.parametrize("size", [0, 1000, 1183, 1184, 1185, 1452])
def test_R4443_2_4c_quotes_what_fits_1280_bytes(gateway, size):
    """R4443-2.4c: as much of the packet as fits the minimum MTU, as it was received."""
    packet = from_lan(datagram6(hlim=1, size=size))
    error = gateway.send(("lan", packet)).packets[0].answered("lan")
    original = ip_bytes(packet)
    quoted = ip_bytes(error)[48:]
    assert quoted == original[:1280 - 48]
    assert error[IPv6].plen + 40 == min(1280, len(original) + 48)
    assert_right_checksums(error)


ERRORS = {
    "hop_limit": ({"dst": REMOTE.ip6, "hlim": 1}, ICMPv6TimeExceeded),
    "no_route": ({"dst": "2001:db8:ffff::1"}, ICMPv6DestUnreach),
    "unreachable": ({"dst": "2001:db8:aaaa::1"}, ICMPv6DestUnreach),
    "prohibited": ({"dst": "2001:db8:bbbb::1"}, ICMPv6DestUnreach),
    "too_big": ({"dst": SERVER.ip6}, ICMPv6PacketTooBig),
}


@pytest.fixture
def errors(gateway):
    """A gateway with a way to each of the errors."""
    gateway.interface("dmz", mtu=1280)
    gateway.routes(
        {"to": "2001:db8:7::/48", "via": "fd00:2::1"},
        {"to": "2001:db8:aaaa::/48", "type": "unreachable"},
        {"to": "2001:db8:bbbb::/48", "type": "prohibit"},
    )
    return gateway


def ip(**fields):
    return IPv6(**{"src": HOST.ip6, **fields})


def udp(**fields):
    return ip(**fields) / UDP(sport=4000, dport=5000) / pattern(1400)


def icmp_error(**fields):
    quoted = IPv6(src=fields["dst"], dst=HOST.ip6) / UDP(sport=5000, dport=4000) / pattern(1300)
    kinds = [ICMPv6DestUnreach(), ICMPv6PacketTooBig(mtu=1280), ICMPv6TimeExceeded(), ICMPv6ParamProblem()]
    unknown_error = ICMPv6Unknown(type=100, code=0)
    return [from_lan(ip(**fields) / kind / quoted) for kind in (*kinds, unknown_error)]


def error_behind_options(**fields):
    quoted = IPv6(src=fields["dst"], dst=HOST.ip6) / UDP() / pattern(1300)
    return [from_lan(ip(**fields) / IPv6ExtHdrDestOpt() / ICMPv6DestUnreach() / quoted)]


def redirect(**fields):
    return [from_lan(ip(**fields) / ICMPv6ND_Redirect(tgt="fd00:1::9", dst="2001:db8::1") / pattern(1300))]


def link_group(**fields):
    return [from_lan(udp(**fields), dst=mac) for mac in ("ff:ff:ff:ff:ff:ff", "33:33:00:00:00:01")]


def not_unique_source(**fields):
    return [from_lan(udp(**fields, src=source)) for source in ("::", "ff02::1", "ff0e::1", "fd00:1::")]


CONDITIONS = [icmp_error, error_behind_options, redirect, link_group, not_unique_source]


def test_R4443_2_4e_without_a_reason_not_to_every_error_is_sent(errors):
    """R4443-2.4e: the counterpart that gives the tests below their meaning."""
    result = errors.send(*[("lan", from_lan(udp(**fields))) for fields, _ in ERRORS.values()])
    for line, (_, kind) in zip(result.packets, ERRORS.values(), strict=True):
        assert line.answered("lan").haslayer(kind)


@pytest.mark.parametrize("condition", CONDITIONS, ids=lambda each: each.__name__)
@pytest.mark.parametrize("error", ERRORS)
def test_R4443_2_4e_no_error_about(errors, condition, error):
    """R4443-2.4e: an ICMPv6 error or redirect, a link-layer multicast or broadcast, a source that is no single node."""
    fields, _ = ERRORS[error]
    for line in errors.send(*[("lan", frame) for frame in condition(**fields)]).packets:
        assert line.verdict == "drop" and line.out == [], line


@pytest.mark.parametrize("hop_limit", [1, 64])
@pytest.mark.parametrize("group", ["ff02::1", "ff02::77", "ff05::2", "ff0e::1234"])
def test_R4443_2_4e_no_error_about_multicast_destinations(errors, group, hop_limit):
    """R4443-2.4e: neither time exceeded nor unreachable."""
    line = errors.send(("lan", from_lan(datagram6(dst=group, hlim=hop_limit), dst="33:33:00:00:00:01"))).packets[0]
    assert line.verdict in ("drop", "consumed") and line.out == []


@pytest.mark.parametrize("option, told", [(0x80, True), (0xC0, False), (0x40, False)])
def test_R4443_2_4e_parameter_problem_code_2_may_answer_multicast(gateway, option, told):
    """R4443-2.4e: the exception: an unknown option of the kind 10 is reported also for multicast, 11 only for unicast."""
    options = IPv6ExtHdrDestOpt(options=[HBHOptUnknown(otype=option, optdata=b"1234")])
    ping = IPv6(src=HOST.ip6, dst="ff02::1") / options / ICMPv6EchoRequest()
    line = gateway.send(("lan", from_lan(ping, dst="33:33:00:00:00:01"))).packets[0]
    assert line.verdict == "drop"
    assert bool(line.out) == told
    if told:
        problem = line.answered("lan")[ICMPv6ParamProblem]
        assert (problem.code, problem.ptr) == (2, 42)


@pytest.mark.parametrize("option, told", [(0x80, True), (0xC0, True), (0x40, False)])
def test_R8200_unknown_options_to_the_box_are_treated_as_their_bits_say(gateway, option, told):
    """R8200 4.2: 00 skip, 01 discard, 10 and 11 discard and report with code 2 and a pointer to the option."""
    options = IPv6ExtHdrDestOpt(options=[HBHOptUnknown(otype=option, optdata=b"1234")])
    skipped = IPv6ExtHdrDestOpt(options=[HBHOptUnknown(otype=0x1e, optdata=b"1234")])
    pings = [from_lan(IPv6(src=HOST.ip6, dst=LAN.ip6) / each / ICMPv6EchoRequest()) for each in (options, skipped)]
    first, second = gateway.send(*[("lan", ping) for ping in pings]).packets
    assert first.verdict == "drop" and bool(first.out) == told
    if told:
        assert (first.answered("lan")[ICMPv6ParamProblem].code, first.answered("lan")[ICMPv6ParamProblem].ptr) == (2, 42)
    assert second.answered("lan").haslayer(ICMPv6EchoReply)


def errors_of(lines) -> int:
    return sum(bool(line.out) for line in lines)


def test_R4443_2_4f_errors_are_limited_by_a_bucket(gateway):
    """R4443-2.4f: a token bucket: a traceroute's burst is answered, a flood gets the configured rate."""
    gateway.config["icmp"] = {"errors": "10/second"}
    expired = from_lan(datagram6(hlim=1))
    burst = [("lan", expired, number / 1000) for number in range(200)]
    steady = [("lan", expired, 5 + number / 100) for number in range(1000)]
    result = gateway.send(*burst, *steady)
    assert all(line.verdict == "drop" for line in result.packets)
    assert errors_of(result.packets[:10]) == 10, "three probes for each of three hops come at once"
    assert errors_of(result.packets[:200]) <= 30
    assert errors_of(result.packets[700:]) in range(48, 53), "the last five seconds"
    assert result.counter("Icmp6OutRateLimitHost") == 1200 - errors_of(result.packets)


@pytest.mark.parametrize("size", [0, 57, 1452])
def test_R4443_4_2_echo_is_answered(gateway, size):
    """RFC 4443 4.2: identifier, sequence number and data come back from the address that was asked."""
    ping = from_lan(IPv6(src=HOST.ip6, dst=WAN.ip6) / ICMPv6EchoRequest(id=7, seq=8, data=pattern(size)))
    line = gateway.send(("lan", ping)).packets[0]
    assert line.verdict == "consumed"
    reply = line.answered("lan")
    assert (reply[IPv6].src, reply[IPv6].dst, reply.dst) == (WAN.ip6, HOST.ip6, HOST.mac)
    assert (reply[ICMPv6EchoReply].id, reply[ICMPv6EchoReply].seq, reply[ICMPv6EchoReply].data) == (7, 8, pattern(size))
    assert_right_checksums(reply)


@pytest.mark.parametrize("message", [
    ICMPv6PacketTooBig(mtu=1300), ICMPv6TimeExceeded(), ICMPv6ParamProblem(), ICMPv6DestUnreach(),
    ICMPv6EchoRequest(id=1), ICMPv6EchoReply(id=1)
], ids=lambda each: type(each).__name__)
def test_R4890_errors_and_echo_pass_through(gateway, message):
    """R4890 4.3.1: what must not be dropped: errors about the inside's packets, and echo."""
    quoted = datagram6()
    packet = IPv6(src="2001:db8:7::1", dst=HOST.ip6) / message / quoted
    sent = gateway.send(("wan", from_wan(packet))).packets[0].forwarded("lan")
    assert ip_bytes(sent)[40:] == bytes(packet)[40:]
