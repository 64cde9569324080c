"""Frames by the ten thousand, and conversations that go on in the midst of them.

scapy takes a millisecond for a frame; struct takes a few microseconds.
"""
import dataclasses
import ipaddress
import struct

from net import DMZ, HOST, LAN, REMOTE, ROUTER, SERVER, WAN
from wire import checksum

FIN, SYN, RST, PUSH, ACK = 1, 2, 4, 8, 16
_ICMP, _TCP, _UDP = 1, 6, 17
_DONT_FRAGMENT, _MORE_FRAGMENTS = 0x4000, 0x2000
_SIDES = {"lan": LAN, "wan": WAN, "dmz": DMZ}


def packed(ip: str) -> bytes:
    return ipaddress.ip_address(ip).packed


def _mac(text: str) -> bytes:
    return bytes.fromhex(text.replace(":", ""))


_LINKS = {name: _mac(side.mac) + _mac(station.mac) + b"\x08\x00"
          for (name, side), station in zip(_SIDES.items(), (HOST, ROUTER, SERVER))}


def frame(side: str, src: bytes, dst: bytes, proto: int, body: bytes, *, ident: int = 1, fragment: int = 0,
          tos: int = 0) -> bytes:
    """An IPv4 packet as it comes by an interface; `fragment`: flags and offset as they stand in the header."""
    head = struct.pack("!BBHHHBB", 0x45, tos, 20 + len(body), ident & 0xFFFF, fragment, 64, proto)
    total = checksum(head + b"\0\0" + src + dst)
    return _LINKS[side] + head + struct.pack("!H", total) + src + dst + body


def on_link(side: str, packet: bytes) -> bytes:
    """The frame as if it came by another interface."""
    return _LINKS[side] + packet[14:]


def segment(src: bytes, dst: bytes, sport: int, dport: int, flags: int, seq: int, ack: int = 0, data: bytes = b"") -> bytes:
    head = struct.pack("!HHIIBBH", sport, dport, seq & 0xFFFFFFFF, ack & 0xFFFFFFFF, 5 << 4, flags, 65535)
    pseudo = src + dst + struct.pack("!HH", _TCP, 20 + len(data))
    return head + struct.pack("!HH", checksum(pseudo + head + bytes(4) + data), 0) + data


def syn(side: str, src: bytes, dst: bytes, sport: int, dport: int) -> bytes:
    return frame(side, src, dst, _TCP, segment(src, dst, sport, dport, SYN, sport * 977), fragment=_DONT_FRAGMENT)


def datagram(side: str, src: bytes, dst: bytes, sport: int, dport: int, data: bytes = b"") -> bytes:
    """UDP without a checksum, which IPv4 allows."""
    return frame(side, src, dst, _UDP, struct.pack("!HHHH", sport, dport, 8 + len(data), 0) + data)


def echo(side: str, src: bytes, dst: bytes, ident: int) -> bytes:
    body = struct.pack("!BBHHH", 8, 0, 0, ident, 1)
    return frame(side, src, dst, _ICMP, body[:2] + struct.pack("!H", checksum(body)) + body[4:])


def first_fragment(side: str, src: bytes, dst: bytes, ident: int, size: int = 64) -> bytes:
    """Of a UDP datagram of which no more will come."""
    body = struct.pack("!HHHH", 4000, 5000, 60000, 0) + bytes(size - 8)
    return frame(side, src, dst, _UDP, body, ident=ident, fragment=_MORE_FRAGMENTS)


def later_fragment(side: str, src: bytes, dst: bytes, ident: int, offset: int, size: int) -> bytes:
    return frame(side, src, dst, _UDP, bytes(size), ident=ident, fragment=_MORE_FRAGMENTS | offset // 8)


@dataclasses.dataclass
class TcpTalk:
    """A connection of a host inside with one outside."""
    port: int
    src: bytes = packed(HOST.ip4)
    dst: bytes = packed(REMOTE.ip4)
    seq: int = 1000
    ack: int = 5000

    def _out(self, flags: int, data: bytes = b"") -> tuple[str, bytes]:
        body = segment(self.src, self.dst, self.port, 80, flags, self.seq, self.ack if flags & ACK else 0, data)
        self.seq += len(data) + bool(flags & (SYN | FIN))
        return "lan", frame("lan", self.src, self.dst, _TCP, body)

    def _back(self, flags: int, data: bytes = b"") -> tuple[str, bytes]:
        body = segment(self.dst, self.src, 80, self.port, flags, self.ack, self.seq, data)
        self.ack += len(data) + bool(flags & (SYN | FIN))
        return "wan", frame("wan", self.dst, self.src, _TCP, body)

    def opening(self) -> list[tuple[str, bytes]]:
        return [self._out(SYN), self._back(SYN | ACK), self._out(ACK)]

    def exchange(self) -> list[tuple[str, bytes]]:
        return [self._out(PUSH | ACK, b"question"), self._back(PUSH | ACK, b"an answer"), self._out(ACK)]

    @property
    def key(self) -> tuple[str, int]:
        return "tcp", self.port


@dataclasses.dataclass
class UdpTalk:
    """The same with datagrams; `size` beyond what fits makes each of them come in fragments."""
    port: int
    size: int = 20
    src: bytes = packed(HOST.ip4)
    dst: bytes = packed(REMOTE.ip4)
    ident: int = 1

    def _send(self, side: str, src: bytes, dst: bytes, sport: int, dport: int) -> list[tuple[str, bytes]]:
        self.ident += 1
        body = struct.pack("!HHHH", sport, dport, 8 + self.size, 0) + bytes(self.size)
        pieces = [body[place:place + 1000] for place in range(0, len(body), 1000)]
        return [(side, frame(side, src, dst, _UDP, piece, ident=self.ident,
                             fragment=n * 125 | (_MORE_FRAGMENTS if n + 1 < len(pieces) else 0)))
                for n, piece in enumerate(pieces)]

    def opening(self) -> list[tuple[str, bytes]]:
        return self.exchange()

    def exchange(self) -> list[tuple[str, bytes]]:
        return [*self._send("lan", self.src, self.dst, self.port, 53), *self._send("wan", self.dst, self.src, 53, self.port)]

    @property
    def key(self) -> tuple[str, int]:
        return "udp", self.port


def talks(count: int) -> list:
    """Half of each kind, their openings not yet sent."""
    return [TcpTalk(40000 + n) if n % 2 else UdpTalk(40000 + n) for n in range(count)]
