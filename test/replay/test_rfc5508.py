"""RFC 5508: what a NAT does with ICMP. Profile rfc."""
import struct

import pytest
import reason
from nat_net import (EVERYBODY, OUTSIDE, PORT, ROUTER4, SERVICE, X1, X2, Y, Z, as_seen_outside, back, behind_nat,
                     error_from_inside, error_from_outside, out, passes, pool, query, quoting, reply, source, timed)
from net import HOST, LAN, from_lan, from_wan, pattern
from scapy.layers.inet import ICMP, IP, UDP
from scapy.layers.inet6 import ICMPv6DestUnreach, IPv6
from scapy.packet import Raw
from wire import assert_right_checksums, checksum, ip4_header, ip_bytes


def shown(line):
    """(source, identifier) of a query that left."""
    frame = line.forwarded("wan")
    assert_right_checksums(frame)
    return frame[IP].src, frame[ICMP].id


# ── Queries ──


def test_queries_from_inside_and_their_replies(gateway):
    """R5508-1: nobody outside begins any."""
    behind_nat(gateway, EVERYBODY)
    lines = gateway.send(query(), reply(), reply(kind=8), reply(ident=78)).packets
    assert shown(lines[0]) == (OUTSIDE, 77)
    frame = lines[1].forwarded("lan")
    assert (frame[IP].dst, frame[ICMP].id) == (X1, 77)
    assert not any(line.sent("lan") for line in lines[2:])


def test_an_identifier_does_not_depend_on_the_remote(gateway):
    """R5508-1a: nor on the order, with two hosts that use the same one."""
    behind_nat(gateway)
    lines = gateway.send(*(query(src=src, dst=dst) for src, dst in ((X1, Y), (X2, Z), (X2, Y), (X1, Z)))).packets
    seen = [shown(line) for line in lines]
    assert seen[0] == seen[3] and seen[1] == seen[2] and seen[0] != seen[1]
    replies = gateway.send(*(query(src=src, dst=dst) for src, dst in ((X1, Y), (X2, Y))), reply(ident=77)).packets
    assert replies[2].forwarded("lan")[IP].dst == X1


def test_a_query_may_be_answered_for_a_minute(gateway):
    """R5508-2"""
    behind_nat(gateway)
    for late, comes in ((59, True), (61, False)):
        assert passes(gateway.send(query(0), reply(late)).packets[1]) == comes


def test_the_time_of_queries_is_configured(gateway):
    """R5508-2a"""
    behind_nat(gateway, conntrack={"timeouts": {"icmp": "90s"}})
    for late, comes in ((89, True), (91, False)):
        assert passes(gateway.send(query(0), reply(late)).packets[1]) == comes


# ── What errors quote ──


def broken(frame, at):
    data = bytearray(bytes(frame[1]))
    data[at] ^= 0x5A
    return (frame[0], bytes(data), *frame[2:])


@pytest.mark.parametrize("frame", [query(), error_from_outside(as_seen_outside())], ids=["query", "error"])
def test_a_wrong_checksum_is_dropped_in_silence(gateway, frame):
    """R5508-3"""
    behind_nat(gateway, filter={"forward": {"policy": "accept", "rules": [{"name": "bad", "ct": "invalid", "action": "drop"}]},
                                "input": {"policy": "accept", "rules": [{"name": "bad", "ct": "invalid", "action": "drop"}]}})
    line = gateway.send(out(0), (*broken(frame, 14 + 20 + 2)[:2], 1)).packets[1]
    assert line.verdict in ("drop", "consumed") and line.out == []


def test_a_wrong_checksum_of_the_quoted_header_is_dropped_in_silence(gateway):
    """R5508-3a"""
    behind_nat(gateway)
    quoted = bytearray(quoting(as_seen_outside()))
    for damage in (0, 0x5A):
        quoted[10] ^= damage
        message = IP(src=ROUTER4, dst=OUTSIDE) / ICMP(type=3, code=3) / Raw(bytes(quoted))
        line = gateway.send(out(0), timed("wan", from_wan(message), 1)).packets[1]
        assert bool(line.sent("lan")) == (damage == 0) and not line.sent("wan")


@pytest.mark.parametrize("words", range(6, 16))
def test_options_of_the_quoted_header_are_skipped(gateway, words):
    """R5508-3b"""
    behind_nat(gateway)
    upper = struct.pack("!HHHH", PORT, SERVICE, 28, 0)
    quoted = ip4_header(OUTSIDE, Y, ihl=words, total=4 * words + 28, options=b"\x01" * (4 * words - 20)) + upper
    message = IP(src=ROUTER4, dst=OUTSIDE) / ICMP(type=11) / Raw(quoted)
    frame = gateway.send(out(0), timed("wan", from_wan(message), 1)).packets[1].forwarded("lan")
    assert_right_checksums(frame)
    inner = bytes(frame[ICMP].payload)
    assert inner[:4 * words] == ip4_header(X1, Y, ihl=words, total=4 * words + 28, options=b"\x01" * (4 * words - 20))
    assert inner[4 * words:] == upper


@pytest.mark.parametrize("limit", [28, 30, 40])
def test_the_quoted_transport_is_not_summed(gateway, limit):
    """R5508-3c: of 8 bytes of it or more, with whatever checksum."""
    behind_nat(gateway)
    packet = as_seen_outside()
    packet[UDP].chksum = 0x1234
    frame = gateway.send(out(0), error_from_outside(packet, at=1, limit=limit)).packets[1].forwarded("lan")
    assert_right_checksums(frame)
    assert len(bytes(frame[ICMP].payload)) == limit


def test_extensions_behind_the_quotation_stay(gateway):
    """R5508-3d: RFC 4884, with a length in words of 32 bits."""
    behind_nat(gateway)
    quoted = quoting(as_seen_outside()).ljust(128, b"\0")
    objects = struct.pack("!HBBI", 8, 1, 1, 0x000640FF)
    extension = struct.pack("!BBH", 0x20, 0, 0) + objects
    extension = extension[:2] + struct.pack("!H", checksum(extension)) + extension[4:]
    body = struct.pack("!BBHBBH", 11, 0, 0, 0, 32, 0) + quoted + extension
    body = body[:2] + struct.pack("!H", checksum(body)) + body[4:]
    frame = gateway.send(out(0), timed("wan", from_wan(IP(src=ROUTER4, dst=OUTSIDE, proto=1) / Raw(body)), 1)).packets[1].forwarded("lan")
    got = ip_bytes(frame)[20:]
    assert checksum(got) == 0 and got[5] == 32 and got[8 + 128:] == extension
    assert got[8:28] == quoting(IP(src=X1, dst=Y) / UDP(sport=PORT, dport=SERVICE) / pattern(20))[:20]


# ── Errors ──


@pytest.mark.parametrize("kind, code", [(3, 0), (3, 1), (3, 4), (3, 13), (11, 0), (11, 1), (12, 0)])
def test_an_error_from_outside(gateway, kind, code):
    """R5508-4, R5508-10a: type and code stay, the quoted packet is the host's, byte by byte."""
    behind_nat(gateway)
    flows = [out(0), out(0.1, src=X2)]
    external = source(gateway.send(*flows).packets[1])[1]
    packet = as_seen_outside(port=external, ttl=1, id=5)
    frame = gateway.send(*flows, error_from_outside(packet, kind, code, at=1)).packets[2].forwarded("lan")
    assert_right_checksums(frame)
    assert (frame[IP].src, frame[IP].dst, frame[ICMP].type, frame[ICMP].code) == (ROUTER4, X2, kind, code)
    wanted = IP(src=X2, dst=Y, ttl=1, id=5) / UDP(sport=PORT, dport=SERVICE) / pattern(20)
    assert bytes(frame[ICMP].payload) == quoting(wanted)


def test_an_error_from_outside_about_no_mapping(gateway):
    """R5508-4: goes to nobody inside, and nobody is told."""
    behind_nat(gateway)
    for packet in (as_seen_outside(port=PORT + 1), as_seen_outside(dst=Z), as_seen_outside(dport=9), as_seen_outside("tcp")):
        line = gateway.send(out(0), error_from_outside(packet, at=1)).packets[1]
        assert not line.sent("lan") and not line.sent("wan")


def test_an_error_from_inside(gateway):
    """R5508-5: about an answer; it leaves from the mapping's address and speaks of what the remote sent."""
    behind_nat(gateway)
    external = source(gateway.send(out(0), out(0.1, src=X2)).packets[1])[1]
    quoted = IP(src=Y, dst=X2, ttl=63, id=6) / UDP(sport=SERVICE, dport=PORT) / pattern(20)
    lines = gateway.send(out(0), out(0.1, src=X2), back(0.2, dport=external), error_from_inside(quoted, at=1, src=X2)).packets
    frame = lines[3].forwarded("wan")
    assert_right_checksums(frame)
    assert (frame[IP].src, frame[IP].dst, frame[ICMP].type, frame[ICMP].code) == (OUTSIDE, Y, 3, 3)
    wanted = IP(src=Y, dst=OUTSIDE, ttl=63, id=6) / UDP(sport=SERVICE, dport=external) / pattern(20)
    assert bytes(frame[ICMP].payload) == quoting(wanted)


def test_an_error_from_inside_about_no_mapping(gateway):
    """R5508-5: dropped, where the rules let nothing invalid out."""
    behind_nat(gateway, filter={"forward": {"policy": "accept", "rules": [{"name": "bad", "ct": "invalid", "action": "drop"}]}})
    quoted = IP(src=Y, dst=X1) / UDP(sport=SERVICE, dport=PORT + 1) / pattern(20)
    line = gateway.send(out(0), error_from_inside(quoted, at=1)).packets[1]
    line.assert_silent(reason.rule)


def test_errors_do_not_keep_a_query_alive(gateway):
    """R5508-6: nor end it."""
    behind_nat(gateway)
    asked = IP(src=OUTSIDE, dst=Y) / ICMP(id=77, seq=1) / pattern(20)
    errors = [error_from_outside(asked, 11, 0, at=at) for at in (10, 30, 50)]
    lines = gateway.send(query(0), *errors, reply(59)).packets
    assert all(passes(line) for line in lines)
    lines = gateway.send(query(0), *errors, reply(61)).packets
    assert not passes(lines[-1])


def test_an_error_of_one_inside_host_to_another(gateway):
    """R5508-7, R7857-12: about what came by the external endpoint of the one to that of the other."""
    behind_nat(gateway, EVERYBODY)
    calls = [out(0, src=X2, sport=6000), out(0.1, dst=OUTSIDE, sport=7000, dport=6000)]
    came = IP(src=OUTSIDE, dst=X2, ttl=63) / UDP(sport=7000, dport=6000) / pattern(20)
    line = gateway.send(*calls, error_from_inside(came, at=1, src=X2, dst=OUTSIDE)).packets[2]
    frame = line.forwarded("lan")
    assert_right_checksums(frame)
    assert (frame[IP].src, frame[IP].dst, frame[ICMP].code) == (OUTSIDE, X1, 3)
    inner = IP(bytes(frame[ICMP].payload))
    assert (inner.src, inner.dst, inner[UDP].sport, inner[UDP].dport) == (X1, OUTSIDE, 7000, 6000)


def test_a_query_of_one_inside_host_to_another(gateway):
    """R5508-7a: by an external address that is the other's as a whole."""
    behind_nat(gateway)
    gateway.config["nat"]["prerouting"] = [{"name": "one", "in": "wan", "proto": "icmp", "dnat": X2, "hairpin": True}]
    lines = gateway.send(query(dst=OUTSIDE), query(src=X2, dst=OUTSIDE, kind=0)).packets
    for line, ends in zip(lines, ((OUTSIDE, X2), (OUTSIDE, X1))):
        frame = line.forwarded("lan")
        assert_right_checksums(frame)
        assert (frame[IP].src, frame[IP].dst, frame[ICMP].id) == (*ends, 77)


def test_a_session_that_cannot_be(gateway):
    """R5508-8, R6888-11: for want of ports, by host unreachable, of which RFC 6888 speaks."""
    behind_nat(gateway, pool(OUTSIDE, ports="2000-2000"))
    line = gateway.send(out(0), out(0.1, sport=1)).packets[1].assert_dropped(reason.nat_exhausted)
    frame = line.answered("lan")
    assert (frame[IP].src, frame[IP].dst, frame[ICMP].type, frame[ICMP].code) == (LAN.ip4, X1, 3, 1)
    assert bytes(frame[ICMP].payload) == ip_bytes(out(0, sport=1, ttl=63)[1])


def test_traceroute(gateway):
    """R5508-10a: the box is one hop, and all behind it answer."""
    behind_nat(gateway)
    for make in (lambda ttl: out(ttl, ttl=ttl), lambda ttl: timed("lan", from_lan(
            IP(src=X1, dst=Y, ttl=ttl) / ICMP(id=7, seq=1) / pattern(20)), ttl)):
        first, second = gateway.send(make(1), make(2)).packets
        assert (first.answered("lan")[IP].src, first.answered("lan")[ICMP].type) == (LAN.ip4, 11)
        left = second.forwarded("wan")[IP]
        assert left.ttl == 1
        error = timed("wan", from_wan(IP(src=ROUTER4, dst=OUTSIDE) / ICMP(type=11) / ip_bytes(from_wan(left))), 3)
        frame = gateway.send(make(2), error).packets[1].forwarded("lan")
        assert (frame[IP].src, frame[IP].dst, IP(bytes(frame[ICMP].payload)).src) == (ROUTER4, X1, X1)


@pytest.mark.parametrize("kind, answered", [(8, 0), (13, 14), (17, 18)])
def test_queries_of_every_kind(gateway, kind, answered):
    """R5508-10b: echo, timestamp, address mask."""
    behind_nat(gateway)
    lines = gateway.send(query(kind=kind, size=12), reply(kind=answered, size=12)).packets
    assert lines[0].forwarded("wan")[IP].src == OUTSIDE and lines[1].forwarded("lan")[IP].dst == X1


def test_a_redirect_does_not_pass(gateway):
    """R5508-10b: it is for hosts of one link, which a translated address is not on."""
    behind_nat(gateway)
    line = gateway.send(out(0), error_from_outside(as_seen_outside(), 5, 1, at=1, gw="203.0.113.9")).packets[1]
    assert line.verdict == "drop" and line.out == []


# ── Errors of the box's own ──


NOBODY = "203.0.113.77"  # on the link outside, and never answers
STRICT = ("--strict-neighbours",)


@pytest.mark.parametrize("proto", ["udp", "tcp"])
def test_the_box_speaks_of_what_it_has_translated(gateway, proto):
    """R1812-4.3.2.3, R1812-4.3.3.1: nobody answers to ARP, and the error quotes what the host sent, as it sent it."""
    behind_nat(gateway)
    packet = out(0.1, dst=NOBODY, proto=proto)  # whose port has to be exchanged
    line = gateway.send(out(0, src=X2, dst=NOBODY, proto=proto), packet, options=STRICT).packets[1]
    error = line.assert_dropped(reason.neighbour_unresolved).answered("lan")
    assert_right_checksums(error)
    assert (error[IP].src, error[IP].dst, error[ICMP].type, error[ICMP].code) == (LAN.ip4, X1, 3, 1)
    wanted, quoted = (bytearray(each) for each in (ip_bytes(packet[1]), bytes(error[ICMP].payload)))
    for each in (wanted, quoted):
        each[4:6] = each[10:12] = b"\0\0"  # the identification is renewed, and the checksum with it
    assert quoted == wanted


def test_the_box_speaks_of_what_it_has_sent_elsewhere(gateway):
    """R1812-4.3.2.3: a destination that was translated; the error comes from whom was asked."""
    behind_nat(gateway)
    gateway.config["nat"]["prerouting"] = [{"name": "web", "in": "wan", "proto": "udp", "dport": 8080, "dnat": "192.168.1.99:80"}]
    packet = back(0, dport=8080)
    error = gateway.send(packet, options=STRICT).packets[0].assert_dropped(reason.neighbour_unresolved).answered("wan")
    assert_right_checksums(error)
    assert (error[IP].src, error[IP].dst, error[ICMP].type, error[ICMP].code) == (OUTSIDE, Y, 3, 1)
    assert bytes(error[ICMP].payload) == ip_bytes(packet[1])


def test_the_box_speaks_of_what_it_has_translated_in_ip6(gateway):
    """R1812-4.3.2.3"""
    behind_nat(gateway)
    packet = from_lan(IPv6(src=HOST.ip6, dst="fd00:2::77") / UDP(sport=PORT, dport=SERVICE) / pattern(9))
    error = gateway.send(("lan", packet), options=STRICT).packets[0].answered("lan")
    assert_right_checksums(error)
    assert (error[IPv6].dst, error[ICMPv6DestUnreach].code) == (HOST.ip6, 3)
    assert bytes(error[ICMPv6DestUnreach].payload) == ip_bytes(packet)
