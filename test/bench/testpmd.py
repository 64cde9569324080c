"""Rates of dpdk-testpmd, DPDK's own bare forwarder: what the same source and sink cost with next to no work between."""
import pathlib
import re
import shutil
import signal
import subprocess
import time

from contest import Failed
from gateway import NOWHERE, played, thread_seconds, worker_seconds

_GIVE_UP = 60  # seconds without two figures


def why_not():
    return "" if shutil.which("dpdk-testpmd") else "dpdk-testpmd is not installed"


class Testpmd:
    """A context: it forwards between two devices, inside."""

    def __init__(self, devices, bench, mode, buffers=16384, within=(), burst=64):
        """`within` stands before the command, such as `ip netns exec`."""
        self.command = [*within, "stdbuf", "-oL", "dpdk-testpmd", _cores(bench.cpu), "--no-pci", "--no-telemetry",
                        *_memory(_megabytes(buffers)), "--log-level=4", *(f"--vdev={device}" for device in devices), "--",
                        f"--forward-mode={mode}", "--auto-start", "--stats-period=1", f"--total-num-mbufs={buffers}", f"--burst={burst}"]
        bench.ran(self.command)
        self.said = []

    def __enter__(self):
        self.process = subprocess.Popen(self.command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                        stderr=subprocess.STDOUT, text=True)
        return self

    def __exit__(self, *_):
        self.process.send_signal(signal.SIGINT)
        try:
            self.process.communicate(timeout=20)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.communicate()

    def lines(self, seconds=0):
        """What it prints, for so many seconds and as many more as its start may take."""
        began = time.monotonic()
        for line in self.process.stdout:
            self.said.append(line)
            yield line
            if time.monotonic() - began > _GIVE_UP + seconds:
                break
        raise Failed("dpdk-testpmd gave no rates:\n" + "".join(self.said)[-3000:])

    def await_statistics(self):
        """It forwards."""
        next(line for line in self.lines() if "NIC statistics" in line)

    def worker_cpu_seconds(self):
        return worker_seconds(thread_seconds(self.process.pid))


def rate(capture, bench, mode="macswap", buffers=16384):
    """Packets a second of CPU time, from a capture played over and over to nowhere, on one core."""
    with Testpmd([played(capture), NOWHERE], bench, mode, buffers) as process:
        first = None
        for line in process.lines(bench.seconds):
            # It shows its first port, the source, before the other, which has received nothing.
            if found := re.match(r"\s*RX-packets: ([1-9]\d*)", line):
                sample = (time.monotonic(), process.worker_cpu_seconds(), int(found.group(1)))
                first = first or sample
                if sample[0] >= first[0] + bench.seconds:
                    return (sample[2] - first[2]) / (sample[1] - first[1])
    raise Failed("dpdk-testpmd ended")


def peer(capture, bench, mode, buffers=16384, also_quick=False):
    """For Case.peers(): none where it cannot run. It tells what it has done once a second: too slow for most quick runs."""
    if (not bench.quick or also_quick) and not why_not():
        yield f"testpmd {mode}", lambda: rate(capture, bench, mode, buffers)


def _cores(cpu):
    control = 0 if cpu != 0 else 1
    return f"--lcores={control}@{control},{control + 1 if cpu < control else cpu}@{cpu}"


def _megabytes(buffers):
    return 128 if buffers <= 16384 else max(400, buffers * 5 // 2048)


def _memory(megabytes):
    """In huge pages if enough are free, as Sluice takes it."""
    told = dict(re.findall(r"^(HugePages_Free|Hugepagesize): +(\d+)", pathlib.Path("/proc/meminfo").read_text(), re.MULTILINE))
    free_mb = int(told["HugePages_Free"]) * int(told["Hugepagesize"]) / 1024
    kind = ["--in-memory"] if free_mb >= megabytes else ["--no-huge", "--no-shconf", "--iova-mode=va"]
    return ["-m", str(megabytes), *kind]
