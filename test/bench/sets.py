#!/usr/bin/env python3
"""A set of a million addresses: loaded into a running box while traffic flows, beside `ipset restore` and `nft -f` of the
same addresses; and what a look-up costs from a thousand elements to a million.

Sluice: net_pcap (infinite_rx) to net_null through an early rule that drops what is in the set, of which half of the
sources are. No packet may be lost: what came in left or was dropped by that rule. Times are those of the command, by the
clock, and CPU time of all that worked for it (worker excluded). Memory is what the set counts itself, what the process
has grown by, and its peak over the start; for ipset what it says, for nft what /proc/meminfo says (other programs
disturb it); for both the most the command can have had (this program's own memory counts until it begins). Look-ups are set_bench's, bursts of 64 keys at random.

Runs alternate; median (least-most). As root on an otherwise idle machine:

    test/bench/sets.py [--build build] [--runs 5] [--elements 1000000] [--part load] [--cpu 1] [--json FILE]
                       [--quick]
"""
import argparse
import contextlib
import ipaddress
import json
import os
import pathlib
import random
import re
import shutil
import subprocess
import sys
import tempfile
import time

import figures
import flows
import frames
import kernel_router
from gateway import Gateway, configuration
from kernel_router import Namespace
from rulesets import dotted

_TRAFFIC = 4096  # flows
_SECONDS = 1.0  # of traffic before and after
_WIDTHS = (14, 22, 22, 30, 40)
_LOOKUP_WIDTHS = (10, 6, 24, 24, 24, 24, 10)
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
        sys.exit(f"{' '.join(map(str, command))}: {told[:2000]}")
    return {"seconds": took, "cpu_seconds": used.ru_utime + used.ru_stime, "command_most_mb": used.ru_maxrss / 1024}


class Sluice:
    name = "sluice"

    def __init__(self, options, folder, addresses):
        self.options, self.folder = options, folder
        self.lines = folder / "addresses.txt"
        self.lines.write_text("".join(f"{address}\n" for address in addresses))
        capture = folder / "traffic.pcap"
        chance = random.Random(flows.SEED)
        inside = [int(ipaddress.IPv4Address(address)) for address in addresses[:_TRAFFIC // 2]]
        # Addresses of 128.0.0.0/8 are in no set here.
        sources = inside + [0x80000000 | chance.getrandbits(24) for _ in inside]
        chance.shuffle(sources)
        frames.write_capture(capture, [frames.udp4(source, 0xC6120000 | chance.getrandbits(17), 1024, 53) for source in sources])
        self.config = folder / "sluice.yaml"
        self.config.write_text(configuration(
            f"rx_pcap={capture},infinite_rx=1", options.cpu, folder / "sluice.sock",
            sections=f"sets: {{blocked: {{type: ip, size: {len(addresses)}}}}}\n"
                     'early: [{name: blocked, in: inside, saddr: "@blocked", action: drop}]\n'))

    def why_not(self):
        return ""

    def run(self):
        with Gateway(self.options.build, self.config, self.folder) as gateway:
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
            if listed["count"] != self.options.elements:
                sys.exit(f"the set holds {listed['count']} elements")
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
                sys.exit("nothing is dropped after the set was loaded")
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
            sys.exit(f"packets were lost: {received} received, {sent} sent, {dropped} dropped, {others} not by the rule, "
                     f"missed {missed}: {nic} {gateway.api.items('/v1/drops')}")
        return {"received": received, "dropped_otherwise": others, "missed": missed}

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

    @staticmethod
    def cells(result):
        memory = [result[key]["median"] for key in ("own_mb", "grown_mb", "peak_mb")]
        return "set {:.0f} MB, grown {:.0f}, peak {:.0f}".format(*memory), \
            "0 of {:,} packets lost".format(round(result["received"]["median"]))


class InNamespace:
    """A tool of the kernel's, in a namespace of its own each time."""

    def __init__(self, options, folder):
        self.options, self.folder = options, folder

    def why_not(self):
        return "" if shutil.which(self.name) else f"{self.name} is not installed"

    @contextlib.contextmanager
    def _namespace(self):
        space = Namespace(self.name, f"bench{os.getpid()}")
        try:
            yield space
        finally:
            space.close()

    @staticmethod
    def cells(result):
        return "kernel {:.0f} MB, command at most {:.0f}".format(result["own_mb"]["median"], result["command_most_mb"]["median"]), ""


class Ipset(InNamespace):
    name = "ipset"

    def __init__(self, options, folder, addresses):
        super().__init__(options, folder)
        self.file = folder / "addresses.ipset"
        self.file.write_text(f"create blocked hash:ip maxelem {len(addresses)}\n"
                             + "".join(f"add blocked {address}\n" for address in addresses))

    def run(self):
        with self._namespace() as space, open(self.file, encoding="ascii") as file:
            told = _run(space.command("ipset restore"), stdin=file)
            said = space.run("ipset list -t").stdout
            size = int(re.search(r"Size in memory: (\d+)", said).group(1))
            if int(re.search(r"Number of entries: (\d+)", said).group(1)) != self.options.elements:
                sys.exit(f"ipset holds: {said}")
        return {**told, "own_mb": size / 1e6}


class Nft(InNamespace):
    name = "nft"

    def __init__(self, options, folder, addresses):
        super().__init__(options, folder)
        self.file = folder / "addresses.nft"
        self.file.write_text("table ip sets {\n set blocked {\n  type ipv4_addr\n  size " + str(len(addresses))
                             + "\n  elements = {\n" + ",\n".join(addresses) + "\n  }\n }\n}\n")

    def run(self):
        with self._namespace() as space:
            before = _kernel_memory()
            told = _run(space.command(["nft", "-f", str(self.file)]))
            return {**told, "own_mb": (_kernel_memory() - before) / 1e6}


def _kernel_memory():
    text = pathlib.Path("/proc/meminfo").read_text()
    return sum(int(re.search(key + r":\s+(\d+)", text).group(1)) for key in ("Slab", "VmallocUsed")) * 1024


def load(options, folder):
    chance = random.Random(flows.SEED)
    addresses = [dotted(each) for each in chance.sample(range(0x10000000, 0x7E000000), options.elements)]
    tools = [Sluice(options, folder, addresses), Ipset(options, folder, addresses), Nft(options, folder, addresses)]
    runs = {tool.name: [] for tool in tools}
    for _ in range(options.runs):
        for tool in tools:
            if not tool.why_not():
                runs[tool.name].append(tool.run())
    results = {}
    figures.row(f"load {options.elements:,}", "seconds", "CPU seconds", "memory", "traffic", widths=_WIDTHS)
    for tool in tools:
        if reason := tool.why_not():
            figures.row(tool.name, f"skipped: {reason}", widths=_WIDTHS)
            results[tool.name] = {"skipped": reason}
            continue
        result = {key: figures.summary([run[key] for run in runs[tool.name]]) for key in runs[tool.name][0]}
        results[tool.name] = result
        memory, traffic = tool.cells(result)
        figures.row(tool.name, _seconds(result["seconds"]), _seconds(result["cpu_seconds"]), memory, traffic, widths=_WIDTHS)
    ours = results["sluice"]
    print("packets a second while loading / before: "
          f"{ours['pps_while_loading']['median'] / ours['pps_before']['median']:.2f}")
    return results


def _seconds(figure):
    return f"{figure['median']:.2f} ({figure['least']:.2f}-{figure['most']:.2f})"


def lookups(options):
    """Nanoseconds a look-up by type and size, alternating between the sizes."""
    program = options.build / "test/bench/set_bench"
    if not program.is_file():
        print("look-ups skipped: set_bench is not built; ninja -C BUILD test/bench/set_bench")
        return {}
    sizes = _SIZES[:2] if options.quick else _SIZES
    names = {f"lookup/{kind}/{what}/{size}": (kind, what, size)
             for kind in ("ip", "net") for what in ("hit", "miss") for size in sizes}
    measured = {}
    for _ in range(options.runs):
        done = subprocess.run(["taskset", "-c", str(options.cpu), program, "--benchmark_format=json",
                               f"--benchmark_filter=^({'|'.join(names)})$",
                               f"--benchmark_min_time={0.01 if options.quick else 0.3}"],
                              capture_output=True, text=True, check=True)
        for one in json.loads(done.stdout)["benchmarks"]:
            # Of 32 keys at a time.
            measured.setdefault(names[one["name"]], []).append(one["cpu_time"] / 32)
    figures.row("look-up", "", *(f"{size:,}, ns" for size in sizes), "last/first", widths=_LOOKUP_WIDTHS)
    results = {}
    for kind in ("ip", "net"):
        for what in ("hit", "miss"):
            by_size = {size: figures.summary(measured[kind, what, size]) for size in sizes}
            ratio = by_size[sizes[-1]]["median"] / by_size[sizes[0]]["median"]
            cells = [f"{one['median']:.1f} ({one['least']:.1f}-{one['most']:.1f})" for one in by_size.values()]
            figures.row(kind, what, *cells, f"{ratio:.2f}", widths=_LOOKUP_WIDTHS)
            results[f"{kind} {what}"] = {**{str(size): one for size, one in by_size.items()}, "ratio": ratio}
    return results


def _arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--build", type=pathlib.Path, default=pathlib.Path("build"))
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--elements", type=int, default=1_000_000)
    parser.add_argument("--cpu", type=int, default=1)
    parser.add_argument("--part", choices=("load", "lookup"), help="only this")
    parser.add_argument("--json", type=pathlib.Path)
    parser.add_argument("--quick", action="store_true", help="once, ten thousand elements: does it all work?")
    options = parser.parse_args()
    options.build = options.build.absolute()
    if options.quick:
        options.runs, options.elements = 1, 10_000
    return options


def main():
    figures.clean_up_when_ended()
    options = _arguments()
    if reason := kernel_router.why_not():
        print(f"skipped: {reason}")
        return
    told = figures.machine()
    figures.print_machine(told)
    results = {}
    if options.part != "lookup":
        with tempfile.TemporaryDirectory(prefix="sluice-bench-", dir="/dev/shm") as folder:
            results["load"] = load(options, pathlib.Path(folder))
    if options.part != "load":
        results["lookup"] = lookups(options)
    figures.write(options.json, told, results)


if __name__ == "__main__":
    main()
