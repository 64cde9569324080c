"""Rates of dpdk-testpmd, DPDK's own bare forwarder: what the same source and sink cost with next to no work between."""
import pathlib
import re
import shutil
import signal
import subprocess
import sys
import time

_GIVE_UP = 60  # seconds without two figures


def why_not():
    return "" if shutil.which("dpdk-testpmd") else "dpdk-testpmd is not installed"


def run(capture, cpu, seconds, mode="macswap", buffers=16384, memory_mb=128):
    """Packets a second by the clock and of CPU time, from a capture played over and over to nowhere, on one core."""
    command = ["stdbuf", "-oL", "dpdk-testpmd", _cores(cpu), "--no-pci", "--no-telemetry",
               *_memory(memory_mb), "--log-level=4", f"--vdev=net_pcap0,rx_pcap={capture},infinite_rx=1",
               "--vdev=net_null0,no-rx=1", "--", f"--forward-mode={mode}", "--auto-start", "--stats-period=1",
               f"--total-num-mbufs={buffers}", "--burst=64"]
    process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    try:
        first, last = _samples(process, seconds)
    finally:
        process.send_signal(signal.SIGINT)
        try:
            process.communicate(timeout=20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.communicate()
    packets = last[2] - first[2]
    return {"pps": packets / (last[0] - first[0]), "cpu_pps": packets / (last[1] - first[1])}


def _cores(cpu):
    control = 0 if cpu != 0 else 1
    return f"--lcores={control}@{control},{control + 1 if cpu < control else cpu}@{cpu}"


def _memory(megabytes):
    """In huge pages if enough are free, as Sluice takes it."""
    told = dict(re.findall(r"^(HugePages_Free|Hugepagesize): +(\d+)", pathlib.Path("/proc/meminfo").read_text(), re.MULTILINE))
    free_mb = int(told["HugePages_Free"]) * int(told["Hugepagesize"]) / 1024
    kind = ["--in-memory"] if free_mb >= megabytes else ["--no-huge", "--no-shconf", "--iova-mode=va"]
    return ["-m", str(megabytes), *kind]


def _samples(process, seconds):
    """Time, CPU time and packets when forwarding goes on, and at least so many seconds later."""
    said, first, began = [], None, time.monotonic()
    for line in process.stdout:
        said.append(line)
        # It shows its first port, the source, before the other, which has received nothing.
        if (found := re.match(r"\s*RX-packets: ([1-9]\d*)", line)):
            sample = (time.monotonic(), _worker_cpu_seconds(process.pid), int(found.group(1)))
            first = first or sample
            if sample[0] >= first[0] + seconds:
                return first, sample
        if time.monotonic() - began > _GIVE_UP + seconds:
            break
    sys.exit("dpdk-testpmd gave no rates:\n" + "".join(said)[-3000:])


def _worker_cpu_seconds(pid):
    for task in pathlib.Path(f"/proc/{pid}/task").iterdir():
        if "worker" in (task / "comm").read_text():
            return int((task / "schedstat").read_text().split()[0]) / 1e9
    sys.exit("no thread of dpdk-testpmd is called a worker")
