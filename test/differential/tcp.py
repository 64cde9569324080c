"""TCP conversations between two hosts, right and wrong, as the packets a box between them sees."""
import dataclasses
import random
import struct

import packets as p
from topology import Host

_PAD = b"\x01"


@dataclasses.dataclass
class End:
    host: Host
    port: int
    seq: int  # next to be sent
    window: int
    scale: int | None
    sack: bool
    stamps: bool
    stamp: int = 1000


class Conversation:
    """Emits segments of both ends; what was emitted is in `segments`, as (end, IP packet)."""

    def __init__(self, r: random.Random, version: int, client: Host, server: Host, ports: tuple[int, int]):
        self.r = r
        self.version = version
        self.ends = [End(host, port, r.choice((1, 1000, 0x7FFFFFF0, 0xFFFFFF00, r.getrandbits(32))),
                         r.choice((65535, 29200, 8192, 1000, 0)),
                         r.choice((None, 0, 2, 7, 14)), r.random() < 0.5, r.random() < 0.4)
                     for host, port in zip((client, server), ports)]
        self.segments: list[tuple[int, bytes]] = []

    def script(self) -> list[tuple[int, bytes]]:
        """A whole conversation: how it begins, what happens in it, how it ends."""
        r = self.r
        r.choices((self._handshake, self._simultaneous_open, self._retransmitted_handshake, self._midstream,
                   self._half_handshake, self._challenge), (10, 2, 3, 3, 2, 2))[0]()
        for _ in range(r.choice((0, 1, 3, 8))):
            r.choices((self._exchange, self._window_update, self._wrong_sequence, self._wrong_acknowledgement,
                       self._odd_flags, self._retransmit, self._hole, self._syn_again, self._keepalive,
                       self._early_reset, self._out_of_window),
                      (10, 2, 2, 2, 2, 2, 2, 1, 1, 1, 2))[0]()
        r.choices((self._close, self._half_close, self._simultaneous_close, self._reset, self._wrong_reset,
                   lambda: None), (6, 2, 2, 3, 2, 3))[0]()
        for _ in range(r.choice((0, 0, 1, 2))):
            r.choices((self._handshake_again, self._exchange, self._retransmit, self._odd_flags, self._wrong_reset),
                      (3, 1, 2, 1, 1))[0]()
        return self.segments

    def send(self, which: int, flags: int, data: bytes = b"", *, seq: int | None = None, ack: int | None = None,
             sack: bytes = b"", lost: bool = False, window: int | None = None) -> None:
        """One segment; without `seq` the next in order, which moves the end on. A lost one is not seen by the box."""
        end, peer = self.ends[which], self.ends[1 - which]
        in_order = seq is None
        options = self._options(end, peer, flags, sack)
        src, dst = end.host.address(self.version), peer.host.address(self.version)
        segment = p.tcp(src, dst, end.port, peer.port, flags, end.seq if in_order else seq,
                        (peer.seq if ack is None else ack) if flags & p.ACK else 0 if ack is None else ack,
                        window=end.window if window is None else window, options=options, data=data)
        if in_order:
            end.seq = (end.seq + len(data) + bool(flags & p.SYN) + bool(flags & p.FIN)) & 0xFFFFFFFF
        if not lost:
            self.segments.append((which, p.ip(src, dst, p.TCP, segment)))

    def _options(self, end: End, peer: End, flags: int, sack: bytes) -> bytes:
        options = b""
        if flags & p.SYN:
            options += struct.pack("!BBH", 2, 4, 1460)
            if end.scale is not None:
                options += _PAD + bytes((3, 3, end.scale))
            if end.sack:
                options += _PAD * 2 + bytes((4, 2))
        if sack:
            options += _PAD * 2 + sack
        if end.stamps and (peer.stamps or flags & p.SYN):
            end.stamp += 1
            options += _PAD * 2 + struct.pack("!BBII", 8, 10, end.stamp, peer.stamp)
        return options

    def _data(self) -> bytes:
        return p.pattern(self.r.choice((1, 2, 10, 100, 536, 1000)))

    def _side(self) -> int:
        return self.r.randrange(2)

    # How it begins.

    def _handshake(self) -> None:
        self.send(0, p.SYN)
        self.send(1, p.SYN | p.ACK)
        self.send(0, p.ACK)

    def _handshake_again(self) -> None:
        """The same ports, from a new sequence number, as after TIME-WAIT."""
        for end in self.ends:
            end.seq = (end.seq + self.r.choice((1, 100000, 0x80000000))) & 0xFFFFFFFF
        self._handshake()

    def _simultaneous_open(self) -> None:
        first = [end.seq for end in self.ends]
        self.send(0, p.SYN)
        self.send(1, p.SYN)
        for which in self.r.sample((0, 1), 2):
            self.send(which, p.SYN | p.ACK, seq=first[which])
        if self.r.random() < 0.5:
            self.send(0, p.ACK)
            self.send(1, p.ACK)

    def _retransmitted_handshake(self) -> None:
        first = [end.seq for end in self.ends]
        self.send(0, p.SYN)
        if self.r.random() < 0.7:
            self.send(0, p.SYN, seq=first[0] + self.r.choice((0, 0, 7000)))
        self.send(1, p.SYN | p.ACK, lost=self.r.random() < 0.2)
        if self.r.random() < 0.5:
            self.send(0, p.SYN, seq=first[0])
        if self.r.random() < 0.5:
            self.send(1, p.SYN | p.ACK, seq=first[1])
        self.send(0, p.ACK)

    def _midstream(self) -> None:
        which = self._side()
        self.send(which, self.r.choice((p.ACK, p.ACK | p.PSH, p.ACK | p.FIN, p.SYN | p.ACK)), self._data())
        self.send(1 - which, p.ACK)

    def _half_handshake(self) -> None:
        self.send(0, p.SYN)
        if self.r.random() < 0.5:
            self.send(1, p.SYN | p.ACK)
        elif self.r.random() < 0.5:
            self.send(1, p.RST | p.ACK, seq=0)

    def _challenge(self) -> None:
        """A SYN that is answered by an ACK of something else; then a reset, then a SYN that is taken."""
        self.send(0, p.SYN)
        self.send(1, p.ACK, ack=self.ends[0].seq + self.r.choice((-5000, 5000)))
        if self.r.random() < 0.7:
            self.send(0, p.RST, seq=self.ends[0].seq - 5000)
        self._handshake_again()

    # What happens in it.

    def _exchange(self) -> None:
        which = self._side()
        self.send(which, p.ACK | p.PSH, self._data())
        if self.r.random() < 0.8:
            self.send(1 - which, p.ACK)

    def _window_update(self) -> None:
        which = self._side()
        self.send(which, p.ACK, window=self.r.choice((0, 1, 100, 65535)))
        if self.r.random() < 0.5:
            self.send(1 - which, p.ACK, p.pattern(self.r.choice((1, 101, 1000))))

    def _wrong_sequence(self) -> None:
        which = self._side()
        self.send(which, p.ACK, self._data(), seq=self.ends[which].seq + self.r.choice(
            (-1, -1000, -70000, -200000, 1, 1000, 66000, 70000, 200000, 0x7FFFFFFF, 0x80000000)))

    def _wrong_acknowledgement(self) -> None:
        which = self._side()
        self.send(which, p.ACK, ack=self.ends[1 - which].seq + self.r.choice(
            (-1, -1000, -66000, -70000, -200000, 1, 1000, 70000, 0x7FFFFFFF, 0x80000000)))

    def _out_of_window(self) -> None:
        """At the edges of what the peer's window allows."""
        which = self._side()
        peer = self.ends[1 - which]
        edge = peer.window << (peer.scale or 0)
        self.send(which, p.ACK, b"x", seq=self.ends[which].seq + edge + self.r.choice((-2, -1, 0, 1, 2)))

    def _odd_flags(self) -> None:
        flags = self.r.choice((0, p.FIN, p.FIN | p.PSH | p.URG, p.SYN | p.FIN, p.SYN | p.RST, 0xFF, p.URG, p.PSH,
                               p.SYN | p.ACK | p.PSH, p.ACK | p.URG, p.SYN | p.URG, p.RST | p.PSH, p.RST | p.FIN,
                               p.ACK | p.ECE, p.SYN | p.ECE | p.CWR, p.SYN | p.PSH, p.FIN | p.RST | p.ACK,
                               self.r.randrange(256)))
        which = self._side()
        self.send(which, flags, seq=self.ends[which].seq)

    def _retransmit(self) -> None:
        if self.segments:
            for _ in range(self.r.choice((1, 1, 2, 4))):
                self.segments.append(self.r.choice(self.segments[-6:]))

    def _hole(self) -> None:
        """A lost segment, what comes after it with SACK, and the repair."""
        which = self._side()
        first = self.ends[which].seq
        data = self._data()
        self.send(which, p.ACK, data, lost=True)
        begin = self.ends[which].seq
        self.send(which, p.ACK, self._data())
        block = struct.pack("!BBII", 5, 10, begin, self.ends[which].seq)
        self.send(1 - which, p.ACK, ack=first, sack=block)
        self.send(which, p.ACK, data, seq=first)
        self.send(1 - which, p.ACK)

    def _syn_again(self) -> None:
        which = self._side()
        self.send(which, self.r.choice((p.SYN, p.SYN | p.ACK)),
                  seq=self.ends[which].seq + self.r.choice((-1, 0, 1, 100000)))
        if self.r.random() < 0.5:
            self.send(1 - which, p.ACK)

    def _keepalive(self) -> None:
        which = self._side()
        self.send(which, p.ACK, b"\0" if self.r.random() < 0.5 else b"", seq=self.ends[which].seq - 1)
        self.send(1 - which, p.ACK)

    def _early_reset(self) -> None:
        which = self._side()
        self.send(which, p.RST, seq=self.ends[which].seq + self.r.choice((-100000, 1, 100, 100000)))

    # How it ends.

    def _close(self) -> None:
        which = self._side()
        self.send(which, p.FIN | p.ACK)
        if self.r.random() < 0.5:
            self.send(1 - which, p.ACK)
        self.send(1 - which, p.FIN | p.ACK)
        self.send(which, p.ACK)

    def _half_close(self) -> None:
        which = self._side()
        self.send(which, p.FIN | p.ACK)
        self.send(1 - which, p.ACK)
        for _ in range(self.r.choice((1, 3))):
            self.send(1 - which, p.ACK, self._data())
            self.send(which, p.ACK)

    def _simultaneous_close(self) -> None:
        acks = [end.seq for end in self.ends]
        self.send(0, p.FIN | p.ACK)
        self.send(1, p.FIN | p.ACK, ack=acks[0])
        self.send(0, p.ACK)
        self.send(1, p.ACK)

    def _reset(self) -> None:
        which = self._side()
        self.send(which, p.RST | self.r.choice((0, p.ACK)))
        if self.r.random() < 0.5:
            self.send(1 - which, p.ACK, self._data())

    def _wrong_reset(self) -> None:
        which = self._side()
        self.send(which, p.RST | self.r.choice((0, p.ACK)),
                  seq=self.ends[which].seq + self.r.choice((-1, 1, -70000, 70000, 0x80000000)),
                  ack=self.ends[1 - which].seq + self.r.choice((0, 0, -70000, 70000)))
