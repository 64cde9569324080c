"""Runs `sluice replay` as an operator would and reads what it wrote.

    result = gateway.send(("lan", from_lan(datagram4())))
    assert result.packets[0].verdict == "accept"
    assert result.packets[0].sent("wan")[0][IP].ttl == 63

Every result is checked for what always holds: each packet is accounted for, in packets.jsonl, the captures and
summary.json alike.
"""
import collections
import dataclasses
import decimal
import json
import os
import pathlib
import subprocess

import net
from capture import NANOSECONDS, read_pcap, write_pcap
from scapy.layers.l2 import Ether

START = 1_700_000_000 * NANOSECONDS
SPACING = NANOSECONDS // 100  # between frames whose time the test does not give
VERDICTS = {"accept", "drop", "consumed", "held"}


@dataclasses.dataclass(frozen=True)
class Line:
    """A line of packets.jsonl."""
    n: int | None
    time: int  # nanoseconds
    interface: str | None
    verdict: str | None
    reason: str | None
    hook: str | None
    rule: str | None
    ct_state: str | None
    out: list[tuple[str, bytes]]

    @classmethod
    def parse(cls, text: str) -> "Line":
        value = json.loads(text, parse_float=decimal.Decimal)
        assert list(value) == ["n", "time", "in", "verdict", "reason", "hook", "rule", "ct_state", "out"], text
        out = [(each["interface"], bytes.fromhex(each["frame"])) for each in value["out"]]
        return cls(value["n"], int(value["time"] * NANOSECONDS), value["in"], value["verdict"], value["reason"],
                   value["hook"], value["rule"], value["ct_state"], out)

    def sent(self, interface: str) -> list[Ether]:
        """The frames that left by the interface because of this packet."""
        return [Ether(frame) for name, frame in self.out if name == interface]

    def forwarded(self, interface: str) -> Ether:
        """The one frame it was forwarded as."""
        assert self.verdict == "accept", self
        assert [name for name, _ in self.out] == [interface], self
        return Ether(self.out[0][1])

    def answered(self, interface: str) -> Ether:
        """The one frame the gateway sent about it, whatever became of it itself."""
        assert self.verdict != "accept", self
        assert [name for name, _ in self.out] == [interface], self
        return Ether(self.out[0][1])

    def assert_dropped(self, *reasons: str) -> "Line":
        """Dropped for one of the reasons; what was sent about it is for the test to look at."""
        assert self.verdict == "drop", self
        assert self.reason in reasons, self
        return self

    def assert_silent(self, *reasons: str) -> None:
        """Dropped for one of the reasons, and nobody was told."""
        self.assert_dropped(*reasons)
        assert self.out == [], self


class Result:
    """What a replay left in its directory."""

    def __init__(self, directory: pathlib.Path, process: subprocess.CompletedProcess):
        self.directory = directory
        self.process = process
        self.lines = [Line.parse(line) for line in (directory / "packets.jsonl").read_text().splitlines()]
        self.packets = [line for line in self.lines if line.n is not None]
        self.timers = [line for line in self.lines if line.n is None]
        self.summary = json.loads((directory / "summary.json").read_text())
        self.flows = json.loads((directory / "conntrack.json").read_text())["items"]
        self.check_accounts()

    def check_accounts(self) -> None:
        packets = self.summary["packets"]
        assert packets["received"] + packets["originated"] == (
            packets["sent"] + packets["dropped"] + packets["consumed"] + packets["held"]), packets
        assert packets["received"] == len(self.packets)
        assert packets["sent"] == sum(len(line.out) for line in self.lines)
        assert packets["dropped"] == sum(self.summary["reasons"].values())

        assert [line.n for line in self.packets] == list(range(1, len(self.packets) + 1))
        times = [line.time for line in self.lines]
        assert times == sorted(times)
        counted = collections.Counter(line.verdict for line in self.lines if line.verdict)
        assert {name: n for name, n in self.summary["verdicts"].items() if n} == dict(counted)
        for line in self.lines:
            assert line.verdict in VERDICTS or (line.n is None and line.verdict is None), line
            assert (line.reason is not None) == (line.verdict == "drop"), line
            assert line.out or line.verdict != "accept", line

        for tally in self.summary["interfaces"]:
            frames = [(line.time, frame) for line in self.lines for name, frame in line.out if name == tally["name"]]
            assert read_pcap(self.directory / f"{tally['name']}.pcap") == frames
            assert (tally["tx_packets"], tally["tx_bytes"]) == (len(frames), sum(len(f) for _, f in frames))
        assert len(self.flows) == json.loads((self.directory / "conntrack.json").read_text())["total"]

    def counter(self, name: str) -> int:
        return self.summary["counters"].get(name, 0)

    def files(self) -> dict[str, bytes]:
        return {path.name: path.read_bytes() for path in sorted(self.directory.iterdir())}


class Gateway:
    def __init__(self, sluice: pathlib.Path, directory: pathlib.Path):
        self.sluice = sluice
        self.directory = directory
        self.config = net.config()
        self.runs = 0

    def interface(self, name: str, **options) -> None:
        """Sets options of an interface."""
        self.config["interfaces"][name].update(options)

    def routes(self, *routes: dict) -> None:
        """Replaces the routes."""
        self.config["routes"] = list(routes)

    def send(self, *frames: tuple, options: tuple[str, ...] = ()) -> Result:
        """Replays (interface, frame) or (interface, frame, seconds after the start), in this order."""
        captures = collections.defaultdict(list)
        for number, (interface, frame, *seconds) in enumerate(frames):
            time = START + (round(seconds[0] * NANOSECONDS) if seconds else number * SPACING)
            captures[interface].append((time, bytes(frame)))
        inputs = [(name, write_pcap(self.directory / f"in-{self.runs}-{name}.pcap", each))
                  for name, each in captures.items()]
        return self.replay(*inputs, options=options)

    def replay(self, *inputs: tuple[str, pathlib.Path], options: tuple[str, ...] = (), status: int = 0) -> Result:
        """Replays captures, each with its interface."""
        self.runs += 1
        out = self.directory / f"out-{self.runs}"
        process = self.run("-c", self.write_config(), *(f"--in={name}={capture}" for name, capture in inputs),
                           "--out", out, *options)
        assert process.returncode == status, (process.args, process.stdout, process.stderr)
        return Result(out, process)

    def write_config(self) -> pathlib.Path:
        path = self.directory / "sluice.yaml"
        path.write_text(json.dumps(self.config, indent=1))  # JSON is YAML
        return path

    def run(self, *arguments) -> subprocess.CompletedProcess:
        """`sluice replay` with these arguments, whatever comes of it."""
        if workers := os.environ.get("SLUICE_REPLAY_WORKERS"):
            arguments = ("--workers", workers, *arguments)
        return subprocess.run([self.sluice, "replay", *map(str, arguments)], capture_output=True, text=True,
                              timeout=300, check=False)
