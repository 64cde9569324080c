"""What all benchmarks here print and write: medians with their spread, the machine and the build, rows of a table."""
import json
import os
import pathlib
import platform
import signal
import statistics
import subprocess
import sys


def clean_up_when_ended():
    """SIGTERM takes the way of Ctrl-C: processes, namespaces and files go."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("ended by a signal"))


def summary(values):
    return {"median": statistics.median(values), "least": min(values), "most": max(values), "runs": list(values)}


def spread(figure, scale=1.0):
    """Median (least-most), three digits."""
    median, least, most = (_digits(figure[key] * scale) for key in ("median", "least", "most"))
    return f"{median} ({least}-{most})"


def _digits(value):
    return f"{value:.0f}" if abs(value) >= 100 else f"{value:#.3g}"


def machine():
    """Where the figures come from, and what else went on there."""
    model = next((line.split(":")[1].strip() for line in pathlib.Path("/proc/cpuinfo").read_text().splitlines()
                  if line.startswith("model name")), platform.machine())
    return {"cpu": model, "cpus": os.cpu_count(), "kernel": platform.release(), "load": os.getloadavg()[0],
            "dpdk": _said("pkg-config", "--modversion", "libdpdk")}


def build(folder):
    """What was built there: commit, compiler, how."""
    told = {"folder": str(folder)}
    information = folder / "meson-info"
    if not information.is_dir():
        return told
    source = json.loads((information / "meson-info.json").read_text())["directories"]["source"]
    commit = _said("git", "-C", source, "rev-parse", "--short=12", "HEAD")
    if commit and _said("git", "-C", source, "status", "--porcelain", "--untracked-files=no"):
        commit += " and changes"
    options = {option["name"]: option["value"] for option in json.loads((information / "intro-buildoptions.json").read_text())}
    return {**told, "commit": commit, "compiler": _compiler(folder),
            **{key: options.get(key) for key in ("buildtype", "optimization", "march", "b_sanitize")}}


def _compiler(folder):
    try:
        words = json.loads((folder / "compile_commands.json").read_text())[0]["command"].split()
    except (OSError, LookupError):
        return ""
    program = words[1] if words[0].endswith("ccache") else words[0]
    return _said(program, "--version").partition("\n")[0]


def _said(*command):
    """What a program prints, empty if there is none or it fails."""
    try:
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return ""


def print_machine(told, *builds):
    print(f"{told['cpu']}, {told['cpus']} CPUs, Linux {told['kernel']}, DPDK {told['dpdk']}, load {told['load']:.1f}", flush=True)
    for each in builds:
        print(f"{each['folder']}: commit {each.get('commit') or 'unknown'}, {each.get('compiler') or 'compiler unknown'}, "
              f"-O{each.get('optimization', '?')}", flush=True)


def row(*cells, widths):
    print("  ".join(f"{str(cell):<{width}}" for cell, width in zip(cells, widths)).rstrip(), flush=True)


def write(path, told):
    if path is not None:
        path.write_text(json.dumps(told, indent=1) + "\n")
