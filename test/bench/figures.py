"""What all benchmarks here print and write: medians with their spread, the machine, a table, JSON; and how they end."""
import json
import os
import pathlib
import platform
import signal
import statistics
import sys


def clean_up_when_ended():
    """SIGTERM takes the way of Ctrl-C: processes, namespaces and files go."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("ended by a signal"))


def summary(values):
    return {"median": statistics.median(values), "least": min(values), "most": max(values), "runs": list(values)}


def machine():
    """Where the figures come from, and what else went on there."""
    model = next((line.split(":")[1].strip() for line in pathlib.Path("/proc/cpuinfo").read_text().splitlines()
                  if line.startswith("model name")), platform.machine())
    return {"cpu": model, "cpus": os.cpu_count(), "kernel": platform.release(), "load": os.getloadavg()[0]}


def print_machine(told):
    print(f"{told['cpu']}, {told['cpus']} CPUs, Linux {told['kernel']}, load {told['load']:.1f}", flush=True)


def millions(figure):
    """Three digits, of rates that differ by orders of magnitude."""
    median, least, most = (f"{figure[key] / 1e6:#.3g}" for key in ("median", "least", "most"))
    return f"{median} ({least}-{most})"


def row(*cells, widths):
    print("  ".join(f"{str(cell):<{width}}" for cell, width in zip(cells, widths)).rstrip(), flush=True)


def write(path, told, results):
    if path is not None:
        path.write_text(json.dumps({"machine": told, "results": results}, indent=1) + "\n")
