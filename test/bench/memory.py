#!/usr/bin/env python3
"""Memory of a million flows, UDP over IPv4, huge pages included: what the program has more of than one with an empty table of a
thousand, by flow and in all.

As root:

    test/bench/memory.py [--build build] [--repeat 5] [--case NAME] [--json FILE] [--quick]
"""
import time

import bench
import flows
from contest import BYTES, MEGABYTES, Against, Case, Failed
from gateway import configuration, played
from rulesets import Ruleset

PART = "memory"

_FLOWS, _FEW = 1_000_000, 100_000
_SERVICES = 10
_BUFFERS = 4096
_GIVE_UP = 120  # seconds


class Flows(Case):
    """`measure` makes the figure of the bytes that the flows have added, and of their number."""

    def __init__(self, name, setting, unit, aim, measure):
        super().__init__(name, setting)
        self.unit, self.against, self._figure = unit, (Against(aim=aim),), measure
        self.count = _FEW if setting.quick else _FLOWS
        self.capture = setting.folder / f"{name}.pcap"
        self.config, self.config_empty = (setting.folder / f"{name}{suffix}.yaml" for suffix in ("", "-empty"))

    def prepare(self):
        ruleset = Ruleset("udp", services=_SERVICES)
        self.packets = flows.write_beginnings(self.capture, self.count, ruleset, self.bench.seed)
        for config, capture, most in ((self.config, self.capture, self.packets * 21 // 20), (self.config_empty, self._nothing(), 1024)):
            config.write_text(configuration(played(capture, forever=False), self.bench.cpu, self.bench.socket, _BUFFERS,
                                            sections=f"conntrack: {{max: {most}, timeouts: {{udp: 1h}}}}\n" + ruleset.yaml()))

    def _nothing(self):
        path = self.bench.folder / f"{self.name}-empty.pcap"
        flows.write_beginnings(path, 0, Ruleset("udp", services=_SERVICES), self.bench.seed)
        return path

    def ours(self, build):
        empty, _ = self._resident(build, self.config_empty, 0)
        full, count = self._resident(build, self.config, self.packets)
        self.note("resident", {"empty": empty, "full": full, "flows": count})
        return self._figure(full - empty, count)

    def _resident(self, build, config, packets):
        """Bytes when all packets of the capture have come, and the flows they began."""
        with self.bench.gateway(build, config) as gateway:
            deadline = time.monotonic() + _GIVE_UP
            before = None
            while (status := gateway.status())["packets"]["received"] < packets or status["flows"] != before:
                if time.monotonic() > deadline:
                    raise Failed(f"the capture does not come to its end: {status}")
                before = status["flows"]  # which are counted some milliseconds after the packets
                time.sleep(0.05)
        if status["flows"] < packets * 0.999:
            raise Failed(f"{status['flows']} flows of {packets} packets, each to begin one")
        return status["memory"]["resident"] + status["memory"]["hugepages"], status["flows"]

    def remarks(self):
        told = self.notes["resident"][-1]
        yield f"{told['flows']:,} flows: the program has {told['full'] / 1e6:.0f} MB; without: {told['empty'] / 1e6:.0f} MB"

    def clean(self):
        self.capture.unlink(missing_ok=True)


CASES = {
    "memory-flow": lambda *a: Flows(*a, BYTES, 192, lambda more, count: more / count),
    "memory-table": lambda *a: Flows(*a, MEGABYTES, 200, lambda more, _: more),
}
QUICK = ("memory-flow",)

if __name__ == "__main__":
    bench.main_of(__name__)
