#!/usr/bin/env python3
"""Early drop, one worker, beside dpdk-testpmd (macswap) in the same run: 64-byte frames from net_pcap (infinite_rx), all of
which an early rule drops: since their source is in a set of a million addresses or prefixes, or since a program says so.

Packets per second of CPU time, millions. On an otherwise idle machine:

    test/bench/early.py [--build build] [--repeat 5] [--seconds 3] [--elements 1000000] [--case NAME] [--json FILE] [--quick]
"""
import pathlib
import random
import shutil
import subprocess

import bench
import frames
import testpmd
from contest import Against, Failed
from gateway import buffers_for, configuration, played
from rulesets import dotted
from stretches import Stretched

PART = "early"

_CLANG = shutil.which("clang") or shutil.which("clang-19")
_ROOT = pathlib.Path(__file__).resolve().parents[2]
_TRAFFIC = 65536  # sources
_FEW = 4096  # with --quick
# What a small program does: looks at a few fields of the packet and drops it.
_PLAIN = """#include "sluice_bpf.h"
SLUICE_PROGRAM int plain(struct sluice_packet *packet) {
    sluice_u8 *ip = packet->frame + 14;
    if (packet->l3 != 14 || ip[0] != 0x45 || ip[9] != 17)
        return XDP_PASS;
    return sluice_read16(ip + 22) == 53 ? XDP_DROP : XDP_PASS;
}
"""
_LOOKUP = """#include "sluice_bpf.h"
SLUICE_SET(blocked, "blocked");
SLUICE_PROGRAM int lookup(struct sluice_packet *packet) {
    return sluice_set_contains_source(packet, &blocked) ? XDP_DROP : XDP_PASS;
}
"""


class Dropped(Stretched):
    """Elements of a set, and the rule that drops what is in it."""

    def __init__(self, name, setting, aim, kind="ip", program=None):
        super().__init__(name, setting)
        self.kind, self.program = kind, program
        self.against = (Against("testpmd macswap", aim),)
        self.capture, self.config = setting.folder / f"{name}.pcap", setting.folder / f"{name}.yaml"
        self.sources = _FEW if setting.quick else _TRAFFIC
        self.buffers = buffers_for(self.sources)

    def why_not(self):
        return "clang is not installed" if self.program and not _CLANG else ""

    def prepare(self):
        chance = random.Random(self.bench.seed)
        # One address in each /24, so that there are as many prefixes as addresses.
        addresses = [network << 8 | chance.getrandbits(8)
                     for network in chance.sample(range(0x100000, 0x7E0000), self.bench.elements)]
        frames.write_capture(self.capture, [frames.udp4(source, 0xC6120000 | chance.getrandbits(17), 1024, 53)
                                            for source in chance.sample(addresses, self.sources)])
        folder = self.bench.folder
        elements = folder / f"{self.name}.txt"
        text = dotted if self.kind == "ip" else lambda address: f"{dotted(address & 0xFFFFFF00)}/24"
        # Prefixes of one length do not overlap; one of each is enough.
        elements.write_text("".join(f"{each}\n" for each in dict.fromkeys(map(text, addresses))))
        rule = '{name: blocked, in: inside, saddr: "@blocked", action: drop}'
        if self.program:
            source = folder / f"{self.name}.c"
            source.write_text(self.program)
            subprocess.run([_CLANG, "-O2", "-target", "bpf", "-mcpu=v2", f"-I{_ROOT}/lib/bpf/include", "-c", source,
                            "-o", folder / f"{self.name}.o"], check=True)
            rule = f"{{name: blocked, in: inside, program: {self.name}.o}}"
        self.config.write_text(configuration(
            played(self.capture), self.bench.cpu, self.bench.socket, self.buffers,
            sections=f"sets: {{blocked: {{type: {self.kind}, size: {len(addresses)}, file: {elements}}}}}\nearly: [{rule}]\n"))

    def peers(self):
        return testpmd.peer(self.capture, self.bench, "macswap", self.buffers)

    def figure(self, gateway, first, last):
        by_policy, others = gateway.policy_drops()
        received = last["received"] - first["received"]
        if others or not by_policy or last["sent"] != last["originated"] or not received:
            raise Failed(f"not all was dropped by the rule: {first} {last}")
        return received / (last["cpu"] - first["cpu"])

    def clean(self):
        self.capture.unlink(missing_ok=True)


CASES = {
    "early-addresses": lambda *a: Dropped(*a, 0.6),
    "early-prefixes": lambda *a: Dropped(*a, 0.6, "net"),
    "early-program": lambda *a: Dropped(*a, 0.4, program=_PLAIN),
    "early-program-set": lambda *a: Dropped(*a, 0.4, program=_LOOKUP),
}
QUICK = ("early-addresses", "early-program-set")

if __name__ == "__main__":
    bench.main_of(__name__)
