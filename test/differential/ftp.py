"""Control connections of FTP through NAT: who announces what, in which words, sent once or twice, and the data connections
that come of it. Both ends count as real ones do, so that later segments fit only if the box adjusts their numbers.
"""
import random
import struct

import packets as p
from case import Packet
from topology import DMZ_HOSTS, LAN_HOSTS, REMOTE_HOSTS, WAN, WAN_HOST, Host, packed

_WORD = 0xFFFFFFFF
# Long and short ones beside the addresses inside, of networks that lead nowhere.
_POOL = {4: ("10.97.0.5", "10.97.100.150", WAN.ip4), 6: ("fd00:97::50", WAN.ip6)}


def case(r: random.Random, count: int) -> tuple[dict, list[Packet]]:
    shown = {version: r.choice(_POOL[version]) for version in (4, 6)}
    server = r.choice(LAN_HOSTS)
    rules = {"conntrack": {"helpers": ["ftp", "tftp"]}, "nat": {
        "prerouting": [{"name": f"in{version}", "in": "wan", "daddr": shown[version], "proto": "tcp", "dport": 21,
                        "dnat": server.address_text(version)} for version in (4, 6)],
        "postrouting": [{"name": f"out{version}", "out": "wan", "snat": shown[version]} for version in (4, 6)]}}
    made: list[Packet] = []
    port = 20000
    while len(made) < count:
        version = r.choice((4, 4, 6))
        if r.random() < 0.5:
            client = _End(r, version, r.choice([*LAN_HOSTS, *DMZ_HOSTS]), port, shown[version])
            dialogue = _Dialogue(r, version, client, _End(r, version, r.choice([*REMOTE_HOSTS, WAN_HOST]), 21), port)
        else:
            client = _End(r, version, r.choice([*REMOTE_HOSTS, WAN_HOST]), port)
            dialogue = _Dialogue(r, version, client, _End(r, version, server, 21, shown[version]), port)
        made += dialogue.script()
        port += 20
    return rules, made[:count]


class _End:
    def __init__(self, r: random.Random, version: int, host: Host, port: int, shown: str | None = None):
        self.host, self.port = host, port
        self.own = host.address_text(version)
        self.shown = shown or self.own
        self.sent = self.seen = r.choice((1000, 0xFFFFFFF0, r.getrandbits(32)))  # by its count and the other's


class _Dialogue:
    def __init__(self, r: random.Random, version: int, client: _End, server: _End, port: int):
        self.r, self.version, self.client, self.server = r, version, client, server
        self.data_port = port + 1
        self.made: list[Packet] = []

    def script(self) -> list[Packet]:
        r = self.r
        sack = r.choice((b"", b"\1\1\4\2"))
        self._say(self.client, p.SYN, options=sack)
        self._say(self.server, p.SYN | p.ACK, options=sack)
        self._say(self.client, p.ACK)
        self._line(self.server, "220 ready\r\n")
        self._line(self.client, "USER me\r\n")
        for _ in range(r.randint(3, 9)):
            r.choices((self._announce, self._chat, self._again, self._acknowledge, self._nonsense), (6, 4, 3, 2, 1))[0]()
        return self.made

    def _chat(self) -> None:
        end = self.r.choice((self.client, self.server))
        self._line(end, self.r.choice(("NOOP\r\n", "200 fine\r\n", "250 " + "x" * 300 + "\r\n")))

    def _again(self) -> None:
        self.made.append(self.made[-1])

    def _acknowledge(self) -> None:
        end, other = self.r.sample((self.client, self.server), 2)
        self._say(end, p.ACK)
        if self.r.random() < 0.5:
            edge = other.seen + 10 & _WORD
            self._say(end, p.ACK, options=b"\1\1" + struct.pack("!BBII", 5, 10, edge, edge + 7 & _WORD))

    def _nonsense(self) -> None:
        """Of somebody else's address: nothing is expected, and the text stays."""
        if self.version == 4:
            self._line(self.client, "PORT 192,0,2,99,4,1\r\n")

    def _announce(self) -> None:
        r = self.r
        self.data_port += 1
        from_client = r.random() < 0.5
        end, other = (self.client, self.server) if from_client else (self.server, self.client)
        word = r.choice(("classic", "extended") if self.version == 4 else ("extended",))
        self._line(end, self._text(from_client, word, end.own), self._text(from_client, word, end.shown, True))
        if r.random() < 0.3:
            self._again()
        if r.random() < 0.8:
            port = 20 if from_client else 30000 + self.data_port % 1000
            wanted = self.data_port if r.random() < 0.9 else self.data_port + 1
            self._segment(other, packed(other.own), packed(end.shown), port, wanted, p.SYN, 77, 0)
            if r.random() < 0.7:
                self._segment(end, packed(end.own), packed(other.shown), wanted, port, p.SYN | p.ACK, 99, 78)
        if r.random() < 0.5:
            self._line(other, "200 fine\r\n")

    def _text(self, from_client: bool, word: str, address: str, written_anew: bool = False) -> str:
        port = self.data_port
        if word == "classic":
            numbers = f"{address.replace('.', ',')},{port >> 8},{port & 255}"
            return f"PORT {numbers}\r\n" if from_client else f"227 Entering Passive Mode ({numbers}).\r\n"
        if not from_client:
            return f"229 Extended (|||{port}|)\r\n"
        if self.version == 4:
            return f"EPRT |1|{address}|{port}|\r\n"
        # Linux writes all digits.
        return f"EPRT |2|{packed(address).hex(':', 2) if written_anew else address}|{port}|\r\n"

    def _line(self, end: _End, text: str, arrives: str | None = None) -> None:
        self._say(end, p.ACK | p.PSH, text.encode(), len(text if arrives is None else arrives))

    def _say(self, end: _End, flags: int, data: bytes = b"", arrives: int = 0, options: bytes = b"") -> None:
        other = self.server if end is self.client else self.client
        self._segment(end, packed(end.own), packed(other.shown), end.port, other.port, flags, end.sent,
                      other.seen if flags & p.ACK else 0, data, options)
        end.sent = end.sent + len(data) + bool(flags & p.SYN) & _WORD
        end.seen = end.seen + arrives + bool(flags & p.SYN) & _WORD

    def _segment(self, end: _End, src: bytes, dst: bytes, sport: int, dport: int, flags: int, seq: int, ack: int,
                 data: bytes = b"", options: bytes = b"") -> None:
        segment = p.tcp(src, dst, sport, dport, flags, seq, ack, options=options, data=data)
        self.made.append(Packet(end.host.side, p.frame(end.host, p.ip(src, dst, p.TCP, segment))))
