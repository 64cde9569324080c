"""Floods: whatever comes, flows that there are go on, memory has its bounds, and room comes back when its time is up."""
import collections
import dataclasses
import os
import random
import struct
import subprocess
import sys

import flood
import pytest
import reason
from capture import write_pcap
from gateway import START
from net import REMOTE, SERVER

MAX = 4096
MICROSECOND = 1e-6
LATENESS = 2 * 2**20 / 1e9  # a flow ends within two ticks after its time
SERVER_BYTES, REMOTE_BYTES = flood.packed(SERVER.ip4), flood.packed(REMOTE.ip4)


def stranger(number: int) -> bytes:
    """One of sixteen million hosts behind the router."""
    return struct.pack("!I", 20 << 24 | (number * 2654435761 & 0xFFFFFF))


FLOODS = {
    "syn": lambda r, n: flood.syn("wan", stranger(n), SERVER_BYTES, r.randrange(1024, 65536), 80),
    "udp": lambda r, n: flood.datagram("wan", stranger(n), SERVER_BYTES, r.randrange(1, 65536), r.randrange(1, 65536)),
    "echo": lambda r, n: flood.echo("wan", stranger(n), SERVER_BYTES, r.randrange(65536)),
}
# Seconds that a flow lives of which one packet has been seen.
EMBRYONIC = {"rfc": {"syn": 240, "udp": 120, "echo": 60}, "linux": {"syn": 120, "udp": 30, "echo": 30}}


class Scene:
    """Frames one after another, a microsecond apart unless the clock is moved; remembers which of them must pass."""

    def __init__(self):
        self.frames: list[tuple[str, bytes, float]] = []
        self.kept: list[int] = []
        self.now = 0.0

    def add(self, frames: list[tuple[str, bytes]], kept: bool = False) -> list[int]:
        places = list(range(len(self.frames), len(self.frames) + len(frames)))
        for side, frame in frames:
            self.frames.append((side, frame, self.now))
            self.now += MICROSECOND
        if kept:
            self.kept += places
        return places

    def converse(self, talks: list, rounds: int, every: float) -> None:
        for _ in range(rounds):
            for talk in talks:
                self.add(talk.exchange(), kept=True)
            self.now += every

    def flooded(self, talks: list, frames: list[bytes], seconds: float, exchanges: int) -> list[int]:
        """The frames from outside, spread over the time; the talks go on in their midst, one after the other."""
        places, pause = [], seconds / len(frames)
        each = max(1, len(frames) // exchanges)
        for n, frame in enumerate(frames):
            places += self.add([("wan", frame)])
            self.now += pause
            if talks and n % each == each - 1:
                self.add(talks[n // each % len(talks)].exchange(), kept=True)
        return places


def opened(talks: list) -> Scene:
    """The talks have been going on for a while, so that even Linux is assured of them."""
    scene = Scene()
    for talk in talks:
        scene.add(talk.opening(), kept=True)
    scene.converse(talks, rounds=4, every=1.0)
    return scene


def assert_untouched(scene: Scene, talks: list, result) -> None:
    """Not one of the talks' packets was lost, and each of their flows is there and has counted all of them."""
    lost = [line for line in map(result.packets.__getitem__, scene.kept) if line.verdict != "accept"]
    assert lost == []
    assert {result.packets[place].ct_state for place in scene.kept} == {"new", "established"}
    assert sum(result.packets[place].ct_state == "new" for place in scene.kept) == len(talks)
    flows = {(flow["proto"], flow["original"].get("sport")): flow for flow in result.flows
             if flow["original"]["dst"] == REMOTE.ip4}
    assert set(flows) == {talk.key for talk in talks}
    assert sum(flow[way]["packets"] for flow in flows.values() for way in ("original", "reply")) == len(scene.kept)


def outcomes(result, places: list[int]) -> dict:
    """How often each reason, or verdict where there is none."""
    return dict(collections.Counter(result.packets[place].reason or result.packets[place].verdict for place in places))


@pytest.fixture
def published(gateway):
    """Hosts inside may begin, and everyone outside may with the server."""
    gateway.config["conntrack"] = {"max": MAX}
    gateway.config["filter"] = {"forward": {"policy": "drop", "rules": [
        {"name": "established", "ct": ["established", "related"], "action": "accept"},
        {"name": "inside-out", "in": "lan", "action": "accept"},
        {"name": "server", "in": "wan", "out": "dmz", "action": "accept"},
    ]}}
    return gateway


@pytest.mark.parametrize("kind", FLOODS)
def test_a_flood_that_fills_the_table_is_refused(published, kind):
    """R6888-11: refuse_new. Established flows lose nothing; what would begin a flow is a counted drop."""
    talks = flood.talks(8)
    scene = opened(talks)
    r = random.Random(1)
    strangers = scene.flooded(talks, [FLOODS[kind](r, n) for n in range(10_000)], seconds=5, exchanges=200)
    refused = scene.add([("lan", flood.syn("lan", talks[0].src, REMOTE_BYTES, 999, 80))])
    result = published.send(*scene.frames)

    assert_untouched(scene, talks, result)
    room = MAX - MAX * 2 // 100 - len(talks)  # 2 % are in reserve
    assert outcomes(result, strangers) == {"accept": room, reason.conntrack_full: 10_000 - room}
    assert outcomes(result, refused) == {reason.conntrack_full: 1}
    assert len(result.flows) == room + len(talks)


@pytest.mark.parametrize("kind", FLOODS)
def test_a_flood_that_fills_the_table_makes_room_for_itself(published, kind):
    """early_drop, as Linux: the flood evicts the flood."""
    published.config["conntrack"]["profile"] = "linux"
    talks = flood.talks(8)
    scene = opened(talks)
    r = random.Random(2)
    strangers = scene.flooded(talks, [FLOODS[kind](r, n) for n in range(10_000)], seconds=5, exchanges=200)
    newcomer = flood.TcpTalk(999)
    met = scene.add(newcomer.opening())
    result = published.send(*scene.frames)

    strangers_outcomes = outcomes(result, strangers)
    assert strangers_outcomes.pop("accept") > 9_990 and set(strangers_outcomes) <= {reason.conntrack_full}
    assert outcomes(result, met) == {"accept": 3}
    assert len(result.flows) <= MAX
    result.flows[:] = [flow for flow in result.flows if flow["original"].get("sport") != newcomer.port]
    assert_untouched(scene, talks, result)


@pytest.mark.parametrize("profile, pressure", [("rfc", True), ("rfc", False), ("linux", False)])
@pytest.mark.parametrize("kind", FLOODS)
def test_room_comes_back_when_the_shortest_timeout_is_over(published, kind, profile, pressure):
    """Not a moment before; under pressure that is an eighth of the time."""
    published.config["conntrack"].update(
        {"max": 1000, "reserve": "0%", "profile": profile, "when_full": "refuse_new", "pressure": pressure})
    scene = Scene()
    r = random.Random(3)
    strangers = scene.flooded([], [FLOODS[kind](r, n) for n in range(1_500)], seconds=2, exchanges=1)
    life = EMBRYONIC[profile][kind] / (8 if pressure else 1)
    first = scene.frames[strangers[950 if pressure else 0]][2]  # that has so little time
    scene.now = first + life - 2 * MICROSECOND
    early = scene.add([("lan", flood.syn("lan", flood.packed("192.168.1.10"), REMOTE_BYTES, 999, 80))])
    scene.now = first + life + LATENESS
    talk = flood.TcpTalk(1000)
    late = scene.add(talk.opening() + talk.exchange())
    result = published.send(*scene.frames)

    assert outcomes(result, strangers) == {"accept": 1000, reason.conntrack_full: 500}
    assert outcomes(result, early) == {reason.conntrack_full: 1}
    assert outcomes(result, late) == {"accept": 6}


def test_pressure_shortens_the_lives_of_what_has_not_been_answered(published):
    """Above 70, 85 and 95 % of the table a half, a quarter and an eighth of the time."""
    published.config["conntrack"].update({"max": 1000, "reserve": "0%"})
    r = random.Random(4)
    scene = Scene()
    scene.flooded([], [FLOODS["syn"](r, n) for n in range(1_200)], seconds=0.1, exchanges=1)
    result = published.send(*scene.frames)
    assert collections.Counter(round(flow["timeout"]) for flow in result.flows) == {240: 700, 120: 150, 60: 100, 30: 50}


def test_the_reserve_is_not_for_packets_that_pass(published):
    published.config["conntrack"].update({"max": 1000, "reserve": "25%"})
    r = random.Random(5)
    scene = Scene()
    strangers = scene.flooded([], [FLOODS["udp"](r, n) for n in range(1_500)], seconds=1, exchanges=1)
    result = published.send(*scene.frames)
    assert outcomes(result, strangers) == {"accept": 750, reason.conntrack_full: 750}


def test_a_source_holds_no_more_than_it_may(published):
    """per_source: one host cannot fill the table, however many ports it has; room comes back with its flows' end."""
    published.config["conntrack"]["per_source"] = {"wan": 50}
    talks = flood.talks(8)
    scene = opened(talks)
    attack = scene.flooded(talks, [flood.datagram("wan", stranger(1), SERVER_BYTES, 1024 + n, 53) for n in range(5_000)],
                           seconds=5, exchanges=100)
    others = scene.add([("wan", flood.datagram("wan", stranger(2 + n), SERVER_BYTES, 1000, 53)) for n in range(500)])
    over = scene.frames[attack[0]][2] + EMBRYONIC["rfc"]["udp"]
    scene.converse(talks, rounds=3, every=(over - scene.now) / 3)
    scene.now = over + LATENESS
    again = scene.add([("wan", flood.datagram("wan", stranger(1), SERVER_BYTES, 1000, 53))])
    result = published.send(*scene.frames)

    assert_untouched(scene, talks, result)
    assert outcomes(result, attack) == {"accept": 50, reason.conntrack_source_limit: 4_950}
    assert outcomes(result, others) == {"accept": 500}
    assert outcomes(result, again) == {"accept": 1}


def test_a_flood_that_rules_refuse_takes_no_place(published):
    """Confirmed is only what leaves: to drop costs nothing of the table."""
    del published.config["filter"]["forward"]["rules"][2]
    talks = flood.talks(8)
    scene = opened(talks)
    r = random.Random(6)
    strangers = scene.flooded(talks, [FLOODS["syn"](r, n) for n in range(6_000)], seconds=1, exchanges=100)
    result = published.send(*scene.frames)
    assert_untouched(scene, talks, result)
    assert outcomes(result, strangers) == {reason.chain_policy: 6_000}
    assert len(result.flows) == len(talks)


# Fragments.

DATAGRAMS, PER_SOURCE, FRAGMENT_TIMEOUT = 1024, 64, 30


def fragment_talks() -> list:
    """Their datagrams come in three fragments each."""
    return [*flood.talks(4), flood.UdpTalk(41000, size=2500), flood.UdpTalk(41001, size=2500, src=flood.packed("192.168.1.11"))]


def assert_fragments_untouched(scene: Scene, result) -> None:
    """Nothing was lost: what is consumed was kept until the last fragment came, with which all leave."""
    assert {result.packets[place].verdict for place in scene.kept} == {"accept", "consumed"}
    assert sum(len(result.packets[place].out) for place in scene.kept) == len(scene.kept)


def test_fragments_from_everywhere_do_not_keep_others_from_being_put_together(published):
    """First fragments of which nothing more will come, from many sources: the oldest make room."""
    talks = fragment_talks()
    scene = opened(talks)
    scene.flooded(talks, [flood.first_fragment("wan", stranger(n), SERVER_BYTES, n) for n in range(6_000)], seconds=5,
                  exchanges=300)
    scene.now += FRAGMENT_TIMEOUT + 1
    scene.converse(talks, rounds=1, every=0)
    result = published.send(*scene.frames)
    assert_fragments_untouched(scene, result)
    assert result.counter("IpReasmFails") == 6_000
    assert result.summary["packets"]["held"] == 0


def test_fragments_of_one_source_do_not_starve_the_others(published):
    """A source has so many datagrams under way and no more; it has them again when their time is up."""
    talks = fragment_talks()
    scene = opened(talks)
    attack = scene.flooded(talks, [flood.first_fragment("wan", stranger(1), SERVER_BYTES, n) for n in range(6_000)], seconds=5,
                           exchanges=300)
    whole = [("wan", flood.on_link("wan", frame)) for side, frame in
             flood.UdpTalk(4000, size=2500, src=stranger(1), dst=SERVER_BYTES, ident=50_000).exchange() if side == "lan"]
    refused = scene.add(whole)
    scene.now = scene.frames[attack[0]][2] + FRAGMENT_TIMEOUT
    taken = scene.add(whole)
    result = published.send(*scene.frames)
    assert_fragments_untouched(scene, result)
    assert outcomes(result, attack) == {"consumed": PER_SOURCE, reason.fragment_limit: 6_000 - PER_SOURCE}
    assert outcomes(result, refused) == {reason.fragment_limit: 3}
    assert outcomes(result, taken) == {"consumed": 2, "accept": 1}


def test_large_datagrams_of_one_source_do_not_take_all_the_memory(published):
    """As many datagrams as a source may have, each of 60000 bytes but for the first fragment."""
    talks = fragment_talks()
    scene = opened(talks)
    pieces = [flood.later_fragment("wan", stranger(1), SERVER_BYTES, ident, offset, 1400)
              for ident in range(PER_SOURCE) for offset in range(1400, 64_000, 1400)]
    scene.flooded(talks, pieces, seconds=5, exchanges=200)
    result = published.send(*scene.frames)
    assert_fragments_untouched(scene, result)


def test_fragments_of_one_moment_are_forgotten_at_one_moment(published):
    """Captures with coarse clocks: hundreds of first fragments with the same time."""
    scene = Scene()
    frames = [("wan", flood.first_fragment("wan", stranger(n), SERVER_BYTES, n), 0) for n in range(500)]
    scene.frames += frames
    scene.now = FRAGMENT_TIMEOUT
    scene.add([("wan", flood.datagram("wan", stranger(1), SERVER_BYTES, 1, 2))])
    result = published.send(*scene.frames)
    assert result.counter("IpReasmFails") == 500


# Memory.

# A process counts as its own peak that of the one that started it, so a small one does.
_MEASURE = """
import os, sys
_, status, resources = os.wait4(os.posix_spawn(sys.argv[1], sys.argv[1:], os.environ), 0)
print(resources.ru_maxrss)
sys.exit(status != 0)
"""


@dataclasses.dataclass(frozen=True)
class Usage:
    peak: int  # KiB
    flows: int


def usage(gateway, name: str, frames) -> Usage:
    """Replays frames from outside, 10 µs apart, and says how large the process became."""
    capture = write_pcap(gateway.directory / f"{name}.pcap", [(START + n * 10_000, frame) for n, frame in enumerate(frames)])
    out = gateway.directory / name
    arguments = [str(gateway.sluice), "replay", "-c", str(gateway.write_config()), f"--in=wan={capture}", "--out", str(out)]
    done = subprocess.run([sys.executable, "-S", "-c", _MEASURE, *arguments], capture_output=True, text=True, check=True)
    return Usage(int(done.stdout), (out / "conntrack.json").read_text().count('"id"'))


@pytest.mark.skipif(os.environ.get("SLUICE_SANITIZED") == "1", reason="the sanitizer keeps memory that was freed")
def test_memory_is_flat(published):
    """Ten times the flood takes no more memory, once tables are full: captures and results are streams."""
    published.config["conntrack"]["max"] = 2048

    def mixed(count: int):
        r = random.Random(7)
        for n in range(count):
            yield FLOODS["syn"](r, n) if n % 4 else flood.first_fragment("wan", stranger(n), SERVER_BYTES, n, 1000)

    once, tenfold = usage(published, "once", mixed(8_000)), usage(published, "tenfold", mixed(80_000))
    assert once.flows == tenfold.flows == 2048 - 40
    assert tenfold.peak < once.peak * 1.03, (once, tenfold)
