"""Compares what two boxes did with a case. Only what Linux chooses freely is taken out before:

- the IPv4 identification of packets the box makes itself,
- the identification in IPv6 fragment headers that the box writes,
- the times in IPv4 timestamp options,
- in the packet that an ICMP error quotes, IPv4 options: Linux has worked on those when it quotes them,
- ports and identifiers that NAT chooses because the packet's own is taken or not among those it may use: both boxes must
  choose another one, of the same class, and the same for every packet of the flow,
- two seconds of a flow's timeout, since the kernel's clock is real,
- ICMPv6 errors about redirects,
- what leaves where Linux makes a first fragment without payload,
- a datagram that leaves in one fragment, though its extension headers came in several,
- what rules counted behind `output`, if one of them may reject,
- where a datagram that came in fragments is cut when it leaves: in Linux that depends on which of its buffers were
  written to on the way. What they hold together must be the same, and none may be larger than the largest that came.
"""
import dataclasses
import struct

from chosen_ports import ChosenPorts
from case import Case, Packet
from outcome import Flow, Frames, Line, Outcome, is_from_box
from packets import ICMP, ICMPV6, REDIRECT, checksum, find_fragment_header, summary, upper_layer

_TIMEOUT_SECONDS = 2.0
_SHOWN_BYTES = 160


@dataclasses.dataclass(frozen=True)
class Difference:
    """What differs: frames or state of packet `n` (from 0), a flow, or a rule's counter."""
    kind: str
    n: int | None
    text: str


def compare(case: Case, kernel: Outcome, sluice: Outcome) -> list[Difference]:
    found = []
    chosen = ChosenPorts()
    largest = 0  # fragment that has come so far
    for n, (packet, theirs, ours) in enumerate(zip(case.packets, kernel.lines, sluice.lines)):
        if _is_fragment(packet.frame):
            largest = max(largest, len(packet.frame))
        for kind, left, right in (("frames", _deliberate(theirs.out, ours), ours.out), ("timers", theirs.before, ours.before)):
            made_left, made_right = _without_new_idents(packet.frame, left), _without_new_idents(packet.frame, right)
            same = any(map(_is_empty_fragment, left)) or _by_interface(made_left) == _by_interface(made_right) or (
                _joined(left) == _joined(right) and all(len(frame) <= largest for _, frame in right)) or (
                chosen.agree(_whole(made_left), _whole(made_right)))
            if not same:
                found.append(Difference(kind, n, "\n".join((
                    _packet(n, packet), *_shown("kernel", left), *_shown("sluice", right),
                    f"  sluice says: {ours.words}"))))
        if theirs.state and ours.state and theirs.state != ours.state:
            found.append(Difference("state", n, f"{_packet(n, packet)}\n  kernel: {theirs.state}, sluice: {ours.words}"))
    found += _compare_flows(_aged(kernel), _aged(sluice), chosen)
    if sluice.counters:
        unlike = _counted_otherwise(case)
        found += [Difference("counters", None, f"rule {name}: kernel {theirs}, sluice {sluice.counters.get(name)}")
                  for name, theirs in kernel.counters.items()
                  if sluice.counters.get(name) != theirs and not name.startswith(unlike)]
    return found


def _deliberate(frames: Frames, sluice: Line) -> Frames:
    """The kernel's frames without those that Sluice means not to send."""
    return [(interface, frame) for interface, frame in frames
            if not _is_about_redirect(frame) and not (_is_alone(frame) and "fragment_refused" in sluice.words)]


def _is_about_redirect(frame: bytes) -> bool:
    if frame[12:14] != b"\x86\xdd" or not is_from_box(frame) or frame[20] != ICMPV6 or len(frame) < 102:
        return False
    return _says_redirect(frame[62:])


def _is_empty_fragment(sent: tuple[str, bytes]) -> bool:
    """Linux cuts so where headers that each fragment repeats were all that the first one held; nobody can put that together."""
    frame = sent[1]
    place = find_fragment_header(frame) if frame[12:14] == b"\x86\xdd" else None
    return bool(place) and place + 8 == len(frame) and frame[place + 3] & 1 == 1


def _is_alone(frame: bytes) -> bool:
    """A fragment that is a whole datagram."""
    place = find_fragment_header(frame) if frame[12:14] == b"\x86\xdd" else None
    return bool(place) and frame[place + 2:place + 4] == bytes(2)


def _counted_otherwise(case: Case) -> tuple[str, ...]:
    """The chains that see what Linux sends itself when a rule rejects a packet of the box's own, or tells about redirects."""
    rules = case.rules or {}
    output = _chain(rules.get("filter", {}).get("output", []))
    chains = list(rules.get("chains", {}).values())
    others = [_chain(chain) for chain in rules.get("filter", {}).values()]
    tells_itself = output and _rejects([output, *chains])
    tells_of_redirects = _rejects([*others, *chains]) and any(_is_redirect(packet.frame) for packet in case.packets)
    if not tells_itself and not tells_of_redirects:
        return ()
    hooks = ("output", "postrouting", "input") if tells_itself else ("output", "postrouting")
    return (*(f"{table}.{hook}/" for table in ("raw", "mangle", "filter") for hook in hooks), "chains.")


def _chain(chain: dict | list) -> list[dict]:
    return chain.get("rules", []) if isinstance(chain, dict) else chain


def _rejects(chains: list[list[dict]]) -> bool:
    return any("reject" in rule.get("action", "") for chain in chains for rule in chain)


def _is_redirect(frame: bytes) -> bool:
    return frame[12:14] == b"\x86\xdd" and len(frame) >= 54 and _says_redirect(frame[14:])


def _says_redirect(packet: bytes) -> bool:
    kind, place = upper_layer(packet)
    return kind == ICMPV6 and packet[place:place + 1] == bytes([REDIRECT])


def _packet(n: int, packet: Packet) -> str:
    return f"packet {n + 1} in {packet.interface}: {packet.note or summary(packet.frame)}\n    {_hex(packet.frame)}"


def _shown(who: str, frames: Frames) -> list[str]:
    if not frames:
        return [f"  {who}: nothing"]
    return [f"  {who}: {interface} {summary(frame)}\n    {_hex(frame)}" for interface, frame in frames]


def _hex(frame: bytes) -> str:
    """The head in hex; the case that is kept has all of it."""
    return frame.hex() if len(frame) <= _SHOWN_BYTES else f"{frame[:_SHOWN_BYTES].hex()}… ({len(frame)} bytes)"


def _without_new_idents(came: bytes, frames: Frames) -> Frames:
    """ICMP in IPv4 that is not the packet that came has the box's own identification, from whatever address it seems to come."""
    return [(interface, frame[:18] + bytes(2) + frame[20:24] + _without(frame[24:26], int.from_bytes(frame[18:20], "big"))
             + frame[26:]) if frame[12:14] == b"\x08\x00" and frame[23] == ICMP and frame[18:20] != came[18:20]
            else (interface, frame) for interface, frame in frames]


def _whole(frames: Frames) -> Frames:
    """With a frame for each datagram that was joined, lengths left out."""
    whole = []
    for interface, joined in _joined(frames).items():
        for each in joined:
            if isinstance(each, list):
                head, payload = each
                each = (head[:16] + bytes(2) + head[16:18] + bytes(2) + head[18:20] + bytes(2) + head[20:] + payload
                        if head[12:14] == b"\x08\x00" else head[:18] + bytes(2) + payload[:1] + head[18:] + payload[1:])
            whole.append((interface, each))
    return whole


def _by_interface(frames: Frames) -> dict[str, list[bytes]]:
    """The order counts on each interface, not between them: they are read one after the other."""
    sorted_frames: dict[str, list[bytes]] = {}
    for interface, frame in frames:
        sorted_frames.setdefault(interface, []).append(normalised(frame))
    return sorted_frames


def _is_fragment(frame: bytes) -> bool:
    if frame[12:14] == b"\x08\x00":
        return len(frame) >= 22 and int.from_bytes(frame[20:22], "big") & 0x3FFF != 0
    return frame[12:14] == b"\x86\xdd" and bool(find_fragment_header(frame))


def _joined(frames: Frames) -> dict[str, list]:
    """With fragments put together: for each interface the frames, and for each datagram in fragments its bytes."""
    joined: dict[str, list] = {}
    for interface, frame in frames:
        on_wire = joined.setdefault(interface, [])
        if not _is_fragment(frame):
            on_wire.append(normalised(frame))
            continue
        head, repeated, offset, payload = _fragment(normalised(frame))
        last = on_wire[-1] if on_wire and isinstance(on_wire[-1], list) else None
        if last and last[0] == head and len(last[1]) - last[2] == offset:
            last[1] += payload
        else:
            on_wire.append([head, repeated + payload, len(repeated)] if offset == 0 else frame)
    # Behind which headers an IPv6 box puts its fragment header is its own choice.
    return {interface: [each[:2] if isinstance(each, list) else each for each in on_wire]
            for interface, on_wire in joined.items()}


def _fragment(frame: bytes) -> tuple[bytes, bytes, int, bytes]:
    """(what all fragments of the datagram have in common, headers that each of them repeats, offset, payload)"""
    if frame[12:14] == b"\x08\x00":
        header = 14 + (frame[14] & 15) * 4
        length, = struct.unpack_from("!H", frame, 16)
        offset = (int.from_bytes(frame[20:22], "big") & 0x1FFF) * 8
        return frame[:16] + frame[18:20] + frame[22:24] + frame[26:34], b"", offset, frame[header:14 + length]
    place = find_fragment_header(frame)
    offset = int.from_bytes(frame[place + 2:place + 4], "big") & ~7
    return frame[:18] + frame[21:54], _headers(frame, place), offset, frame[place + 8:]


def _headers(frame: bytes, place: int) -> bytes:
    """The headers before the fragment header at `place` as they would be without it, the first one's number in front."""
    headers, at, last = bytearray([frame[20]]) + frame[54:place], 1, 0
    while at < len(headers):
        last, at = at, at + (headers[at + 1] + 1) * 8
    headers[last] = frame[place]
    return bytes(headers)


def normalised(frame: bytes) -> bytes:
    if frame[12:14] == b"\x08\x00" and is_from_box(frame):
        ident, = struct.unpack_from("!H", frame, 18)
        frame = frame[:18] + bytes(2) + frame[20:24] + _without(frame[24:26], ident) + frame[26:]
        frame = frame[:14] + _without_quoted_options(frame[14:])
    if frame[12:14] == b"\x08\x00" and frame[14] > 0x45:
        return frame[:14] + _without_times(frame[14:])
    if frame[12:14] == b"\x86\xdd":
        place = find_fragment_header(frame)
        if place:
            return frame[:place + 4] + bytes(4) + frame[place + 8:]
    return frame


def _without_times(packet: bytes) -> bytes:
    size = (packet[0] & 15) * 4
    head, place = bytearray(packet[:size]), 20
    while place < size and head[place] != 0:
        length = 1 if head[place] == 1 else head[place + 1] if place + 1 < size else 0
        if length == 0:
            break
        if head[place] == 68 and length >= 4:
            # Of the box there are at most two, the last ones in front of the pointer.
            step = 4 if head[place + 3] & 15 == 0 else 8
            last = place + head[place + 2] - 5
            for at in (last, last - step):
                if place + 4 <= at <= min(place + length, size) - 4:
                    head[at:at + 4] = bytes(4)
        place += length
    blank = bytes(head)
    return (blank if blank == packet[:size] else _unsummed(packet, size, 10, blank)) + packet[size:]


def _without_quoted_options(packet: bytes) -> bytes:
    size = (packet[0] & 15) * 4
    message = packet[size:]
    is_error = packet[9] == ICMP and len(message) >= 28 and message[0] in (3, 11, 12)
    if not is_error or message[8] <= 0x45:
        return packet
    end = 8 + (message[8] & 15) * 4
    blank = message[:18] + bytes(2) + message[20:28] + bytes(len(message[28:end])) + message[end:]
    return packet[:size] + _unsummed(message, len(message), 2, blank)


def _unsummed(data: bytes, size: int, place: int, blank: bytes) -> bytes:
    """`blank` in place of the data, without its checksum if that was right."""
    return blank[:place] + bytes(2) + blank[place + 2:] if checksum(data[:size]) == 0 else blank


def _without(check: bytes, word: int) -> bytes:
    """The checksum as it would be with zero in place of the word (RFC 1624); none of a packet's headers is all zero."""
    total = (~int.from_bytes(check, "big") & 0xFFFF) + (~word & 0xFFFF)
    total = (total & 0xFFFF) + (total >> 16)
    total = (total & 0xFFFF) + (total >> 16)
    return (~total & 0xFFFF).to_bytes(2, "big")


def _aged(box: Outcome) -> list[Flow]:
    """The flows as they were when the last packet had come."""
    return [dataclasses.replace(flow, timeout=flow.timeout + box.idle) for flow in box.flows]


def _compare_flows(kernel: list[Flow], sluice: list[Flow], chosen: ChosenPorts) -> list[Difference]:
    theirs = {flow.key: flow for flow in kernel}
    ours = {flow.key: flow for flow in sluice}
    found = [Difference("flow", None, f"flow only in the kernel: {flow}")
             for key, flow in theirs.items() if key not in ours and flow.timeout > _TIMEOUT_SECONDS]
    found += [Difference("flow", None, f"flow only in sluice: {flow}")
              for key, flow in ours.items() if key not in theirs and flow.timeout > _TIMEOUT_SECONDS]
    for key in theirs.keys() & ours.keys():
        left, right = theirs[key], ours[key]
        if abs(left.timeout - right.timeout) <= _TIMEOUT_SECONDS:
            right = dataclasses.replace(right, timeout=left.timeout)
        if left != right and not chosen.same_flow(left, right):
            found.append(Difference("flow", None, f"flow differs\n  kernel: {left}\n  sluice: {right}"))
    return found
