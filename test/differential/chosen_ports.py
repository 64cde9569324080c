"""Ports that NAT chose where it had a choice. Two boxes may choose differently, but each must stay with what it chose."""
import dataclasses

from outcome import Flow, Frames
from packets import FRAGMENT

_TCP, _UDP, _ICMP, _ICMPV6 = 6, 17, 1, 58
_CHECKSUM = {_TCP: 16, _UDP: 6, _ICMP: 2, _ICMPV6: 2}
_ERRORS = {_ICMP: (3, 4, 5, 11, 12), _ICMPV6: (1, 2, 3, 4)}
_ECHO = {_ICMP: (0, 8), _ICMPV6: (128, 129)}
_SPORT, _DPORT, _ID = 2, 3, 6  # places in a flow's tuple


def _class(port: int) -> int:
    """Of Linux: ports are exchanged for such of the same class."""
    return 0 if port < 512 else 1 if port < 1024 else 2


class ChosenPorts:
    def __init__(self):
        self._ours: dict[tuple, int] = {}  # by what the kernel chose
        self._theirs: dict[tuple, int] = {}

    def agree(self, kernel: Frames, sluice: Frames) -> bool:
        """Whether the frames differ only in what may be chosen, and as they did before."""
        return len(kernel) == len(sluice) and all(
            here == there and (theirs == ours or self._agree(theirs, ours))
            for (here, theirs), (there, ours) in zip(kernel, sluice))

    def _agree(self, theirs: bytes, ours: bytes) -> bool:
        place = _differing_port(theirs, ours)
        if place is None:
            return False
        left, right = (int.from_bytes(frame[place:place + 2], "big") for frame in (theirs, ours))
        if _without_port(theirs, place) != _without_port(ours, place):
            return False
        end = _end(theirs, place)
        # A connection begins, also in its middle: our port may be that of one which has ended.
        if _begins(theirs) or (end[0] == _TCP and (end, left) not in self._ours):
            self._ours[end, left], self._theirs[end, right] = right, left
        return self._take(end, left, right)

    def same_flow(self, kernel: Flow, sluice: Flow) -> bool:
        for place, own in ((_DPORT, _SPORT), (_ID, _ID)):
            left, right = kernel.reply[place], sluice.reply[place]
            if left is None or left == right or kernel.original[own] in (left, right):
                continue
            other = (*sluice.reply[:place], left, *sluice.reply[place + 1:])
            if dataclasses.replace(sluice, reply=other) == kernel and (place == _ID or _class(left) == _class(right)):
                return True
        return False

    def _take(self, end: tuple, left: int, right: int) -> bool:
        return self._ours.setdefault((end, left), right) == right and self._theirs.setdefault((end, right), left) == left


def _transport(frame: bytes) -> tuple[int, int] | None:
    """(protocol, where it begins) without options and extension headers, of an ICMP error what it quotes; of fragments the
    first has it."""
    outer = _outer(frame)
    if outer is None or outer[0] not in _ERRORS or len(frame) <= outer[1] or frame[outer[1]] not in _ERRORS[outer[0]]:
        return outer
    quoted = outer[1] + 8
    if outer[0] == _ICMP:
        return (frame[quoted + 9], quoted + 20) if frame[quoted:quoted + 1] == b"\x45" and len(frame) >= quoted + 28 else None
    if frame[quoted + 6:quoted + 7] == bytes((FRAGMENT,)) and len(frame) >= quoted + 56 and frame[quoted + 42:quoted + 43] == b"\0":
        return frame[quoted + 40], quoted + 48
    return (frame[quoted + 6], quoted + 40) if len(frame) >= quoted + 48 else None


def _begins(frame: bytes) -> bool:
    """A SYN, not quoted."""
    proto, begin = _transport(frame)
    return proto == _TCP and _outer(frame) == (proto, begin) and frame[begin + 13:begin + 14] == b"\x02"


def _outer(frame: bytes) -> tuple[int, int] | None:
    if frame[12:15] == b"\x08\x00\x45" and len(frame) >= 42 and int.from_bytes(frame[20:22], "big") & 0x1FFF == 0:
        return frame[23], 34
    if frame[12:14] == b"\x86\xdd" and len(frame) >= 70 and frame[20] == FRAGMENT and frame[56:58] == b"\0\1":
        return frame[54], 62
    if frame[12:14] == b"\x86\xdd" and len(frame) >= 62:
        return frame[20], 54
    return None


def _differing_port(theirs: bytes, ours: bytes) -> int | None:
    """Where the one port or identifier is in which the frames differ."""
    if len(theirs) != len(ours) or _transport(theirs) is None or _transport(theirs) != _transport(ours):
        return None
    proto, begin = _transport(theirs)
    if proto in (_TCP, _UDP):
        places = [begin, begin + 2]
    elif proto in _ECHO and theirs[begin] in _ECHO[proto]:
        places = [begin + 4]
    else:
        return None
    differing = [place for place in places if theirs[place:place + 2] != ours[place:place + 2]]
    return differing[0] if len(differing) == 1 else None


def _end(frame: bytes, place: int) -> tuple:
    """The remote of the end that has the port, which tells flows with equal ports apart."""
    proto, begin = _transport(frame)
    return proto, frame[26:34] if begin == 34 else frame[22:54], place - begin, frame[begin:begin + 4] if place != begin else (
        frame[begin + 2:begin + 4])


def _without_port(frame: bytes, place: int) -> bytes:
    """With a zero for the port, the checksum being what it would be then."""
    proto, begin = _transport(frame)
    at = begin + _CHECKSUM[proto]
    if at + 2 > len(frame):  # cut off in a quotation, which the checksum of the error covers
        at = _outer(frame)[1] + _CHECKSUM[_ICMP]
    port, check = (int.from_bytes(frame[where:where + 2], "big") for where in (place, at))
    if proto != _UDP or check != 0:
        total = (~check & 0xFFFF) + (~port & 0xFFFF)
        total = (total & 0xFFFF) + (total >> 16)
        total = (total & 0xFFFF) + (total >> 16)
        check = ~total & 0xFFFF
        check = 0 if check == 0xFFFF else check
    blank = frame[:place] + bytes(2) + frame[place + 2:]
    return blank[:at] + check.to_bytes(2, "big") + blank[at + 2:]
