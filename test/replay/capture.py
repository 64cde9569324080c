"""Captures written byte by byte and read back."""
import pathlib
import struct

NANOSECONDS = 1_000_000_000
ETHERNET = 1


def write_pcap(path: pathlib.Path, frames: list[tuple[int, bytes]], link_type: int = ETHERNET) -> pathlib.Path:
    """frames: (nanoseconds since 1970, bytes)."""
    parts = [struct.pack("<IHHiIII", 0xA1B23C4D, 2, 4, 0, 0, 262144, link_type)]
    for time, frame in frames:
        parts.append(struct.pack("<IIII", time // NANOSECONDS, time % NANOSECONDS, len(frame), len(frame)))
        parts.append(frame)
    path.write_bytes(b"".join(parts))
    return path


def _block(kind: int, body: bytes) -> bytes:
    body += bytes(-len(body) % 4)
    length = len(body) + 12
    return struct.pack("<II", kind, length) + body + struct.pack("<I", length)


def write_pcapng(path: pathlib.Path, frames: list[tuple[int, bytes]]) -> pathlib.Path:
    """The same as pcapng: one interface with nanoseconds, and a comment on each packet for the reader to skip."""
    parts = [
        _block(0x0A0D0D0A, struct.pack("<IHHq", 0x1A2B3C4D, 1, 0, -1)),
        _block(1, struct.pack("<HHI", ETHERNET, 0, 262144) + struct.pack("<HHBxxxHH", 9, 1, 9, 0, 0)),
    ]
    comment = struct.pack("<HH4sHH", 1, 4, b"note", 0, 0)
    for time, frame in frames:
        padding = bytes(-len(frame) % 4)
        head = struct.pack("<IIIII", 0, time >> 32, time & 0xFFFFFFFF, len(frame), len(frame))
        parts.append(_block(6, head + frame + padding + comment))
    path.write_bytes(b"".join(parts))
    return path


def read_pcap(path: pathlib.Path) -> list[tuple[int, bytes]]:
    """Reads what sluice writes: pcap with nanoseconds, little-endian."""
    data = path.read_bytes()
    magic, major, minor, _, _, _, link_type = struct.unpack_from("<IHHiIII", data)
    assert (magic, major, minor, link_type) == (0xA1B23C4D, 2, 4, ETHERNET), path
    frames, place = [], 24
    while place < len(data):
        seconds, rest, captured, original = struct.unpack_from("<IIII", data, place)
        assert captured == original and rest < NANOSECONDS
        frames.append((seconds * NANOSECONDS + rest, data[place + 16:place + 16 + captured]))
        place += 16 + captured
    return frames
