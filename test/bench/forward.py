#!/usr/bin/env python3
"""Forwarding rate of one worker against dpdk-testpmd on the same source in the same run, in macswap mode and in 5tswap.

Frames of 64 bytes (with check sequence), of the IMIX or of 1518 bytes come from net_pcap (infinite_rx) and go to net_null.
Packets per second of CPU time of the thread that forwards, millions. As root on an otherwise idle machine:

    test/bench/forward.py [--build build] [--repeat 5] [--seconds 3] [--case NAME] [--json FILE] [--quick]
"""
import random
import time

import bench
import frames
import testpmd
from contest import Against, Failed
from gateway import buffers_for, configuration, played, rate_between
from stretches import Stretched

PART = "forward"


class Forward(Stretched):
    """Packets of so many flows in one direction."""

    def __init__(self, name, setting, flows, aim=None, is_ip6=False, mix=frames.SMALLEST):
        super().__init__(name, setting)
        self.count, self.is_ip6, self.mix = flows, is_ip6, mix
        self.against = (Against("testpmd 5tswap", aim), Against("testpmd macswap"))
        self.capture, self.config = setting.folder / f"{name}.pcap", setting.folder / f"{name}.yaml"
        self.buffers = buffers_for(flows)

    def prepare(self):
        chance = random.Random(self.bench.seed)
        frames.write_capture(self.capture, self.frames(chance))
        self.config.write_text(configuration(played(self.capture), self.bench.cpu, self.bench.socket, self.buffers)
                               + "".join(self.routes(chance)))

    def frames(self, chance):
        made = frames.udp6 if self.is_ip6 else frames.udp4
        return [made(*self._addresses(chance), chance.randrange(1024, 65536), 53, self.mix.payload(number, self.is_ip6))
                for number in range(self.count)]

    def _addresses(self, chance):
        if self.is_ip6:
            return (bytes.fromhex("fd000001") + bytes(4) + chance.randbytes(8), bytes.fromhex("20010db8") + chance.randbytes(12))
        return 0x0A000000 | chance.getrandbits(24), self.destination(chance)

    def destination(self, chance):
        return 0xC6120000 | chance.getrandbits(17)

    def routes(self, chance):
        """Besides the default route."""
        return ()

    def peers(self):
        for mode in ("5tswap", "macswap"):
            yield from testpmd.peer(self.capture, self.bench, mode, self.buffers, also_quick=mode == "macswap")

    def make_ready(self, gateways):
        super().make_ready(gateways)
        time.sleep(min(0.5, self.bench.seconds))

    def figure(self, gateway, first, last):
        rate = rate_between(first, last)
        if not rate["sent"] or rate["sent"] < rate["received"] * 0.999:
            raise Failed(f"of {rate['received']} packets {rate['sent']} were sent: {gateway.api.items('/v1/drops')}")
        return rate["cpu_pps"]

    def clean(self):
        self.capture.unlink(missing_ok=True)


class ManyRoutes(Forward):
    """Lengths roughly as in the Internet's tables: most are /24, many /22 to /20, few are short."""
    _LENGTHS = [24] * 60 + [23] * 9 + [22] * 12 + [21] * 5 + [20] * 5 + [19] * 3 + [18] * 2 + [17, 16, 16, 14]

    def destination(self, chance):
        """All over the unicast space, so that a large table is really used."""
        while not _is_unicast(chosen := chance.getrandbits(32)):
            pass
        return chosen

    def routes(self, chance):
        routes = set()
        while len(routes) < self.bench.elements:
            length = chance.choice(self._LENGTHS)
            network = chance.getrandbits(32) >> (32 - length) << (32 - length)
            if network >> 24 not in (0, 10, 127) and network >> 24 < 224:
                routes.add((network, length))
        for network, length in sorted(routes):
            dotted = ".".join(str(network >> shift & 255) for shift in (24, 16, 8, 0))
            yield f"  - {{to: {dotted}/{length}, via: 192.0.2.1}}\n"


def _is_unicast(address):
    return address >> 24 not in (0, 10, 127) and address >> 24 < 224 and address >> 16 != 0xA9FE


CASES = {
    "ip4-1k": lambda *a: Forward(*a, 1024, aim=0.8),
    "ip4-64k": lambda *a: Forward(*a, 65536, aim=0.6),
    "ip4-imix": lambda *a: Forward(*a, 1024, mix=frames.IMIX),
    "ip4-1500": lambda *a: Forward(*a, 1024, mix=frames.LARGEST),
    "ip4-1m-routes": lambda *a: ManyRoutes(*a, 4096),
    "ip6-1k": lambda *a: Forward(*a, 1024, is_ip6=True),
    "ip6-64k": lambda *a: Forward(*a, 65536, is_ip6=True),
    "ip6-imix": lambda *a: Forward(*a, 1024, is_ip6=True, mix=frames.IMIX),
    "ip6-1500": lambda *a: Forward(*a, 1024, is_ip6=True, mix=frames.LARGEST),
}
QUICK = ("ip4-1k",)

if __name__ == "__main__":
    bench.main_of(__name__)
