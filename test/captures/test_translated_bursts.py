"""Bursts of translated packets, of both directions: what leaves has the ends it should, and is otherwise as it came."""
import random

import pytest
from scapy.all import IP, TCP, UDP, Ether, IPv6, RawPcapReader
from test_bursts import BOX, HOST, NEIGHBOURS, broken, by_flow, decisions_repeated, play

# What is no valid answer to a masqueraded connection is for the box itself, whose reset is of no interest here.
RULES = """
filter:
  input: {{policy: drop}}
  forward: {{policy: drop, rules: [{{name: valid, ct: [new, established], action: accept}}]}}
nat:
  unique_ids: {unique_ids}
  prerouting:
    - {{name: service, daddr: 192.0.2.80, proto: [tcp, udp], dport: 8080, dnat: "10.1.0.1:80"}}
    - {{name: service6, daddr: "fd00:d::80", proto: [tcp, udp], dport: 8080, dnat: "[fd00:9::1]:80"}}
  postrouting:
    - {{name: source, out: wan, saddr: 10.2.1.0/24, masquerade: true}}
    - {{name: source6, out: wan, saddr: "fd00:a::1:0/112", masquerade: true}}
"""
# The gateways to the server and to the clients; the server, the address it is asked for by, and the box's own.
ENDS = {4: ("one", "two", "10.1.0.1", "192.0.2.80", "203.0.113.2"),
        6: ("six", "seven", "fd00:9::1", "fd00:d::80", "fd00:2::2")}


class Conversation:
    """Of a client whose source may be masqueraded, with a service that may be asked for by another address."""

    def __init__(self, number: int, version: int, upper, snat: bool, dnat: bool):
        self.version, self.upper = version, upper
        to_server, to_client, server, asked_for, box = ENDS[version]
        self.gateways = {"server": to_server, "client": to_client}
        client = (f"10.2.{int(snat)}.9" if version == 4 else f"fd00:a::{int(snat)}:9", 20000 + number)
        server = (server, 80)
        outside = (box, client[1]) if snat else client
        service = (asked_for, 8080) if dnat else server
        # By where the packet goes: source and destination as it comes and as it leaves.
        self.comes = {"server": (client, service), "client": (server, outside)}
        self.leaves = {"server": (outside, server), "client": (service, client)}
        self.sequence = {"server": 1000, "client": 7000}  # of what goes there

    def _frame(self, ends, header, upper, payload) -> Ether:
        (source, sport), (destination, dport) = ends
        network = (IP if self.version == 4 else IPv6)(src=source, dst=destination, **header)
        return network / self.upper(sport=sport, dport=dport, **upper) / payload

    def packet(self, to: str, payload=b"", flags="A", hops=64, number=0, ahead=0, **upper) -> tuple[str, Ether, bytes]:
        """The gateway it leaves by, the frame as it comes and the IP packet as it should leave."""
        if self.upper is TCP:
            other = "client" if to == "server" else "server"
            upper |= {"flags": flags, "seq": self.sequence[to] + ahead, "ack": self.sequence[other] if "A" in flags else 0,
                      "window": 20000}
            if not ahead:
                self.sequence[to] += len(payload) + ("S" in flags)
        header = ({"ttl": hops, "id": number % 65536} if self.version == 4 else {"hlim": hops})
        less = {key: value - 1 if key in ("ttl", "hlim") else value for key, value in header.items()}
        comes = Ether(src=HOST, dst=BOX["lan"]) / self._frame(self.comes[to], header, upper, payload)
        return self.gateways[to], Ether(bytes(comes)), bytes(self._frame(self.leaves[to], less, upper, payload))

    def opening(self):
        if self.upper is UDP:
            return [self.packet("server", b"?"), self.packet("client", b"!")]
        return [self.packet("server", flags="S"), self.packet("client", flags="SA"), self.packet("server")]


def traffic_of(conversations: list[Conversation], draw: random.Random) -> list[tuple[str, Ether, bytes]]:
    """Rows of small packets of one direction, of some of them or all; between rows often one that must not pass, or another
    way."""
    traffic = [each for one in conversations for each in one.opening()]
    for _ in range(100):
        some = conversations[:draw.choice([1, 6, len(conversations)])]
        to = draw.choice(["server", "client"])
        for _ in range(draw.choice([1, 2, 9, 40])):
            one = draw.choice(some)
            unsummed = {"chksum": 0} if one.upper is UDP and one.version == 4 and draw.random() < 0.1 else {}
            traffic.append(one.packet(to, b"d" * draw.choice([0, 1, 5, 10]), number=len(traffic), **unsummed))
        one = draw.choice(some)
        odd = [lambda: ("", one.packet(to, hops=1)[1], b""), lambda: one.packet(to, b"p" * 300), lambda: one.packet(to, hops=2)]
        if one.upper is TCP:
            odd += [lambda: ("", broken(one.packet(to)[1]), b""), lambda: ("", one.packet(to, ahead=1_000_000)[1], b"")]
        traffic.append(draw.choice(odd)())
    return traffic


def to_be_sent(traffic) -> list[bytes]:
    def frame(name, packet):
        kind = 0x0800 if packet[0] >> 4 == 4 else 0x86DD
        return bytes(Ether(src=BOX["wan"], dst=NEIGHBOURS[name], type=kind)) + packet

    return [frame(name, packet) for name, _, packet in traffic if name]


@pytest.mark.parametrize("upper", [UDP, TCP])
@pytest.mark.parametrize("version", [4, 6])
@pytest.mark.parametrize("snat, dnat", [(True, False), (False, True), (True, True), (False, False)],
                         ids=["snat", "dnat", "both", "none"])
def test_rows_of_translated_packets_leave_with_their_ends(tmp_path, upper, version, snat, dnat):
    translated = [Conversation(n, version, upper, snat, dnat) for n in range(6)]
    plain = [Conversation(n, version, upper, False, False) for n in range(6, 8)]
    traffic = traffic_of(translated + plain, random.Random(7))
    openings = sum(len(one.opening()) for one in translated + plain)

    def asks(api):
        return decisions_repeated(api), ["assured" in flow["status"] for flow in api.items("/v1/conntrack")]

    sent, (repeated, assured) = play(tmp_path, [frame for _, frame, _ in traffic], RULES.format(unique_ids="false"),
                                     waits_after=openings, asks=asks)
    assert sent == to_be_sent(traffic)
    # Only packets of such flows go in rows.
    assert assured == [True] * len(translated + plain)
    assert repeated > len(sent) * 9 / 10


def test_rows_of_all_kinds_of_packets_keep_their_flows_order(tmp_path):
    """UDP and TCP of both families, translated or not, each after any other; between them some of which more is looked at."""
    kinds = [(version, upper, snat, dnat) for version in (4, 6) for upper in (UDP, TCP)
             for snat, dnat in ((True, False), (False, True), (False, False))]
    conversations = [Conversation(number, *kind) for number, kind in enumerate(kinds * 2)]
    traffic = traffic_of(conversations, random.Random(9))

    def asks(api):
        wan = next(each for each in api.get("/v1/interfaces")["items"] if each["name"] == "wan")
        rule = next(rule for chain in api.get("/v1/rules")["items"] for rule in chain["rules"] if rule["name"] == "valid")
        return decisions_repeated(api), (wan["tx_packets"], wan["tx_bytes"]), (rule["packets"], rule["bytes"])

    sent, (repeated, transmitted, let_through) = play(
        tmp_path, [frame for _, frame, _ in traffic], RULES.format(unique_ids="false"),
        waits_after=sum(len(one.opening()) for one in conversations), asks=asks)
    assert by_flow(sent) == by_flow(to_be_sent(traffic))
    assert repeated > len(sent) * 9 / 10
    captured = [len(frame) for frame, _ in RawPcapReader(str(tmp_path / "wan.out.pcap"))]  # the box's own among them
    assert transmitted == (len(captured), sum(captured))
    assert let_through == (len(sent), sum(len(frame) - 14 for frame in sent))


@pytest.mark.parametrize("upper", [UDP, TCP])
def test_packets_of_a_shared_source_get_identifications_of_the_box(tmp_path, upper):
    """Whoever's they are, in rows as alone; the service's keep their own."""
    traffic = traffic_of([Conversation(n, 4, upper, True, False) for n in range(8)], random.Random(8))
    sent, _ = play(tmp_path, [frame for _, frame, _ in traffic], RULES.format(unique_ids="true"))
    given = [IP(frame[14:]).id for frame in sent if IP(frame[14:]).src == ENDS[4][4]]
    assert len(set(given)) == len(given) > len(sent) / 4
    identifications = iter(given)
    wanted = []
    for frame in to_be_sent(traffic):
        packet = IP(frame[14:])
        if packet.src == ENDS[4][4]:
            packet.id, packet.chksum = next(identifications), None
        wanted.append(frame[:14] + bytes(packet))
    assert sent == wanted
