"""Bytes that scapy would not write: broken headers, checksums by hand, and looks at what was sent."""
import struct

from scapy.compat import raw
from scapy.layers.inet import IP
from scapy.layers.l2 import Ether


def checksum(data: bytes) -> int:
    """The internet checksum (RFC 1071)."""
    if len(data) % 2:
        data += b"\0"
    total = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


def ip4_header(src: str, dst: str, *, version: int = 4, ihl: int = 5, total: int = 28, ident: int = 1, ttl: int = 64,
               proto: int = 17, options: bytes = b"", check: int | None = None) -> bytes:
    """An IPv4 header of any values; the checksum is right unless given."""
    words = bytes(int(each) for each in src.split(".")) + bytes(int(each) for each in dst.split("."))
    head = struct.pack("!BBHHHBBH", version << 4 | ihl, 0, total, ident, 0, ttl, proto, 0) + words + options
    if check is None:
        check = checksum(head)
    return head[:10] + struct.pack("!H", check) + head[12:]


def ip_bytes(frame: Ether) -> bytes:
    """The IP packet of a frame as it stands there, without padding behind it."""
    data = raw(frame)[14:]
    length = struct.unpack_from("!H", data, 2)[0] if data[0] >> 4 == 4 else struct.unpack_from("!H", data, 4)[0] + 40
    return data[:length]


def assert_right_checksums(frame: Ether) -> None:
    """Every checksum in the frame, down to the transport's, is the one scapy computes."""
    packet = frame.payload
    again = packet.copy()
    layer = again
    while layer:
        for field in ("chksum", "cksum"):
            if field in layer.fields:
                delattr(layer, field)
        # The packet an ICMP error quotes is cut and stays as it is.
        if "in ICMP" in layer.payload.name or "ICMPv6 Packet" in layer.payload.name:
            break
        layer = layer.payload
    assert raw(again) == raw(packet), frame.show(dump=True)


def ip4_header_is_valid(data: bytes) -> bool:
    return checksum(data[:(data[0] & 0xF) * 4]) == 0


def reassemble(fragments: list[IP]) -> bytes:
    """The payload of the datagram whose fragments these are, in any order, without gap or overlap."""
    parts = sorted(fragments, key=lambda part: part.frag)
    payload = b""
    for part in parts:
        assert part.frag * 8 == len(payload), "gap or overlap"
        payload += raw(part.payload)[:part.len - part.ihl * 4]
    assert not parts[-1].flags.MF and all(part.flags.MF for part in parts[:-1])
    return payload
