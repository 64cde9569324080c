#!/usr/bin/env python3
"""Two workers on two CPUs against one: established flows through the stateful firewall, from net_pcap (infinite_rx) to net_null.

`two-queues`: each worker has a queue with its own flows, as a device spreads them by the symmetric RSS key; one worker alone has
the flows of one queue, as many as each of the two. `steering`: all come by one queue, whose worker hands over those of the other;
beside it one worker that is alone with the same flows. Only what was sent counts: the source has no end, and overruns a worker that
waits for its CPU. `steering-new` is the same for packets of which each begins a flow (new_flows.py).

What is handed over goes from one CPU's caches to the other's, in virtual machines now near, now far: how long a line of memory takes
there and back is measured just after the two workers ran.

Packets per second in which the workers had their CPUs, millions. The control thread shares a CPU with a worker. As root on an
otherwise idle machine:

    test/bench/workers.py [--build build] [--repeat 5] [--seconds 3] [--case NAME] [--json FILE] [--quick]
"""
import os
import subprocess

import bench
import flows
import frames
from contest import Against, Case, Failed
from firewall import await_established, await_streams
from gateway import buffers_for, configuration, played
from new_flows import NewFlows
from rulesets import Ruleset

PART = "workers"

_SERVICES = 100
_ALONE = "one worker"
_STRAY = 0.001  # share of packets that may come by the other's queue


class Workers(Case):
    """So many flows, by so many queues."""

    def __init__(self, name, setting, count, queues, aim):
        super().__init__(name, setting)
        self.count, self.queues = count, queues
        self.against = (Against(_ALONE, aim),)
        self.captures = [setting.folder / f"{name}-{number}.pcap" for number in range(queues)]
        self.config, self.config_alone = (setting.folder / f"{name}{suffix}.yaml" for suffix in ("", "-alone"))
        self.cpus = [setting.cpu, setting.other_cpu]

    def why_not(self):
        return "" if len(os.sched_getaffinity(0)) > 1 else "one CPU"

    def prepare(self):
        drawn = flows.drawn(self.count, _SERVICES - 1, self.bench.seed)
        if self.queues > 1:
            drawn = [[flow for flow in drawn if flows.owner(flow, self.queues) == number] for number in range(self.queues)]
        else:
            drawn = [drawn]
        self.alone = len(drawn[0])
        for capture, of_queue in zip(self.captures, drawn):
            frames.write_capture(capture, flows.two_way_udp(of_queue, self.bench.seed))
        buffers = self.queues * buffers_for(2 * self.alone * 5 // 4)
        sections = f"conntrack: {{max: {max(2 * self.count, 1 << 20)}}}\n" + Ruleset("udp", services=_SERVICES).yaml()
        socket = self.bench.socket
        self.config.write_text(configuration([played(capture, number=number) for number, capture in enumerate(self.captures)],
                                             self.cpus, socket, buffers, sections=sections))
        self.config_alone.write_text(configuration(played(self.captures[0]), self.cpus[0], socket, buffers, sections=sections))

    def ours(self, build):
        return self._measure(build, self.config, self.count, "two workers")

    def peers(self):
        yield _ALONE, self._one_worker

    def _one_worker(self):
        note_line_trip(self)
        return self._measure(self.bench.build, self.config_alone, self.alone, _ALONE)

    def _measure(self, build, config, count, label):
        with self.bench.gateway(build, config) as gateway:
            await_established(gateway, count, "lost")
            await_streams(gateway)
            before = gateway.workers()
            rate = gateway.rate(self.bench.seconds)
            workers = gateway.workers()
        if rate["lost"] or not rate["sent"]:
            raise Failed(f"of {rate['received']} packets {rate['sent']} were sent, {rate['lost']} were dropped")
        self.note(f"ring_full, {label}", rate["overrun"] / rate["received"])
        self.note(f"cycles_per_packet, {label}", [worker["stages"] for worker in workers])
        handed = sum(after["handed_over"] - first["handed_over"] for first, after in zip(before, workers))
        self.note(f"handed_over, {label}", handed / rate["received"])
        if self.queues > 1 and handed > _STRAY * rate["received"]:
            raise Failed(f"{handed} of {rate['received']} packets came by the queue of another worker")
        self.note(f"by_the_clock, {label}", rate["pps"])
        return rate["cpu_pps"]

    def remarks(self):
        for label in ("two workers", _ALONE):
            for number, stages in enumerate(self.notes[f"cycles_per_packet, {label}"][-1]):
                if any(stages.values()):  # of packets that devices gave
                    yield bench.cycles([stages], f", {label}, {number}")
        handed, full = (self.notes[f"{key}, two workers"][-1] for key in ("handed_over", "ring_full"))
        yield f"handed over: {handed:.3f} of the packets; dropped since the ring was full: {full:.3f}"
        yield line_trips(self)

    def clean(self):
        for capture in self.captures:
            capture.unlink(missing_ok=True)


class Beginnings(NewFlows):
    """New flows by one queue, to two workers."""

    def __init__(self, name, setting, services, aim):
        super().__init__(name, setting, services)
        self.alone = NewFlows(f"{name}-alone", setting, services)
        self.alone.capture = self.capture
        for each in (self, self.alone):  # two take them faster
            each.flows, each.table = 8 * each.flows // 5, 2 * each.table
        self.cpus = [setting.cpu, setting.other_cpu]
        self.against = (Against(_ALONE, aim),)

    def why_not(self):
        return "" if len(os.sched_getaffinity(0)) > 1 else "one CPU"

    def prepare(self):
        super().prepare()
        self.alone.configure()

    def peers(self):
        yield _ALONE, self._one_worker

    def _one_worker(self):
        note_line_trip(self)
        return self.alone.ours(self.bench.build)

    def remarks(self):
        return [bench.cycles(self.notes["cycles_per_packet"], ", of the worker that receives"),
                bench.cycles(self.alone.notes["cycles_per_packet"], f", {_ALONE}"),
                f"dropped since the ring was full: {self.notes['overrun'][-1]:.3f}", line_trips(self)]


def note_line_trip(case):
    program = [case.bench.build / "test/bench/line_trip", *map(str, case.cpus)]
    done = subprocess.run(program, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise Failed(f"line_trip: {done.stderr}")
    case.note("line_trip", float(done.stdout))


def line_trips(case):
    trips = ", ".join(f"{trip:.0f}" for trip in case.notes["line_trip"])
    return f"a line of memory to the other CPU and back, run by run, ns: {trips}"


CASES = {
    "two-queues-1k": lambda *a: Workers(*a, 1024, 2, 1.8),
    "two-queues-64k": lambda *a: Workers(*a, 65536, 2, 1.8),
    "steering-1k": lambda *a: Workers(*a, 1024, 1, 1.3),
    "steering-64k": lambda *a: Workers(*a, 65536, 1, 1.3),
    "steering-new": lambda *a: Beginnings(*a, 10, 1.3),
}
QUICK = ("two-queues-1k", "steering-1k")

if __name__ == "__main__":
    bench.main_of(__name__)
