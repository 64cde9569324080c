"""R1812-5.2.2, R1812-4.2.2.5: what is no IPv4 packet goes no further, silently; what is one keeps a right checksum."""
import struct

import pytest
import reason
from capture import write_pcap
from gateway import SPACING, START
from net import HOST, LAN, REMOTE, Ether, datagram4, from_lan
from wire import checksum, ip4_header, ip4_header_is_valid

DATA = bytes(8)


def frame(header: bytes, data: bytes = DATA) -> bytes:
    return bytes(Ether(src=HOST.mac, dst=LAN.mac, type=0x0800)) + header + data


def header(**fields) -> bytes:
    return ip4_header(HOST.ip4, REMOTE.ip4, **fields)


MALFORMED = {
    "link_length_below_20": (frame(header()[:19], b""), ("ip4_too_short",)),
    "no_ip_header_at_all": (frame(b"", b""), ("ip4_too_short",)),
    "wrong_checksum": (frame(header(check=checksum(header()) ^ 0x0100)), ("ip4_bad_checksum",)),
    "zero_checksum": (frame(header(check=0)), ("ip4_bad_checksum",)),
    "version_5": (frame(header(version=5)), ("ip4_bad_version",)),
    "version_6_in_an_ip4_frame": (frame(header(version=6)), ("ip4_bad_version",)),
    "header_length_below_5": (frame(header(ihl=4)), ("ip4_bad_header_length",)),
    "header_length_0": (frame(header(ihl=0)), ("ip4_bad_header_length",)),
    "header_beyond_the_frame": (frame(header(ihl=15, total=60)), ("ip4_bad_header_length", "ip4_truncated", "ip4_too_short")),
    "total_length_below_header": (frame(header(total=19)), ("ip4_bad_total_length",)),
    "total_length_below_options": (frame(header(ihl=6, total=23, options=bytes(4))),
                                   ("ip4_bad_total_length", "ip4_bad_header_length")),
    "total_length_0": (frame(header(total=0)), ("ip4_bad_total_length",)),
    "total_length_beyond_the_frame": (frame(header(total=29)), ("ip4_truncated",)),
}


@pytest.mark.parametrize("clause", MALFORMED)
def test_R1812_5_2_2_malformed_header_is_dropped_silently(gateway, clause):
    """R1812-5.2.2: each of the checks alone is enough to discard, and no ICMP error tells of it."""
    malformed, reasons = MALFORMED[clause]
    good = from_lan(datagram4())
    result = gateway.send(("lan", malformed), ("lan", good))
    result.packets[0].assert_silent(*[getattr(reason, name) for name in reasons])
    assert result.packets[1].verdict == "accept"
    assert result.summary["reasons"] == {result.packets[0].reason: 1}


def test_R1812_5_2_2_padding_behind_the_packet_is_no_error(gateway):
    """R1812-5.2.2: the frame may be longer than the packet (Ethernet pads to 60 bytes)."""
    result = gateway.send(("lan", bytes(from_lan(datagram4(size=1))) + bytes(17)))
    assert result.packets[0].forwarded("wan").len == 29


def all_checksums() -> list[bytes]:
    """Headers with every checksum a header can have; a right one is never 0xFFFF."""
    wanted, found = set(range(0xFFFF)), {}
    base = checksum(header(ident=0))
    for target in wanted:
        # Ones' complement arithmetic: what the identification adds is taken from the checksum.
        ident = (base - target) % 0xFFFF
        found[target] = header(ident=ident)
    return list(found.values())


def test_R1812_4_2_2_5_checksum_is_right_after_the_ttl_change_whatever_it_was(gateway):
    """R1812-4.2.2.5, RFC 1624: over all checksums, 0x0000 included, the header that leaves verifies."""
    headers = all_checksums()
    assert {struct.unpack_from("!H", each, 10)[0] for each in headers} == set(range(0xFFFF))
    frames = [(START + number * SPACING, frame(each)) for number, each in enumerate(headers)]
    result = gateway.replay(("lan", write_pcap(gateway.directory / "all.pcap", frames)))
    assert len(result.packets) == 0xFFFF
    for line, sent in zip(result.packets, headers, strict=True):
        assert [name for name, _ in line.out] == ["wan"], line
        got = line.out[0][1][14:34]
        assert got[8] == 63 and got[4:6] == sent[4:6] and got[12:] == sent[12:]
        assert ip4_header_is_valid(got), (sent.hex(), got.hex())
        assert got[10:12] == struct.pack("!H", checksum(got[:10] + b"\0\0" + got[12:])), (sent.hex(), got.hex())


def test_R1812_4_2_2_5_checksum_0xffff_stands_for_zero(gateway):
    """R1812-4.2.2.5: where 0x0000 is right the other zero of ones' complement, 0xFFFF, verifies as well."""
    zero = next(each for each in all_checksums() if each[10:12] == b"\0\0")
    result = gateway.send(("lan", frame(zero[:10] + b"\xff\xff" + zero[12:])))
    assert result.packets[0].verdict == "accept"
    assert ip4_header_is_valid(result.packets[0].out[0][1][14:34])


def test_R1812_4_2_2_5_every_single_bit_error_is_found(gateway):
    """R1812-4.2.2.5: the checksum is verified on every packet, to the box and through it."""
    frames = []
    for destination in (REMOTE.ip4, LAN.ip4):
        good = ip4_header(HOST.ip4, destination)
        for bit in range(8, 160):  # behind version and header length, which have reasons of their own
            bad = bytearray(good)
            bad[bit // 8] ^= 1 << bit % 8
            frames.append(("lan", frame(bytes(bad))))
    for line in gateway.send(*frames).packets:
        line.assert_silent(reason.ip4_bad_checksum, reason.ip4_bad_total_length, reason.ip4_truncated)
