#!/usr/bin/env python3
"""New flows through a stateful default-drop firewall, one worker, against the Linux kernel in the same run: every packet is
the first of a flow, at a service drawn at random.

Frames come from net_pcap (infinite_rx) as in other cases, more than a million of them: with a UDP timeout of a fifth of a second,
those of a flow of Sluice's table of a million have ended long before its frame comes again. A run in which one was found is
refused. `mappings` are flows behind NAT, each with a mapping of its own, to an address of 256.
The kernel forwards the same frames between two pairs of virtual Ethernet devices; its figure is the router's own share of
the CPU time (kernel_router.py). `rules` are the same rules in the same order, `map` is one look-up in a verdict map, the
best that nft can do.

New flows per second of CPU time, millions. As root on an otherwise idle machine:

    test/bench/new_flows.py [--build build] [--repeat 5] [--seconds 3] [--flows 1400000] [--case NAME] [--json FILE] [--quick]
"""
import random

import bench
import flows
import kernel_router
from contest import Against, Case, Failed
from firewall import WITHOUT
from gateway import buffers_for, configuration, played, rate_between
from rulesets import Ruleset

PART = "new"

_TABLE = 1 << 20  # flows
_UDP_TIMEOUT = 0.2  # seconds: of five million a second all places would be taken
_KERNEL_TIMEOUT = 1  # the shortest it has
_TIMES = 3  # that the capture is played before anything is measured
_LOST = 0.0005
_BEGAN = 0.99  # flows a packet, at least; they are asked for a moment after packets
_KERNEL = {"kernel rules": "rules", "kernel map": "map"}


class NewFlows(Case):
    """`beside`: a ruleset of so many services, with which the same is measured too."""

    def __init__(self, name, setting, services=0, addresses=0, nat="", aim=None, beside=None, beside_aim=None):
        super().__init__(name, setting)
        self.cpus, self.flows, self.table = [setting.cpu], setting.flows, _TABLE
        chosen = random.Random(setting.seed).sample(range(0x10000000, 0x7E000000), addresses)
        self.ruleset = Ruleset("udp", services=services, sources=tuple(chosen), nat=nat)
        self.other = self._other(beside)
        self.against = (Against(aim=aim), *(Against(label, beside_aim) for label in self.other), *map(Against, _KERNEL))
        self.capture, self.config = setting.folder / f"{name}.pcap", setting.folder / f"{name}.yaml"

    def _other(self, services):
        return {f"{services} rules": NewFlows(f"{self.name}-beside", self.bench, services)} if services else {}

    def why_not(self):
        return kernel_router.why_not()

    def prepare(self):
        flows.write_beginnings(self.capture, self.flows, self.ruleset, self.bench.seed)
        self.configure()
        for other in self.other.values():
            other.prepare()

    def configure(self):
        forever = not self.bench.quick
        buffers = buffers_for(self.flows if forever else 0)
        if forever:
            self.bench.reserve(buffers * 5 // 2048)
        self.config.write_text(configuration(
            played(self.capture, forever), self.cpus, self.bench.socket, buffers,
            sections=f"conntrack: {{max: {self.table}, timeouts: {{udp: {_UDP_TIMEOUT * 1000:.0f}ms}}}}\n"
                     + self.ruleset.yaml(self.bench.folder / f"{self.name}.txt")))

    def peers(self):
        for label, other in self.other.items():
            yield label, lambda other=other: other.ours(self.bench.build)
        for label, form in _KERNEL.items():
            if form in self.ruleset.forms():
                yield label, lambda form=form: self._kernel(form)

    def ours(self, build):
        with self.bench.gateway(build, self.config) as gateway:
            rate = self._all_at_once(gateway) if self.bench.quick else self._settled(gateway)
            self.note("cycles_per_packet", gateway.worker()["stages"])
        if rate["lost"] > rate["received"] * _LOST:
            raise Failed(f"{rate['lost']} of {rate['received']} were dropped")
        if rate["began"] < (rate["received"] - rate["dropped"]) * _BEGAN:
            raise Failed(f"only {rate['began']} of {rate['received']} packets began a flow; give more --flows")
        self.note("overrun", rate["overrun"] / rate["received"])
        self.note("by_the_clock", rate["pps"])
        return rate["cpu_pps"]

    def _settled(self, gateway):
        """Once flows end as fast as they begin, which they do long before the capture was played for the third time."""
        gateway.await_packets(_TIMES * self.flows)
        return gateway.rate(self.bench.seconds)

    def _all_at_once(self, gateway):
        """Of a capture that is played once, since the start: it may be over before it was asked twice."""
        gateway.await_packets(self.flows * 0.97)
        after = gateway.sample()
        return rate_between({**dict.fromkeys(after, 0), "at": after["at"] - 1}, after)

    def _kernel(self, form):
        router = self.bench.router
        router.load(self.ruleset.nft(form), udp_timeout=_KERNEL_TIMEOUT)
        figure = router.share(self.capture, self.bench.seconds)
        self.notes["kernel flows"] = router.flows()
        return figure

    def remarks(self):
        return [bench.cycles(self.notes["cycles_per_packet"]),
                *(bench.cycles(other.notes["cycles_per_packet"], f", {label}") for label, other in self.other.items())]

    def clean(self):
        self.capture.unlink(missing_ok=True)
        for other in self.other.values():
            other.clean()


class NewMappings(NewFlows):
    """Beside the same flows without NAT."""

    def _other(self, services):
        return {WITHOUT: NewFlows(f"{self.name}-without-nat", self.bench, self.ruleset.services)}


CASES = {
    "new-10-rules": lambda *a: NewFlows(*a, services=10, aim=3),
    "new-1000-rules": lambda *a: NewFlows(*a, services=1000, beside=10),
    "new-10000-rules": lambda *a: NewFlows(*a, services=10_000, beside=10, beside_aim=0.7),
    "new-1m-set": lambda *a: NewFlows(*a, addresses=a[1].elements),
    "new-mappings": lambda *a: NewMappings(*a, services=10, nat="pool", aim=2),
}
QUICK = ("new-10-rules", "new-mappings")

if __name__ == "__main__":
    bench.main_of(__name__)
