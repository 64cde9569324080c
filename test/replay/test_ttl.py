"""R1812-5.3.1, R1812-4.2.2.9, R8200: TTL and hop limit."""
import pytest
import reason
from net import DMZ, HOST, LAN, REMOTE, WAN, datagram4, datagram6, from_lan
from scapy.layers.inet import ICMP, IP, UDP
from scapy.layers.inet6 import ICMPv6EchoReply, ICMPv6EchoRequest, ICMPv6TimeExceeded, IPv6
from wire import assert_right_checksums, ip_bytes


@pytest.mark.parametrize("ttl", [2, 3, 64, 128, 255])
def test_R1812_5_3_1_ttl_is_reduced_by_one(gateway, ttl):
    """R1812-5.3.1: by one, and a packet that will expire at the next hop is not discarded for that."""
    result = gateway.send(("lan", from_lan(datagram4(ttl=ttl))))
    sent = result.packets[0].forwarded("wan")
    assert sent[IP].ttl == ttl - 1
    assert_right_checksums(sent)
    assert sent.src == WAN.mac


@pytest.mark.parametrize("ttl", [0, 1])
def test_R1812_5_3_1_ttl_that_reaches_zero_is_told(gateway, ttl):
    """R1812-5.3.1, R1812-4.2.2.9: discarded, never forwarded with TTL 0, and Time Exceeded code 0 to the sender."""
    packet = from_lan(datagram4(ttl=ttl))
    line = gateway.send(("lan", packet)).packets[0].assert_dropped(reason.ttl_exceeded)
    error = line.answered("lan")
    assert (error[ICMP].type, error[ICMP].code) == (11, 0)
    assert (error.dst, error[IP].dst, error[IP].src) == (HOST.mac, HOST.ip4, LAN.ip4)
    assert bytes(error[ICMP].payload)[:48] == ip_bytes(packet)
    assert_right_checksums(error)


@pytest.mark.parametrize("ttl", [0, 1])
def test_R1812_5_3_1_no_error_for_a_multicast_destination(gateway, ttl):
    """R1812-5.3.1: Time Exceeded is not sent about a packet to a multicast group."""
    group = from_lan(datagram4(dst="239.1.2.3", ttl=ttl), dst="01:00:5e:01:02:03")
    line = gateway.send(("lan", group)).packets[0]
    assert line.verdict in ("drop", "consumed") and line.out == []


@pytest.mark.parametrize("ttl", [0, 1, 64])
@pytest.mark.parametrize("address", [LAN.ip4, WAN.ip4, DMZ.ip4])
def test_R1812_4_2_2_9_packets_for_the_box_are_taken_with_any_ttl(gateway, ttl, address):
    """R1812-4.2.2.9: the TTL of a packet for the box itself is not looked at; what it sends never has TTL 0."""
    line = gateway.send(("lan", from_lan(IP(src=HOST.ip4, dst=address, ttl=ttl) / ICMP(id=7, seq=1)))).packets[0]
    assert line.verdict == "consumed"
    reply = line.answered("lan")
    assert reply[ICMP].type == 0 and reply[IP].ttl == 64


@pytest.mark.parametrize("limit", [2, 64, 255])
def test_R8200_hop_limit_is_reduced_by_one(gateway, limit):
    """R8200 3: each node that forwards the packet takes one; the rest of the packet stays as it is."""
    packet = from_lan(datagram6(hlim=limit, tc=0xB8, fl=0x12345))
    sent = gateway.send(("lan", packet)).packets[0].forwarded("wan")
    assert sent[IPv6].hlim == limit - 1
    expected = packet.copy()
    expected[IPv6].hlim = limit - 1
    assert bytes(sent.payload) == bytes(expected.payload)


@pytest.mark.parametrize("limit", [0, 1])
def test_R8200_hop_limit_that_reaches_zero_is_told(gateway, limit):
    """R8200 3, RFC 4443 3.3: discarded, and Time Exceeded code 0 to the sender."""
    packet = from_lan(datagram6(hlim=limit))
    line = gateway.send(("lan", packet)).packets[0].assert_dropped(reason.ttl_exceeded)
    error = line.answered("lan")
    assert error[ICMPv6TimeExceeded].code == 0
    assert (error[IPv6].src, error[IPv6].dst) == (LAN.ip6, HOST.ip6)
    assert bytes(error[ICMPv6TimeExceeded].payload) == ip_bytes(packet)
    assert_right_checksums(error)


@pytest.mark.parametrize("limit", [0, 1])
def test_R8200_packets_for_the_box_are_taken_with_any_hop_limit(gateway, limit):
    """R8200 3: the hop limit of a packet that has arrived is not looked at."""
    ping = IPv6(src=HOST.ip6, dst=WAN.ip6, hlim=limit) / ICMPv6EchoRequest(id=7, seq=1)
    line = gateway.send(("lan", from_lan(ping))).packets[0]
    assert line.verdict == "consumed"
    assert line.answered("lan").haslayer(ICMPv6EchoReply)


def test_R1812_5_3_1_traceroute_shows_the_box_once(gateway):
    """R1812-5.3.1: probes with TTL 1, 2, 3: the first is answered by the box, the others go on."""
    probes = [("lan", from_lan(IP(src=HOST.ip4, dst=REMOTE.ip4, ttl=ttl) / UDP(dport=33433 + ttl))) for ttl in (1, 2, 3)]
    lines = gateway.send(*probes).packets
    assert lines[0].answered("lan")[IP].src == LAN.ip4
    assert [line.forwarded("wan")[IP].ttl for line in lines[1:]] == [1, 2]
