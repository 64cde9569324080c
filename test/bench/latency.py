#!/usr/bin/env python3
"""How long one UDP datagram takes through the box: Sluice that polls all the time, Sluice that sleeps when idle, and the kernel's
forwarding, between the same virtual Ethernet devices in the same run.

    near ─ inside ▶ Sluice on net_af_packet or net_af_xdp, or the kernel ▶ outside ─ far

One process, on a CPU other than the worker's, has a socket at each end. It sends a datagram from near to far, waits for it, sends
one back and waits again: a figure is the time from before the send until after the receive, one way. `at once`: the next
datagram follows immediately. `after a pause`: 20 ms later, when a worker that may sleep does so. `in the box` is what Sluice
tells of its own share, from receive to transmit. Runs alternate; medians of the runs' quantiles, in microseconds.

    test/bench/latency.py [--build build] [--runs 5] [--seconds 2] [--cpu 1] [--case NAME] [--json FILE]
"""
import argparse
import contextlib
import os
import pathlib
import socket
import sys
import tempfile
import time

import figures
from gateway import Gateway

sys.path.append(str(pathlib.Path(__file__).resolve().parents[1] / "netns"))
from namespace import Namespace  # noqa: E402

_PORT = 7000
_PAUSE = 0.02
_LOST = 0.001  # share of datagrams that may get lost before a run counts for nothing
_ENDS = {"near": ("inside", "10.1.0.1", "10.1.0.2"), "far": ("outside", "10.2.0.1", "10.2.0.2")}  # box's device, box, end
_CASES = {"kernel": None, "af_packet busy": ("af_packet", "busy"), "af_packet adaptive": ("af_packet", "adaptive"),
          "af_xdp busy": ("af_xdp", "busy"), "af_xdp adaptive": ("af_xdp", "adaptive")}
_WIDTHS = (20, 20, 20, 20)


class Box:
    """The namespaces and devices, as a context; the same for all that forward."""

    def __init__(self):
        self._stack = contextlib.ExitStack()

    def __enter__(self):
        with contextlib.ExitStack() as stack:
            self.router = self._space(stack, "router")
            self._ends = {name: self._end(stack, name) for name in _ENDS}
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *_):
        self._stack.close()

    @staticmethod
    def _space(stack, name):
        space = Namespace(name, f"bench{os.getpid()}")
        stack.callback(space.close)
        return space

    def _end(self, stack, name):
        device, box, own = _ENDS[name]
        end = self._space(stack, name)
        self.router.ip(f"link add {device} type veth peer name {device} netns {end.name}")
        # Otherwise frames leave with unfinished checksums.
        end.run(f"ethtool -K {device} tx off")
        self.router.sysctl(f"net.ipv6.conf.{device}.disable_ipv6", 1)
        end.sysctl(f"net.ipv6.conf.{device}.disable_ipv6", 1)
        self.router.ip(f"link set {device} up")
        end.ip(f"addr add {own}/24 dev {device}")
        end.ip(f"link set {device} up")
        end.ip(f"route add default via {box}")
        with end.entered():
            made = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        stack.callback(made.close)
        made.bind((own, _PORT))
        made.settimeout(1)
        return made

    @contextlib.contextmanager
    def kernel(self):
        """The kernel forwards."""
        self.router.sysctl("net.ipv4.ip_forward", 1)
        for device, box, _ in _ENDS.values():
            self.router.ip(f"addr add {box}/24 dev {device}")
        try:
            yield
        finally:
            # It would answer beside Sluice.
            for device, *_ in _ENDS.values():
                self.router.ip(f"addr flush dev {device}")
            self.router.sysctl("net.ipv4.ip_forward", 0)

    def exchange(self, seconds, pause):
        """Seconds that each datagram took, there and back."""
        sockets = {name: self._ends[name] for name in _ENDS}
        ways = [(sockets["near"], sockets["far"], _ENDS["far"][2]), (sockets["far"], sockets["near"], _ENDS["near"][2])]
        times, lost, number = [], 0, 0
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            for source, target, address in ways:
                number += 1
                told = number.to_bytes(8, "big")
                began = time.perf_counter_ns()
                source.sendto(told, (address, _PORT))
                try:
                    while target.recv(64) != told:  # a late one
                        pass
                    times.append((time.perf_counter_ns() - began) / 1e9)
                except TimeoutError:
                    lost += 1
                if pause:
                    time.sleep(pause)
        if not times or lost > max(1, number * _LOST):
            sys.exit(f"{lost} of {number} datagrams were lost: " + self.router.ip("-s link"))
        return times

    def warm_up(self):
        """Until datagrams pass: neighbours are known then."""
        deadline = time.monotonic() + 30
        near, far = self._ends["near"], self._ends["far"]
        far.setblocking(False)
        try:
            while True:
                near.sendto(b"warm", (_ENDS["far"][2], _PORT))
                time.sleep(0.05)
                with contextlib.suppress(BlockingIOError):
                    far.recv(64)
                    break
                if time.monotonic() > deadline:
                    sys.exit("nothing is forwarded: " + self.router.ip("-s link"))
        finally:
            far.settimeout(1)
        self.exchange(0.1, 0)


def _configuration(kind, poll, cpu, socket_path):
    arguments = {"af_packet": "", "af_xdp": ",start_queue=0,queue_count=1"}[kind]
    interfaces = "".join(
        f'  {device}: {{device: "net_{kind}{number},iface={device}{arguments}", addresses: [{box}/24]}}\n'
        for number, (device, box, _) in enumerate(_ENDS.values()))
    return (f"engine: {{workers: [{cpu}], poll: {poll}, mbufs: 16384}}\n"
            f"control: {{socket: {socket_path}}}\ninterfaces:\n{interfaces}")


def _quantile(times, share):
    return sorted(times)[min(len(times) - 1, int(len(times) * share))]


@contextlib.contextmanager
def _away_from(cpu):
    """This process runs on another CPU, if there is one."""
    cpus = os.sched_getaffinity(0)
    os.sched_setaffinity(0, cpus - {cpu} or cpus)
    try:
        yield
    finally:
        os.sched_setaffinity(0, cpus)  # programs that are started have all of them


def _measure(box, options):
    result = {}
    with _away_from(options.cpu):
        box.warm_up()
        for name, pause in (("at_once", 0), ("after_a_pause", _PAUSE)):
            times = box.exchange(options.seconds, pause)
            result |= {f"{name}_p50": _quantile(times, 0.5), f"{name}_p99": _quantile(times, 0.99),
                       f"{name}_max": max(times)}
    return result


def _run(name, box, options, folder):
    if _CASES[name] is None:
        with box.kernel():
            return _measure(box, options)
    config = folder / "sluice.yaml"
    config.write_text(_configuration(*_CASES[name], options.cpu, folder / "sluice.sock"))
    with Gateway(options.build, config, folder, command=box.router.command([])) as gateway:
        result = _measure(box, options)
        latency = gateway.worker()["latency"]
        return result | {"box_p50": latency["p50"], "box_p99": latency["p99"]}


def _arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--build", type=pathlib.Path, default=pathlib.Path("build"))
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=2)
    parser.add_argument("--cpu", type=int, default=1, help="the worker's; datagrams are sent and received on another")
    parser.add_argument("--case", choices=_CASES, action="append")
    parser.add_argument("--json", type=pathlib.Path)
    parser.add_argument("--quick", action="store_true", help="once, for a moment: does it all work?")
    options = parser.parse_args()
    options.build = options.build.absolute()
    if options.quick:
        options.runs, options.seconds = 1, 0.2
    return options


def _cell(result, *names):
    return " / ".join(f"{result[name]['median'] * 1e6:.1f}" for name in names)


def main():
    figures.clean_up_when_ended()
    options = _arguments()
    if os.geteuid() != 0:
        sys.exit("needs root")
    told, results = figures.machine(), []
    figures.print_machine(told)
    names = options.case or list(_CASES)
    runs = {name: [] for name in names}
    with tempfile.TemporaryDirectory(prefix="sluice-bench-") as folder, Box() as box:
        for _ in range(options.runs):
            for name in names:
                runs[name].append(_run(name, box, options, pathlib.Path(folder)))
    figures.row("one way, us", "at once p50 / p99", "after a pause", "in the box", widths=_WIDTHS)
    for name in names:
        result = {key: figures.summary([run[key] for run in runs[name]]) for key in runs[name][0]}
        results.append({"case": name, **result})
        figures.row(name, _cell(result, "at_once_p50", "at_once_p99"), _cell(result, "after_a_pause_p50", "after_a_pause_p99"),
                    _cell(result, "box_p50", "box_p99") if "box_p50" in result else "-", widths=_WIDTHS)
    figures.write(options.json, {"machine": told, "results": results})


if __name__ == "__main__":
    main()
