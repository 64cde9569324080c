"""Captures of every kind: recorded from real tools, damaged, of another format, several at once."""
import pathlib
import random

import damage
import pytest
import yaml
from capture import read_pcap, write_pcap, write_pcapng
from gateway import NANOSECONDS, SPACING, START
from net import HOST, REMOTE, datagram4, datagram6, from_dmz, from_lan, from_wan
from scapy.layers.inet import IP

RECORDED = pathlib.Path(__file__).resolve().parents[1] / "captures"
NAMES = sorted({path.name.split(".")[0] for path in RECORDED.glob("*.pcap")})


@pytest.fixture
def recorded(gateway):
    """The router that stood between the hosts when the captures were recorded."""
    gateway.config = yaml.safe_load((RECORDED / "captures.yaml").read_text())
    return gateway


def sides(name: str) -> list[tuple[str, pathlib.Path]]:
    return [(side, RECORDED / f"{name}.{side}.pcap") for side in ("lan", "wan")]


def test_there_are_captures_of_every_tool():
    assert {"curl", "ssh", "dig", "ping", "iperf3"} <= set(NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_a_capture_gives_the_same_bytes_twice(recorded, name):
    """Every file of the results is equal. What the packets become is asked in test/captures."""
    first, second = recorded.replay(*sides(name)), recorded.replay(*sides(name))
    assert first.files() == second.files()
    assert set(first.files()) == {"lan.pcap", "wan.pcap", "packets.jsonl", "conntrack.json", "rules.json", "summary.json"}


def test_pcapng_is_read_as_pcap_is(gateway):
    """The same frames and times in both formats give the same results."""
    frames = [(START + number * 1_000_003, bytes(from_lan(each)))
              for number, each in enumerate([datagram4(), datagram4(ttl=1), datagram6(), datagram6(size=1001)])]
    pcap = gateway.replay(("lan", write_pcap(gateway.directory / "a.pcap", frames)))
    pcapng = gateway.replay(("lan", write_pcapng(gateway.directory / "a.pcapng", frames)))
    assert [line.time for line in pcapng.packets] == [time for time, _ in frames]
    assert pcap.files() == pcapng.files()


def test_ten_thousand_damaged_frames_are_ten_thousand_counted_drops(gateway):
    """Truncated, bits flipped, wrong lengths, checksums, versions: none leaves, none is lost, nothing crashes."""
    frames = damage.damaged_frames(random.Random(20240229), 10_000)
    path = write_pcap(gateway.directory / "damaged.pcap",
                      [(START + number * SPACING, frame) for number, frame in enumerate(frames)])
    result = gateway.replay(("lan", path))
    wrong = [(line, frame.hex()) for line, frame in zip(result.packets, frames) if line.verdict != "drop" or line.out]
    assert wrong == []
    assert result.summary["packets"] == {"received": 10_000, "originated": 0, "sent": 0, "dropped": 10_000, "consumed": 0,
                                         "held": 0}
    assert sum(result.summary["reasons"].values()) == 10_000
    assert len(result.summary["reasons"]) >= 10, "damage of many kinds"


def test_random_bytes_never_crash(gateway):
    """Frames whose headers are right as far as chance made them: whatever comes of each, it is accounted for."""
    generator = random.Random(7)
    frames = [damage.fuzzed_frame(generator) for _ in range(5_000)]
    path = write_pcap(gateway.directory / "fuzzed.pcap",
                      [(START + number * SPACING, frame) for number, frame in enumerate(frames)])
    first, second = gateway.replay(("lan", path)), gateway.replay(("lan", path))
    assert len(first.packets) == 5_000
    assert first.files() == second.files()


def test_captures_are_merged_by_time_then_interface_then_position(gateway):
    """docs/replay.md: ties go by interface name, not by the order of --in."""
    def frames(make, *times):
        return [(START + time, bytes(make(datagram4(src=HOST.ip4, dst=REMOTE.ip4, id=place)))) for place, time in enumerate(times)]

    inputs = [(name, write_pcap(gateway.directory / f"{name}.pcap", each)) for name, each in {
        "wan": frames(from_wan, 0, 5, 5), "lan": frames(from_lan, 5, 5, 9), "dmz": frames(from_dmz, 5, 7)}.items()]
    result = gateway.replay(*inputs)
    assert [(line.interface, line.time - START) for line in result.packets] == [
        ("wan", 0), ("dmz", 5), ("lan", 5), ("lan", 5), ("wan", 5), ("wan", 5), ("dmz", 7), ("lan", 9)]
    assert gateway.replay(*reversed(inputs)).files()["packets.jsonl"] == result.files()["packets.jsonl"]


def test_the_clock_never_goes_back(gateway):
    """docs/replay.md: a frame stamped too early keeps its place and takes the time of the one before."""
    times = [START, START + 50, START + 20, START + 60]
    frames = [(time, bytes(from_lan(datagram4(id=place)))) for place, time in enumerate(times)]
    result = gateway.replay(("lan", write_pcap(gateway.directory / "back.pcap", frames)))
    assert [line.time for line in result.packets] == [START, START + 50, START + 50, START + 60]
    assert [line.forwarded("wan")[IP].id for line in result.packets] == [0, 1, 2, 3]
    assert result.summary["captures"] == [{"interface": "lan", "frames": 4, "short_frames": 0, "times_set_right": 1}]


def test_frames_cut_by_the_capture_are_flagged(gateway):
    """docs/replay.md: with the head of a frame only, the packet is shorter than it says."""
    whole = bytes(from_lan(datagram4(size=500)))
    path = write_pcap(gateway.directory / "short.pcap", [(START, whole[:96])])
    data = bytearray(path.read_bytes())
    data[24 + 12:24 + 16] = len(whole).to_bytes(4, "little")
    path.write_bytes(bytes(data))
    result = gateway.replay(("lan", path))
    result.packets[0].assert_silent("ip4_truncated")
    assert result.summary["captures"][0]["short_frames"] == 1


def test_what_leaves_is_stamped_with_the_time_of_its_cause(gateway):
    """IFACE.pcap carries the virtual clock to the nanosecond."""
    times = [1_234_567_891.000000001, 1_234_567_891.999999]
    frames = [(round(time * NANOSECONDS), bytes(from_lan(datagram4()))) for time in times]
    result = gateway.replay(("lan", write_pcap(gateway.directory / "times.pcap", frames)))
    assert [time for time, _ in read_pcap(result.directory / "wan.pcap")] == [time for time, _ in frames]


def test_an_empty_capture_is_no_error(gateway):
    result = gateway.replay(("lan", write_pcap(gateway.directory / "empty.pcap", [])))
    assert result.lines == []
    assert result.summary["packets"]["received"] == 0


@pytest.mark.parametrize("until, count", [("0", 1), ("1", 2), ("1.5", 3), ("2.25", 4), ("100", 5)])
def test_until_ends_so_long_after_the_first_frame(gateway, until, count):
    """docs/replay.md: --until SECONDS, fractions allowed; a frame at that very time is still taken."""
    seconds = [0, 0.999, 1.5, 2, 99]
    result = gateway.send(*[("lan", from_lan(datagram4()), time) for time in seconds], options=("--until", until))
    assert len(result.packets) == count
    assert result.summary["last"] == pytest.approx(START / NANOSECONDS + float(until))
