"""ICMP by the box: which errors there are (R1812-4.3.3.1), what they look like (R1812-4.3.2.3, R1812-4.3.2.4), how many
(R1812-4.3.2.8), and echo replies (R1812-4.3.3.6). When none may be sent: test_icmp4_forbidden.py."""
import pytest
import reason
from net import DMZ, HOST, LAN, REMOTE, ROUTER, SERVER, WAN, datagram4, from_dmz, from_lan, from_wan, pattern
from scapy.layers.inet import ICMP, IP, UDP, IPOption_NOP
from wire import assert_right_checksums, ip_bytes

STRICT = ("--strict-neighbours",)


def unreachable(line, interface="lan") -> int:
    """The code of the Destination Unreachable the sender was told."""
    error = line.answered(interface)
    assert error[ICMP].type == 3
    assert_right_checksums(error)
    return error[ICMP].code


def test_R1812_4_3_3_1_no_route(gateway):
    """R1812-4.3.3.1: no route at all is network unreachable, code 0."""
    gateway.routes()
    line = gateway.send(("lan", from_lan(datagram4()))).packets[0].assert_dropped(reason.no_route)
    assert unreachable(line) == 0


def test_R1812_4_3_3_1_next_hop_does_not_answer(gateway):
    """R1812-4.3.3.1: a host on the link that cannot be resolved is host unreachable, code 1."""
    frames = ("lan", from_lan(datagram4(dst="10.9.0.99"))), ("lan", from_lan(datagram4(dst=SERVER.ip4)))
    result = gateway.send(*frames, options=STRICT)
    assert unreachable(result.packets[0].assert_dropped(reason.neighbour_unresolved)) == 1
    assert result.packets[1].forwarded("dmz").dst == SERVER.mac


def test_R1812_4_3_3_1_gateway_does_not_answer(gateway):
    """R1812-4.3.3.1: nor can anything behind a gateway that does not answer be reached: code 1."""
    gateway.routes({"to": "default", "via": "203.0.113.77"})
    line = gateway.send(("lan", from_lan(datagram4())), options=STRICT).packets[0]
    assert unreachable(line.assert_dropped(reason.neighbour_unresolved)) == 1


@pytest.mark.parametrize("kind, code, why", [("unreachable", 1, "unreachable"), ("prohibit", 13, "prohibit")])
def test_R1812_4_3_3_1_routes_that_refuse(gateway, kind, code, why):
    """R1812-4.3.3.1: `unreachable` tells code 1, `prohibit` code 13 (communication administratively prohibited)."""
    gateway.routes({"to": "198.51.100.0/24", "type": kind})
    line = gateway.send(("lan", from_lan(datagram4()))).packets[0].assert_dropped(getattr(reason, why))
    assert unreachable(line) == code


def test_R1812_4_3_3_1_blackhole_is_silent(gateway):
    """R1812-4.3.3.1: the option to discard without a word."""
    gateway.routes({"to": "198.51.100.0/24", "type": "blackhole"})
    gateway.send(("lan", from_lan(datagram4()))).packets[0].assert_silent(reason.blackhole)


@pytest.mark.parametrize("size", [0, 8, 500, 519, 520, 521, 1400])
def test_R1812_4_3_2_3_quotes_what_fits_576_bytes(gateway, size):
    """R1812-4.3.2.3: as much of the packet as fits 576 bytes, its header as it was received."""
    packet = from_lan(datagram4(ttl=1, size=size, tos=0x28, id=4711))
    error = gateway.send(("lan", packet)).packets[0].answered("lan")
    original = ip_bytes(packet)
    quoted = bytes(error[ICMP])[8:]
    assert quoted == original[:len(quoted)]
    assert len(quoted) == min(len(original), 576 - 28)
    assert error[IP].len == 28 + len(quoted)
    assert error[ICMP].chksum is not None
    assert_right_checksums(error)


def test_R1812_4_3_2_3_quotes_options_and_ttl_as_received(gateway):
    """R1812-4.3.2.3: header with options, TTL not yet reduced."""
    packet = from_lan(IP(src=HOST.ip4, dst=REMOTE.ip4, ttl=1, options=[IPOption_NOP()] * 4) / UDP() / pattern(30))
    error = gateway.send(("lan", packet)).packets[0].answered("lan")
    assert bytes(error[ICMP])[8:] == ip_bytes(packet)


def test_R1812_4_3_2_4_source_is_the_address_of_the_interface_it_leaves_by(gateway):
    """R1812-4.3.2.4: also when the packet came in by another interface than the error leaves by."""
    asymmetric = from_lan(datagram4(src=SERVER.ip4, dst=REMOTE.ip4, ttl=1))
    error = gateway.send(("lan", asymmetric)).packets[0].answered("dmz")
    assert (error[IP].src, error.src, error.dst) == (DMZ.ip4, DMZ.mac, SERVER.mac)


@pytest.mark.parametrize("host, source", [("192.168.1.10", "192.168.1.1"), ("192.168.7.10", "192.168.7.1")])
def test_R1812_4_3_2_4_of_two_addresses_the_one_in_the_senders_network(gateway, host, source):
    """R1812-4.3.2.4: an interface with two addresses answers each network with its own."""
    gateway.interface("lan", addresses=["192.168.1.1/24", "192.168.7.1/24"])
    gateway.config["neighbours"] = [n for n in gateway.config["neighbours"] if ":" not in n["ip"]]
    line = gateway.send(("lan", from_lan(datagram4(src=host, ttl=1)))).packets[0]
    assert line.answered("lan")[IP].src == source


def errors_of(lines) -> int:
    return sum(bool(line.out) for line in lines)


def test_R1812_4_3_2_8_errors_are_limited_by_a_bucket(gateway):
    """R1812-4.3.2.8: a burst passes, then the configured rate; what is not told is dropped and counted all the same."""
    gateway.config["icmp"] = {"errors": "10/second"}
    expired = from_lan(datagram4(ttl=1))
    burst = [("lan", expired, number / 1000) for number in range(200)]
    steady = [("lan", expired, 5 + number / 100) for number in range(1000)]
    result = gateway.send(*burst, *steady)
    assert all(line.verdict == "drop" for line in result.packets)
    first = errors_of(result.packets[:200])
    assert 10 <= first <= 30
    # Ten seconds at a hundred a second; the bucket had filled up again before.
    assert first - 5 + 95 <= errors_of(result.packets[200:]) <= first + 105
    assert errors_of(result.packets[700:]) in range(48, 53), "the last five seconds"
    assert result.counter("IcmpOutRateLimitGlobal") == 1200 - errors_of(result.packets)


def test_R1812_4_3_2_8_the_limit_may_be_off(gateway):
    """R1812-4.3.2.8: `unlimited` tells every sender."""
    gateway.config["icmp"] = {"errors": "unlimited"}
    result = gateway.send(*[("lan", from_lan(datagram4(ttl=1)), number / 100_000) for number in range(3000)])
    assert errors_of(result.packets) == 3000


def test_R1812_4_3_2_8_echo_replies_are_no_errors(gateway):
    """R1812-4.3.2.8: the limit is one of errors."""
    gateway.config["icmp"] = {"errors": "1/second"}
    ping = from_lan(IP(src=HOST.ip4, dst=LAN.ip4) / ICMP(id=1, seq=1))
    assert errors_of(gateway.send(*[("lan", ping)] * 50).packets) == 50


@pytest.mark.parametrize("size", [0, 1, 56, 57, 1472])
def test_R1812_4_3_3_6_echo_is_answered(gateway, size):
    """R1812-4.3.3.6: identifier, sequence number and data come back, from the address that was asked."""
    ping = from_lan(IP(src=HOST.ip4, dst=LAN.ip4, tos=0x20) / ICMP(id=77, seq=3) / pattern(size))
    line = gateway.send(("lan", ping)).packets[0]
    assert line.verdict == "consumed"
    reply = line.answered("lan")
    assert (reply.dst, reply.src) == (HOST.mac, LAN.mac)
    assert (reply[IP].src, reply[IP].dst, reply[IP].tos) == (LAN.ip4, HOST.ip4, 0x20)
    assert (reply[ICMP].type, reply[ICMP].code, reply[ICMP].id, reply[ICMP].seq) == (0, 0, 77, 3)
    assert ip_bytes(reply)[28:] == pattern(size)
    assert_right_checksums(reply)


@pytest.mark.parametrize("address", [LAN.ip4, WAN.ip4, DMZ.ip4])
def test_R1812_4_3_3_6_every_own_address_answers_on_every_interface(gateway, address):
    """R1812-4.3.3.6: to any of the box's addresses, by whichever interface it is asked."""
    def ping(source):
        return IP(src=source, dst=address) / ICMP(id=1, seq=1)

    asked = [("lan", from_lan(ping(HOST.ip4))), ("wan", from_wan(ping(REMOTE.ip4))), ("dmz", from_dmz(ping(SERVER.ip4)))]
    result = gateway.send(*asked)
    for (interface, _), line in zip(asked, result.packets, strict=True):
        assert line.answered(interface)[IP].src == address
    assert result.packets[1].answered("wan").dst == ROUTER.mac


def test_R1812_4_3_3_6_echo_with_a_bad_checksum_is_not_answered(gateway):
    """R1812-4.3.3.6, RFC 1122 3.2.2: a damaged request is discarded."""
    line = gateway.send(("lan", from_lan(IP(src=HOST.ip4, dst=LAN.ip4) / ICMP(chksum=1) / b"x"))).packets[0]
    line.assert_silent(reason.icmp_malformed)


def test_R1812_4_3_3_6_echo_that_comes_in_fragments_is_answered(gateway):
    """R1812-4.3.3.6: the box reassembles what is for itself; a long reply leaves in fragments that fit the link."""
    from scapy.layers.inet import fragment
    from wire import reassemble
    ping = IP(src=HOST.ip4, dst=LAN.ip4, id=9) / ICMP(id=5, seq=6) / pattern(3000)
    result = gateway.send(*[("lan", from_lan(part)) for part in fragment(ping, fragsize=1480)])
    assert all(not line.out for line in result.packets[:-1])
    replies = [frame[IP] for frame in result.packets[-1].sent("lan")]
    assert max(reply.len for reply in replies) <= 1500
    whole = ICMP(reassemble(replies))
    assert (whole.type, whole.id, whole.seq, bytes(whole.payload)) == (0, 5, 6, pattern(3000))


def test_a_port_nobody_listens_on_is_told(gateway):
    """RFC 1122 3.2.2.1: a datagram for the box to a closed port gives port unreachable."""
    line = gateway.send(("lan", from_lan(datagram4(dst=LAN.ip4)))).packets[0]
    assert unreachable(line) == 3


def test_protocol_nobody_speaks_is_told(gateway):
    """RFC 1122 3.2.2.1: protocol unreachable."""
    line = gateway.send(("lan", from_lan(IP(src=HOST.ip4, dst=LAN.ip4, proto=99) / pattern(20)))).packets[0]
    assert unreachable(line) == 2
