"""Ethernet frames with right checksums, and captures of them."""
import struct

BOX_MAC = bytes.fromhex("020000000001")
PEER_MAC = bytes.fromhex("0200000000fe")
SYN, PSH, ACK = 0x02, 0x08, 0x10

_IP4, _IP6 = b"\x08\x00", b"\x86\xdd"
_SMALLEST = 60  # without the check sequence, as all sizes of frames in here
_CHECK_SEQUENCE = 4
_HEADERS = {False: 14 + 20 + 8, True: 14 + 40 + 8}  # of UDP


class Mix:
    """Sizes of frames in turn, with the check sequence."""

    def __init__(self, *sizes):
        self._sizes = sizes

    def payload(self, number, is_ip6=False, headers=None):
        """Bytes after UDP's header, or after as many others, in the frame of that number; the shortest are padded."""
        size = self._sizes[number % len(self._sizes)] - _CHECK_SEQUENCE
        return max(size - (headers or _HEADERS[is_ip6]), 0)


SMALLEST = Mix(64)
LARGEST = Mix(1518)  # packets of 1500 bytes
IMIX = Mix(*[64, 594, 64, 594, 64, 594, 64, 594, 64, 64, 64, 1518])  # 7:4:1


def checksum(data):
    if len(data) % 2:
        data += b"\0"
    total = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


def _ethernet(kind, packet):
    return (BOX_MAC + PEER_MAC + kind + packet).ljust(_SMALLEST, b"\0")


def _ip4(protocol, source, destination, segment, checksum_at):
    header = struct.pack("!BBHHHBBHII", 0x45, 0, 20 + len(segment), 1, 0, 64, protocol, 0, source, destination)
    header = header[:10] + struct.pack("!H", checksum(header)) + header[12:]
    return _ethernet(_IP4, header + _summed(header[12:20], protocol, segment, checksum_at))


def _ip6(protocol, source, destination, segment, checksum_at):
    header = struct.pack("!IHBB", 0x60000000, len(segment), protocol, 64) + source + destination
    return _ethernet(_IP6, header + _summed(source + destination, protocol, segment, checksum_at))


def _summed(addresses, protocol, segment, checksum_at):
    value = checksum(addresses + struct.pack("!HH", protocol, len(segment)) + segment)
    if protocol == 17 and value == 0:
        value = 0xFFFF
    return segment[:checksum_at] + struct.pack("!H", value) + segment[checksum_at + 2:]


def udp4(source, destination, sport, dport, size=18):
    """Addresses are numbers; `size` is that of the payload: 18 bytes make the smallest frame."""
    return _ip4(17, source, destination, struct.pack("!HHHH", sport, dport, 8 + size, 0) + bytes(size), 6)


def tcp4(source, destination, *header, **more):
    """Ports, flags, sequence and acknowledgement numbers; `payload`; `options` in whole words of 4 bytes."""
    return _ip4(6, source, destination, _tcp(*header, **more), 16)


def _tcp(sport, dport, flags, sequence, acknowledged=0, payload=b"", options=b""):
    return struct.pack("!HHIIBBHHH", sport, dport, sequence, acknowledged, (5 + len(options) // 4) << 4, flags,
                       65535, 0, 0) + options + payload


def udp6(source, destination, sport, dport, size=0):
    """Addresses are 16 bytes each."""
    return _ip6(17, source, destination, struct.pack("!HHHH", sport, dport, 8 + size, 0) + bytes(size), 6)


def tcp6(source, destination, *header, **more):
    """As tcp4()."""
    return _ip6(6, source, destination, _tcp(*header, **more), 16)


def write_capture(path, frames):
    with open(path, "wb") as file:
        file.write(struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 65535, 1))
        for frame in frames:
            file.write(struct.pack("<IIII", 0, 0, len(frame), len(frame)) + frame)
