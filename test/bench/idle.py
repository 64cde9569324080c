#!/usr/bin/env python3
"""Sluice at rest, on the router's two devices of kernel_router.py, by AF_XDP and AF_PACKET.

`idle`: the share of a CPU that its busiest thread takes while no packet comes, `poll: adaptive`.
`wake-up`: from the sending of the first packet after a pause to its arrival behind the box, `poll: adaptive`; `delay`: the same without
pauses, and besides it `poll: busy`; the kernel as the router, and one pair of devices alone, take the same packets in the same
run. Medians of the packets of a run; the JSON has the 99th of a hundred too.

As root on an otherwise idle machine:

    test/bench/idle.py [--build build] [--repeat 5] [--seconds 3] [--case NAME] [--json FILE] [--quick]
"""
import statistics
import time

import bench
import frames
import kernel_router
from contest import MICROSECONDS, OURS, PERCENT, Against, Case
from gateway import configuration
from kernel import devices, started

PART = "idle"

_FRAME = frames.udp4(0x0A000001, 0xC6120001, 1024, 53)
_BUSY, _KERNEL, _PAIR = "poll busy", "kernel", "one pair"


class AtRest(Case):
    def __init__(self, name, setting, kind):
        super().__init__(name, setting)
        self.kind = kind
        self.configs = {poll: setting.folder / f"{name}-{poll}.yaml" for poll in ("adaptive", "busy")}

    def why_not(self):
        return kernel_router.why_not()

    def prepare(self):
        inside, outside = devices(self.kind)
        for poll, config in self.configs.items():
            config.write_text(configuration(inside, self.bench.cpu, self.bench.socket, outside=outside, poll=poll))

    def box(self, build, within, poll="adaptive"):
        return started(self.bench, build, self.configs[poll], within, self.kind)


class Idle(AtRest):
    unit = PERCENT
    against = (Against(aim=3),)

    def ours(self, build):
        router = self.bench.router
        with router.kept_still() as within, self.box(build, within) as gateway:
            router.delays(_FRAME, 1, 0, self.bench.other_cpu)
            time.sleep(0.1)
            began, before = time.monotonic(), gateway.cpu_seconds()
            time.sleep(self.bench.seconds)
            took, after = time.monotonic() - began, gateway.cpu_seconds()
        shares = {thread: (used - before.get(thread, 0)) / took for thread, used in after.items()}
        self.note("threads", shares)
        return max(shares.values())


class Delay(AtRest):
    unit = MICROSECONDS

    def __init__(self, name, setting, kind, pause, aim=None):
        super().__init__(name, setting, kind)
        self.pause = pause
        self.against = (Against(aim=aim), Against(_BUSY), Against(_KERNEL), Against(_PAIR))

    def ours(self, build):
        return self._through_box(OURS, build, "adaptive")

    def peers(self):
        router = self.bench.router
        yield _BUSY, lambda: self._through_box(_BUSY, self.bench.build, "busy")
        yield _KERNEL, self._kernel
        yield _PAIR, lambda: self._median(_PAIR, lambda *how: router.delays(*how, source="bare", sink="wall"))

    def _kernel(self):
        self.bench.router.load("")
        return self._median(_KERNEL, self.bench.router.delays)

    def _through_box(self, label, build, poll):
        with self.bench.router.kept_still() as within, self.box(build, within, poll):
            return self._median(label, self.bench.router.delays)

    def _median(self, label, delays):
        count = max(int(self.bench.seconds / max(self.pause, 0.001)), 10)
        told = sorted(delays(_FRAME, count, self.pause, self.bench.other_cpu))
        self.note(f"99th of 100, {label}", told[len(told) * 99 // 100])
        return statistics.median(told)

    def remarks(self):
        yield "99th of a hundred, us: " + ", ".join(f"{key.partition(', ')[2]} {statistics.median(values) * 1e6:.0f}"
                                                    for key, values in self.notes.items() if key.startswith("99th"))


_KINDS = ("af_xdp", "af_packet")
CASES = {
    **{f"idle-{kind}": lambda *a, kind=kind: Idle(*a, kind) for kind in _KINDS},
    **{f"wake-up-{kind}": lambda *a, kind=kind: Delay(*a, kind, 0.05, 200) for kind in _KINDS},
    **{f"delay-{kind}": lambda *a, kind=kind: Delay(*a, kind, 0.0) for kind in _KINDS},
}
QUICK = ("idle-af_packet", "wake-up-af_xdp", "delay-af_packet")

if __name__ == "__main__":
    bench.main_of(__name__)
