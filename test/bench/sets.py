#!/usr/bin/env python3
"""A set of a million addresses: loaded into a running box while traffic flows, beside `ipset restore` and `nft -f` of the
same addresses; and what a look-up costs from a thousand elements to a million.

Sluice: net_pcap (infinite_rx) to net_null through an early rule that drops what is in the set, of which half of the
sources are. No packet may be lost: what came in left or was dropped by that rule. Times are those of the command, by the
clock, and CPU time of all that worked for it (worker excluded). Memory is what the set counts itself, what the process
has grown by, and its peak over the start; for ipset what it says, for nft what /proc/meminfo says (other programs
disturb it); for both the most the command can have had (this program's own memory counts until it begins). Look-ups are
set_bench's, bursts of 64 keys at random, nanoseconds of CPU time each.

As root on an otherwise idle machine:

    test/bench/sets.py [--build build] [--repeat 5] [--elements 1000000] [--case NAME] [--json FILE] [--quick]
"""
import contextlib
import ipaddress
import json
import os
import pathlib
import random
import re
import shutil
import statistics
import subprocess
import time

import bench
import frames
import kernel_router
from contest import NANOSECONDS, SECONDS, Against, Case, Failed
from gateway import configuration, played
from kernel_router import Namespace
from rulesets import dotted

PART = "sets"

_TRAFFIC = 4096  # flows
_SECONDS = 1.0  # of traffic before and after
_SIZES = (1000, 10_000, 100_000, 1_000_000)


def _run(command, **options):
    """Runs a command to its end: seconds by the clock, its CPU seconds, a bound of its memory: exec() keeps the peak of before."""
    began = time.monotonic()
    process = subprocess.Popen([*map(str, command)], stderr=subprocess.PIPE, text=True, stdout=subprocess.DEVNULL, **options)
    told = process.stderr.read()
    _, status, used = os.wait4(process.pid, 0)
    took = time.monotonic() - began
    process.returncode = os.waitstatus_to_exitcode(status)
    process.stderr.close()
    if process.returncode != 0:
        raise Failed(f"{' '.join(map(str, command))}: {told[:2000]}")
    return {"seconds": took, "cpu_seconds": used.ru_utime + used.ru_stime, "command_most_mb": used.ru_maxrss / 1024}


class Load(Case):
    unit = SECONDS
    against = (Against(aim=1), Against("ipset", 1), Against("nft", 1))

    def __init__(self, name, setting):
        super().__init__(name, setting)
        self.config = setting.folder / f"{name}.yaml"
        self.lines, self.capture = setting.folder / "addresses.txt", setting.folder / "traffic.pcap"

    def why_not(self):
        return kernel_router.why_not()

    def prepare(self):
        chance = random.Random(self.bench.seed)
        addresses = [dotted(each) for each in chance.sample(range(0x10000000, 0x7E000000), self.bench.elements)]
        self.lines.write_text("".join(f"{address}\n" for address in addresses))
        self.tools = [tool for tool in (Ipset(self.bench.folder, addresses), Nft(self.bench.folder, addresses))
                      if shutil.which(tool.name)]
        inside = [int(ipaddress.IPv4Address(address)) for address in addresses[:_TRAFFIC // 2]]
        # Addresses of 128.0.0.0/8 are in no set here.
        sources = inside + [0x80000000 | chance.getrandbits(24) for _ in inside]
        chance.shuffle(sources)
        frames.write_capture(self.capture, [frames.udp4(source, 0xC6120000 | chance.getrandbits(17), 1024, 53) for source in sources])
        self.config.write_text(configuration(
            played(self.capture), self.bench.cpu, self.bench.socket,
            sections=f"sets: {{blocked: {{type: ip, size: {len(addresses)}}}}}\n"
                     'early: [{name: blocked, in: inside, saddr: "@blocked", action: drop}]\n'))

    def ours(self, build):
        return self._told("sluice", self._load(build))

    def peers(self):
        for tool in self.tools:
            yield tool.name, lambda tool=tool: self._told(tool.name, tool.run(self.bench.elements))

    def _told(self, name, told):
        self.note(name, told)
        return told["seconds"]

    def remarks(self):
        for name in ("sluice", *(tool.name for tool in self.tools)):
            runs = self.notes[name]
            told = {key: statistics.median(run[key] for run in runs) for key in runs[0]}
            words = ", ".join(f"{key} {value:.4g}" for key, value in told.items() if not key.startswith("pps_"))
            yield f"{name}: {words}" + (f", packets a second while loading / before {told['pps_while_loading'] / told['pps_before']:.2f}"
                                        if "pps_before" in told else "")

    def _load(self, build):
        with self.bench.gateway(build, self.config) as gateway:
            before = gateway.rate(_SECONDS)
            memory, cpu = self._memory(gateway), self._control_seconds(gateway)
            self._reset_peak(gateway)
            first, drops = gateway.sample(), gateway.policy_drops()
            told = _run([*gateway.control, "set", "load", "blocked", self.lines])
            loaded = gateway.sample()
            cpu = self._control_seconds(gateway) - cpu
            self._await_drops(gateway, drops)
            after, peak = self._memory(gateway), self._memory(gateway, "VmHWM")
            later = gateway.rate(_SECONDS)
            account = self._account(gateway, first, drops)
            listed = next(one for one in gateway.api.items("/v1/sets") if one["name"] == "blocked")
            if listed["count"] != self.bench.elements:
                raise Failed(f"the set holds {listed['count']} elements")
        return {**told, "cpu_seconds": told["cpu_seconds"] + cpu, "own_mb": listed["memory"] / 1e6,
                "grown_mb": after - memory, "peak_mb": peak - memory, **account, "pps_before": before["cpu_pps"],
                "pps_while_loading": (loaded["received"] - first["received"]) / (loaded["cpu"] - first["cpu"]),
                "pps_after": later["received"] / max(later["sent"], 1) * later["cpu_pps"]}

    @staticmethod
    def _await_drops(gateway, drops):
        """Workers see a new set from their next round on."""
        deadline = time.monotonic() + 10
        while gateway.policy_drops() == drops:
            if time.monotonic() > deadline:
                raise Failed("nothing is dropped after the set was loaded")
            time.sleep(0.001)

    @staticmethod
    def _account(gateway, first, drops):
        """What became of each packet since `first`; at most a burst is under way."""
        by_policy, others = gateway.policy_drops()
        by_policy, others = by_policy - drops[0], others - drops[1]
        last = gateway.sample()
        received, sent, dropped = (last[key] - first[key] for key in ("received", "sent", "dropped"))
        nic = next(one for one in gateway.api.items("/v1/interfaces") if one["name"] == "inside")["nic"]
        missed = sum(value for name, value in nic.items() if re.search("miss|err|nombuf|mbuf_alloc", name))
        lost = received - sent - dropped
        if others or missed or abs(lost) > 256 or not by_policy:
            raise Failed(f"packets were lost: {received} received, {sent} sent, {dropped} dropped, {others} not by the rule, "
                     f"missed {missed}: {nic} {gateway.api.items('/v1/drops')}")
        return {"received": received}

    @staticmethod
    def _memory(gateway, which="VmRSS"):
        text = pathlib.Path(f"/proc/{gateway.process.pid}/status").read_text()
        return int(re.search(which + r":\s+(\d+)", text).group(1)) * 1024 / 1e6

    @staticmethod
    def _reset_peak(gateway):
        pathlib.Path(f"/proc/{gateway.process.pid}/clear_refs").write_text("5")

    @staticmethod
    def _control_seconds(gateway):
        """What all threads but the worker have run for."""
        total = 0
        for task in pathlib.Path(f"/proc/{gateway.process.pid}/task").iterdir():
            if "worker" not in (task / "comm").read_text():
                total += int((task / "schedstat").read_text().split()[0])
        return total / 1e9


class InNamespace:
    """A tool of the kernel's, in a namespace of its own each time."""

    @contextlib.contextmanager
    def _namespace(self):
        space = Namespace(self.name, f"bench{os.getpid()}")
        try:
            yield space
        finally:
            space.close()


class Ipset(InNamespace):
    name = "ipset"

    def __init__(self, folder, addresses):
        self.file = folder / "addresses.ipset"
        self.file.write_text(f"create blocked hash:ip maxelem {len(addresses)}\n"
                             + "".join(f"add blocked {address}\n" for address in addresses))

    def run(self, elements):
        with self._namespace() as space, open(self.file, encoding="ascii") as file:
            told = _run(space.command("ipset restore"), stdin=file)
            said = space.run("ipset list -t").stdout
            size = int(re.search(r"Size in memory: (\d+)", said).group(1))
            if int(re.search(r"Number of entries: (\d+)", said).group(1)) != elements:
                raise Failed(f"ipset holds: {said}")
        return {**told, "own_mb": size / 1e6}


class Nft(InNamespace):
    name = "nft"

    def __init__(self, folder, addresses):
        self.file = folder / "addresses.nft"
        self.file.write_text("table ip sets {\n set blocked {\n  type ipv4_addr\n  size " + str(len(addresses))
                             + "\n  elements = {\n" + ",\n".join(addresses) + "\n  }\n }\n}\n")

    def run(self, elements):
        with self._namespace() as space:
            before = _kernel_memory()
            told = _run(space.command(["nft", "-f", str(self.file)]))
            return {**told, "own_mb": (_kernel_memory() - before) / 1e6}


def _kernel_memory():
    text = pathlib.Path("/proc/meminfo").read_text()
    return sum(int(re.search(key + r":\s+(\d+)", text).group(1)) for key in ("Slab", "VmallocUsed")) * 1024


class Lookup(Case):
    """The largest set beside smaller ones; alternating between the sizes."""
    unit = NANOSECONDS

    def __init__(self, name, setting, kind, what):
        super().__init__(name, setting)
        self.sizes = _SIZES[:2] if setting.quick else _SIZES
        self.kind, self.what = kind, what
        smaller = [f"{size:,}" for size in self.sizes[:-1]]
        self.against = (Against(smaller[0], 1.5), *map(Against, smaller[1:]))

    def why_not(self):
        program = self._program(self.bench.build)
        return "" if program.is_file() else "set_bench is not built: ninja -C BUILD test/bench/set_bench"

    @staticmethod
    def _program(build):
        return build / "test/bench/set_bench"

    def ours(self, build):
        return self._measure(build, self.sizes[-1])

    def peers(self):
        for size in self.sizes[:-1]:
            yield f"{size:,}", lambda size=size: self._measure(self.bench.build, size)

    def _measure(self, build, size):
        done = subprocess.run(["taskset", "-c", str(self.bench.cpu), self._program(build), "--benchmark_format=json",
                               f"--benchmark_filter=^lookup/{self.kind}/{self.what}/{size}$",
                               f"--benchmark_min_time={0.01 if self.bench.quick else 0.3}"],
                              capture_output=True, text=True, check=True)
        (told,) = json.loads(done.stdout)["benchmarks"]
        return told["ns/lookup"]


CASES = {
    "set-load": Load,
    **{f"set-lookup-{kind}-{what}": lambda *a, kind=kind, what=what: Lookup(*a, kind, what)
       for kind in ("ip", "net") for what in ("hit", "miss")},
}
QUICK = ("set-load",)

if __name__ == "__main__":
    bench.main_of(__name__)
