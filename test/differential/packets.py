"""Bytes of frames, quickly: a million of them are built in a run. Versions are 4 and 6, addresses packed."""
import struct

from topology import SIDES, Host

ICMP, TCP, UDP, GRE, ESP, ICMPV6, SCTP = 1, 6, 17, 47, 50, 58, 132
HOP_BY_HOP, ROUTING, FRAGMENT, NO_NEXT, DESTINATION_OPTIONS = 0, 43, 44, 59, 60
REDIRECT = 137  # ICMPv6
FIN, SYN, RST, PSH, ACK, URG, ECE, CWR = (1 << bit for bit in range(8))
MORE_FRAGMENTS, DONT_FRAGMENT = 0x2000, 0x4000


_PATTERN = bytes(place * 7 % 256 for place in range(2048))


def pattern(size: int) -> bytes:
    """Data that tells its place."""
    return _PATTERN[:size]


def checksum(data: bytes) -> int:
    """The internet checksum (RFC 1071)."""
    if len(data) % 2:
        data += b"\0"
    total = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


def _pseudo(src: bytes, dst: bytes, proto: int, length: int) -> bytes:
    return src + dst + struct.pack("!II", length, proto)


def _with_checksum(src: bytes, dst: bytes, proto: int, segment: bytes, offset: int) -> bytes:
    value = checksum(_pseudo(src, dst, proto, len(segment)) + segment)
    if proto == UDP and value == 0:
        value = 0xFFFF
    return segment[:offset] + struct.pack("!H", value) + segment[offset + 2:]


def ip4(src: bytes, dst: bytes, proto: int, payload: bytes, *, ident: int = 0, flags: int = DONT_FRAGMENT,
        offset: int = 0, ttl: int = 64, tos: int = 0, options: bytes = b"", length: int | None = None) -> bytes:
    """`offset` in bytes, `length` as it shall stand in the header."""
    size = 20 + len(options)
    head = struct.pack("!BBHHHBBH", 0x40 | size // 4, tos, size + len(payload) if length is None else length, ident,
                       flags | offset // 8, ttl, proto, 0) + src + dst + options
    return head[:10] + struct.pack("!H", checksum(head)) + head[12:] + payload


def ip6(src: bytes, dst: bytes, next_header: int, payload: bytes, *, hop_limit: int = 64, traffic_class: int = 0,
        flow: int = 0, length: int | None = None) -> bytes:
    return struct.pack("!IHBB", 6 << 28 | traffic_class << 20 | flow, len(payload) if length is None else length,
                       next_header, hop_limit) + src + dst + payload


def ip(src: bytes, dst: bytes, proto: int, payload: bytes, *, ttl: int = 64, **ip4_only) -> bytes:
    if len(src) == 4:
        return ip4(src, dst, proto, payload, ttl=ttl, **ip4_only)
    return ip6(src, dst, proto, payload, hop_limit=ttl)


def tcp(src: bytes, dst: bytes, sport: int, dport: int, flags: int, seq: int = 0, ack: int = 0, *, window: int = 65535,
        options: bytes = b"", data: bytes = b"", urgent: int = 0, reserved: int = 0,
        data_offset: int | None = None) -> bytes:
    words = 5 + len(options) // 4 if data_offset is None else data_offset
    head = struct.pack("!HHIIBBHHH", sport, dport, seq & 0xFFFFFFFF, ack & 0xFFFFFFFF, words << 4 | reserved, flags,
                       window, 0, urgent)
    return _with_checksum(src, dst, TCP, head + options + data, 16)


def udp(src: bytes, dst: bytes, sport: int, dport: int, data: bytes = b"", *, length: int | None = None) -> bytes:
    head = struct.pack("!HHHH", sport, dport, 8 + len(data) if length is None else length, 0)
    return _with_checksum(src, dst, UDP, head + data, 6)


def icmp(src: bytes, dst: bytes, kind: int, code: int, rest: int, data: bytes = b"") -> bytes:
    """ICMP or ICMPv6, by the addresses; `rest` is the second word of the header."""
    message = struct.pack("!BBHI", kind, code, 0, rest) + data
    if len(src) == 4:
        return message[:2] + struct.pack("!H", checksum(message)) + message[4:]
    return _with_checksum(src, dst, ICMPV6, message, 2)


def icmp_proto(src: bytes) -> int:
    return ICMP if len(src) == 4 else ICMPV6


def echo(src: bytes, dst: bytes, ident: int, sequence: int, data: bytes = b"", *, reply: bool = False) -> bytes:
    kind = (0 if reply else 8) if len(src) == 4 else (129 if reply else 128)
    return icmp(src, dst, kind, 0, ident << 16 | sequence, data)


def sctp(sport: int, dport: int, tag: int, *chunks: bytes) -> bytes:
    packet = struct.pack("!HHII", sport, dport, tag, 0) + b"".join(chunks)
    return packet[:8] + struct.pack("<I", crc32c(packet)) + packet[12:]


def sctp_chunk(kind: int, value: bytes = b"", flags: int = 0) -> bytes:
    return struct.pack("!BBH", kind, flags, 4 + len(value)) + value + bytes(-len(value) % 4)


def _crc32c_table() -> list[int]:
    table = []
    for value in range(256):
        for _ in range(8):
            value = value >> 1 ^ (0x82F63B78 if value & 1 else 0)
        table.append(value)
    return table


_CRC32C = _crc32c_table()


def crc32c(data: bytes) -> int:
    value = 0xFFFFFFFF
    for byte in data:
        value = value >> 8 ^ _CRC32C[(value ^ byte) & 0xFF]
    return value ^ 0xFFFFFFFF


def gre(protocol: int = 0x0800, data: bytes = b"", *, key: int | None = None) -> bytes:
    return struct.pack("!HH", 0x2000 if key is not None else 0, protocol) + (
        struct.pack("!I", key) if key is not None else b"") + data


def options_header(next_header: int, options: bytes = b"") -> bytes:
    """Hop-by-hop or destination options, padded."""
    rest = -(2 + len(options)) % 8
    padding = b"" if rest == 0 else b"\0" if rest == 1 else bytes((1, rest - 2)) + bytes(rest - 2)
    body = options + padding
    return bytes((next_header, (len(body) + 2) // 8 - 1)) + body


def routing_header(next_header: int, kind: int = 0, segments_left: int = 0) -> bytes:
    return bytes((next_header, 2, kind, segments_left)) + bytes(20)


def fragment_header(next_header: int, offset: int, more: bool, ident: int) -> bytes:
    return struct.pack("!BBHI", next_header, 0, offset | more, ident)


def cut(packet: bytes, places: list[int], ident: int) -> list[bytes]:
    """The packet as fragments that begin at these places of its payload, multiples of 8."""
    version = packet[0] >> 4
    head, payload = (packet[:(packet[0] & 0xF) * 4], packet[(packet[0] & 0xF) * 4:]) if version == 4 else (
        packet[:40], packet[40:])
    bounds = [0, *places, len(payload)]
    return [piece(packet[0] >> 4, head, payload[begin:end], begin, end < len(payload), ident)
            for begin, end in zip(bounds, bounds[1:])]


def piece(version: int, head: bytes, data: bytes, offset: int, more: bool, ident: int) -> bytes:
    """One fragment with a header like `head`."""
    if version == 4:
        fields = struct.unpack("!BBHHHBBH4s4s", head[:20])
        return ip4(fields[8], fields[9], fields[6], data, ident=ident, flags=MORE_FRAGMENTS if more else 0,
                   offset=offset, ttl=fields[5], tos=fields[1], options=head[20:])
    return head[:4] + struct.pack("!HB", len(data) + 8, FRAGMENT) + head[7:40] + fragment_header(
        head[6], offset, more, ident) + data


def frame(host: Host, packet: bytes, *, dst: bytes | None = None) -> bytes:
    """In a frame from the host to the box."""
    kind = b"\x08\x00" if packet[:1] and packet[0] >> 4 == 4 else b"\x86\xdd"
    return (dst or SIDES[host.side].mac) + host.mac + kind + packet


def upper_layer(packet: bytes) -> tuple[int, int]:
    """The protocol behind the extension headers of an IPv6 packet, and where it begins."""
    kind, place = packet[6], 40
    while kind in (HOP_BY_HOP, ROUTING, DESTINATION_OPTIONS, FRAGMENT) and place + 8 <= len(packet):
        kind, place = packet[place], place + (8 if kind == FRAGMENT else (packet[place + 1] + 1) * 8)
    return kind, place


def find_fragment_header(frame: bytes) -> int | None:
    """Where the first fragment header of an IPv6 frame is."""
    place, kind = 54, frame[20] if len(frame) > 20 else None
    while kind in (HOP_BY_HOP, ROUTING, DESTINATION_OPTIONS, FRAGMENT) and place + 8 <= len(frame):
        if kind == FRAGMENT:
            return place
        kind, place = frame[place], place + (frame[place + 1] + 1) * 8
    return None


def summary(data: bytes) -> str:
    """One line for a reader: addresses, protocol, ports, flags."""
    packet = data[14:]
    try:
        if data[12:14] == b"\x08\x00":
            size, proto = (packet[0] & 0xF) * 4, packet[9]
            src, dst = (".".join(map(str, each)) for each in (packet[12:16], packet[16:20]))
            word = struct.unpack_from("!H", packet, 6)[0]
            notes = f" frag {(word & 0x1FFF) * 8}{'+' if word & MORE_FRAGMENTS else ''}" if word & 0x3FFF else ""
            whole = not word & 0x1FFF
        else:
            size, proto, notes, whole = 40, packet[6], "", True
            src, dst = (each.hex(":", 2) for each in (packet[8:24], packet[24:40]))
            while proto in (HOP_BY_HOP, ROUTING, DESTINATION_OPTIONS, FRAGMENT):
                notes += f" ext {proto}"
                if proto == FRAGMENT:
                    word = struct.unpack_from("!H", packet, size + 2)[0]
                    notes += f" frag {word & 0xFFF8}{'+' if word & 1 else ''}"
                    whole = whole and not word & 0xFFF8
                    proto, size = packet[size], size + 8
                else:
                    proto, size = packet[size], size + (packet[size + 1] + 1) * 8
        text = f"{src} > {dst}{notes} proto {proto}"
        if whole and proto == TCP:
            sport, dport, seq, ack, _, flags, window = struct.unpack_from("!HHIIBBH", packet, size)
            names = "".join(letter for bit, letter in enumerate("FSRPAUEC") if flags >> bit & 1) or "none"
            text += f" {sport} > {dport} {names} seq {seq} ack {ack} win {window}"
        elif whole and proto in (UDP, SCTP):
            text += " {} > {}".format(*struct.unpack_from("!HH", packet, size))
        elif whole and proto in (ICMP, ICMPV6):
            text += f" type {packet[size]} code {packet[size + 1]}"
        return f"{text} len {len(packet)}"
    except (IndexError, struct.error):
        return f"short frame, {len(data)} bytes"
