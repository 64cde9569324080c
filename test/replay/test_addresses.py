"""R1812-5.3.7, R1812-4.2.2.11, R3927-7, R1812-5.3.8: addresses that must not be there."""
import pytest
import reason
from net import HOST, LAN, REMOTE, SERVER, datagram4, datagram6, from_dmz, from_lan, from_wan
from scapy.layers.inet import ICMP, IP
from scapy.layers.inet6 import ICMPv6EchoRequest, IPv6

BAD_SOURCES = ["0.0.0.0", "0.255.1.1", "127.0.0.1", "127.255.255.254", "224.0.0.1", "239.255.255.255", "240.0.0.1",
               "255.255.255.254", "255.255.255.255"]
BAD_DESTINATIONS = ["0.0.0.0", "0.1.2.3", "127.0.0.1", "127.1.2.3", "240.0.0.1", "254.1.1.1", "255.255.255.254"]


@pytest.mark.parametrize("source", BAD_SOURCES)
def test_R1812_5_3_7_martian_source(gateway, source):
    """R1812-5.3.7: net 0, net 127, multicast and class E are no sources; dropped, nobody is told."""
    gateway.send(("lan", from_lan(datagram4(src=source)))).packets[0].assert_silent(reason.martian_source)


@pytest.mark.parametrize("destination", BAD_DESTINATIONS)
def test_R1812_5_3_7_martian_destination(gateway, destination):
    """R1812-5.3.7: nor are net 0, net 127 and class E destinations, whatever the routes."""
    line = gateway.send(("lan", from_lan(datagram4(dst=destination)))).packets[0]
    line.assert_silent(reason.martian_destination)


@pytest.mark.parametrize("fields", [{"src": "240.1.2.3"}, {"dst": "240.1.2.3"}, {"dst": "0.1.2.3"}], ids=str)
def test_R1812_5_3_7_the_filter_may_be_switched_off(gateway, fields):
    """R1812-5.3.7: by the option martian_filter, on the interface the packet comes in by, e.g. to use class E."""
    assert gateway.send(("lan", from_lan(datagram4(**fields)))).packets[0].verdict == "drop"
    gateway.interface("lan", martian_filter=False)
    assert gateway.send(("lan", from_lan(datagram4(**fields)))).packets[0].verdict == "accept"


@pytest.mark.parametrize("filter_on", [True, False])
@pytest.mark.parametrize("source", ["0.0.0.0", "0.1.2.3", "127.0.0.1", "255.255.255.255", "192.168.1.255", "224.0.0.9"])
def test_R1812_4_2_2_11_invalid_source_is_dropped_silently(gateway, source, filter_on):
    """R1812-4.2.2.11: through the box and to it: net 0, limited and directed broadcast, net 127, with any switch."""
    gateway.interface("lan", martian_filter=filter_on)
    frames = (datagram4(src=source), datagram4(src=source, dst=LAN.ip4), IP(src=source, dst=LAN.ip4) / ICMP(),
              datagram4(src=source, ttl=1))
    for line in gateway.send(*[("lan", from_lan(each)) for each in frames]).packets:
        line.assert_silent(reason.martian_source, reason.own_source)


@pytest.mark.parametrize("destination", ["0.0.0.0", "127.0.0.1", "127.9.9.9"])
def test_R1812_4_2_2_11_this_host_and_loopback_are_never_destinations(gateway, destination):
    """R1812-4.2.2.11, RFC 1122 3.2.1.3: 0.0.0.0 and net 127 stay inside a host, also with the martian filter off."""
    gateway.interface("lan", martian_filter=False)
    line = gateway.send(("lan", from_lan(datagram4(dst=destination)))).packets[0]
    line.assert_silent(reason.martian_destination)


def test_R1812_4_2_2_11_the_boxs_own_address_as_source_is_dropped(gateway):
    """R1812-4.2.2.11: nobody else may speak as the box."""
    frames = [("lan", from_lan(datagram4(src=LAN.ip4))), ("wan", from_wan(datagram4(src=LAN.ip4, dst=HOST.ip4))),
              ("lan", from_lan(datagram6(src=LAN.ip6)))]
    for line in gateway.send(*frames).packets:
        line.assert_silent(reason.own_source)


@pytest.mark.parametrize("filter_on", [True, False])
@pytest.mark.parametrize("fields", [{"src": "169.254.7.7"}, {"dst": "169.254.7.7"}, {"src": "169.254.1.1", "ttl": 1},
                                    {"dst": "169.254.255.255"}], ids=str)
def test_R3927_7_link_local_is_never_forwarded(gateway, fields, filter_on):
    """R3927-7: whatever the routes, also with the martian filter off."""
    gateway.interface("lan", martian_filter=filter_on)
    gateway.interface("wan", martian_filter=filter_on)
    gateway.config["routes"].append({"to": "169.254.0.0/16", "via": "203.0.113.1"})
    line = gateway.send(("lan", from_lan(datagram4(**fields)))).packets[0]
    line.assert_silent(reason.link_local_scope)


BAD_SOURCES6 = ["::", "::1", "ff02::1", "ff0e::9", "::ffff:192.0.2.1"]
BAD_DESTINATIONS6 = ["::", "::1", "::ffff:192.0.2.1"]


@pytest.mark.parametrize("source", BAD_SOURCES6)
def test_R8200_martian_source(gateway, source):
    """RFC 4291 2.5.2, 2.5.3, 2.7: unspecified, loopback and multicast are no sources; RFC 4038 4.2: nor is a mapped one."""
    gateway.send(("lan", from_lan(datagram6(src=source)))).packets[0].assert_silent(reason.martian_source)


@pytest.mark.parametrize("destination", BAD_DESTINATIONS6)
def test_R8200_martian_destination(gateway, destination):
    """RFC 4291 2.5.2, 2.5.3: unspecified and loopback are never forwarded."""
    line = gateway.send(("lan", from_lan(datagram6(dst=destination)))).packets[0]
    line.assert_silent(reason.martian_destination)


@pytest.mark.parametrize("fields", [{"src": "fe80::5"}, {"dst": "fe80::99"}], ids=str)
def test_R8200_link_local_is_never_forwarded(gateway, fields):
    """RFC 4291 2.5.6: a link-local address means nothing on another link."""
    line = gateway.send(("lan", from_lan(datagram6(**fields)))).packets[0]
    assert line.verdict == "drop"
    assert not any(interface == "wan" for interface, _ in line.out)


def rp(gateway, interface, mode, *frames):
    gateway.interface(interface, rp_filter=mode)
    return [line.verdict if line.reason in (None, "rp_filter") else line.reason
            for line in gateway.send(*[(interface, frame) for frame in frames]).packets]


# On lan: an address of its own network, one behind wan's default route, one of the dmz's network.
LAN4 = [from_lan(datagram4(src=source)) for source in (HOST.ip4, "198.51.100.77", SERVER.ip4)]
LAN6 = [from_lan(datagram6(src=source)) for source in (HOST.ip6, "2001:db8:9::9", SERVER.ip6)]


@pytest.mark.parametrize("frames", [LAN4, LAN6], ids=["ip4", "ip6"])
@pytest.mark.parametrize("mode, verdicts", [
    ("strict", ["accept", "drop", "drop"]),
    ("loose", ["accept", "accept", "accept"]),
    ("off", ["accept", "accept", "accept"]),
])
def test_R1812_5_3_8_rp_filter(gateway, mode, verdicts, frames):
    """R1812-5.3.8, R2827, R3704: strict takes a source only where its answers would go, loose if there is a route."""
    assert rp(gateway, "lan", mode, *frames) == verdicts


@pytest.mark.parametrize("mode, verdict", [("strict", "drop"), ("loose", "drop"), ("off", "accept")])
def test_R1812_5_3_8_rp_filter_without_a_route_to_the_source(gateway, mode, verdict):
    """R1812-5.3.8: a source without any route passes neither strict nor loose."""
    gateway.routes()
    to_server = {"dst": SERVER.ip4, "src": "198.51.100.77"}
    assert rp(gateway, "wan", mode, from_wan(datagram4(**to_server))) == [verdict]
    to_server = {"dst": SERVER.ip6, "src": "2001:db8:9::9"}
    assert rp(gateway, "wan", mode, from_wan(datagram6(**to_server))) == [verdict]


@pytest.mark.parametrize("mode", ["strict", "loose"])
@pytest.mark.parametrize("kind", ["blackhole", "unreachable", "prohibit"])
def test_R1812_5_3_8_rp_filter_counts_only_routes_that_lead_somewhere(gateway, mode, kind):
    """R1812-5.3.8, R3704 2.4: a source behind a blackhole has no way back."""
    gateway.config["routes"].append({"to": "198.51.100.0/24", "type": kind})
    frame = from_wan(datagram4(src=REMOTE.ip4, dst=SERVER.ip4))
    assert rp(gateway, "wan", mode, frame) == ["drop"]


def test_R1812_5_3_8_rp_filter_default_route(gateway):
    """R1812-5.3.8: behind the default route strict takes what no other interface has."""
    frames = [from_wan(datagram4(src=source, dst=SERVER.ip4)) for source in (REMOTE.ip4, HOST.ip4)]
    assert rp(gateway, "wan", "strict", *frames) == ["accept", "drop"]


def test_R1812_5_3_8_rp_filter_guards_the_box_itself(gateway):
    """R1812-5.3.8: the filter comes before delivery to the box, too."""
    frames = [from_dmz(IP(src=source, dst=LAN.ip4) / ICMP(id=1)) for source in (SERVER.ip4, HOST.ip4)]
    assert rp(gateway, "dmz", "strict", *frames) == ["consumed", "drop"]
    frames = [from_dmz(IPv6(src=source, dst=LAN.ip6) / ICMPv6EchoRequest()) for source in (SERVER.ip6, HOST.ip6)]
    assert rp(gateway, "dmz", "strict", *frames) == ["consumed", "drop"]


def test_R1812_5_3_8_rp_filter_is_silent(gateway):
    """R1812-4.3.2.7: a forged source is told nothing, so that its owner is not flooded."""
    gateway.interface("lan", rp_filter="strict")
    frames = [from_lan(datagram4(src="198.51.100.77", ttl=1)), from_lan(datagram6(src="2001:db8:9::9", hlim=1))]
    for line in gateway.send(*[("lan", frame) for frame in frames]).packets:
        line.assert_silent(reason.rp_filter)


def test_R1812_5_3_8_rp_filter_follows_policy_routing(gateway):
    """R1812-5.3.8: the way back is looked up as the routes stand, in table main."""
    gateway.config["routes"].append({"to": "198.51.100.0/24", "via": SERVER.ip4})
    assert rp(gateway, "dmz", "strict", from_dmz(datagram4(src=REMOTE.ip4, dst=HOST.ip4))) == ["accept"]
