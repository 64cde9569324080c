#!/usr/bin/env python3
"""Sluice against the Linux kernel on the same pairs of virtual Ethernet devices, one core each, in the same run.

64-byte frames of a thousand UDP flows both ways: forwarded without rules; through a stateful default-drop ruleset of 100 services;
masqueraded besides; past a set of a million blocked addresses besides. Rules are the same.

The kernel's figure is the router's own share of the CPU time (kernel_router.py). Sluice has the router's two devices by
AF_XDP or AF_PACKET; its figure is what arrived at the far end in a second of its worker's CPU time, its system calls included.
The other CPU cannot send as much as it can take: it runs for two milliseconds of ten only, so that queues are full of frames
whenever it does. `testpmd io` moves the same frames between the same devices in the same way, as many of them at once, and does
nothing else: `i/o subtracted` is Sluice's figure without the time that takes. Of less than 50 ns a packet nothing more can be told.

Packets per second of CPU time, millions. As root on an otherwise idle machine:

    test/bench/kernel.py [--build build] [--repeat 5] [--seconds 3] [--elements 1000000] [--case NAME] [--json FILE] [--quick]
"""
import contextlib
import dataclasses
import random
import signal
import statistics
import time

import bench
import flows
import frames
import kernel_router
import testpmd
from contest import OURS, Against, Case, Failed, Skipped
from gateway import configuration
from rulesets import EXTERNAL, Ruleset

PART = "kernel"

_FLOWS = 1024
_SERVICES = 100
_SUBTRACTED, _IO = "i/o subtracted", "testpmd io"
_SETTLES = 10  # seconds, at most
_RUNS, _WAITS = 0.002, 0.008  # seconds in which it takes frames, and in which they gather
_ARGUMENTS = {"af_packet": ",framecnt=2048"}  # as many as AF_XDP has room for
_BURSTS = {"af_packet": 256}  # frames that Sluice sends by one system call (tx_batch of the device's profile)
_LEAST_COST = 50e-9  # seconds: where less is left without the I/O, this counts, since it is below what can be measured


def devices(kind):
    """Of the router, for Sluice and for testpmd."""
    return [f"net_{kind}{number},iface={name}{_ARGUMENTS.get(kind, '')}" for number, name in enumerate(("inside", "outside"))]


@contextlib.contextmanager
def started(setting, build, config, within, kind):
    """Sluice on the router's devices; where AF_XDP does not load, that is no fault."""
    with contextlib.ExitStack() as stack:
        try:
            gateway = stack.enter_context(setting.gateway(build, config, within))
        except Failed as error:
            if kind == "af_xdp":
                raise Skipped(f"{kind} does not load here: {str(error).strip().splitlines()[-1]}") from error
            raise
        yield gateway


def rationed(process, seconds):
    """Lets a process run for a part of the time only, so long; then it runs on."""
    end = time.monotonic() + seconds
    try:
        while time.monotonic() < end:
            process.send_signal(signal.SIGSTOP)
            time.sleep(_WAITS)
            process.send_signal(signal.SIGCONT)
            time.sleep(_RUNS)
    finally:
        process.send_signal(signal.SIGCONT)


class OnPairs(Case):
    def __init__(self, name, setting, kind, ruleset=None, aim=None):
        super().__init__(name, setting)
        self.kind, self.ruleset = kind, ruleset
        self.against = (Against("kernel", aim), Against("kernel", 1, ours=_SUBTRACTED), Against(_IO))
        self.capture, self.config = setting.folder / f"{name}.pcap", setting.folder / f"{name}.yaml"

    def why_not(self):
        return kernel_router.why_not()

    def prepare(self):
        drawn, seed = (flows.drawn, flows.drawn_behind_nat)[bool(self.ruleset and self.ruleset.nat)], self.bench.seed
        frames.write_capture(self.capture, flows.two_way_udp(
            drawn(_FLOWS, _SERVICES - 1, seed), seed, EXTERNAL if self.ruleset and self.ruleset.nat else None))
        if self.ruleset and self.ruleset.blocked:
            chosen = random.Random(seed).sample(range(0x10000000, 0x7E000000), self.bench.elements)
            self.ruleset = dataclasses.replace(self.ruleset, blocked=tuple(chosen))
        inside, outside = devices(self.kind)
        self.config.write_text(configuration(
            inside, self.bench.cpu, self.bench.socket, outside=outside,
            sections=self.ruleset.yaml(self.bench.folder / f"{self.name}.txt") if self.ruleset else ""))

    def peers(self):
        yield "kernel", self._kernel
        if not (self.bench.quick or testpmd.why_not()):
            yield _IO, self._bare_io

    def derive(self, runs):
        if _IO in runs:
            io = statistics.median(runs[_IO])
            left = [1 / ours - 1 / io for ours in runs[OURS]]
            runs[_SUBTRACTED] = [1 / max(cost, _LEAST_COST) for cost in left]
            self.note("too_little_left", sum(cost < _LEAST_COST for cost in left))

    def remarks(self):
        for runs in self.notes.get("too_little_left", ())[-1:]:
            yield f"i/o subtracted: in {runs} of {self.bench.repeat} runs less than {_LEAST_COST * 1e9:.0f} ns a packet were left, which count as that"

    def ours(self, build):
        with self.bench.router.kept_still() as within, \
                started(self.bench, build, self.config, within, self.kind) as gateway:
            figure = self._rate(gateway, lambda: not self.ruleset or gateway.status()["flows"] == _FLOWS)
            if errors := [drop for drop in gateway.api.items("/v1/drops") if drop["family"] != "policy" and drop["interface"] == "inside"]:
                raise Failed(f"packets were dropped: {errors}")
        return figure

    def _bare_io(self):
        with self.bench.router.kept_still() as within, \
                testpmd.Testpmd(devices(self.kind), self.bench, "io", within=within, burst=_BURSTS.get(self.kind, 64)) as process:
            process.await_statistics()
            return self._rate(process, lambda: True)

    def _rate(self, box, is_settled):
        """What arrives in a second of its worker's CPU time while more comes than goes."""
        router = self.bench.router
        with router.flooded(self.capture, self.bench.other_cpu):
            began, before = time.monotonic(), router.arrived()
            while router.arrived() < before + 20 * _FLOWS or not is_settled():
                if time.monotonic() > began + _SETTLES:
                    raise Failed(f"{router.arrived() - before} frames arrived: {router.namespace.ip('-s link')}")
                time.sleep(0.05)
            arrived, cpu = router.arrived(), box.worker_cpu_seconds()
            rationed(box.process, self.bench.seconds)
            return (router.arrived() - arrived) / (box.worker_cpu_seconds() - cpu)

    def _kernel(self):
        router = self.bench.router
        router.load(self.ruleset.nft() if self.ruleset else "", udp_timeout=120)
        if self.ruleset:
            router.establish(self.capture, _FLOWS)
        return router.share(self.capture, self.bench.seconds)

    def clean(self):
        self.capture.unlink(missing_ok=True)


_TRACKED = Ruleset("udp", services=_SERVICES)
_RULESETS = {
    "forward": (None, None),
    "conntrack": (_TRACKED, 1),
    "masquerade": (dataclasses.replace(_TRACKED, nat="masquerade"), 1),
    "set": (dataclasses.replace(_TRACKED, blocked=(0,)), 1),
}
CASES = {f"kernel-{name}-{kind}": lambda *a, kind=kind, ruleset=ruleset, aim=aim: OnPairs(*a, kind, ruleset, aim)
         for name, (ruleset, aim) in _RULESETS.items() for kind in ("af_xdp", "af_packet")}
QUICK = ("kernel-forward-af_xdp", "kernel-masquerade-af_packet")

if __name__ == "__main__":
    bench.main_of(__name__)
