"""R1812-5.2.6, R1191: fragments on their way through, and packets too big for the next link."""
import pytest
import reason
from net import HOST, LAN, REMOTE, SERVER, datagram4, from_lan, from_wan, pattern
from scapy.layers.inet import ICMP, IP, UDP, IPOption_NOP, IPOption_RR, fragment
from wire import assert_right_checksums, ip_bytes, reassemble

MTU = 1400


@pytest.fixture
def narrow(gateway):
    """The link to the server takes 1400 bytes."""
    gateway.interface("dmz", mtu=MTU)
    return gateway


def test_R1812_5_2_6_fragments_are_forwarded_as_they_came(gateway):
    """R1812-5.2.6: no reassembly on the way: each fragment leaves at once, with its size, also out of order."""
    parts = fragment(datagram4(size=3000, id=99), fragsize=1000)
    order = [parts[place] for place in (2, 0, 3, 1)]
    result = gateway.send(*[("lan", from_lan(part)) for part in order])
    for line, part in zip(result.packets, order, strict=True):
        sent = line.forwarded("wan")[IP]
        assert (sent.len, sent.frag, sent.flags, sent.id) == (part.len or len(part), part.frag, part.flags, part.id)
    assert reassemble([line.forwarded("wan")[IP] for line in result.packets])[8:] == pattern(3000)


def test_R1812_5_2_6_a_lone_fragment_is_forwarded(gateway):
    """R1812-5.2.6: the box does not wait for the others."""
    last = fragment(datagram4(size=3000), fragsize=1000)[-1]
    assert gateway.send(("lan", from_lan(last))).packets[0].verdict == "accept"


def test_R1191_too_big_with_df_is_told_with_the_mtu_of_the_next_hop(narrow):
    """R1191: code 4 carries the next hop's MTU; nothing is forwarded."""
    packet = from_lan(datagram4(dst=SERVER.ip4, size=MTU - 28 + 1, flags="DF"))
    line = narrow.send(("lan", packet)).packets[0].assert_dropped(reason.too_big)
    error = line.answered("lan")
    assert (error[ICMP].type, error[ICMP].code, error[ICMP].nexthopmtu) == (3, 4, MTU)
    assert (error[IP].src, error[IP].dst) == (LAN.ip4, HOST.ip4)
    assert bytes(error[ICMP])[8:] == ip_bytes(packet)[:548]
    assert_right_checksums(error)


def test_R1191_what_just_fits_is_forwarded(narrow):
    """R1191: the MTU counts the IP packet, header included."""
    line = narrow.send(("lan", from_lan(datagram4(dst=SERVER.ip4, size=MTU - 28, flags="DF")))).packets[0]
    assert line.forwarded("dmz")[IP].len == MTU


@pytest.mark.parametrize("size", [MTU - 28 + 1, 1472])
def test_R1812_5_2_6_without_df_it_is_cut_to_fit(narrow, size):
    """R1812-5.2.6, RFC 791 3.2: fragments in order, none larger than the link, each on its own a right packet."""
    packet = from_lan(datagram4(dst=SERVER.ip4, size=size, id=77, tos=0x10))
    line = narrow.send(("lan", packet)).packets[0]
    assert line.verdict == "accept"
    parts = line.sent("dmz")
    assert len(parts) == len(line.out) == 2
    assert [part[IP].frag for part in parts] == sorted(part[IP].frag for part in parts)
    for part in parts:
        assert part[IP].len <= MTU and (part[IP].id, part[IP].tos, part[IP].ttl) == (77, 0x10, 63)
        assert part.dst == SERVER.mac
        assert_right_checksums_of_header(part)
    assert reassemble([part[IP] for part in parts]) == ip_bytes(packet)[20:]


def assert_right_checksums_of_header(part):
    again = part[IP].copy()
    del again.chksum
    assert IP(bytes(again)).chksum == part[IP].chksum


def test_R1812_5_2_6_a_fragment_is_cut_again_where_it_does_not_fit(narrow):
    """R1812-5.2.6, RFC 791 3.2: offsets and the flag of the last one follow from the fragment that was cut."""
    parts = fragment(datagram4(dst=SERVER.ip4, size=4000, id=5), fragsize=1480)
    result = narrow.send(*[("lan", from_lan(part)) for part in parts])
    sent = [frame[IP] for line in result.packets for frame in line.sent("dmz")]
    assert max(part.len for part in sent) <= MTU
    assert reassemble(sent)[8:] == pattern(4000)


def test_R1812_5_2_6_a_fragment_beyond_all_that_a_datagram_has_is_not_cut(narrow):
    """RFC 791: the offsets of its pieces would begin anew, in the middle of another one's data."""
    last = IP(src=HOST.ip4, dst=SERVER.ip4, id=5, frag=65528 // 8, proto=17) / pattern(1450)
    narrow.send(("lan", from_lan(last))).packets[0].assert_silent(reason.fragment_refused)


def test_R1812_5_2_6_options_marked_for_copying_go_into_every_fragment(narrow):
    """RFC 791 3.1: the copied flag decides; here neither record route nor no-operation has it."""
    packet = IP(src=HOST.ip4, dst=SERVER.ip4, options=[IPOption_RR(routers=["0.0.0.0"]), IPOption_NOP()]) / UDP() / pattern(1440)
    parts = narrow.send(("lan", from_lan(packet))).packets[0].sent("dmz")
    assert len(parts) == 2 and parts[0][IP].ihl == parts[1][IP].ihl == 7
    assert isinstance(parts[0][IP].options[0], IPOption_RR) and bytes(parts[1][IP])[20:28] == b"\x01" * 8
    assert reassemble([part[IP] for part in parts])[8:] == pattern(1440)


def test_R1191_errors_pass_through_to_the_sender(gateway):
    """R1191: fragmentation needed from a router on the way is forwarded, not taken by the box."""
    quoted = datagram4(dst=REMOTE.ip4, flags="DF")
    error = IP(src="198.51.100.1", dst=HOST.ip4) / ICMP(type=3, code=4, nexthopmtu=1300) / quoted
    sent = gateway.send(("wan", from_wan(error))).packets[0].forwarded("lan")
    assert sent[ICMP].nexthopmtu == 1300
