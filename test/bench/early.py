#!/usr/bin/env python3
"""Early drop, one worker, beside dpdk-testpmd (macswap) in the same run: 64-byte frames from net_pcap (infinite_rx), all of
which an early rule drops: since their source is in a set of a million addresses or prefixes, or since a program says so.

Packets per second of CPU time, millions; runs alternate; median (least-most). On an otherwise idle machine:

    test/bench/early.py [--build build] [--runs 5] [--seconds 3] [--elements 1000000] [--cpu 1] [--case NAME]
                        [--json FILE] [--quick]
"""
import argparse
import pathlib
import random
import shutil
import subprocess
import sys
import tempfile
import time

import figures
import flows
import frames
import testpmd
from gateway import Gateway, configuration
from rulesets import dotted

_CLANG = shutil.which("clang") or shutil.which("clang-19")
_ROOT = pathlib.Path(__file__).resolve().parents[2]
_TRAFFIC = 65536  # sources
_FEW = 4096  # with --quick
_WIDTHS = (20, 24, 24, 12)
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


def _buffers(options):
    """The source keeps a buffer for each frame of the capture."""
    return 16384 if options.quick else 16384 + 2 * _TRAFFIC


class Case:
    """Elements of a set, and the rule that drops what is in it."""

    def __init__(self, name, options, folder, kind="ip", program=None, capture=None):
        self.name, self.options, self.folder, self.kind, self.program = name, options, folder, kind, program
        self.capture = capture
        self.buffers = _buffers(options)
        self.config = folder / f"{name}.yaml"

    def why_not(self):
        return "clang is not installed" if self.program and not _CLANG else ""

    def prepare(self, addresses):
        elements = self.folder / f"{self.name}.txt"
        text = dotted if self.kind == "ip" else lambda address: f"{dotted(address & 0xFFFFFF00)}/24"
        # Prefixes of one length do not overlap; one of each is enough.
        elements.write_text("".join(f"{each}\n" for each in dict.fromkeys(map(text, addresses))))
        rule = '{name: blocked, in: inside, saddr: "@blocked", action: drop}'
        if self.program:
            source = self.folder / f"{self.name}.c"
            source.write_text(self.program)
            subprocess.run([_CLANG, "-O2", "-target", "bpf", "-mcpu=v2", f"-I{_ROOT}/lib/bpf/include", "-c", source,
                            "-o", self.folder / f"{self.name}.o"], check=True)
            rule = f"{{name: blocked, in: inside, program: {self.name}.o}}"
        self.config.write_text(configuration(
            f"rx_pcap={self.capture},infinite_rx=1", self.options.cpu, self.folder / "sluice.sock", buffers=self.buffers,
            sections=f"sets: {{blocked: {{type: {self.kind}, size: {len(addresses)}, file: {elements}}}}}\nearly: [{rule}]\n"))

    def run(self):
        with Gateway(self.options.build, self.config, self.folder) as gateway:
            before = gateway.sample()
            time.sleep(self.options.seconds)
            after = gateway.sample()
            by_policy, others = gateway.policy_drops()
        received = after["received"] - before["received"]
        if others or not by_policy or after["sent"] != after["originated"] or not received:
            sys.exit(f"{self.name}: not all was dropped by the rule: {before} {after}")
        return received / (after["cpu"] - before["cpu"])


def _arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--build", type=pathlib.Path, default=pathlib.Path("build"))
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=3)
    parser.add_argument("--elements", type=int, default=1_000_000)
    parser.add_argument("--cpu", type=int, default=1)
    parser.add_argument("--case", choices=("addresses", "prefixes", "program", "program-set"), action="append")
    parser.add_argument("--json", type=pathlib.Path)
    parser.add_argument("--quick", action="store_true", help="once, for a moment, seventy thousand elements: does it all work?")
    options = parser.parse_args()
    options.build = options.build.absolute()
    if options.quick:
        options.runs, options.seconds, options.elements = 1, 0.2, 70_000
    return options


def main():
    figures.clean_up_when_ended()
    options = _arguments()
    told, results = figures.machine(), []
    figures.print_machine(told)
    figures.row("case", "Sluice", "testpmd macswap", "of testpmd", widths=_WIDTHS)
    with tempfile.TemporaryDirectory(prefix="sluice-bench-", dir="/dev/shm") as name:
        folder = pathlib.Path(name)
        chance = random.Random(flows.SEED)
        # One address in each /24, so that there are as many prefixes as addresses.
        addresses = [network << 8 | chance.getrandbits(8)
                     for network in chance.sample(range(0x100000, 0x7E0000), options.elements)]
        capture = folder / "traffic.pcap"
        sources = chance.sample(addresses, _FEW if options.quick else _TRAFFIC)
        frames.write_capture(capture, [frames.udp4(source, 0xC6120000 | chance.getrandbits(17), 1024, 53) for source in sources])
        cases = [Case("addresses", options, folder, capture=capture), Case("prefixes", options, folder, "net", capture=capture),
                 Case("program", options, folder, program=_PLAIN, capture=capture),
                 Case("program-set", options, folder, program=_LOOKUP, capture=capture)]
        for case in cases:
            if options.case and case.name not in options.case:
                continue
            if reason := case.why_not():
                figures.row(case.name, f"skipped: {reason}", widths=_WIDTHS)
                continue
            case.prepare(addresses)
            ours, peer = [], []
            for _ in range(options.runs):
                ours.append(case.run())
                if not (options.quick or testpmd.why_not()):  # it tells what it has done once a second
                    peer.append(testpmd.run(capture, options.cpu, options.seconds, "macswap", case.buffers, 400)["cpu_pps"])
            result = {"case": case.name, "sluice": figures.summary(ours)}
            if peer:
                result["testpmd"] = figures.summary(peer)
            results.append(result)
            ratio = f"{result['sluice']['median'] / result['testpmd']['median']:.2f}" if peer else "-"
            figures.row(case.name, figures.millions(result["sluice"]),
                        figures.millions(result["testpmd"]) if peer else "-", ratio, widths=_WIDTHS)
    figures.write(options.json, told, results)


if __name__ == "__main__":
    main()
