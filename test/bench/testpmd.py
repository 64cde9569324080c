"""Rates of dpdk-testpmd, DPDK's own bare forwarder: what the same source and sink cost with next to no work between."""
import math
import re
import shutil
import statistics
import subprocess
import sys


def why_not():
    return "" if shutil.which("dpdk-testpmd") else "dpdk-testpmd is not installed"


def _cores(cpu):
    control = 0 if cpu != 0 else 1
    return f"--lcores={control}@{control},{control + 1 if cpu < control else cpu}@{cpu}"


def run(capture, cpu, seconds, mode="macswap", buffers=16384, memory_mb=128):
    """Packets per second from a capture that is played over and over to nowhere, on one core."""
    command = ["dpdk-testpmd", _cores(cpu), "--in-memory", "--no-pci", "--no-telemetry", "-m", str(memory_mb),
               "--log-level=4", f"--vdev=net_pcap0,rx_pcap={capture},infinite_rx=1", "--vdev=net_null0,no-rx=1", "--",
               f"--forward-mode={mode}", "--auto-start", "--stats-period=1", f"--total-num-mbufs={buffers}",
               "--burst=64"]
    done = subprocess.run(["timeout", "-s", "INT", str(max(2, math.ceil(seconds)) + 3), *command], stdin=subprocess.DEVNULL,
                          capture_output=True, text=True, check=False)
    rates = [int(rate) for rate in re.findall(r"Rx-pps:\s+(\d+)", done.stdout)]
    rates = [rate for rate in rates if rate > 0]
    if len(rates) < 3:
        sys.exit("dpdk-testpmd gave no rates:\n" + done.stdout[-2000:] + done.stderr[-2000:])
    return statistics.median(rates[1:])
