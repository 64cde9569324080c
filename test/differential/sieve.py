"""Takes out of random traffic what the two boxes mean to treat differently (docs/differential.md), or may."""
import ipaddress

from case import Packet
from packets import HOP_BY_HOP, ICMPV6, find_fragment_header, upper_layer
from topology import BOX_ADDRESSES, REFUSED

# Linux tells one source of five unreachable destinations at once, then of one a second: ip_error() has a limit of its own.
_TOLD = 4
_REFUSED = [ipaddress.ip_network(network) for network, _ in REFUSED if ":" not in network]


def sieved(packets: list[Packet]) -> list[Packet]:
    fragments = _Fragments()
    told: dict[bytes, int] = {}
    kept = []
    for packet in packets:
        frame = packet.frame
        if not fragments.take(frame) or _tells_the_box_its_mtu(frame) or _has_options_of_linux(frame):
            continue
        if frame[12:14] == b"\x08\x00" and len(frame) >= 34 and _is_refused(frame[30:34]):
            told[frame[26:30]] = told.get(frame[26:30], 0) + 1
            if told[frame[26:30]] > _TOLD:
                continue
        kept.append(packet)
    return kept


def _is_refused(destination: bytes) -> bool:
    return any(ipaddress.ip_address(destination) in network for network in _REFUSED)


def _tells_the_box_its_mtu(frame: bytes) -> bool:
    """ICMPv6 "packet too big", from which Linux learns for packets that it forwards too."""
    if frame[12:14] != b"\x86\xdd" or len(frame) < 54 or frame[38:54] not in BOX_ADDRESSES:
        return False
    kind, place = upper_layer(frame[14:])
    return kind == ICMPV6 and frame[14 + place:15 + place] == b"\x02"


def _has_options_of_linux(frame: bytes) -> bool:
    """Hop-by-hop options which Linux knows."""
    if frame[12:14] != b"\x86\xdd" or frame[20:21] != bytes((HOP_BY_HOP,)) or len(frame) < 56:
        return False
    at, end = 56, min(len(frame), 54 + 8 * (frame[55] + 1))
    while at + 1 < end:
        if frame[at] in (7, 0x31, 0xC2):  # CALIPSO, IOAM, jumbo payload
            return True
        at += 1 if frame[at] == 0 else 2 + frame[at + 1]
    return False


class _Fragments:
    """Of IPv6 datagrams that come twice under one identification, with other bytes the second time, only the first."""

    def __init__(self):
        self._bytes: dict[bytes, dict[int, int]] = {}

    def take(self, frame: bytes) -> bool:
        place = find_fragment_header(frame) if frame[12:14] == b"\x86\xdd" else None
        if place is None or place + 8 > len(frame):
            return True
        key = frame[22:54] + frame[place + 4:place + 8]
        offset = int.from_bytes(frame[place + 2:place + 4], "big") & ~7
        known = self._bytes.setdefault(key, {})
        payload = frame[place + 8:]
        if any(known.get(offset + at, byte) != byte for at, byte in enumerate(payload)):
            return False
        known.update((offset + at, byte) for at, byte in enumerate(payload))
        return True
