"""What a box did with a case, in the form in which the kernel's and Sluice's are compared."""
import dataclasses
import ipaddress

from topology import BOX_ADDRESSES

Frames = list[tuple[str, bytes]]  # (interface, frame)


@dataclasses.dataclass(frozen=True)
class Line:
    """What left because of one packet, and what timers had sent between it and the one before."""
    out: Frames
    before: Frames
    state: str | None = None  # as conntrack sees the packet; the kernel tells it only of packets that are forwarded
    words: str = ""  # how the box explains itself, for the reader of a report


@dataclasses.dataclass(frozen=True)
class Flow:
    """An entry of the connection tracking table."""
    family: str
    proto: int
    state: str | None
    timeout: float
    status: frozenset[str]
    original: tuple
    reply: tuple
    mark: int

    @property
    def key(self) -> tuple:
        return self.family, self.proto, self.original[:-2]


@dataclasses.dataclass(frozen=True)
class Outcome:
    lines: list[Line]
    flows: list[Flow]
    counters: dict[str, tuple[int, int]]  # of rules: packets, bytes
    times: list[int]  # when each packet came, in nanoseconds of the box's clock
    idle: float = 0.0  # seconds between the last packet and the look at the flows


def is_from_box(frame: bytes) -> bool:
    """Whether the box itself made the packet."""
    return (frame[26:30] if frame[12:14] == b"\x08\x00" else frame[22:38]) in BOX_ADDRESSES


_TUPLE = ("src", "dst", "sport", "dport", "type", "code", "id", "srckey", "dstkey", "packets", "bytes")


def flow_tuple(values: dict) -> tuple:
    """One direction of a flow, addresses in their shortest form; packets and bytes come last."""
    values = {**values, **{key: str(ipaddress.ip_address(values[key])) for key in ("src", "dst")}}
    return tuple(values.get(key) for key in _TUPLE)
