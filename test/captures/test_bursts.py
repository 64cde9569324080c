"""Bursts in which neighbouring packets go different ways: each leaves as it would alone, and behind those of its flow that came
before it."""
import os
import pathlib
import random
import subprocess
import sys
import threading
import time

import pytest
from scapy.all import IP, TCP, UDP, Dot1Q, Ether, IPv6, PcapWriter, RawPcapReader, wrpcap
from test_captures import HERE

sys.path.append(str(HERE.parent / "netns"))
from api import Api  # noqa: E402
from waiting import wait_for  # noqa: E402

BOX = {"lan": "02:00:00:00:fe:01", "wan": "02:00:00:00:fe:02"}
HOST = "02:00:00:00:01:10"
NEIGHBOURS = {name: f"02:00:00:00:02:{n:02x}" for n, name in enumerate(("one", "two", "host", "tagged", "six", "seven"), 0x10)}
CONFIG = """
engine: {{workers: 1, mbufs: 2048, hugepages: off}}
control: {{socket: {folder}/sluice.sock}}
interfaces:
  lan: {{device: "net_pcap0,rx_pcap={folder}/lan.pcap,tx_pcap={folder}/lan.out.pcap", mac: "{lan}",
        addresses: [192.168.1.1/24, "fd00:1::1/64"]}}
  lan.5: {{parent: lan, vlan: 5, mac: "{lan}", addresses: [192.168.5.1/24, "fd00:5::1/64"]}}
  wan: {{device: "net_pcap1,rx_pcap={folder}/none.pcap,tx_pcap={folder}/wan.out.pcap", mac: "{wan}", mtu: 1280,
        addresses: [203.0.113.2/24, "fd00:2::2/64"]}}
  wan.7: {{parent: wan, vlan: 7, mac: "{wan}", addresses: [198.51.100.2/24]}}
neighbours:
  - {{interface: wan, ip: 203.0.113.11, mac: "{one}"}}
  - {{interface: wan, ip: 203.0.113.12, mac: "{two}"}}
  - {{interface: wan, ip: 203.0.113.77, mac: "{host}"}}
  - {{interface: wan.7, ip: 198.51.100.1, mac: "{tagged}"}}
  - {{interface: wan, ip: "fd00:2::1", mac: "{six}"}}
  - {{interface: wan, ip: "fd00:2::7", mac: "{seven}"}}
routes:
  - {{to: 10.1.0.0/16, via: 203.0.113.11}}
  - {{to: 10.2.0.0/16, via: 203.0.113.12}}
  - {{to: 10.7.0.0/16, via: 198.51.100.1}}
  - {{to: "fd00:9::/64", via: "fd00:2::1"}}
  - {{to: "fd00:a::/64", via: "fd00:2::7"}}
"""
VALID = """
filter:
  forward: {policy: drop, rules: [{name: valid, ct: [new, established], action: accept}]}
"""
KNOCK = """
sets:
  knocked: {type: ip}
filter:
  forward:
    policy: drop
    rules:
      - {name: knocked, saddr: "@knocked", action: drop}
      - {name: knock, proto: udp, dport: 7, add_to: "@knocked", action: accept}
      - {name: others, proto: udp, action: accept}
"""
EARLY_KNOCK = """
sets:
  knocked: {type: ip}
early:
  - {name: knocked, saddr: "@knocked", action: drop}
  - {name: knock, proto: udp, dport: 7, add_to: "@knocked"}
"""


def arriving(round_number: int) -> list[tuple[str, Ether]]:
    """A packet for each neighbour, and some that nobody may have seen pass."""
    def ip4(to, upper, **more):
        return Ether(src=HOST, dst=BOX["lan"]) / IP(src="192.168.1.9", dst=to, id=round_number, **more) / upper

    udp = UDP(sport=4000, dport=53) / (b"x" * (8 + round_number))
    broken = ip4("10.1.0.1", udp).__class__(bytes(ip4("10.1.0.1", udp)))
    broken[UDP].chksum ^= 0x0100
    return [
        ("one", ip4("10.1.0.1", udp)),
        ("two", ip4("10.2.0.1", udp)),
        ("host", ip4("203.0.113.77", udp)),
        ("", broken),
        ("one", ip4("10.1.0.1", udp)),
        ("tagged", ip4("10.7.0.1", udp)),
        ("six", Ether(src=HOST, dst=BOX["lan"]) / IPv6(src="fd00:1::9", dst="fd00:9::1") / udp),
        ("one", ip4("10.1.0.2", TCP(sport=5000, dport=80, flags="S", seq=1) if round_number == 0 else
                    UDP(sport=4001, dport=53) / b"not TCP")),
        ("two", ip4("10.2.0.1", udp, ttl=2)),
        ("", ip4("10.2.0.1", UDP(sport=4000, dport=53) / (b"y" * 1300), flags="DF")),  # longer than the way's MTU
        ("", ip4("10.2.0.1", udp, ttl=1)),
    ]


def leaving(name: str, frame: Ether) -> bytes:
    frame = Ether(bytes(frame))
    frame = Ether(bytes(frame)[:14 + (frame[IP].len if IP in frame else 40 + frame[IPv6].plen)])
    frame.src, frame.dst = BOX["wan"], NEIGHBOURS[name]
    if IP in frame:
        frame[IP].ttl -= 1
        del frame[IP].chksum
    else:
        frame[IPv6].hlim -= 1
    if name == "tagged":
        frame = Ether(src=frame.src, dst=frame.dst) / Dot1Q(vlan=7) / frame.payload
    return bytes(frame)


UDP_STREAM_DELAY = 2  # seconds: younger flows are no streams


def feed(pipe: pathlib.Path, first: list[Ether], others: list[Ether], may_go_on: threading.Event):
    """Into a pipe that the box reads as a capture."""
    with PcapWriter(str(pipe), linktype=1, sync=True) as writer:
        for frame in first:
            writer.write(frame)
        may_go_on.wait()
        for frame in others:
            writer.write(frame)


def decisions_repeated(api: Api) -> int:
    return sum(worker["decision_repeated"] for worker in api.items("/v1/conntrack/stats"))


def play(folder: pathlib.Path, frames: list[Ether], rules: str, waits_after: int | None = None,
         asks=decisions_repeated) -> tuple[list[bytes], object]:
    """What leaves by wan but for what the box says of itself, and what it answers in the end. After so many frames, made a whole
    number of bursts, no more come until their UDP flows are old enough to be streams."""
    old_enough = threading.Event()
    first = []
    if waits_after is None:
        wrpcap(str(folder / "lan.pcap"), frames)
    else:
        nobody = [Ether(src=HOST, dst="02:00:00:00:00:99", type=0x88B5)] * (-waits_after % 256)
        first, others = frames[:waits_after] + nobody, frames[waits_after:]
        frames = first + others
        os.mkfifo(folder / "lan.pcap")
        threading.Thread(target=feed, args=(folder / "lan.pcap", first, others, old_enough), daemon=True).start()
    wrpcap(str(folder / "none.pcap"), [Ether(src=HOST, dst=HOST)])
    (folder / "sluice.yaml").write_text(CONFIG.format(folder=folder, **BOX, **NEIGHBOURS) + rules)
    build = pathlib.Path(os.environ.get("SLUICE_BUILD", HERE.parents[1] / "build"))
    with open(folder / "log", "wb") as log:
        process = subprocess.Popen([build / "app/sluice", "run", "-c", folder / "sluice.yaml"], stdout=log, stderr=log,
                                   env=dict(os.environ, SLUICE_STATE_DIR=str(folder)))
    try:
        wait_for(lambda: process.poll() is not None or (folder / "sluice.sock").exists(), "the admin socket", timeout=30)
        assert process.poll() is None, (folder / "log").read_text()
        api = Api(str(folder / "sluice.sock"))
        if first:
            wait_for(lambda: api.get("/v1/status")["packets"]["received"] >= len(first), "the first packets", timeout=30)
            since = time.monotonic()
            wait_for(lambda: time.monotonic() > since + UDP_STREAM_DELAY, "flows of some age")
            old_enough.set()
        wait_for(lambda: api.get("/v1/status")["packets"]["received"] == len(frames) + 1, "all packets", timeout=30)
        answer = asks(api)
        api.close()
    finally:
        process.terminate()
        assert process.wait(timeout=30) == 0, (folder / "log").read_text()
    captured = [data for data, _ in RawPcapReader(str(folder / "wan.out.pcap"))]
    return [data for data in captured if Ether(data).haslayer(UDP) or Ether(data).haslayer(TCP)], answer


def by_flow(frames: list[bytes]) -> dict[tuple, list[bytes]]:
    """Those of a direction in their order. Packets of different flows may overtake each other within a burst."""
    flows = {}
    for data in frames:
        frame = Ether(data)
        header = frame[IP] if IP in frame else frame[IPv6]
        upper = frame[UDP] if UDP in frame else frame[TCP]
        flows.setdefault((header.src, header.dst, upper.name, upper.sport, upper.dport), []).append(data)
    return flows


def test_neighbouring_packets_go_their_own_ways(tmp_path):
    traffic = [each for round_number in range(40) for each in arriving(round_number)]
    sent, repeated = play(tmp_path, [frame for _, frame in traffic], VALID)
    assert by_flow(sent) == by_flow([leaving(name, frame) for name, frame in traffic if name])
    assert repeated > len(sent) * 3 / 4


@pytest.mark.parametrize("rules", [KNOCK, EARLY_KNOCK], ids=["filter", "early"])
def test_a_set_that_a_packet_changes_counts_for_the_next_one(tmp_path, rules):
    """Though both come in one burst, and the flow has been allowed to pass before."""
    def packet(number, dport):
        return Ether(src=HOST, dst=BOX["lan"]) / IP(src="192.168.1.9", dst="10.1.0.1", id=number) / UDP(sport=4000, dport=dport)

    traffic = [packet(number, 7 if number == 100 else 53) for number in range(256)]
    sent, _ = play(tmp_path, traffic, rules)
    assert sent == [leaving("one", frame) for frame in traffic[:101]]


class Conversation:
    """A TCP connection whose ends are both behind the box's lan, so that one capture has it in order."""
    # Each named by the gateway that leads to it.
    IP4_ENDS = {"one": "10.1.0.1", "two": "10.2.0.1"}
    IP6_ENDS = {"six": "fd00:9::1", "seven": "fd00:a::1"}

    def __init__(self, port: int, timestamps: bool, ip6: bool):
        self.port = port
        self.ip6 = ip6
        self.ends = self.IP6_ENDS if ip6 else self.IP4_ENDS
        self.client, self.server = reversed(self.ends)
        self.options = [("NOP", None), ("NOP", None), ("Timestamp", (1, 2))] if timestamps else []
        self.sequence = {self.server: 1000, self.client: 7000}

    def other(self, end: str) -> str:
        return self.client if end == self.server else self.server

    def segment(self, to: str, flags: str, payload=b"", sequence=None, hops=64) -> Ether:
        source = self.other(to)
        ports = {"sport": self.port, "dport": 80} if to == self.server else {"sport": 80, "dport": self.port}
        sequence = self.sequence[source] if sequence is None else sequence
        addresses = {"src": self.ends[source], "dst": self.ends[to]}
        header = IPv6(**addresses, hlim=hops) if self.ip6 else IP(**addresses, ttl=hops)
        segment = Ether(src=HOST, dst=BOX["lan"]) / header / TCP(
            **ports, flags=flags, seq=sequence, ack=self.sequence[to] if "A" in flags else 0, window=20000,
            options=self.options) / payload
        if "S" in flags or "F" in flags or payload:
            self.sequence[source] = sequence + len(payload) + ("S" in flags) + ("F" in flags)
        return segment

    def opening(self):
        for to, flags in ((self.server, "S"), (self.client, "SA"), (self.server, "A")):
            yield to, self.segment(to, flags)


def broken(frame: Ether) -> Ether:
    """With a TCP checksum that is wrong."""
    frame = Ether(bytes(frame))
    frame[TCP].chksum ^= 0x0100
    return frame


def test_rows_of_segments_go_their_way_and_what_is_wrong_in_them_does_not(tmp_path):
    """Rows of acknowledgments and small segments of several connections, of IPv4 and IPv6, to one gateway and then the other.
    Short ones, and such with timestamps; between them some that must not pass, or are longer than what the parser looks
    through."""
    draw = random.Random(4)
    conversations = [Conversation(6000 + n, timestamps=n % 2 == 1, ip6=n >= 6) for n in range(12)]
    traffic = [each for conversation in conversations for each in conversation.opening()]
    for _ in range(800):
        some = draw.choice([conversations[:6], conversations[6:], conversations])
        to_server = draw.choice([True, False])
        for _ in range(draw.choice([1, 2, 9, 30])):
            one = draw.choice(some)
            to = one.server if to_server else one.client
            traffic.append((to, one.segment(to, "A", b"d" * draw.choice([0, 0, 0, 1, 5, 10]))))
        one = draw.choice(some)
        to = one.server if to_server else one.client
        traffic.append(draw.choice([
            lambda: ("", broken(one.segment(to, "A"))),
            lambda: ("", one.segment(to, "A", sequence=one.sequence[one.other(to)] + 1_000_000)),
            lambda: ("", one.segment(to, "A", hops=1)),
            lambda: (to, one.segment(to, "PA", b"p" * 300)),
            lambda: (to, one.segment(to, "A", hops=2)),
            lambda: (to, Ether(bytes(one.segment(to, "A")) + b"padding")),
        ])())
    sent, repeated = play(tmp_path, [frame for _, frame in traffic], VALID)
    assert by_flow(sent) == by_flow([leaving(name, frame) for name, frame in traffic if name])
    assert repeated > len(sent) * 9 / 10


def test_tagged_packets_that_come_in_repeat_decisions_too(tmp_path):
    """Which the parser leaves to be looked at one by one; of IPv6 addresses are read where the frame is."""
    flows = [("one", IP(src="192.168.5.9", dst="10.1.0.1")), ("two", IP(src="192.168.5.9", dst="10.2.0.1")),
             ("six", IPv6(src="fd00:5::9", dst="fd00:9::1")), ("seven", IPv6(src="fd00:5::9", dst="fd00:a::1"))]
    traffic = [(name, Ether(src=HOST, dst=BOX["lan"]) / header / UDP(sport=port, dport=53) / bytes([round_number] * 20))
               for round_number in range(100) for port in (4000, 4001) for name, header in flows]
    sent, repeated = play(tmp_path, [Ether(src=HOST, dst=BOX["lan"]) / Dot1Q(vlan=5) / frame.payload for _, frame in traffic], VALID)
    assert by_flow(sent) == by_flow([leaving(name, frame) for name, frame in traffic])
    assert repeated > len(sent) * 9 / 10


def test_packets_of_a_plain_router_go_their_own_ways_too(tmp_path):
    """Which looks at no transport checksum; here in rows."""
    traffic = [("one" if number == 3 else name, frame) for round_number in range(40)
               for number, (name, frame) in enumerate(arriving(round_number)) for _ in range(1 + round_number % 3)]
    sent, _ = play(tmp_path, [frame for _, frame in traffic], "")
    assert sent == [leaving(name, frame) for name, frame in traffic if name]
