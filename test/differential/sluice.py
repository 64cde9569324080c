"""Sluice as the box: `sluice replay` over captures of the same frames, at the kernel's pace."""
import collections
import json
import os
import pathlib
import struct
import subprocess

import outcome
from case import Case
from topology import SIDES, sluice_config

_ROOT = pathlib.Path(__file__).resolve().parents[2]
_NANOSECONDS = 1_000_000_000
_START = 1_700_000_000 * _NANOSECONDS
_PROTOCOLS = {"icmp": 1, "tcp": 6, "udp": 17, "dccp": 33, "gre": 47, "esp": 50, "ah": 51, "icmpv6": 58, "sctp": 132,
              "udplite": 136}


class Refused(Exception):
    """Sluice does not take the configuration."""


def program() -> pathlib.Path:
    """SLUICE, or the one in SLUICE_BUILD or build/."""
    build = pathlib.Path(os.environ.get("SLUICE_BUILD", _ROOT / "build"))
    return pathlib.Path(os.environ.get("SLUICE", build / "app" / "sluice"))


def run(case: Case, times: list[int], directory: pathlib.Path, *, decision_cache: bool = True) -> outcome.Outcome:
    """What Sluice makes of a case whose packets come at these times; its files stay in the directory."""
    directory.mkdir(parents=True, exist_ok=True)
    config = directory / "sluice.yaml"
    rules = case.config()
    if not decision_cache:
        rules["conntrack"] = {**rules["conntrack"], "decision_cache": False}
    config.write_text(json.dumps({**sluice_config(), **rules}, indent=1))  # JSON is YAML
    captures = collections.defaultdict(list)
    last = 0
    for packet, time in zip(case.packets, times):
        # Ties would be ordered by the interface's name.
        last = max(last + 1, time - times[0])
        captures[packet.interface].append((_START + last, packet.frame))
    inputs = []
    for name, frames in captures.items():
        _write_pcap(directory / f"in-{name}.pcap", frames)
        inputs += ["--in", f"{name}={directory}/in-{name}.pcap"]
    out = directory / "out"
    done = subprocess.run([program(), "replay", "-c", config, *inputs, "--out", out], capture_output=True, text=True,
                          timeout=300, check=False)
    if done.returncode != 0:
        raise Refused(f"sluice replay: exit {done.returncode}: {done.stderr.strip()}")
    lines = _lines(out / "packets.jsonl")
    if len(lines) != len(case.packets):
        raise Refused(f"sluice replay: {len(lines)} lines for {len(case.packets)} packets")
    flows = [_flow(entry) for entry in json.loads((out / "conntrack.json").read_text())["items"]]
    return outcome.Outcome(lines, flows, _counters(out / "rules.json"), times)


def _lines(path: pathlib.Path) -> list[outcome.Line]:
    lines: list[outcome.Line] = []
    before: outcome.Frames = []
    for text in path.read_text().splitlines():
        value = json.loads(text)
        out = [(each["interface"], bytes.fromhex(each["frame"])) for each in value["out"]]
        if value["n"] is None:
            before += out
            continue
        words = " ".join(f"{key} {value[key]}" for key in ("verdict", "reason", "hook", "rule", "ct_state")
                         if value[key] is not None)
        lines.append(outcome.Line(out, before, value["ct_state"], words))
        before = []
    return lines


def _counters(path: pathlib.Path) -> dict[str, tuple[int, int]]:
    """Packets and bytes of each rule, by `TABLE.HOOK/NAME` or `chains.CHAIN/NAME`."""
    if not path.exists():
        return {}
    return {f"{chain['chain']}/{rule['name']}": (rule["packets"], rule["bytes"])
            for chain in json.loads(path.read_text())["items"] for rule in chain["rules"]}


def _flow(entry: dict) -> outcome.Flow:
    proto = entry["proto"]
    return outcome.Flow(
        family=entry["family"], proto=_PROTOCOLS.get(proto) or int(proto), state=entry.get("state"),
        timeout=entry["timeout"], status=frozenset(entry["status"]) & {"seen_reply", "assured"}, original=outcome.flow_tuple(entry["original"]),
        reply=outcome.flow_tuple(entry["reply"]), mark=entry.get("mark", 0))


def _write_pcap(path: pathlib.Path, frames: list[tuple[int, bytes]]) -> None:
    parts = [struct.pack("<IHHiIII", 0xA1B23C4D, 2, 4, 0, 0, 262144, 1)]
    for time, frame in frames:
        parts += [struct.pack("<IIII", time // _NANOSECONDS, time % _NANOSECONDS, len(frame), len(frame)), frame]
    path.write_bytes(b"".join(parts))
