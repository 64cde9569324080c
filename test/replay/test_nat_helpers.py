"""FTP and TFTP on translated connections: what they announce can be reached from the other side, and what follows fits."""
import pytest
import reason
from net import HOST, REMOTE, SERVER, WAN, from_dmz, from_lan, from_wan, pattern
from scapy.layers.inet import IP, TCP, UDP
from scapy.layers.inet6 import IPv6
from wire import assert_right_checksums

FROM = {"lan": from_lan, "wan": from_wan, "dmz": from_dmz}
MASQUERADE = {"name": "masq", "out": "wan", "masquerade": True}
WIDE = "203.0.113.200"  # more letters than any address inside
SECOND = "192.168.1.11"


def configure(gateway, profile="rfc", prerouting=(), postrouting=(MASQUERADE,)):
    gateway.config["conntrack"] = {"profile": profile, "helpers": ["ftp", "tftp"]}
    gateway.config["nat"] = {"prerouting": list(prerouting), "postrouting": list(postrouting)}
    return gateway


@pytest.fixture(params=["rfc", "linux"])
def profile(request):
    return request.param


def segment(interface, src, sport, dst, dport, flags, seq, ack=0, data=b"", options=()):
    network = (IPv6 if ":" in src else IP)(src=src, dst=dst)
    tcp = TCP(sport=sport, dport=dport, flags=flags, seq=seq, ack=ack, options=list(options))
    return interface, FROM[interface](network / tcp / data)


def tcp_of(frame):
    """(source, source port, destination, destination port, sequence, acknowledgment, data)"""
    network, tcp = frame[IP] if IP in frame else frame[IPv6], frame[TCP]
    data = bytes(tcp.payload)[:network.len - 4 * network.ihl - 4 * tcp.dataofs if IP in frame
                              else network.plen - 4 * tcp.dataofs]
    return network.src, tcp.sport, network.dst, tcp.dport, tcp.seq, tcp.ack, data


class End:
    """One end of a connection: how it is called on either side, and its numbers as it and as the other end count them."""

    def __init__(self, interface, address, port, shown, number):
        self.interface, self.address, self.port, self.shown = interface, address, port, shown
        self.sent = self.seen = number


class Control:
    """A control connection with a greeting behind it; says what each side is to see of the other."""

    def __init__(self, inside="lan", client=HOST.ip4, client_shown=WAN.ip4, outside="wan", server=REMOTE.ip4, server_shown=None):
        self.client = End(inside, client, 3000, client_shown, 1000)
        self.server = End(outside, server, 21, server_shown or server, 0xFFFFFFF0)  # they wrap
        self.frames, self.wanted = [], []
        self._say(self.client, self.server, "S")
        self._say(self.server, self.client, "SA")
        self._say(self.client, self.server, "A")
        self.answers("220 ready\r\n")
        self.commands("USER me\r\n")
        self.answers("331 password\r\n")

    def _say(self, sender, receiver, flags, data=b"", arrives=None, options=()):
        arrives = data if arrives is None else arrives
        ack = receiver.seen if "A" in flags else 0
        self.frames.append(segment(sender.interface, sender.address, sender.port, receiver.shown, receiver.port, flags,
                                   sender.sent, ack, data, options))
        self.wanted.append((receiver.interface, (sender.shown, sender.port, receiver.address, receiver.port, sender.seen,
                                                 receiver.sent if "A" in flags else 0, arrives)))
        sender.sent = sender.sent + len(data) + ("S" in flags) & 0xFFFFFFFF
        sender.seen = sender.seen + len(arrives) + ("S" in flags) & 0xFFFFFFFF

    def commands(self, text, arrives=None):
        self._say(self.client, self.server, "PA", text.encode(), None if arrives is None else arrives.encode())

    def answers(self, text, arrives=None):
        self._say(self.server, self.client, "PA", text.encode(), None if arrives is None else arrives.encode())

    def acknowledges(self, end, options=()):
        other = self.server if end is self.client else self.client
        self._say(end, other, "A", options=options)

    def again(self):
        """The frame before is sent once more."""
        self.frames.append(self.frames[-1])
        self.wanted.append(self.wanted[-1])

    def check(self, gateway, *more):
        """Every segment arrives as it should; the lines of what was sent besides."""
        result = gateway.send(*self.frames, *more)
        for line, (interface, wanted) in zip(result.packets, self.wanted):
            frame = line.forwarded(interface)
            assert_right_checksums(frame)
            assert tcp_of(frame) == wanted
        return result, result.packets[len(self.frames):]


def forwarded(line, interface):
    frame = line.forwarded(interface)
    assert_right_checksums(frame)
    return tcp_of(frame)[:4]


# ── Active: the client listens ──


def test_active_from_inside(gateway, profile):
    configure(gateway, profile)
    control = Control()
    control.commands("PORT 192,168,1,10,4,1\r\n", "PORT 203,0,113,2,4,1\r\n")
    control.answers("200 fine\r\n")
    control.commands("RETR file\r\n")
    _, (syn, back) = control.check(gateway, segment("wan", REMOTE.ip4, 20, WAN.ip4, 1025, "S", 7),
                                   segment("lan", HOST.ip4, 1025, REMOTE.ip4, 20, "SA", 9, 8))
    assert forwarded(syn, "lan") == (REMOTE.ip4, 20, HOST.ip4, 1025)
    assert forwarded(back, "wan") == (WAN.ip4, 1025, REMOTE.ip4, 20)
    assert (syn.ct_state, back.ct_state) == ("related", "established")


def test_nobody_else_is_expected(gateway):
    configure(gateway, "linux")
    control = Control()
    control.commands("PORT 192,168,1,10,4,1\r\n", "PORT 203,0,113,2,4,1\r\n")
    _, (other,) = control.check(gateway, segment("wan", "198.51.100.8", 20, WAN.ip4, 1025, "S", 7))
    assert other.verdict != "accept"


def test_a_text_that_grows_and_what_comes_later(gateway, profile):
    configure(gateway, profile, postrouting=[{"name": "wide", "out": "wan", "snat": WIDE}])
    control = Control("dmz", SERVER.ip4, WIDE)
    for port in (1, 2, 3):
        control.commands(f"PORT 10,9,0,10,4,{port}\r\n", f"PORT 203,0,113,200,4,{port}\r\n")
        control.answers("200 fine\r\n")
        control.acknowledges(control.client)
    control.commands("NOOP\r\n")
    control.answers("200 nothing done\r\n")
    result, (syn,) = control.check(gateway, segment("wan", REMOTE.ip4, 20, WIDE, 1027, "S", 7))
    assert all(line.ct_state == "established" for line in result.packets[1:-1])
    assert forwarded(syn, "dmz") == (REMOTE.ip4, 20, SERVER.ip4, 1027)


def test_a_text_that_is_sent_again(gateway, profile):
    configure(gateway, profile, postrouting=[{"name": "wide", "out": "wan", "snat": WIDE}])
    control = Control("dmz", SERVER.ip4, WIDE)
    control.commands("PORT 10,9,0,10,4,1\r\n", "PORT 203,0,113,200,4,1\r\n")
    control.again()
    control.commands("NOOP\r\n")
    control.again()
    control.answers("200 fine\r\n")
    result, _ = control.check(gateway)
    assert reason.nat_helper not in result.summary["reasons"]


def test_selective_acknowledgments(gateway):
    configure(gateway, postrouting=[{"name": "wide", "out": "wan", "snat": WIDE}])
    control = Control("dmz", SERVER.ip4, WIDE)
    control.commands("PORT 10,9,0,10,4,1\r\n", "PORT 203,0,113,200,4,1\r\n")
    here = control.client.seen
    control.acknowledges(control.server, [("NOP", None), ("NOP", None), ("SAck", (here + 10, here + 20))])
    result, _ = control.check(gateway)
    (sack,) = [value for name, value in result.packets[-1].forwarded("dmz")[TCP].options if name == "SAck"]
    assert sack == (control.client.sent + 10, control.client.sent + 20)


def test_a_port_that_another_host_has(gateway):
    """R4787-3: the endpoint outside is the other host's; this one gets another, the same for a text that is repeated."""
    configure(gateway, "rfc")
    control = Control()
    control.frames.insert(0, segment("lan", SECOND, 1025, "198.51.100.9", 80, "S", 5))
    control.commands("PORT 192,168,1,10,4,1\r\n")
    lines = gateway.send(*control.frames, control.frames[-1]).packets
    assert forwarded(lines[0], "wan")[1] == 1025
    text, again = (tcp_of(line.forwarded("wan"))[-1].decode() for line in lines[-2:])
    assert text == again and text.startswith("PORT 203,0,113,2,")
    high, low = map(int, text.strip().split(",")[4:])
    port = high * 256 + low
    assert port != 1025 and port >= 1024
    syn = gateway.send(*control.frames, segment("wan", REMOTE.ip4, 20, WAN.ip4, port, "S", 7)).packets[-1]
    assert forwarded(syn, "lan") == (REMOTE.ip4, 20, HOST.ip4, 1025)


def test_a_text_that_fits_no_packet_any_more(gateway):
    configure(gateway, postrouting=[{"name": "wide", "out": "wan", "snat": WIDE}])
    control = Control("dmz", SERVER.ip4, WIDE)
    head = "PORT 10,9,0,10,4,1\r\n"
    full = segment("dmz", SERVER.ip4, 3000, REMOTE.ip4, 21, "PA", control.client.sent, control.server.seen,
                   (head + "x" * (1460 - len(head))).encode())
    full[1][IP].flags = "DF"
    _, (line,) = control.check(gateway, full)
    line.assert_silent(reason.nat_helper)


# ── Passive: the server listens ──


def test_passive_from_inside(gateway, profile):
    """The data connection is shown by the address of the control connection, whatever the rules say of it."""
    configure(gateway, profile, postrouting=[{"name": "control", "out": "wan", "proto": "tcp", "dport": 21, "snat": WIDE}, MASQUERADE])
    control = Control(client_shown=WIDE)
    control.answers("227 Entering Passive Mode (198,51,100,7,195,80)\r\n")
    _, (syn, back) = control.check(gateway, segment("lan", HOST.ip4, 3001, REMOTE.ip4, 50000, "S", 7),
                                   segment("wan", REMOTE.ip4, 50000, WIDE, 3001, "SA", 9, 8))
    assert forwarded(syn, "wan") == (WIDE, 3001, REMOTE.ip4, 50000)
    assert forwarded(back, "lan") == (REMOTE.ip4, 50000, HOST.ip4, 3001)
    assert syn.ct_state == "related"


def test_passive_to_a_published_server(gateway, profile):
    published = {"name": "ftp", "in": "wan", "proto": "tcp", "dport": 21, "dnat": HOST.ip4}
    configure(gateway, profile, [published], [])
    control = Control("wan", REMOTE.ip4, REMOTE.ip4, "lan", HOST.ip4, WAN.ip4)
    control.answers("227 Entering Passive Mode (192,168,1,10,195,80)\r\n", "227 Entering Passive Mode (203,0,113,2,195,80)\r\n")
    control.commands("RETR file\r\n")
    _, (syn, back) = control.check(gateway, segment("wan", REMOTE.ip4, 4000, WAN.ip4, 50000, "S", 7),
                                   segment("lan", HOST.ip4, 50000, REMOTE.ip4, 4000, "SA", 9, 8))
    assert forwarded(syn, "lan") == (REMOTE.ip4, 4000, HOST.ip4, 50000)
    assert forwarded(back, "wan") == (WAN.ip4, 50000, REMOTE.ip4, 4000)
    assert syn.ct_state == "related"


def test_active_to_a_published_server(gateway, profile):
    """The server connects from where it is published."""
    published = {"name": "ftp", "in": "wan", "proto": "tcp", "dport": 21, "dnat": HOST.ip4}
    configure(gateway, profile, [published], [])
    control = Control("wan", REMOTE.ip4, REMOTE.ip4, "lan", HOST.ip4, WAN.ip4)
    control.commands("PORT 198,51,100,7,4,1\r\n")
    _, (syn,) = control.check(gateway, segment("lan", HOST.ip4, 20, REMOTE.ip4, 1025, "S", 7))
    assert forwarded(syn, "wan") == (WAN.ip4, 20, REMOTE.ip4, 1025)
    assert syn.ct_state == "related"


# ── IPv6 ──


def test_extended_commands_over_ip6(gateway, profile):
    shown = "fd00:2::50"
    configure(gateway, profile, postrouting=[{"name": "six", "out": "wan", "snat": shown}])
    control = Control("lan", HOST.ip6, shown, "wan", REMOTE.ip6)
    control.commands(f"EPRT |2|{HOST.ip6}|1025|\r\n", "EPRT |2|fd00:0002:0000:0000:0000:0000:0000:0050|1025|\r\n")
    control.answers("200 fine\r\n")
    control.answers("229 Entering Extended Passive Mode (|||50000|)\r\n")
    control.commands("NOOP\r\n")
    _, (passive,) = control.check(gateway, segment("lan", HOST.ip6, 3001, REMOTE.ip6, 50000, "S", 7))
    assert forwarded(passive, "wan") == (shown, 3001, REMOTE.ip6, 50000)
    assert passive.ct_state == "related"


def test_active_over_ip6(gateway, profile):
    shown = "fd00:2::50"
    configure(gateway, profile, postrouting=[{"name": "six", "out": "wan", "snat": shown}])
    control = Control("lan", HOST.ip6, shown, "wan", REMOTE.ip6)
    control.commands(f"EPRT |2|{HOST.ip6}|1025|\r\n", "EPRT |2|fd00:0002:0000:0000:0000:0000:0000:0050|1025|\r\n")
    _, (active,) = control.check(gateway, segment("wan", REMOTE.ip6, 20, shown, 1025, "S", 7))
    assert forwarded(active, "lan") == (REMOTE.ip6, 20, HOST.ip6, 1025)
    assert active.ct_state == "related"


# ── TFTP ──


def test_a_tftp_read(gateway, profile):
    configure(gateway, profile)
    datagram = lambda interface, src, sport, dst, dport, data: (
        interface, FROM[interface](IP(src=src, dst=dst) / UDP(sport=sport, dport=dport) / data))
    lines = gateway.send(datagram("lan", HOST.ip4, 4000, REMOTE.ip4, 69, b"\0\1file\0octet\0"),
                         datagram("wan", REMOTE.ip4, 7777, WAN.ip4, 4000, b"\0\3\0\1" + pattern(512)),
                         datagram("lan", HOST.ip4, 4000, REMOTE.ip4, 7777, b"\0\4\0\1")).packets
    seen = [(frame[IP].src, frame[UDP].sport, frame[IP].dst, frame[UDP].dport)
            for frame in (lines[0].forwarded("wan"), lines[1].forwarded("lan"), lines[2].forwarded("wan"))]
    assert seen == [(WAN.ip4, 4000, REMOTE.ip4, 69), (REMOTE.ip4, 7777, HOST.ip4, 4000), (WAN.ip4, 4000, REMOTE.ip4, 7777)]
    assert [line.ct_state for line in lines] == ["new", "related", "established"]
