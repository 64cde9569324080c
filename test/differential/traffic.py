"""Seeded traffic: conversations between the hosts of topology.py and with the box, mixed together, some of it broken."""
import dataclasses
import random
import struct

import packets as p
import tcp
from case import Packet
from topology import BOX, BOX_ADDRESSES, DMZ_HOSTS, HOSTS, LAN_HOSTS, ROUTER, Host, packed

SERVER_PORTS = [22, 53, 80, 443, 8080]
CLIENT_PORTS = [1024, 4000, 4001, 40000, 65535]
_LABELLED_ERRORS4 = [(3, 0), (3, 1), (3, 2), (3, 3), (3, 4), (3, 13), (4, 0), (5, 1), (11, 0), (11, 1), (12, 0), (3, 200)]
_LABELLED_ERRORS6 = [(1, 0), (1, 1), (1, 3), (1, 4), (2, 0), (3, 0), (3, 1), (4, 0), (4, 1), (4, 2), (1, 99), (100, 0)]
# Seconds. Whatever adds up of them stays away from the whole seconds of timeouts.
_WAITS = [0.43, 1.37, 2.41]

Talk = list[tuple[Host, bytes]]  # (sender, IP packet)


class Traffic:
    def __init__(self, r: random.Random, fills_options: bool = True):
        """Without `fills_options` nothing asks for Record Route or a timestamp, nor is anything behind the end of options:
        Linux writes there without mending the header's checksum until the packet leaves, and what rejects it in between is
        not sent."""
        self.r = r
        self._fills_options = fills_options
        self._ident = r.randrange(1, 30000)
        self._kinds = [
            (self._tcp, 10), (self._udp, 4), (self._echo, 4), (self._icmp_other, 1), (self._sctp, 2), (self._gre, 1),
            (self._other_protocol, 1), (self._refused_network, 1), (self._low_ttl, 1), (self._too_big, 1),
            (self._malformed_tcp, 1), (self._malformed_udp, 1),
        ]

    def packets(self, count: int, waits: int = 0) -> list[Packet]:
        """`count` packets: talks of their own order, shuffled into each other; some wait."""
        talks: list[Talk] = []
        while sum(map(len, talks)) < count:
            talks.append(self._talk())
        mixed: list[Packet] = []
        waiting = []
        while len(mixed) < count and (talks or waiting):
            # Few talks at a time, so that ports are used again after a conversation as well as within one.
            while talks and len(waiting) < 6:
                waiting.append(talks.pop(0))
            talk = self.r.choice(waiting)
            host, packet = talk.pop(0)
            mixed.append(Packet(host.side, p.frame(host, packet)))
            if not talk:
                waiting.remove(talk)
        for place in self.r.sample(range(count), min(waits, count)):
            mixed[place] = dataclasses.replace(mixed[place], wait=self.r.choice(_WAITS))
        return mixed

    def _talk(self) -> Talk:
        kinds, weights = zip(*self._kinds)
        version = self.r.choice((4, 4, 6))
        client, server = self._pair()
        talk = self.r.choices(kinds, weights)[0](version, client, server)
        for change, chance in ((self._with_errors, 0.25), (self._with_extensions, 0.08), (self._with_fragments, 0.15),
                               (self._with_damage, 0.1)):
            if self.r.random() < chance:
                talk = change(version, talk)
        # The box speaks for itself.
        return [entry for entry in talk if entry[0] not in BOX.values()] or self._talk()

    def _pair(self) -> tuple[Host, Host]:
        client = self.r.choice(HOSTS)
        if self.r.random() < 0.2:
            return client, BOX[self.r.choice((client.side, client.side, "lan", "wan"))]
        # The box sends no packet back to the side it came from: that would be redirects.
        return client, self.r.choice([host for host in HOSTS if host.side != client.side])

    def _ports(self) -> tuple[int, int]:
        return self.r.choice(CLIENT_PORTS), self.r.choice(SERVER_PORTS)

    def _next_ident(self) -> int:
        self._ident = self._ident % 65535 + 1
        return self._ident

    # Talks.

    def _tcp(self, version: int, client: Host, server: Host) -> Talk:
        talk = tcp.Conversation(self.r, version, client, server, self._ports())
        return [((client, server)[which], packet) for which, packet in talk.script()]

    def _udp(self, version: int, client: Host, server: Host) -> Talk:
        src, dst = client.address(version), server.address(version)
        sport, dport = self._ports()
        talk = []
        for _ in range(self.r.choice((1, 1, 2, 5))):
            data = p.pattern(self.r.choice((0, 1, 30, 500, 1300)))
            if self.r.random() < 0.6:
                talk.append((client, p.ip(src, dst, p.UDP, p.udp(src, dst, sport, dport, data))))
            if self.r.random() < 0.6:
                talk.append((server, p.ip(dst, src, p.UDP, p.udp(dst, src, dport, sport, data))))
        return talk

    def _echo(self, version: int, client: Host, server: Host) -> Talk:
        src, dst = client.address(version), server.address(version)
        ident, talk = self.r.choice((1, 2, 77)), []
        for sequence in range(self.r.choice((1, 2, 4))):
            data = p.pattern(self.r.choice((0, 8, 56, 1000)))
            proto = p.icmp_proto(src)
            if self.r.random() < 0.8:
                talk.append((client, p.ip(src, dst, proto, p.echo(src, dst, ident, sequence, data))))
            if self.r.random() < 0.6:
                wrong = self.r.choice((0, 0, 0, 5))
                talk.append((server, p.ip(dst, src, proto, p.echo(dst, src, ident + wrong, sequence, data, reply=True))))
        return talk

    def _icmp_other(self, version: int, client: Host, server: Host) -> Talk:
        """Queries besides echo, types nobody knows, neighbour and multicast listener discovery beyond the link."""
        src, dst = client.address(version), server.address(version)
        kinds = ((13, 14), (15, 16), (17, 18), (9, 10), (19, 40), (44, 255), (0, 0)) if version == 4 else (
            (130, 131), (132, 143), (133, 134), (135, 136), (137, 138), (139, 140), (148, 149), (100, 101), (200, 127))
        if server in BOX.values():
            # Neither its clock nor its neighbours are asked of the box.
            kinds = ((15, 16), (17, 18), (44, 255)) if version == 4 else ((139, 140), (200, 127))
        ask, answer = self.r.choice(kinds)
        rest, ttl = 9 << 16 | 1, self.r.choice((64, 255))
        proto = p.icmp_proto(src)
        return [(client, p.ip(src, dst, proto, p.icmp(src, dst, ask, 0, rest, bytes(20)), ttl=ttl)),
                (server, p.ip(dst, src, proto, p.icmp(dst, src, answer, 0, rest, bytes(20)), ttl=ttl))]

    def _sctp(self, version: int, client: Host, server: Host) -> Talk:
        src, dst = client.address(version), server.address(version)
        sport, dport = self._ports()
        tags = [self.r.getrandbits(32) for _ in range(2)]  # that each end expects
        ends = ((client, src, dst, sport, dport), (server, dst, src, dport, sport))

        def packet(which: int, tag: int, *chunks: bytes) -> tuple[Host, bytes]:
            host, own, other, from_port, to_port = ends[which]
            if self.r.random() < 0.05:
                tag ^= 1
            return host, p.ip(own, other, p.SCTP, p.sctp(from_port, to_port, tag, *chunks))

        init = [struct.pack("!IIHHI", tag, 65535, 1, 1, 1) for tag in tags]
        data = p.sctp_chunk(0, struct.pack("!IHHI", 1, 0, 0, 0) + b"abcd", 3)
        talk = [packet(0, 0, p.sctp_chunk(1, init[0])),
                packet(1, tags[0], p.sctp_chunk(2, init[1] + struct.pack("!HH", 7, 8) + b"cook")),
                packet(0, tags[1], p.sctp_chunk(10, b"cook"), *([data] if self.r.random() < 0.3 else [])),
                packet(1, tags[0], p.sctp_chunk(11)), packet(0, tags[1], data), packet(1, tags[0], data)]
        if self.r.random() < 0.4:
            talk += [packet(0, tags[1], p.sctp_chunk(4, b"\0\1\0\4")), packet(1, tags[0], p.sctp_chunk(5, b"\0\1\0\4"))]
        ending = self.r.randrange(3)
        if ending == 0:
            talk += [packet(0, tags[1], p.sctp_chunk(7, bytes(4))), packet(1, tags[0], p.sctp_chunk(8)),
                     packet(0, tags[1], p.sctp_chunk(14))]
        elif ending == 1:
            talk.append(packet(self.r.randrange(2), tags[self.r.randrange(2)], p.sctp_chunk(6, flags=self.r.randrange(2))))
        first = self.r.choice((0, 0, 0, 1, 3, 4))
        return talk[first:]

    def _gre(self, version: int, client: Host, server: Host) -> Talk:
        src, dst = client.address(version), server.address(version)
        key = self.r.choice((None, 1, 5))
        data = p.pattern(self.r.choice((0, 40)))
        return [((client, p.ip(src, dst, p.GRE, p.gre(key=key, data=data))) if self.r.random() < 0.6 else
                 (server, p.ip(dst, src, p.GRE, p.gre(key=key, data=data)))) for _ in range(self.r.choice((1, 3)))]

    def _other_protocol(self, version: int, client: Host, server: Host) -> Talk:
        src, dst = client.address(version), server.address(version)
        # Not those the kernel has a handler of its own for, nor IPv6 extension headers.
        proto = self.r.choice((p.ESP, 51, 89, 112, 253, 136, 33) if version == 4 else (p.ESP, 89, 112, 253, 136, 33))
        if server in BOX.values():
            proto = self.r.choice((89, 253))
        body = struct.pack("!HHHH", *self._ports(), 40, 0) + bytes(32)
        return [((client, p.ip(src, dst, proto, body)) if self.r.random() < 0.6 else
                 (server, p.ip(dst, src, proto, body))) for _ in range(self.r.choice((1, 3)))]

    def _refused_network(self, version: int, client: Host, server: Host) -> Talk:
        n = self.r.choice((97, 98, 99) if version == 4 else (97, 98))
        dst = packed(f"10.{n}.0.1" if version == 4 else f"fd00:{n}::1")
        src = client.address(version)
        sport, dport = self._ports()
        return [(client, p.ip(src, dst, p.UDP, p.udp(src, dst, sport, dport, b"lost"))),
                (client, p.ip(src, dst, p.TCP, p.tcp(src, dst, sport, dport, p.SYN, 1)))]

    def _low_ttl(self, version: int, client: Host, server: Host) -> Talk:
        src, dst = client.address(version), server.address(version)
        sport, dport = self._ports()
        bodies = ((p.UDP, p.udp(src, dst, sport, dport, b"hop")), (p.TCP, p.tcp(src, dst, sport, dport, p.SYN, 5)),
                  (p.icmp_proto(src), p.echo(src, dst, 3, 1, b"hop")))
        talk = []
        for ttl in (1, 2, 3):
            proto, body = self.r.choice(bodies)
            talk.append((client, p.ip(src, dst, proto, body, ttl=ttl)))
        return talk

    def _too_big(self, version: int, client: Host, server: Host) -> Talk:
        src, dst = client.address(version), server.address(version)
        sport, dport = self._ports()
        body = p.udp(src, dst, sport, dport, p.pattern(self.r.choice((1372, 1373, 1400, 1440, 1452))))
        flags = {"flags": self.r.choice((0, p.DONT_FRAGMENT)), "ident": self._next_ident()}
        return [(client, p.ip(src, dst, p.UDP, body, **flags))]

    def _malformed_tcp(self, version: int, client: Host, server: Host) -> Talk:
        src, dst = client.address(version), server.address(version)
        sport, dport = self._ports()
        good = p.tcp(src, dst, sport, dport, p.SYN, 9, options=bytes((2, 4, 5, 180)))
        bad = self.r.choice((
            p.tcp(src, dst, sport, dport, p.SYN, 9, data_offset=4), p.tcp(src, dst, sport, dport, p.SYN, 9, data_offset=15),
            good[:19], good[:12], good[:3], good[:16] + b"\x12\x34" + good[18:], b"",
            p.tcp(src, dst, sport, dport, p.SYN, 9, options=bytes((2, 0, 0, 0))),
            p.tcp(src, dst, sport, dport, p.SYN, 9, options=bytes((3, 9, 1, 1))),
            p.tcp(src, dst, sport, dport, p.SYN, 9, options=bytes((3, 3, 99, 0))),
            p.tcp(src, dst, 0, dport, p.SYN, 9), p.tcp(src, dst, sport, 0, p.SYN, 9),
            p.tcp(src, dst, sport, dport, p.SYN, 9, reserved=15), p.tcp(src, dst, sport, dport, p.SYN, 9, urgent=5)))
        return [(client, p.ip(src, dst, p.TCP, bad)), (client, p.ip(src, dst, p.TCP, good))]

    def _malformed_udp(self, version: int, client: Host, server: Host) -> Talk:
        src, dst = client.address(version), server.address(version)
        sport, dport = self._ports()
        good = p.udp(src, dst, sport, dport, b"good")
        bad = self.r.choice((
            p.udp(src, dst, sport, dport, b"long", length=100), p.udp(src, dst, sport, dport, b"short", length=10),
            p.udp(src, dst, sport, dport, b"tiny", length=7), p.udp(src, dst, sport, dport, b"zero", length=0),
            good[:6] + bytes(2) + good[8:], good[:6] + b"\x12\x34" + good[8:], good[:7], good[:3],
            p.udp(src, dst, 0, dport), p.udp(src, dst, sport, 0)))
        return [(client, p.ip(src, dst, p.UDP, bad)), (client, p.ip(src, dst, p.UDP, good))]

    # Changes to talks.

    def _with_errors(self, version: int, talk: Talk) -> Talk:
        """ICMP errors about packets of the talk, from who was to receive them or a router on the way; true or not."""
        changed = []
        for host, packet in talk:
            changed.append((host, packet))
            if self.r.random() < 0.4 and len(packet) > 40:
                changed.append(self._error(version, self.r.choice(talk) if self.r.random() < 0.3 else (host, packet)))
        return changed

    def _error(self, version: int, about: tuple[Host, bytes]) -> tuple[Host, bytes]:
        host, packet = about
        src, dst = (packet[12:16], packet[16:20]) if version == 4 else (packet[8:24], packet[24:40])
        towards = _side_of(dst, host)
        reporter = self.r.choice([each for each in [*HOSTS, ROUTER] if each.side == towards])
        inner = bytearray(packet[:self.r.choice((len(packet), len(packet), 28, 40, 48, 60, 100, 500, 20, 24, 27))])
        if self.r.random() < 0.25:
            place = self.r.randrange(len(inner))
            inner[place] ^= 1 << self.r.randrange(8)
        kind, code = self.r.choice(_LABELLED_ERRORS4 if version == 4 else _LABELLED_ERRORS6)
        # Nobody but the box speaks from its addresses.
        source = dst if self.r.random() < 0.5 and dst not in BOX_ADDRESSES else reporter.address(version)
        target = src if self.r.random() < 0.9 else self.r.choice(LAN_HOSTS + DMZ_HOSTS).address(version)
        message = p.icmp(source, target, kind, code, self.r.choice((0, 1300)), bytes(inner))
        if self.r.random() < 0.05:
            message = message[:2] + b"\x12\x34" + message[4:]
        return reporter, p.ip(source, target, p.icmp_proto(source), message)

    def _with_extensions(self, version: int, talk: Talk) -> Talk:
        if version == 4:
            return [(host, _with_options(packet, self._options())) for host, packet in talk]
        kinds = self.r.choice(((p.HOP_BY_HOP,), (p.DESTINATION_OPTIONS,), (p.ROUTING,), (p.HOP_BY_HOP, p.ROUTING),
                               (p.DESTINATION_OPTIONS, p.HOP_BY_HOP), (p.FRAGMENT,),
                               (p.HOP_BY_HOP, p.DESTINATION_OPTIONS, p.ROUTING, p.DESTINATION_OPTIONS)))
        return [(host, _with_headers(packet, kinds, self._options6())) if self.r.random() < 0.8 else (host, packet)
                for host, packet in talk]

    def _options6(self) -> bytes:
        """Mostly one that is to be skipped; router alerts and padding as they should be and as they should not."""
        if self.r.random() < 0.8:
            return bytes((0x1E, 2, 0, 0))
        return self.r.choice((bytes((5, 2, 0, 0)), bytes((5, 0)), bytes((1, 1, 0)), bytes((1, 2, 0, 9)), bytes((1, 6, *bytes(6))),
                              bytes((0x1E, 0)) * 8, bytes((0x1E, 0)) * 9, bytes((0x9E, 0))))

    def _options(self) -> bytes:
        r = self.r
        kind = r.choice(("other", "route", "timestamp", "both")) if self._fills_options else "other"
        if kind == "other":
            # No operation, router alert, end of options, a source route that is at its end.
            quiet = (b"\x01" * 4, b"\x94\x04\x00\x00", b"\x00" * 4, b"\x83\x03\x04\x00", b"\x94\x03\x00\x00")
            return r.choice((*quiet, b"\x01\x00\x07\x03") if self._fills_options else quiet)
        options = b""
        if kind != "timestamp":
            options += self._route_option()
        if kind != "route":
            options += self._timestamp_option()
        if r.random() < 0.1:
            options += r.choice((b"\x07\x03\x04", b"\x44\x04\x05\x00", b"\x94\x04\x00\x00", b"\x07", b"\x82\x30"))
        options = b"\x01" * r.choice((0, 0, 1)) + options[:39]
        return options + r.choice((b"\x00", b"\x01")) * (-len(options) % 4)

    def _route_option(self) -> bytes:
        """Record route with some places taken; with a wrong pointer or room for no whole address now and then."""
        places, odd = self.r.choice((0, 1, 2, 3)), self.r.choice((0, 0, 0, 0, 1))
        pointer = self.r.choice((4, 4, 4 + 4 * places, 8, *((0, 3, 5, 200) if odd else ())))
        return struct.pack("!BBB", 7, 3 + 4 * places + odd, pointer) + p.pattern(4 * places + odd)

    def _timestamp_option(self) -> bytes:
        flag, odd = self.r.choice((0, 0, 1, 1, 3, 3, 2)), self.r.choice((0, 0, 0, 0, 4))
        names = self.r.choices([host.address(4) for host in (*BOX.values(), *HOSTS[:2])], k=self.r.choice((0, 1, 2)))
        body = b"".join(name + bytes(4) for name in names) + bytes(odd)
        pointer = self.r.choice((5, 5, 5 + len(body), 9, *((0, 4, 6, 200) if odd else ())))
        return struct.pack("!BBBB", 68, 4 + len(body), pointer, self.r.choice((0, 0, 1, 14, 15)) << 4 | flag) + body

    def _with_fragments(self, version: int, talk: Talk) -> Talk:
        changed = []
        for host, packet in talk:
            if self.r.random() < 0.5 and len(packet) > 60:
                changed += [(host, fragment) for fragment in self._fragments(packet)]
            else:
                changed.append((host, packet))
        return changed

    def _fragments(self, packet: bytes) -> list[bytes]:
        r = self.r
        payload = len(packet) - ((packet[0] & 0xF) * 4 if packet[0] >> 4 == 4 else 40)
        units = range(1, (payload - 1) // 8 + 1)
        places = sorted(r.sample(units, min(len(units), r.choice((1, 1, 2, 3))))) if units else []
        fragments = p.cut(packet, [8 * each for each in places], self._next_ident())
        change = r.choice(("none", "none", "shuffle", "shuffle", "reverse", "duplicate", "missing", "overlap", "change"))
        if change == "shuffle":
            r.shuffle(fragments)
        elif change == "reverse":
            fragments.reverse()
        elif change == "duplicate":
            fragments.insert(r.randrange(len(fragments) + 1), r.choice(fragments))
        elif change == "missing":
            fragments.pop(r.randrange(len(fragments)))
        elif change == "overlap" and packet[0] >> 4 == 4:  # in IPv6 a deliberate difference
            fragments.insert(r.randrange(len(fragments) + 1), self._overlapping(packet, fragments[0]))
        elif change == "change" and packet[0] >> 4 == 4:
            place = r.randrange(len(fragments))
            fragments[place] = _with_ttl(fragments[place], r.choice((1, 2, 200)))
        return fragments

    def _overlapping(self, packet: bytes, like: bytes) -> bytes:
        version = packet[0] >> 4
        size = (packet[0] & 0xF) * 4 if version == 4 else 40
        ident = int.from_bytes(like[4:6] if version == 4 else like[44:48], "big")
        payload = packet[size:]
        begin = 8 * self.r.randrange(max(1, len(payload) // 8))
        data = payload[begin:begin + self.r.choice((8, 16, 80, 7))]
        return p.piece(version, packet[:size], bytes(byte ^ 1 for byte in data), begin, self.r.random() < 0.8, ident)

    def _with_damage(self, version: int, talk: Talk) -> Talk:
        """Bits turned in headers, packets cut short or padded, on the way to the box."""
        changed = []
        for host, packet in talk:
            damaged = self._damaged(packet) if self.r.random() < 0.3 and packet else packet
            changed.append((host, packet if _is_jumbogram(damaged) else damaged))
        return changed

    def _damaged(self, packet: bytes) -> bytes:
        r = self.r
        kind = r.choice(("bit", "bit_ip", "cut", "pad", "checksum", "length"))
        if kind == "bit":
            place = r.randrange(20 if packet[0] >> 4 == 4 else 40, max(len(packet), 41))
            return _flipped(packet, place, r.randrange(8))
        if kind == "bit_ip":
            # Not in the addresses, which would make hosts the box has never heard of.
            return _repaired(_flipped(packet, r.randrange(1, 8), r.randrange(8)))
        if kind == "cut":
            return packet[:r.randrange(len(packet))]
        if kind == "pad":
            return packet + bytes(r.choice((1, 6, 18)))
        if kind == "checksum":
            return _flipped(packet, 10 if packet[0] >> 4 == 4 else 5, r.randrange(8))
        place = 2 if packet[0] >> 4 == 4 else 4
        length = max(0, int.from_bytes(packet[place:place + 2], "big") + r.choice((-20, -1, 1, 20)))
        return _repaired(packet[:place] + struct.pack("!H", length) + packet[place + 2:])


def _is_jumbogram(packet: bytes) -> bool:
    """As Linux sees it (RFC 2675), even without the option."""
    return len(packet) > 6 and packet[0] >> 4 == 6 and packet[4:6] == b"\0\0" and packet[6] == p.HOP_BY_HOP


def _flipped(packet: bytes, place: int, bit: int) -> bytes:
    if place >= len(packet):
        return packet
    return packet[:place] + bytes((packet[place] ^ 1 << bit,)) + packet[place + 1:]


def _repaired(packet: bytes) -> bytes:
    """With the right IPv4 header checksum, as far as there is a header."""
    if len(packet) < 20 or packet[0] >> 4 != 4:
        return packet
    size = min(max(packet[0] & 0xF, 5) * 4, len(packet))
    head = packet[:10] + bytes(2) + packet[12:size]
    return head[:10] + struct.pack("!H", p.checksum(head)) + head[12:] + packet[size:]


def _with_ttl(packet: bytes, ttl: int) -> bytes:
    return _repaired(packet[:8] + bytes((ttl,)) + packet[9:])


def _with_options(packet: bytes, options: bytes) -> bytes:
    size = (packet[0] & 0xF) * 4
    if size != 20 or len(packet) + len(options) > 1500:
        return packet
    head = bytes((0x45 + len(options) // 4,)) + packet[1:2] + struct.pack(
        "!H", int.from_bytes(packet[2:4], "big") + len(options)) + packet[4:20] + options
    return _repaired(head + packet[20:])


def _with_headers(packet: bytes, kinds: tuple[int, ...], options: bytes) -> bytes:
    following, body = packet[6], packet[40:]
    for kind in reversed(kinds):
        if kind == p.ROUTING:
            body = p.routing_header(following) + body
        elif kind == p.FRAGMENT:
            body = p.fragment_header(following, 0, False, 7) + body
        else:
            body = p.options_header(following, options) + body
        following = kind
    if len(body) + 40 > 1500:
        return packet
    return packet[:4] + struct.pack("!HB", len(body), following) + packet[7:40] + body


def _side_of(address: bytes, sender: Host) -> str:
    for host in [*HOSTS, *BOX.values()]:
        if address in (host.address(4), host.address(6)):
            return host.side
    return sender.side
