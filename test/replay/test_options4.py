"""IPv4 options: what the box writes into those of a datagram, and what it tells about wrong ones."""
import struct

import pytest
import reason
from net import HOST, LAN, REMOTE, WAN, from_lan, pattern
from scapy.layers.inet import ICMP, IP
from wire import assert_right_checksums, checksum, ip4_header, ip4_header_is_valid, ip_bytes

ROOM_FOR_TWO = bytes((7, 11, 4)) + bytes(8)


def address(text: str) -> bytes:
    return bytes(int(each) for each in text.split("."))


def datagram(options: bytes, dst: str = REMOTE.ip4, ttl: int = 64, proto: int = 17, data: bytes = b"") -> bytes:
    """A datagram with these options, padded."""
    options += bytes(-len(options) % 4)
    payload = data or struct.pack("!HHHH", 4000, 5000, 12, 0) + b"data"
    head = ip4_header(HOST.ip4, dst, ihl=5 + len(options) // 4, total=20 + len(options) + len(payload), ttl=ttl, proto=proto,
                      options=options)
    return from_lan(IP(head + payload))


def options_of(frame) -> bytes:
    packet = ip_bytes(frame)
    return packet[20:(packet[0] & 15) * 4]


def ping(options: bytes) -> bytes:
    return datagram(options, dst=LAN.ip4, proto=1, data=bytes(ICMP(id=3) / pattern(16)))


def test_R1812_5_3_13_5_record_route_gets_the_address_of_the_way_out(gateway):
    """R1812-5.3.13.5: the address of the interface it leaves by, at the pointer."""
    sent = gateway.send(("lan", datagram(ROOM_FOR_TWO))).packets[0].forwarded("wan")
    assert options_of(sent) == bytes((7, 11, 8)) + address(WAN.ip4) + bytes(5)
    assert ip4_header_is_valid(ip_bytes(sent))


def test_R1812_5_3_13_5_a_full_record_route_passes_as_it_is(gateway):
    """R1812-5.3.13.5: no room, no address."""
    full = bytes((7, 7, 8, 1, 2, 3, 4, 0))
    assert options_of(gateway.send(("lan", datagram(full))).packets[0].forwarded("wan")) == full


@pytest.mark.parametrize("flag, before, after", [
    (0, bytes(4), b"TIME"), (1, bytes(8), address(LAN.ip4) + b"TIME"),
    (3, address(WAN.ip4) + bytes(4), address(WAN.ip4) + b"TIME"), (3, address(HOST.ip4) + bytes(4), None),
], ids=["alone", "with_address", "asked_of_the_box", "asked_of_another"])
def test_R1812_5_3_13_6_timestamps_are_written(gateway, flag, before, after):
    """R1812-5.3.13.6: in the form that the flag asks for."""
    option = bytes((68, 4 + len(before), 5, flag)) + before
    sent = options_of(gateway.send(("lan", datagram(option))).packets[0].forwarded("wan"))
    if after is None:
        assert sent == option
        return
    assert sent[:4] == bytes((68, len(option), 5 + len(before), flag))
    assert sent[4:-4] == after[:-4]
    assert sent[-4] & 0x80, "of no universal time (RFC 791 3.1)"


def test_R1812_5_3_13_6_who_finds_no_room_is_counted(gateway):
    """R1812-5.3.13.6, RFC 791 3.1: up to 15; then the sender is told."""
    frames = [datagram(bytes((68, 8, 9, overflow << 4, 1, 2, 3, 4))) for overflow in (2, 15)]
    counted, told = gateway.send(*[("lan", frame) for frame in frames]).packets
    assert options_of(counted.forwarded("wan")) == bytes((68, 8, 9, 0x30, 1, 2, 3, 4))
    problem = told.assert_dropped(reason.bad_options).answered("lan")[ICMP]
    assert (problem.type, problem.ptr) == (12, 23)


@pytest.mark.parametrize("options, pointer", [
    (bytes((7, 7, 3)) + bytes(5), 22), (bytes((7, 7, 5)) + bytes(5), 22), (bytes((1, 7, 2, 0)), 22), (bytes((7, 3, 4, 7, 3, 4)), 23),
    (bytes((68, 8, 5, 1)) + bytes(4), 22), (bytes((68, 4, 4, 0)), 22), (bytes((148, 3, 0, 0)), 21), (bytes((1, 1, 1, 7)), 23),
])
def test_R1812_5_2_4_the_octet_that_is_wrong_is_told(gateway, options, pointer):
    """R1812-5.2.4, R1812-4.3.3.5: parameter problem."""
    problem = gateway.send(("lan", datagram(options))).packets[0].assert_dropped(reason.bad_options).answered("lan")[ICMP]
    assert (problem.type, problem.code, problem.ptr) == (12, 0, pointer)


def test_R1812_4_3_3_6_an_echo_reply_has_the_options_of_the_request(gateway):
    """R1812-4.3.3.6: record route and timestamp come back with the box in them, other options do not."""
    option = ROOM_FOR_TWO + bytes((148, 4, 0, 0, 68, 12, 5, 0)) + bytes(8)
    sent = gateway.send(("lan", ping(option))).packets[0].answered("lan")
    echoed = options_of(sent)
    assert echoed[:11] == bytes((7, 11, 12)) + 2 * address(LAN.ip4)
    assert echoed[11:15] == bytes((68, 12, 13, 0)) and echoed[15:19] == echoed[19:23] and echoed[23:] == b"\0"
    assert bytes(sent[ICMP].payload) == pattern(16)
    assert_right_checksums(sent)


def test_R1812_4_3_3_6_without_room_for_the_box_there_is_no_reply(gateway):
    """As Linux: what is left of the option is no entry."""
    line = gateway.send(("lan", ping(bytes((7, 8, 4)) + bytes(5)))).packets[0]
    assert line.out == []


def test_R1812_4_3_2_3_an_error_quotes_the_options_as_they_came_and_has_its_own(gateway):
    """R1812-4.3.2.3: and all of it fits 576 bytes."""
    packet = datagram(ROOM_FOR_TWO, ttl=1, data=struct.pack("!HHHH", 4000, 5000, 1008, 0) + pattern(1000))
    error = gateway.send(("lan", packet)).packets[0].answered("lan")
    assert options_of(error) == bytes((7, 11, 12)) + 2 * address(LAN.ip4) + b"\0"
    assert error[IP].len == 576
    assert bytes(error[ICMP])[8:] == ip_bytes(packet)[:576 - 32 - 8]
    assert_right_checksums(error)


def test_R1812_4_3_2_3_a_reset_has_the_options_too(gateway):
    """As Linux."""
    syn = struct.pack("!HHIIBBHHH", 4000, 80, 1, 0, 0x50, 2, 1000, 0, 0)
    whole = address(HOST.ip4) + address(LAN.ip4) + struct.pack("!HH", 6, len(syn)) + syn
    syn = syn[:16] + struct.pack("!H", checksum(whole)) + syn[18:]
    sent = gateway.send(("lan", datagram(ROOM_FOR_TWO, dst=LAN.ip4, proto=6, data=syn))).packets[0].answered("lan")
    assert options_of(sent) == bytes((7, 11, 12)) + 2 * address(LAN.ip4) + b"\0"
    assert sent.sprintf("%TCP.flags%") == "RA"
