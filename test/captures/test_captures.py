"""Traffic of real tools through `sluice replay`: forwarded as a router forwards, the same bytes every time."""
import filecmp
import json
import os
import pathlib
import subprocess

import pytest
from scapy.all import IP, Ether, IPv6, rdpcap

HERE = pathlib.Path(__file__).resolve().parent
NAMES = sorted(path.name.removesuffix(".lan.pcap") for path in HERE.glob("*.lan.pcap"))
MACS = {"lan": ("02:00:00:00:fe:01", "02:00:00:00:01:10"), "wan": ("02:00:00:00:fe:02", "02:00:00:00:02:10")}
FAR = {"lan": "wan", "wan": "lan"}
OWN = {"192.168.1.1", "203.0.113.2", "fd00:1::1", "fd00:2::2"}


def replay(name: str, out: pathlib.Path) -> list[dict]:
    build = pathlib.Path(os.environ.get("SLUICE_BUILD", HERE.parents[1] / "build"))
    program = build / "app/sluice"
    assert program.is_file(), f"sluice is not built in {build}; run scripts/build"
    command = [program, "replay", "-c", HERE / "captures.yaml", "--out", out]
    for side in ("lan", "wan"):
        command += ["--in", f"{side}={HERE / f'{name}.{side}.pcap'}"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    return [json.loads(line) for line in (out / "packets.jsonl").read_text().splitlines()]


def inputs(name: str) -> list[tuple[str, Ether]]:
    """The recorded frames in the order of replay: by time, then by interface."""
    frames = [(frame.time, side, n, frame) for side in ("lan", "wan")
              for n, frame in enumerate(rdpcap(str(HERE / f"{name}.{side}.pcap")))]
    return [(side, frame) for _, side, _, frame in sorted(frames, key=lambda f: f[:3])]


def as_forwarded(frame: Ether, to: str) -> bytes:
    """What a router makes of a frame: other MACs, one hop less, nothing else."""
    frame = frame.copy()
    frame.src, frame.dst = MACS[to]
    if IP in frame:
        frame[IP].ttl -= 1
        del frame[IP].chksum
        end = 14 + frame[IP].len
    else:
        frame[IPv6].hlim -= 1
        end = 14 + 40 + frame[IPv6].plen
    return bytes(frame)[:end]


@pytest.mark.parametrize("name", NAMES)
def test_every_packet_is_forwarded_as_it_is(name, tmp_path):
    lines = [line for line in replay(name, tmp_path) if line["n"] is not None]
    recorded = inputs(name)
    assert len(lines) == len(recorded)
    forwarded = 0
    for line, (side, frame) in zip(lines, recorded):
        header = frame[IP] if IP in frame else frame[IPv6] if IPv6 in frame else None
        hops = header.ttl if IP in frame else header.hlim if header is not None else 0
        if header is None or header.dst in OWN or header.dst.startswith("ff") or header.dst.startswith("fe80") or hops == 1:
            continue
        assert line["verdict"] == "accept", (line, frame.summary())
        assert line["out"] == [{"interface": FAR[side], "frame": as_forwarded(frame, FAR[side]).hex()}]
        forwarded += 1
    assert forwarded >= 4


@pytest.mark.parametrize("name", NAMES)
def test_twice_gives_the_same_bytes(name, tmp_path):
    for run in ("first", "second"):
        replay(name, tmp_path / run)
    files = sorted(path.name for path in (tmp_path / "first").iterdir())
    assert files == sorted(path.name for path in (tmp_path / "second").iterdir())
    _, different, broken = filecmp.cmpfiles(tmp_path / "first", tmp_path / "second", files, shallow=False)
    assert not different and not broken
