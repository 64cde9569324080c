"""R1812-4.3.2.7: packets about which no ICMP error may be sent, each with every error the box could send."""
import pytest
import reason
from net import HOST, SERVER, datagram4, from_lan, pattern
from scapy.layers.inet import ICMP, IP, UDP

# What makes the box want to send an error: fields of a packet, and the error.
ERRORS = {
    "ttl_exceeded": ({"dst": "198.51.100.7", "ttl": 1}, (11, 0)),
    "no_route": ({"dst": "100.64.9.9"}, (3, 0)),
    "unreachable": ({"dst": "100.64.1.9"}, (3, 1)),
    "prohibited": ({"dst": "100.64.2.9"}, (3, 13)),
    "fragmentation_needed": ({"dst": "10.9.0.10", "flags": "DF"}, (3, 4)),
}
NEIGHBOUR_ERROR = ({"dst": "10.9.0.99"}, (3, 1))


@pytest.fixture
def errors(gateway):
    """A gateway with a way to each of the errors."""
    gateway.interface("dmz", mtu=600, addresses=["10.9.0.1/24"])
    gateway.config["neighbours"] = [each for each in gateway.config["neighbours"] if each["ip"] != SERVER.ip6]
    gateway.routes(
        {"to": "198.51.100.0/24", "via": "203.0.113.1"},
        {"to": "100.64.1.0/24", "type": "unreachable"},
        {"to": "100.64.2.0/24", "type": "prohibit"},
    )
    return gateway


def ip(**fields) -> IP:
    return IP(**{"src": HOST.ip4, **fields})


def udp(**fields):
    return ip(**fields) / UDP(sport=4000, dport=5000) / pattern(800)


def test_R1812_4_3_2_7_without_a_reason_not_to_every_error_is_sent(errors):
    """R1812-4.3.2.7: the counterpart that gives the tests below their meaning."""
    result = errors.send(*[("lan", from_lan(udp(**fields))) for fields, _ in ERRORS.values()])
    told = [(line.answered("lan")[ICMP].type, line.answered("lan")[ICMP].code) for line in result.packets]
    assert told == [error for _, error in ERRORS.values()]


def test_R1812_4_3_2_7_queries_are_no_errors(errors):
    """R1812-4.3.2.7: about an echo request an error is sent."""
    result = errors.send(*[("lan", from_lan(ip(**fields) / ICMP(type=8) / pattern(800))) for fields, _ in ERRORS.values()])
    assert all(line.answered("lan")[ICMP].code == code for line, (_, (_, code)) in zip(result.packets, ERRORS.values()))


def icmp_error(**fields):
    quoted = IP(src="198.51.100.7", dst=HOST.ip4) / UDP(sport=5000, dport=4000)
    return [from_lan(ip(**fields) / ICMP(type=kind, code=0) / quoted / pattern(700)) for kind in (3, 4, 5, 11, 12)]


def later_fragment(**fields):
    flags = fields.pop("flags", 0)
    return [from_lan(ip(**fields, flags=flags, frag=100) / pattern(800)),
            from_lan(ip(**fields, flags=flags + "+MF" if flags else "MF", frag=100) / pattern(800))]


def link_group(**fields):
    return [from_lan(udp(**fields), dst=mac) for mac in ("ff:ff:ff:ff:ff:ff", "01:00:5e:00:00:05", "33:33:00:00:00:01")]


def bad_source(**fields):
    sources = ("0.0.0.0", "0.1.2.3", "127.0.0.1", "127.200.0.1", "224.0.0.5", "239.255.0.1", "240.0.0.1",
               "255.255.255.255", "192.168.1.255")
    return [from_lan(udp(**fields, src=source)) for source in sources]


def broken(**fields):
    return [from_lan(udp(**fields, chksum=0x1234)), from_lan(udp(**fields, len=2000))]


CONDITIONS = [icmp_error, later_fragment, link_group, bad_source, broken]


@pytest.mark.parametrize("condition", CONDITIONS, ids=lambda each: each.__name__)
@pytest.mark.parametrize("error", ERRORS)
def test_R1812_4_3_2_7_no_error_about(errors, condition, error):
    """R1812-4.3.2.7: an ICMP error, a fragment that is not the first, a link-layer broadcast or multicast, a source that
    is no host, a broken header: whatever else is wrong, nothing is sent."""
    fields, _ = ERRORS[error]
    result = errors.send(*[("lan", frame) for frame in condition(**fields)])
    for line in result.packets:
        assert line.verdict == "drop" and line.out == [], line


@pytest.mark.parametrize("condition", CONDITIONS, ids=lambda each: each.__name__)
def test_R1812_4_3_2_7_no_error_about_to_a_neighbour_that_does_not_answer(errors, condition):
    """R1812-4.3.2.7: also for the error that is sent last, when nobody answered for the next hop."""
    fields, error = NEIGHBOUR_ERROR
    frames = [("lan", from_lan(datagram4(**fields))), *[("lan", frame) for frame in condition(**fields)]]
    result = errors.send(*frames, options=("--strict-neighbours",))
    told = result.packets[0].answered("lan")
    assert (told[ICMP].type, told[ICMP].code) == error
    for line in result.packets[1:]:
        assert line.verdict == "drop" and line.out == [], line


@pytest.mark.parametrize("ttl", [1, 64])
@pytest.mark.parametrize("destination, mac", [
    ("255.255.255.255", "ff:ff:ff:ff:ff:ff"),
    ("255.255.255.255", None),
    ("192.168.1.255", "ff:ff:ff:ff:ff:ff"),
    ("192.168.1.255", None),
    ("10.9.0.255", None),
    ("224.0.0.5", "01:00:5e:00:00:05"),
    ("239.1.1.1", "01:00:5e:01:01:01"),
    ("239.1.1.1", None),
])
def test_R1812_4_3_2_7_no_error_about_group_destinations(errors, destination, mac, ttl):
    """R1812-4.3.2.7: broadcast and multicast, with TTL running out, without a route, to a closed port."""
    ether = {"dst": mac} if mac else {}
    line = errors.send(("lan", from_lan(datagram4(dst=destination, ttl=ttl), **ether))).packets[0]
    assert line.verdict in ("drop", "consumed") and line.out == []


def test_R1812_4_3_2_7_withheld_errors_are_counted(errors):
    """R1812-4.3.2.7: the packet is dropped for its own reason, the error that was not sent is counted."""
    fields, _ = ERRORS["ttl_exceeded"]
    result = errors.send(*[("lan", frame) for frame in icmp_error(**fields)])
    for line in result.packets:
        line.assert_silent(reason.ttl_exceeded)
    assert result.counter("IcmpOutErrors") == len(result.packets)
