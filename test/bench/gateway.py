"""Sluice, started, asked, stopped; and its rate over a stretch of time."""
import math
import os
import pathlib
import signal
import subprocess
import sys
import time

from contest import Failed
from frames import BOX_MAC, PEER_MAC

sys.path.append(str(pathlib.Path(__file__).resolve().parents[1] / "netns"))
from api import Api  # noqa: E402

_START_SECONDS = 180
_PACKET_SECONDS = 60

PROGRAM = "app/sluice"  # in a build
NOWHERE = "net_null0,no-rx=1"


def played(capture, forever=True, number=0):
    """A device whose frames are those of a capture."""
    return f"net_pcap{number},rx_pcap={capture}" + (",infinite_rx=1" if forever else "")


def socket_of(folder):
    """What a gateway with that folder listens at."""
    return folder / "sluice.sock"


def buffers_for(packets):
    """A source that plays forever keeps a buffer for each frame of its capture."""
    return 16384 if packets < 16384 else 16384 + packets


def configuration(inside, workers, socket, buffers=16384, interfaces="", sections="", outside=NOWHERE, poll="busy"):
    """From one device, or several, to another; `workers` are their CPUs, `interfaces` and `sections` are added as they are."""
    return f"""engine: {{workers: {workers if isinstance(workers, list) else [workers]}, poll: {poll}, mbufs: {buffers}}}
control: {{socket: {socket}}}
interfaces:
{_inside([inside] if isinstance(inside, str) else inside)}  outside:
    device: "{outside}"
    addresses: [192.0.2.2/24, "2001:db8:ffff::2/64"]
{interfaces}neighbours:
  - {{interface: outside, ip: 192.0.2.1, mac: {PEER_MAC.hex(":")}}}
  - {{interface: outside, ip: "2001:db8:ffff::1", mac: {PEER_MAC.hex(":")}}}
{sections}routes:
  - {{to: default, via: 192.0.2.1}}
  - {{to: "::/0", via: "2001:db8:ffff::1"}}
"""


def _inside(devices):
    return "".join(f"""  inside{number or ""}:
    device: "{device}"
    mac: {BOX_MAC.hex(":")}
    addresses: [10.255.255.{1 + 4 * number}/30, "fd00:ffff:0:{number}::1/64"]
""" for number, device in enumerate(devices))


class Gateway:
    """A context: the process lives inside."""

    def __init__(self, build, config, folder, command=()):
        """`command` stands before the program's own, such as `ip netns exec`."""
        self.command = [*command, str(build / PROGRAM), "run", "-c", str(config)]
        self._socket, self._log, self._folder = socket_of(folder), folder / "sluice.log", folder
        self.control = [str(build / "app/sluicectl"), "-s", str(self._socket)]

    def __enter__(self):
        environment = dict(os.environ, SLUICE_STATE_DIR=str(self._folder))
        with open(self._log, "w", encoding="ascii") as log:
            self.process = subprocess.Popen(self.command, stdout=log, stderr=log, env=environment)
        deadline = time.monotonic() + _START_SECONDS
        while not self._socket.exists():
            if self.process.poll() is not None or time.monotonic() > deadline:
                self.__exit__()
                raise Failed("sluice did not start:\n" + self._log.read_text(errors="replace"))
            time.sleep(0.005)
        self.api = Api(str(self._socket), timeout=60)
        return self

    def __exit__(self, *_):
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(timeout=20)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        self._socket.unlink(missing_ok=True)

    def status(self):
        return self.api.get("/v1/status")

    def worker(self):
        return self.workers()[0]

    def workers(self):
        return self.api.items("/v1/workers")

    def policy_drops(self):
        """Packets the rules have dropped, and those dropped for any other reason."""
        drops = self.api.items("/v1/drops")
        by_policy = sum(drop["packets"] for drop in drops if drop["family"] == "policy")
        return by_policy, sum(drop["packets"] for drop in drops) - by_policy

    def await_packets(self, count=1):
        """So many were received since the start."""
        deadline = time.monotonic() + _PACKET_SECONDS
        while self.status()["packets"]["received"] < count:
            if time.monotonic() > deadline:
                raise Failed(f"{count} packets are not received: {self.status()}")
            time.sleep(0.005)

    def sample(self):
        """Where packets went up to now, how many flows began, and the time. `overrun` are packets dropped for want of room on their
        way to another worker, as a source without an end overruns one that has to wait for its CPU or has more to do; `lost`
        those dropped for any other reason."""
        before = time.monotonic()
        packets = self.status()["packets"]
        at, cpu = (before + time.monotonic()) / 2, self.worker_cpu_seconds()
        began = sum(worker["insert"] for worker in self.api.items("/v1/conntrack/stats"))
        drops = self.api.items("/v1/drops")
        overrun = sum(drop["packets"] for drop in drops if drop["reason"] == "steer_ring_full")
        lost = sum(drop["packets"] for drop in drops) - overrun
        return {"at": at, "cpu": cpu, "began": began, "overrun": overrun, "lost": lost, **packets}

    def stretch(self, seconds):
        """Samples from its beginning and its end."""
        first = self.sample()
        time.sleep(seconds)
        return first, self.sample()

    def rate(self, seconds):
        """Over a stretch of time: see rate_between()."""
        return rate_between(*self.stretch(seconds))

    def cpu_seconds(self):
        """What each thread has run for, by its name and id."""
        return thread_seconds(self.process.pid)

    def worker_cpu_seconds(self):
        """What the workers have run for in the mean."""
        return worker_seconds(self.cpu_seconds())


def thread_seconds(pid):
    """What each thread of a process has run for, by its name and id."""
    return {(task / "comm").read_text().strip() + f"/{task.name}": int((task / "schedstat").read_text().split()[0]) / 1e9
            for task in pathlib.Path(f"/proc/{pid}/task").iterdir()}


def worker_seconds(threads):
    """Of those, what workers have run for in the mean; DPDK names them so."""
    used = [seconds for name, seconds in threads.items() if "worker" in name]
    if not used:
        raise Failed("no thread is called a worker")
    return sum(used) / len(used)


def rate_between(first, last):
    """Packets that left, in a second by the clock and in a second the workers had their CPUs."""
    sent = last["sent"] - first["sent"]
    # On a busy machine the worker may not have run at all.
    return {"pps": sent / (last["at"] - first["at"]), "cpu_pps": sent / (last["cpu"] - first["cpu"] or math.inf), "sent": sent,
            **{key: last[key] - first[key] for key in ("received", "dropped", "overrun", "lost", "began")}}
