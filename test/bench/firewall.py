#!/usr/bin/env python3
"""Established flows through a stateful default-drop firewall, one worker, against dpdk-testpmd and the Linux kernel in the
same run.

64-byte frames both ways (or of the IMIX, or of 1518 bytes) of UDP, of TCP or of both, ruleset of 100 services. Sluice takes
them from net_pcap (infinite_rx) and gives them to net_null; so does testpmd (5tswap), which tracks nothing. TCP connections are
opened by three-way handshakes that a third interface receives.
Behind NAT: the same with source NAT, beside the same flows without, masqueraded by one address, inside endpoints with several
flows each.
The kernel forwards the same frames between two pairs of virtual Ethernet devices; its figure is the router's own
share of the CPU time (kernel_router.py). `rules` are the same rules in the same order.

Packets per second of CPU time, millions. As root on an otherwise idle machine:

    test/bench/firewall.py [--build build] [--repeat 5] [--seconds 3] [--case NAME] [--json FILE] [--quick]
"""
import dataclasses
import random
import time

import bench
import flows
import frames
import kernel_router
import testpmd
from contest import Against, Failed
from gateway import buffers_for, configuration, played, rate_between
from rulesets import EXTERNAL, EXTERNAL6, Ruleset
from stretches import Stretched

PART = "firewall"

_SERVICES = 100
_OPENED = 60_000  # frames a second of three-way handshakes
_LOST = 0.0005
_MANY = 1_000_000  # packet buffers: more than huge pages are usually there for
_BURST = 64  # packets that may be on their way when it is asked
WITHOUT = "without nat"


class Established(Stretched):
    def __init__(self, name, setting, proto, count, aim=None, is_ip6=False, mix=frames.SMALLEST, nat=""):
        super().__init__(name, setting)
        self.proto, self.count, self.mix = proto, count, mix
        self.ruleset = Ruleset(proto, services=_SERVICES, is_ip6=is_ip6, nat=nat)
        self.against = (Against("testpmd 5tswap", aim), Against("kernel rules"))
        self.capture, self.openings = setting.folder / f"{name}.pcap", setting.folder / f"{name}.openings.pcap"
        self.config = setting.folder / f"{name}.yaml"
        self.buffers = buffers_for(2 * count)

    def why_not(self):
        return kernel_router.why_not()

    def prepare(self):
        self.prepare_flows(flows.drawn(self.count, _SERVICES - 1, self.bench.seed))

    def prepare_flows(self, drawn, external=None):
        if self.buffers > _MANY:
            self.bench.reserve(self.buffers * 5 // 2048)
        if self.ruleset.is_ip6:
            drawn = flows.as_ip6(drawn, _SERVICES - 1)
        frames.write_capture(self.capture, self.both_ways(drawn, external))
        interfaces = ""
        if self.proto == "tcp":
            frames.write_capture(self.openings, flows.tcp_openings(self.connections(drawn), self.bench.seed, external))
            # Connections are opened by a third interface, which is silent after that.
            interfaces = "  openings: {device: \"net_af_packet0,iface=inside,framecnt=16384\", mac: " + frames.BOX_MAC.hex(":") + "}\n"
        self.config.write_text(configuration(
            played(self.capture), self.bench.cpu, self.bench.socket, self.buffers, interfaces,
            f"conntrack: {{tcp_loose: false, max: {max(2 * self.count, 1 << 20)}}}\n" + self.ruleset.yaml()))

    def both_ways(self, drawn, external):
        frames_of = flows.two_way_udp if self.proto == "udp" else flows.two_way_tcp
        return frames_of(drawn, self.bench.seed, external, self.mix)

    def connections(self, drawn):
        """Of TCP."""
        return drawn

    def peers(self):
        yield from testpmd.peer(self.capture, self.bench, "5tswap", self.buffers)
        if not self.ruleset.is_ip6:
            yield "kernel rules", self._kernel

    def within(self):
        return self.bench.router.namespace.command([]) if self.proto == "tcp" else ()

    def make_ready(self, gateways):
        if self.proto == "tcp":
            router = self.bench.router
            router.load("")  # the kernel must not answer for what it sees of the openings
            router.play(self.openings, cpu=self.bench.other_cpu, per_second=_OPENED)
        for gateway in gateways:
            await_established(gateway, self.count)
            await_streams(gateway)

    def figure(self, gateway, first, last):
        rate = rate_between(first, last)
        check_all_sent(rate, gateway)
        self.note("by_the_clock", rate["pps"])
        return rate["cpu_pps"]

    def _kernel(self):
        router = self.bench.router
        router.load(self.ruleset.nft(), udp_timeout=120)
        router.establish(self.capture, self.count, self.openings if self.proto == "tcp" else None)
        return router.share(self.capture, self.bench.seconds)

    def clean(self):
        self.capture.unlink(missing_ok=True)
        self.openings.unlink(missing_ok=True)


class Mixed(Established):
    """UDP and TCP in no order."""

    def __init__(self, name, setting, count):
        super().__init__(name, setting, "tcp", count)
        self.ruleset = dataclasses.replace(self.ruleset, proto="[tcp, udp]")
        self.against = self.against[:1]

    def both_ways(self, drawn, external):
        result = (flows.two_way_udp(drawn[1::2], self.bench.seed, external, self.mix)
                  + flows.two_way_tcp(self.connections(drawn), self.bench.seed, external, self.mix))
        random.Random(self.bench.seed).shuffle(result)
        return result

    def connections(self, drawn):
        return drawn[::2]

    def peers(self):
        yield from testpmd.peer(self.capture, self.bench, "5tswap", self.buffers)


class Masqueraded(Established):
    """Beside the same flows without NAT."""

    def __init__(self, name, setting, *arguments, **more):
        super().__init__(name, setting, *arguments, **more, nat="masquerade")
        self.plain = Established(f"{name}-{WITHOUT.replace(' ', '-')}", setting, *arguments, **more)
        self.against += (Against(WITHOUT),)

    def prepare(self):
        drawn = flows.drawn_behind_nat(self.count, _SERVICES - 1, self.bench.seed)
        self.prepare_flows(drawn, EXTERNAL6 if self.ruleset.is_ip6 else EXTERNAL)
        self.plain.prepare_flows(drawn)

    def peers(self):
        yield from super().peers()
        yield WITHOUT, lambda: self.plain.ours(self.bench.build)

    def remarks(self):
        self.notes["cycles_per_packet_without_nat"] = self.plain.notes["cycles_per_packet"]
        return [*super().remarks(), bench.cycles(self.plain.notes["cycles_per_packet"], f", {WITHOUT}")]

    def clean(self):
        super().clean()
        self.plain.clean()


def await_established(gateway, count, drops="dropped"):
    """All flows are there, nothing is dropped any more (the rules let pass what is established, no other answer), and each
    has had packets both ways since, for which the rules were asked. `drops` are those of a sample that are meant."""
    deadline = time.monotonic() + 30
    before = gateway.sample()
    passed = before["received"] + 4 * count
    while True:
        time.sleep(0.1)
        now = gateway.sample()
        if now[drops] == before[drops] and now["received"] >= passed and gateway.status()["flows"] == count:
            return
        before = now
        if time.monotonic() > deadline:
            raise Failed(f"not all flows are established: {gateway.status()} {gateway.api.items('/v1/drops')}")


def await_streams(gateway):
    """Flows have lasted: of UDP two seconds, as in Linux."""
    deadline = time.monotonic() + 60
    while young := gateway.api.get("/v1/conntrack/count?status=!assured")["count"]:
        if time.monotonic() > deadline:
            raise Failed(f"{young} flows are no streams: {gateway.status()}")
        time.sleep(0.1)


def check_all_sent(rate, gateway):
    if rate["dropped"] or rate["sent"] < rate["received"] * (1 - _LOST) - _BURST:
        raise Failed(f"of {rate['received']} packets {rate['sent']} were sent: {gateway.api.items('/v1/drops')}")


CASES = {
    "udp-1k": lambda *a: Established(*a, "udp", 1024, 0.7),
    "udp-64k": lambda *a: Established(*a, "udp", 65536, 0.45),
    "udp-1m": lambda *a: Established(*a, "udp", 1_000_000, 0.4),
    "tcp-1k": lambda *a: Established(*a, "tcp", 1024, 0.7),
    "tcp-64k": lambda *a: Established(*a, "tcp", 65536, 0.45),
    "tcp-1m": lambda *a: Established(*a, "tcp", 1_000_000, 0.4),
    "mixed-1k": lambda *a: Mixed(*a, 1024),
    "udp-imix": lambda *a: Established(*a, "udp", 1024, mix=frames.IMIX),
    "udp-1500": lambda *a: Established(*a, "udp", 1024, mix=frames.LARGEST),
    "tcp-imix": lambda *a: Established(*a, "tcp", 1024, mix=frames.IMIX),
    "tcp-1500": lambda *a: Established(*a, "tcp", 1024, mix=frames.LARGEST),
    "udp6-1k": lambda *a: Established(*a, "udp", 1024, 0.5, is_ip6=True),
    "udp6-64k": lambda *a: Established(*a, "udp", 65536, 0.4, is_ip6=True),
    "udp6-1m": lambda *a: Established(*a, "udp", 1_000_000, 0.35, is_ip6=True),
    "tcp6-1k": lambda *a: Established(*a, "tcp", 1024, 0.5, is_ip6=True),
    "tcp6-64k": lambda *a: Established(*a, "tcp", 65536, 0.4, is_ip6=True),
    "udp6-imix": lambda *a: Established(*a, "udp", 1024, is_ip6=True, mix=frames.IMIX),
    "udp6-1500": lambda *a: Established(*a, "udp", 1024, is_ip6=True, mix=frames.LARGEST),
    "nat-udp-1k": lambda *a: Masqueraded(*a, "udp", 1024, 0.6),
    "nat-udp-64k": lambda *a: Masqueraded(*a, "udp", 65536, 0.42),
    "nat-udp-1m": lambda *a: Masqueraded(*a, "udp", 1_000_000, 0.38),
    "nat-tcp-1k": lambda *a: Masqueraded(*a, "tcp", 1024, 0.6),
    "nat-tcp-64k": lambda *a: Masqueraded(*a, "tcp", 65536, 0.42),
    "nat-udp-imix": lambda *a: Masqueraded(*a, "udp", 1024, mix=frames.IMIX),
    "nat-udp6-1k": lambda *a: Masqueraded(*a, "udp", 1024, is_ip6=True),
    "nat-udp6-64k": lambda *a: Masqueraded(*a, "udp", 65536, is_ip6=True),
}
QUICK = ("udp-1k", "tcp-1k", "tcp6-1k", "nat-tcp-1k", "nat-udp6-1k")

if __name__ == "__main__":
    bench.main_of(__name__)
