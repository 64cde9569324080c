#!/usr/bin/env python3
"""A stateful default-drop firewall, one worker, against the Linux kernel and against dpdk-testpmd, in the same run.

Established flows: 64-byte frames both ways, ruleset of 100 services. Sluice takes them from net_pcap (infinite_rx) and
gives them to net_null; so does testpmd (5tswap), which tracks nothing.
Behind NAT: the same with source NAT, beside the same flows without. Established ones are masqueraded by one address,
inside endpoints with several flows each; new ones, each a mapping, get an address of 256.
New flows: every packet is the first of a flow. Sluice reads a capture of millions of them once, with a UDP timeout of a
second: flows end as fast as they begin. What is counted lies after the first seconds and before the end of the capture.
The kernel forwards the same frames between two pairs of virtual Ethernet devices; its figure is the router's own
share of the CPU time (kernel_router.py). `rules` are the same rules in the same order, `map` is one look-up in
a verdict map, the best that nft can do.

Packets per second of CPU time, millions; runs alternate; median (least-most). As root on an otherwise idle machine:

    test/bench/firewall.py [--build build] [--runs 5] [--seconds 3] [--cpu 1] [--case NAME] [--json FILE] [--quick]
"""
import argparse
import dataclasses
import pathlib
import random
import sys
import tempfile
import time

import figures
import flows
import frames
import kernel_router
import testpmd
from gateway import Gateway, configuration, rate_between
from kernel_router import KernelRouter, router_share
from rulesets import EXTERNAL, EXTERNAL6, Ruleset

_UDP_TIMEOUT = 1
_SETTLED = 2.2 * _UDP_TIMEOUT  # by then flows end as fast as they begin
_ADDRESSES = 1_000_000
_OPENED = 60_000  # frames a second of three-way handshakes
_LOST = 0.0005
_BURST = 64  # packets that may be on their way when it is asked
_WIDTHS = (22, 24, 24, 24, 24, 24, 12, 12, 12)
_WITHOUT = "without nat"


class Case:
    """Traffic and rules; each run gives one figure for each contestant."""

    def __init__(self, name, options, folder):
        self.name, self.options, self.folder = name, options, folder
        self.capture = folder / f"{name}.pcap"
        self.config = folder / f"{name}.yaml"
        self.stages, self.notes = {}, {}

    def prepare(self):
        """Writes captures and configuration."""
        raise NotImplementedError

    def sluice(self):
        raise NotImplementedError

    def kernel(self, router, form):
        raise NotImplementedError

    def measure(self, router):
        """All runs, alternating: {contestant: [figure]}."""
        self.prepare()
        result = {}
        for _ in range(self.options.runs):
            for name, run in self.contestants(router):
                result.setdefault(name, []).append(run())
        self.capture.unlink()
        return result

    def contestants(self, router):
        yield "sluice", self.sluice
        if router is not None:
            for form in self.ruleset.forms():
                yield f"kernel {form}", lambda form=form: self.kernel(router, form)

    def _write_config(self, source, conntrack, **more):
        sections = f"conntrack: {{{conntrack}}}\n" + self.ruleset.yaml(self.folder / f"{self.name}.txt")
        self.config.write_text(configuration(source, self.options.cpu, self.folder / "sluice.sock",
                                             sections=sections, **more))


class Established(Case):
    def __init__(self, name, options, folder, proto, count, is_ip6=False):
        super().__init__(name, options, folder)
        self.proto, self.count = proto, count
        self.ruleset = Ruleset(proto, services=100, is_ip6=is_ip6)
        self.openings = folder / f"{name}.openings.pcap"
        self.buffers = 16384 if count < 10000 else 16384 + 2 * count

    def prepare(self):
        self._prepare(flows.drawn(self.count, self.ruleset.services - 1))

    def _prepare(self, drawn, external=None):
        if self.ruleset.is_ip6:
            drawn = flows.as_ip6(drawn, self.ruleset.services - 1)
        both_ways = flows.two_way_udp if self.proto == "udp" else flows.two_way_tcp
        frames.write_capture(self.capture, both_ways(drawn, external))
        interfaces = ""
        if self.proto == "tcp":
            frames.write_capture(self.openings, flows.tcp_openings(drawn, external))
            # Connections are opened by a third interface, which is silent after that.
            interfaces = "  openings: {device: \"net_af_packet0,iface=inside,framecnt=16384\", mac: " + frames.BOX_MAC.hex(":") + "}\n"
        self._write_config(f"rx_pcap={self.capture},infinite_rx=1", f"tcp_loose: false, max: {max(2 * self.count, 1 << 20)}",
                           buffers=self.buffers, interfaces=interfaces)

    def contestants(self, router):
        if not (self.options.quick or testpmd.why_not()):  # it tells what it has done once a second
            yield "testpmd", lambda: testpmd.run(self.capture, self.options.cpu, self.options.seconds, "5tswap",
                                                 self.buffers, self._testpmd_mb())["cpu_pps"]
        yield "sluice", lambda: self.sluice(router)
        if router is not None and not self.ruleset.is_ip6:
            yield "kernel rules", lambda: self.kernel(router, "rules")

    def _testpmd_mb(self):
        return 128 if self.buffers == 16384 else 400 if self.count < 100_000 else self.buffers * 6 // 2048

    def sluice(self, router=None):
        within = []
        if self.proto == "tcp":
            router.load("")  # the kernel must not answer for what it sees of the openings
            within = router.namespace.command([])
        with Gateway(self.options.build, self.config, self.folder, within) as gateway:
            if self.proto == "tcp":
                router.play(self.openings, cpu=_other(self.options.cpu), per_second=_OPENED)
            self._await_established(gateway)
            rate = gateway.rate(self.options.seconds)
            _check_all_sent(self.name, rate, gateway)
            self.stages = gateway.worker()["stages"]
        self.notes.setdefault("sluice_by_the_clock", []).append(rate["pps"])
        return rate["cpu_pps"]

    def _await_established(self, gateway):
        """All flows are there, nothing is dropped any more (the rules let pass what is established, no other answer), and each
        has had packets both ways since, for which the rules were asked."""
        deadline = time.monotonic() + 30
        passed = gateway.sample()["received"] + 4 * self.count
        while (gateway.status()["flows"] != self.count or gateway.rate(0.1)["dropped"]
               or gateway.sample()["received"] < passed):
            if time.monotonic() > deadline:
                sys.exit(f"{self.name}: not all flows are established: {gateway.status()} {gateway.api.items('/v1/drops')}")

    def kernel(self, router, form):
        router.load(self.ruleset.nft(form), udp_timeout=120)
        router.namespace.sysctl("net.netfilter.nf_conntrack_tcp_loose", 0)
        if self.proto == "tcp":
            router.play(self.openings)
        router.play(self.capture, passes=2)
        if router.flows() != self.count:
            sys.exit(f"{self.name}: the kernel tracks {router.flows()} flows, not {self.count}")
        bare = router.bare(self.capture, self.options.seconds)
        return router_share(router.forward(self.capture, self.options.seconds), bare)


class Masqueraded(Established):
    """Beside the same flows without NAT."""

    def __init__(self, name, options, folder, proto, count, is_ip6=False):
        super().__init__(name, options, folder, proto, count, is_ip6)
        self.plain = Established(f"{name}-{_WITHOUT.replace(' ', '-')}", options, folder, proto, count, is_ip6)
        self.ruleset = dataclasses.replace(self.ruleset, nat="masquerade")

    def prepare(self):
        drawn = flows.drawn_behind_nat(self.count, self.ruleset.services - 1)
        self._prepare(drawn, EXTERNAL6 if self.ruleset.is_ip6 else EXTERNAL)
        self.plain._prepare(drawn)

    def measure(self, router):
        result = super().measure(router)
        self.plain.capture.unlink()
        self.notes["cycles_per_packet_without_nat"] = self.plain.stages
        return result

    def contestants(self, router):
        yield from super().contestants(router)
        yield _WITHOUT, lambda: self.plain.sluice(router)


class NewFlows(Case):
    def __init__(self, name, options, folder, services=0, addresses=0, nat=""):
        super().__init__(name, options, folder)
        chosen = random.Random(flows.SEED).sample(range(0x10000000, 0x7E000000), addresses)
        self.ruleset = Ruleset("udp", services=services, sources=tuple(chosen), nat=nat)

    def prepare(self):
        flows.write_beginnings(self.capture, self.options.flows, self.ruleset)
        self._configure()

    def _configure(self):
        # Room for all that begin within the timeout, and then some.
        self._write_config(f"rx_pcap={self.capture}", f"max: {kernel_router.FLOWS}, timeouts: {{udp: {_UDP_TIMEOUT}s}}")

    def sluice(self):
        with Gateway(self.options.build, self.config, self.folder) as gateway:
            samples = [gateway.sample()]
            while samples[-1]["received"] < self.options.flows * 0.97:
                time.sleep(0.005)
                samples.append(gateway.sample())
                if samples[-1]["at"] - samples[0]["at"] > 300:
                    sys.exit(f"{self.name}: the capture does not come to its end: {gateway.status()}")
            stages = gateway.worker()["stages"]
            stats = gateway.api.get("/v1/conntrack/stats")
        inside = [each for each in samples if self.options.flows * 0.02 < each["received"] < self.options.flows * 0.97]
        if not self.options.quick:
            inside = [each for each in inside if each["at"] > inside[0]["at"] + _SETTLED]
        shortest = 0.01 if self.options.quick else 0.5
        if not inside or inside[-1]["at"] - inside[0]["at"] < shortest:
            sys.exit(f"{self.name}: the capture was over too soon to measure; give more --flows")
        rate = rate_between(inside[0], inside[-1])
        if rate["dropped"] > rate["received"] * _LOST:
            sys.exit(f"{self.name}: {rate['dropped']} of {rate['received']} were dropped")
        self.stages = stages
        self.notes.setdefault("sluice_by_the_clock", []).append(rate["pps"])
        self.notes["conntrack"] = stats
        return rate["cpu_pps"]

    def kernel(self, router, form):
        router.load(self.ruleset.nft(form), udp_timeout=_UDP_TIMEOUT)
        bare = router.bare(self.capture, self.options.seconds)
        forwarded = router.forward(self.capture, self.options.seconds)
        self.notes["kernel flows"] = router.flows()
        return router_share(forwarded, bare)


class NewMappings(NewFlows):
    """Beside the same flows without NAT."""

    def __init__(self, name, options, folder, services):
        super().__init__(name, options, folder, services=services, nat="pool")
        self.plain = NewFlows(f"{name}-{_WITHOUT.replace(' ', '-')}", options, folder, services=services)
        self.plain.capture = self.capture

    def prepare(self):
        super().prepare()
        self.plain._configure()

    def measure(self, router):
        result = super().measure(router)
        self.notes["cycles_per_packet_without_nat"] = self.plain.stages
        return result

    def contestants(self, router):
        yield "sluice", self.sluice
        yield _WITHOUT, self.plain.sluice
        if router is not None:
            yield "kernel rules", lambda: self.kernel(router, "rules")


def _other(cpu):
    return 0 if cpu else 1


def _check_all_sent(name, rate, gateway):
    if rate["dropped"] or rate["sent"] < rate["received"] * (1 - _LOST) - _BURST:
        sys.exit(f"{name}: of {rate['received']} packets {rate['sent']} were sent: {gateway.api.items('/v1/drops')}")


CASES = {
    "udp-1k": lambda *a: Established("udp-1k", *a, "udp", 1024),
    "udp-64k": lambda *a: Established("udp-64k", *a, "udp", 65536),
    "tcp-1k": lambda *a: Established("tcp-1k", *a, "tcp", 1024),
    "tcp-64k": lambda *a: Established("tcp-64k", *a, "tcp", 65536),
    "udp-1m": lambda *a: Established("udp-1m", *a, "udp", 1_000_000),
    "udp6-1k": lambda *a: Established("udp6-1k", *a, "udp", 1024, is_ip6=True),
    "udp6-64k": lambda *a: Established("udp6-64k", *a, "udp", 65536, is_ip6=True),
    "udp6-1m": lambda *a: Established("udp6-1m", *a, "udp", 1_000_000, is_ip6=True),
    "nat-udp-1k": lambda *a: Masqueraded("nat-udp-1k", *a, "udp", 1024),
    "nat-udp-64k": lambda *a: Masqueraded("nat-udp-64k", *a, "udp", 65536),
    "nat-udp-1m": lambda *a: Masqueraded("nat-udp-1m", *a, "udp", 1_000_000),
    "nat-udp6-1k": lambda *a: Masqueraded("nat-udp6-1k", *a, "udp", 1024, is_ip6=True),
    "nat-udp6-64k": lambda *a: Masqueraded("nat-udp6-64k", *a, "udp", 65536, is_ip6=True),
    "nat-tcp-1k": lambda *a: Masqueraded("nat-tcp-1k", *a, "tcp", 1024),
    "nat-tcp-64k": lambda *a: Masqueraded("nat-tcp-64k", *a, "tcp", 65536),
    "new-mappings": lambda *a: NewMappings("new-mappings", *a, services=10),
    "new-10-rules": lambda *a: NewFlows("new-10-rules", *a, services=10),
    "new-1000-rules": lambda *a: NewFlows("new-1000-rules", *a, services=1000),
    "new-10000-rules": lambda *a: NewFlows("new-10000-rules", *a, services=10_000),
    "new-1m-set": lambda *a: NewFlows("new-1m-set", *a, addresses=_ADDRESSES),
}
_QUICK = ("udp-1k", "tcp-1k", "nat-udp-1k", "nat-udp6-1k", "nat-tcp-1k", "new-10-rules", "new-mappings")


def _report(name, measured, case):
    """One line, and what stands in the JSON."""
    result = {contestant: figures.summary(values) for contestant, values in measured.items()}
    ours = result["sluice"]["median"]
    peer = result.get("testpmd")
    plain = result.get(_WITHOUT)
    best = max((figure["median"] for contestant, figure in result.items() if contestant.startswith("kernel")), default=None)
    cells = [figures.millions(result[key]) if key in result else "-"
             for key in ("sluice", _WITHOUT, "testpmd", "kernel rules", "kernel map")]
    figures.row(name, *cells, f"{ours / plain['median']:.2f}" if plain else "-", f"{ours / peer['median']:.2f}" if peer else "-",
                f"{ours / best:.1f}" if best else "-", widths=_WIDTHS)
    for what, stages in (("", case.stages), (f", {_WITHOUT}", case.notes.get("cycles_per_packet_without_nat"))):
        if stages:
            print(f"  cycles a packet{what}: " + " ".join(f"{stage} {value:.0f}" for stage, value in stages.items()), flush=True)
    return {"case": name, **result, "cycles_per_packet": case.stages, **case.notes}


def _arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--build", type=pathlib.Path, default=pathlib.Path("build"))
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=3)
    parser.add_argument("--flows", type=int, default=5_000_000, help="how many begin in a run, at most")
    parser.add_argument("--cpu", type=int, default=1)
    parser.add_argument("--case", choices=CASES, action="append")
    parser.add_argument("--json", type=pathlib.Path)
    parser.add_argument("--quick", action="store_true", help="the small cases once, for a moment: does it all work?")
    options = parser.parse_args()
    options.build = options.build.absolute()
    if options.quick:
        options.runs, options.seconds, options.flows = 1, 0.2, 200_000
        options.case = options.case or list(_QUICK)
    return options


def main():
    figures.clean_up_when_ended()
    options = _arguments()
    if reason := kernel_router.why_not():
        print(f"skipped: {reason}")
        return
    told, results, rates = figures.machine(), [], {}
    figures.print_machine(told)
    figures.row("case", "Sluice", "without NAT", "testpmd 5tswap", "kernel rules", "kernel map", "of without", "of testpmd",
                "of kernel", widths=_WIDTHS)
    # Captures of millions of packets are read from memory, not from a disk.
    with tempfile.TemporaryDirectory(prefix="sluice-bench-", dir="/dev/shm") as folder, \
            KernelRouter(options.build, options.cpu) as router:
        for name in options.case or CASES:
            case = CASES[name](options, pathlib.Path(folder))
            measured = case.measure(router)
            results.append(_report(name, measured, case))
            rates[name] = results[-1]["sluice"]["median"]
    if "new-10-rules" in rates and "new-10000-rules" in rates:
        print(f"rate of new flows, 10 000 rules of 10: {rates['new-10000-rules'] / rates['new-10-rules']:.2f}")
    figures.write(options.json, told, results)


if __name__ == "__main__":
    main()
