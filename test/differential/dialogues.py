"""TCP and SCTP as no host speaks them: flags, chunks and numbers drawn from the few that matter, so that corners of the
trackers are met which conversations (tcp.py, traffic.py) hardly ever reach. Each dialogue has a port of its own.
"""
import random
import struct

import packets as p
from case import Packet
from topology import DMZ_HOSTS, LAN_HOSTS

_STEPS = 9
_CLIENT, _SERVER = range(2)
_ENDS = (DMZ_HOSTS[0], LAN_HOSTS[0])
_FIRST_PORT, _SERVER_PORT = 10000, 443
_WORD = 0xFFFFFFFF


def packets(r: random.Random, count: int) -> list[Packet]:
    made: list[Packet] = []
    port = _FIRST_PORT
    while len(made) < count:
        kind = r.choices((_Segments, _Chunks), (2, 1))[0]
        made += kind(r, r.choice((4, 4, 6)), port).script()
        port += 1
    return made[:count]


class _Dialogue:
    def __init__(self, r: random.Random, version: int, port: int):
        self.r, self.version = r, version
        self.ports = (port, _SERVER_PORT)

    def _addresses(self, sender: int) -> tuple[bytes, bytes]:
        return _ENDS[sender].address(self.version), _ENDS[1 - sender].address(self.version)

    def _packet(self, sender: int, proto: int, payload: bytes) -> Packet:
        return Packet(_ENDS[sender].side, p.frame(_ENDS[sender], p.ip(*self._addresses(sender), proto, payload)))


class _Segments(_Dialogue):
    """TCP: a connection as far as it may come, then anything near the edges of its windows."""
    _OFFERS = [bytes.fromhex(text) for text in ("", "", "03030701", "0402010303030501", "04020101", "020405b4", "03030f00",
                                                "03040700")]
    _FLAGS = [p.SYN, p.SYN, p.SYN | p.ACK, p.ACK, p.ACK, p.ACK, p.ACK, p.ACK | p.PSH, p.ACK | p.URG, p.FIN | p.ACK, p.FIN | p.ACK,
              p.RST, p.RST, p.RST | p.ACK, p.RST | p.ACK, p.FIN, p.SYN | p.FIN, p.SYN | p.RST, p.FIN | p.RST, 0]
    _AHEAD = [0, 0, 0, 0, 1, -1, -100, 1000, 65535, 65536, 70000, -65536, -66000, -66001, -66002, 200000]

    def __init__(self, r: random.Random, version: int, port: int):
        super().__init__(r, version, port)
        self._begin([r.choice((1000, 0x7FFFFFFF, 0xFFFFFF00)), r.choice((5000, 0xFFFFFFFE))])

    def _begin(self, first: list[int]) -> None:
        self.first = first
        self.next = list(first)

    def script(self) -> list[Packet]:
        made = self._opening(self.r.randrange(4))
        while len(made) < _STEPS:
            made.append(self._anything())
            if self.r.random() < 0.1:
                self._begin([(number + self.r.choice((500, 70000, -70000))) & _WORD for number in self.next])
                made += self._opening(self.r.randrange(1, 4))
        return made

    def _opening(self, segments: int) -> list[Packet]:
        made = []
        if segments > 0:
            made.append(self._segment(_CLIENT, p.SYN, self.first[_CLIENT], 0, options=self.r.choice(self._OFFERS)))
        if segments > 1:
            made.append(self._segment(_SERVER, p.SYN | p.ACK, self.first[_SERVER], self.next[_CLIENT],
                                      options=self.r.choice(self._OFFERS)))
        if segments > 2:
            made.append(self._segment(_CLIENT, p.ACK, self.next[_CLIENT], self.next[_SERVER]))
        return made

    def _anything(self) -> Packet:
        r, sender = self.r, self.r.randrange(2)
        flags = r.choice(self._FLAGS)
        seq = r.choice((*(self.next[sender] + ahead for ahead in self._AHEAD), self.first[sender], self.first[sender] + 1, 0,
                        r.getrandbits(32)))
        ack = r.choice((*(self.next[1 - sender] + ahead for ahead in self._AHEAD), self.first[1 - sender] + 1, 0,
                        r.getrandbits(32)))
        if not flags & p.ACK and r.random() < 0.8:
            ack = 0
        options = r.choice(self._OFFERS) if flags & p.SYN else r.choice((b"", b"", b"", self._sack()))
        data = b"" if flags & (p.SYN | p.RST) else p.pattern(r.choice((0, 0, 1, 100, 1000)))
        return self._segment(sender, flags, seq, ack, window=r.choice((65535, 65535, 1000, 20, 1, 0)), options=options, data=data)

    def _sack(self) -> bytes:
        left = self.first[self.r.randrange(2)] + self.r.choice((1, 101, 1001)) & _WORD
        return b"\1\1\5\12" + struct.pack("!II", left, left + self.r.choice((1, 100, 70000)) & _WORD)

    def _segment(self, sender: int, flags: int, seq: int, ack: int, *, window: int = 65535, options: bytes = b"",
                 data: bytes = b"") -> Packet:
        end = seq + len(data) + bool(flags & p.SYN) + bool(flags & p.FIN) & _WORD
        if 0 < (end - self.next[sender] & _WORD) <= 200000:
            self.next[sender] = end
        return self._packet(sender, p.TCP, p.tcp(*self._addresses(sender), self.ports[sender], self.ports[1 - sender], flags, seq,
                                                 ack, window=window, options=options, data=data))


class _Chunks(_Dialogue):
    """SCTP: an association as far as it may come, then any chunks with one of few tags."""
    _TAGS = (0x1111, 0x2222)  # that packets to the client and to the server carry
    _INIT, _INIT_ACK, _ABORT, _SHUTDOWN_COMPLETE = 1, 2, 6, 14
    _TYPES = [0, 1, 1, 2, 2, 3, 4, 4, 5, 5, 6, 7, 8, 9, 10, 11, 12, 14, 64, 255]

    def script(self) -> list[Packet]:
        opening = [(_CLIENT, 0, self._initiate(self._INIT, self._TAGS[0])), (_SERVER, None, self._initiate(self._INIT_ACK, self._TAGS[1])),
                   (_CLIENT, None, p.sctp_chunk(10, b"cook")), (_SERVER, None, p.sctp_chunk(11)),
                   (_CLIENT, None, p.sctp_chunk(7, bytes(4))), (_SERVER, None, p.sctp_chunk(8))]
        made = [self._chunks(sender, self._TAGS[1 - sender] if tag is None else tag, chunk)
                for sender, tag, chunk in opening[:self.r.randrange(len(opening) + 1)]]
        while len(made) < _STEPS:
            made.append(self._anything())
        return made

    def _anything(self) -> Packet:
        r, sender = self.r, self.r.randrange(2)
        kinds = r.choices(self._TYPES, k=r.choice((1, 1, 1, 1, 2, 2, 3)))
        right, other = self._TAGS[1 - sender], self._TAGS[sender]
        tag = 0 if kinds == [self._INIT] and r.random() < 0.9 else r.choice((right, right, right, right, other, 0, 0x3333))
        return self._chunks(sender, tag, *(self._chunk(kind) for kind in kinds))

    def _chunk(self, kind: int) -> bytes:
        if kind in (self._INIT, self._INIT_ACK):
            return self._initiate(kind, self.r.choice((*self._TAGS, 0x3333, 0)), 8 if self.r.random() < 0.05 else 16)
        reflected = self.r.randrange(2) if kind in (self._ABORT, self._SHUTDOWN_COMPLETE) else 0
        chunk = p.sctp_chunk(kind, bytes(self.r.choice((0, 4, 5, 8))), reflected)
        if self.r.random() < 0.03:
            chunk = chunk[:2] + struct.pack("!H", self.r.choice((0, 1, 3, 100))) + chunk[4:]
        return chunk

    def _initiate(self, kind: int, tag: int, size: int = 16) -> bytes:
        return p.sctp_chunk(kind, struct.pack("!IIHHI", tag, 65535, 1, 1, 1)[:size])

    def _chunks(self, sender: int, tag: int, *chunks: bytes) -> Packet:
        return self._packet(sender, p.SCTP, p.sctp(self.ports[sender], self.ports[1 - sender], tag, *chunks))
