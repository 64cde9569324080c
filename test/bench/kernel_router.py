"""The kernel as the router, in a network namespace, between two pairs of virtual Ethernet devices:

    source ─ inside ▶ forwarding, conntrack, nftables ▶ outside ─ sink (dropped at once)
    bare ─ wall (dropped at once)

A sender pinned to one CPU puts frames into `source`; all that follows happens on that CPU. The same frames put into `bare`
tell what sending, one pair of devices and dropping cost: what is left is the router's share, which
includes the second pair. The end's work is in what a program that sends to `outside` takes, and not in the router's share, so that it is
made small: frames are for other hosts than the ends, whose IPv4 input drops those before all else.
"""
import contextlib
import json
import os
import pathlib
import socket
import struct
import subprocess
import sys
import time

from contest import Failed
from frames import BOX_MAC, PEER_MAC

sys.path.append(str(pathlib.Path(__file__).resolve().parents[1] / "netns"))
from namespace import Namespace  # noqa: E402

FLOWS = 1 << 22  # the most the kernel shall track
_BUCKETS = 1 << 21
_MAX = pathlib.Path("/proc/sys/net/netfilter/nf_conntrack_max")
_HASHSIZE = pathlib.Path("/sys/module/nf_conntrack/parameters/hashsize")
_LONG = 120  # seconds, for what is not measured
_LATE = 1.0  # seconds in which a frame is to arrive
_ETH_P_ALL = 3  # others see nothing of what is dropped at once
_SO_TIMESTAMPNS = 35
_LARGE = 1 << 20  # bytes of a ruleset
_SETTLES = 20  # seconds, at most
_LOST = 0.001  # share of frames that may get lost before a run counts for nothing

_STILL = """table netdev still {
 chain inside {
  type filter hook ingress device "inside" priority 0; policy drop;
 }
 chain outside {
  type filter hook ingress device "outside" priority 0; policy drop;
 }
}
"""


def why_not():
    """Why the kernel cannot be measured here; empty if it can."""
    if os.geteuid() != 0:
        return "needs root"
    if subprocess.run(["unshare", "-n", "true"], capture_output=True, check=False).returncode != 0:
        return "network namespaces cannot be created here"
    if subprocess.run(["unshare", "-n", "nft", "list", "ruleset"], capture_output=True, check=False).returncode != 0:
        return "nft does not work here"
    return ""


class KernelRouter:
    """A context: namespace, devices and limits of connection tracking are as they were afterwards."""

    def __init__(self, build, cpu):
        self._sender, self._cpu = build / "test/bench/raw_sender", cpu
        self._stack = contextlib.ExitStack()
        self._loaded = ""

    def __enter__(self):
        self.namespace = Namespace("kernel", f"bench{os.getpid()}")
        self._stack.callback(self.namespace.close)
        try:
            self._make_devices()
        except BaseException:
            self._stack.close()
            raise
        return self

    def __exit__(self, *_):
        self._stack.close()

    def _make_devices(self):
        space = self.namespace
        for key in ("all", "default"):
            space.sysctl(f"net.ipv4.conf.{key}.rp_filter", 0)
            space.sysctl(f"net.ipv6.conf.{key}.disable_ipv6", 1)
        for one, other in (("source", "inside"), ("outside", "sink"), ("bare", "wall")):
            space.ip(f"link add {one} type veth peer name {other}")
        space.ip(f"link set inside address {BOX_MAC.hex(':')}")
        for device in ("source", "inside", "outside", "sink", "bare", "wall"):
            space.ip(f"link set {device} up")
        space.sysctl("net.ipv4.ip_forward", 1)
        space.ip("addr add 192.0.2.2/24 dev outside")
        self._know_neighbour()
        space.ip("route add default via 192.0.2.1")

    def _know_neighbour(self):
        self.namespace.ip(f"neigh replace 192.0.2.1 lladdr {PEER_MAC.hex(':')} nud permanent dev outside")

    def load(self, ruleset, udp_timeout=30):
        """Nothing but these rules, and an empty table of flows that is large enough."""
        self.namespace.run(["conntrack", "-F"], check=False, timeout=_LONG)
        if ruleset != self._loaded:
            self.namespace.run(["nft", "delete table inet gateway"], check=False, timeout=_LONG)
            self._nft(ruleset)
            if max(len(ruleset), len(self._loaded)) > _LARGE:
                self._settle()
            self._loaded = ruleset
        for path, value in ((_MAX, FLOWS), (_HASHSIZE, _BUCKETS)):
            before = path.read_text()
            if int(before) < value:
                self._stack.callback(path.write_text, before)
                path.write_text(str(value))
        self.namespace.sysctl("net.netfilter.nf_conntrack_udp_timeout", udp_timeout)

    def _settle(self):
        """The kernel sorts large sets, and frees old ones, for seconds after it was told."""
        deadline = time.monotonic() + _SETTLES
        while time.monotonic() < deadline:
            before = self._idle_ticks()
            time.sleep(0.5)
            if self._idle_ticks() - before > 0.8 * 0.5 * os.sysconf("SC_CLK_TCK"):
                return

    def _idle_ticks(self):
        (line,) = [line for line in pathlib.Path("/proc/stat").read_text().splitlines() if line.startswith(f"cpu{self._cpu} ")]
        return int(line.split()[4])

    def flows(self):
        return int(self.namespace.run(["conntrack", "-C"]).stdout)

    def share(self, capture, seconds):
        """Packets a second of the CPU time that the router itself takes, as it was loaded."""
        bare = self._send("bare", capture, seconds)
        return 1 / max(self._send("source", capture, seconds)["cost"] - bare["cost"], 1e-12)

    def establish(self, capture, count, openings=None):
        """Plays what begins so many flows, and checks that they are there."""
        self.namespace.sysctl("net.netfilter.nf_conntrack_tcp_loose", 0)
        if openings:
            self.play(openings)
        self.play(capture, passes=2)
        if self.flows() != count:
            raise Failed(f"the kernel tracks {self.flows()} flows, not {count}")

    @contextlib.contextmanager
    def kept_still(self):
        """Another program has the devices `inside` and `outside`: what comes there goes no further in the kernel. What stands
        before a command that is to run here."""
        self._nft(_STILL)
        try:
            yield self.namespace.command([])
        finally:
            self.namespace.run(["nft", "delete table netdev still"])
            self._know_neighbour()  # forgotten with some devices

    @contextlib.contextmanager
    def flooded(self, capture, cpu):
        """Frames come into `source` as fast as that CPU can send them, inside."""
        process = self.namespace.start([self._sender, "source", capture, cpu, _LONG], stdout=subprocess.DEVNULL)
        try:
            yield
        finally:
            self.namespace.stop(process)

    def play(self, capture, passes=1, cpu=None, per_second=0):
        """All of a capture, not measured; on another CPU and at a rate if these are given."""
        self._run_sender("source", capture, self._cpu if cpu is None else cpu, _LONG, passes, per_second)

    def delays(self, frame, count, pause, cpu, source="source", sink="sink", warmed=20):
        """Seconds from the sending of a frame to its arrival at the other end, of so many with pauses between. Frames are told by their
        ports; stamped by the kernel when they arrive, so that this program's waking up does not count."""
        before = os.sched_getaffinity(0)
        os.sched_setaffinity(0, {cpu})
        try:
            with self._packet_socket(source) as sender, self._packet_socket(sink, _ETH_P_ALL) as receiver:
                receiver.setsockopt(socket.SOL_SOCKET, _SO_TIMESTAMPNS, 1)
                receiver.settimeout(_LATE)
                for _ in range(warmed):
                    _delay(sender, receiver, frame, 0.001, tries=5)
                return [_delay(sender, receiver, frame, pause) for _ in range(count)]
        finally:
            os.sched_setaffinity(0, before)

    def _packet_socket(self, device, protocol=0):
        with self.namespace.entered():
            made = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)
        made.bind((device, protocol))
        return made

    def _run_sender(self, *arguments):
        command = [str(self._sender), *map(str, arguments)]
        return json.loads(self.namespace.run(command, timeout=2 * _LONG).stdout)

    def _send(self, device, capture, seconds):
        """Seconds of CPU time for each frame that arrived at the end."""
        arrived, softirq = self.arrived(), self._softirq_seconds()
        told = self._run_sender(device, capture, self._cpu, seconds)
        arrived, softirq = self.arrived() - arrived, self._softirq_seconds() - softirq
        if arrived < told["sent"] * (1 - _LOST):
            raise Failed(f"of {told['sent']} frames put into {device} {arrived} arrived: "
                     + self.namespace.ip("-s link") + self.namespace.run(["conntrack", "-S"], check=False).stdout)
        return {"arrived": arrived, "sent": told["sent"], "seconds": told["seconds"],
                "cpu_seconds": told["cpu_seconds"] + softirq,
                "cost": (told["cpu_seconds"] + softirq) / max(arrived, 1)}

    def arrived(self):
        """Frames that came to an end. By the devices' own counters: nft reads all elements of all sets before it tells a counter."""
        with self.namespace.entered(), open("/proc/thread-self/net/dev", encoding="ascii") as file:
            lines = {name.strip(): told.split() for name, _, told in (line.partition(":") for line in file)}
        return sum(int(lines[device][1]) for device in ("sink", "wall"))

    def _softirq_seconds(self):
        """What the CPU's own thread for deferred work has run for."""
        for task in pathlib.Path("/proc").glob("[0-9]*/comm"):
            with contextlib.suppress(OSError):
                if task.read_text().strip() == f"ksoftirqd/{self._cpu}":
                    return int((task.parent / "schedstat").read_text().split()[0]) / 1e9
        return 0.0

    def _nft(self, text):
        done = subprocess.run(self.namespace.command("nft -f -"), input=text, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            raise RuntimeError(f"nft: {done.stderr[:2000]}")


def _delay(sender, receiver, frame, pause, tries=1):
    for _ in range(tries):
        time.sleep(pause)
        sent = time.time_ns()
        sender.send(frame)
        with contextlib.suppress(TimeoutError):
            return (_arrival(receiver, frame) - sent) / 1e9
    raise Failed(f"a frame did not arrive within {_LATE} s")


def _arrival(receiver, frame):
    """When a frame of these ports came, in nanoseconds."""
    while True:
        arrived, ancillary, _, _ = receiver.recvmsg(2048, 128)
        if arrived[34:38] == frame[34:38]:
            seconds, nanoseconds = struct.unpack("ll", ancillary[0][2])
            return seconds * 10**9 + nanoseconds
