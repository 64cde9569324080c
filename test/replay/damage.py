"""Frames that no router may deliver, and frames of chance; both from a seeded generator."""
import random
import struct

from net import HOST, LAN, REMOTE, Ether, datagram4, datagram6, from_lan
from scapy.layers.inet import IP, TCP
from scapy.layers.inet6 import IPv6
from wire import checksum

_TEMPLATES4 = [bytes(from_lan(each)) for each in (
    datagram4(size=0), datagram4(size=100), datagram4(size=1400, flags="DF"), datagram4(dst=LAN.ip4, ttl=1),
    IP(src=HOST.ip4, dst=REMOTE.ip4) / TCP(sport=1234, dport=80) / b"GET /")]
_TEMPLATES6 = [bytes(from_lan(each)) for each in (
    datagram6(size=0), datagram6(size=700), datagram6(dst=LAN.ip6), IPv6(src=HOST.ip6, dst=REMOTE.ip6) / TCP(dport=80))]
_ETHERTYPES = {0x0800, 0x0806, 0x86DD, 0x8100, 0x88A8}


def _with_checksum(frame: bytearray) -> bytes:
    """Makes the header checksum right again, over as many bytes as the header says and there are."""
    frame[24:26] = b"\0\0"
    length = max(20, (frame[14] & 0xF) * 4)
    frame[24:26] = struct.pack("!H", checksum(bytes(frame[14:14 + length])))
    return bytes(frame)


def _truncated(generator: random.Random) -> bytes:
    frame = generator.choice(_TEMPLATES4 + _TEMPLATES6)
    return frame[:generator.randrange(1, len(frame))]


def _bit_flipped(generator: random.Random) -> bytes:
    """One to three bits of the IPv4 header, the checksum left as it was."""
    frame = bytearray(generator.choice(_TEMPLATES4))
    for bit in generator.sample(range(160), generator.randint(1, 3)):
        frame[14 + bit // 8] ^= 1 << bit % 8
    return bytes(frame)


def _wrong_version(generator: random.Random) -> bytes:
    frame = bytearray(generator.choice(_TEMPLATES4 + _TEMPLATES6))
    is_ip4 = frame[14] >> 4 == 4
    version = generator.choice([each for each in range(16) if each != (4 if is_ip4 else 6)])
    frame[14] = version << 4 | frame[14] & 0xF
    return _with_checksum(frame) if is_ip4 else bytes(frame)


def _wrong_header_length(generator: random.Random) -> bytes:
    frame = bytearray(generator.choice(_TEMPLATES4))
    frame[14] = 0x40 | generator.randrange(5)
    return _with_checksum(frame)


def _wrong_total_length(generator: random.Random) -> bytes:
    frame = bytearray(generator.choice(_TEMPLATES4))
    inside = len(frame) - 14
    total = generator.choice([generator.randrange(20), generator.randrange(inside + 1, 65536)])
    frame[16:18] = struct.pack("!H", total)
    return _with_checksum(frame)


def _wrong_payload_length(generator: random.Random) -> bytes:
    frame = bytearray(generator.choice(_TEMPLATES6))
    frame[18:20] = struct.pack("!H", generator.randrange(len(frame) - 54 + 1, 65536))
    return bytes(frame)


def _wrong_checksum(generator: random.Random) -> bytes:
    frame = bytearray(generator.choice(_TEMPLATES4))
    right = struct.unpack_from("!H", frame, 24)[0]
    frame[24:26] = struct.pack("!H", (right + generator.randrange(1, 0xFFFF)) % 0xFFFF)
    return bytes(frame)


def _unknown_ethertype(generator: random.Random) -> bytes:
    frame = bytearray(generator.choice(_TEMPLATES4 + _TEMPLATES6))
    kind = generator.choice([each for each in (generator.randrange(0x0600, 0x10000) for _ in range(9)) if each not in _ETHERTYPES])
    frame[12:14] = struct.pack("!H", kind)
    return bytes(frame)


def _no_such_vlan(generator: random.Random) -> bytes:
    frame = generator.choice(_TEMPLATES4 + _TEMPLATES6)
    tagged = frame[:12] + struct.pack("!HH", 0x8100, generator.randrange(1, 4095)) + frame[12:]
    return tagged[:generator.choice([15, 17, len(tagged)])]


def _of_another_station(generator: random.Random) -> bytes:
    frame = bytearray(generator.choice(_TEMPLATES4 + _TEMPLATES6))
    if generator.random() < 0.5:
        frame[5] ^= 1 << generator.randrange(8)  # to a unicast MAC that is not the box's
    else:
        frame[6] |= 1  # from a group address
    return bytes(frame)


_KINDS = [_truncated, _bit_flipped, _wrong_version, _wrong_header_length, _wrong_total_length, _wrong_payload_length,
          _wrong_checksum, _unknown_ethertype, _no_such_vlan, _of_another_station]


def _checksum_verifies(frame: bytes) -> bool:
    """An IPv4 frame that chance made valid again, e.g. by a header length that takes in bytes of the payload."""
    header = frame[14:14 + (frame[14] & 0xF) * 4] if len(frame) >= 34 else b""
    return frame[12:14] == b"\x08\x00" and len(header) >= 20 and checksum(header) == 0


def damaged_frames(generator: random.Random, count: int) -> list[bytes]:
    frames = []
    while len(frames) < count:
        kind = generator.choice(_KINDS)
        frame = kind(generator)
        if kind is _bit_flipped and _checksum_verifies(frame):
            continue
        frames.append(frame)
    return frames


def fuzzed_frame(generator: random.Random) -> bytes:
    """A template with a few bytes changed anywhere, the header checksum made right in half of them, sometimes cut."""
    frame = bytearray(generator.choice(_TEMPLATES4 + _TEMPLATES6))
    for _ in range(generator.randint(0, 6)):
        frame[generator.randrange(6 if generator.random() < 0.1 else 12, min(len(frame), 90))] = generator.randrange(256)
    if frame[12:14] == b"\x08\x00" and generator.random() < 0.5:
        frame = bytearray(_with_checksum(frame))
    if generator.random() < 0.1:
        del frame[generator.randrange(len(frame)):]
    return bytes(frame) or b"\0"
