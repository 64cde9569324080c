"""The kernel as the router, in a network namespace, between two pairs of virtual Ethernet devices:

    source ─ inside ▶ forwarding, conntrack, nftables ▶ outside ─ sink (dropped at once)
    bare ─ wall (dropped at once)

A sender pinned to one CPU puts frames into `source`; all that follows happens on that CPU. The same frames put into `bare`
tell what sending, one pair of devices and dropping cost: what is left is the router's share, which
includes the second pair.
"""
import contextlib
import json
import os
import pathlib
import subprocess
import sys

from contest import Failed
from frames import BOX_MAC, PEER_MAC

sys.path.append(str(pathlib.Path(__file__).resolve().parents[1] / "netns"))
from namespace import Namespace  # noqa: E402

FLOWS = 1 << 22  # the most the kernel shall track
_BUCKETS = 1 << 21
_MAX = pathlib.Path("/proc/sys/net/netfilter/nf_conntrack_max")
_HASHSIZE = pathlib.Path("/sys/module/nf_conntrack/parameters/hashsize")
_LONG = 120  # seconds, for what is not measured
_LOST = 0.001  # share of frames that may get lost before a run counts for nothing

_DROPS = """table netdev ends {
 chain sink {
  type filter hook ingress device "sink" priority 0; policy accept;
  drop
 }
 chain wall {
  type filter hook ingress device "wall" priority 0; policy accept;
  drop
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

    def __enter__(self):
        self.namespace = Namespace("kernel", f"bench{os.getpid()}")
        self._stack.callback(self.namespace.close)
        try:
            self._make_devices()
            self._nft(_DROPS)
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
        space.ip(f"link set wall address {BOX_MAC.hex(':')}")
        for device in ("source", "inside", "outside", "sink", "bare", "wall"):
            space.ip(f"link set {device} up")
        space.sysctl("net.ipv4.ip_forward", 1)
        space.ip("addr add 192.0.2.2/24 dev outside")
        space.ip(f"neigh replace 192.0.2.1 lladdr {PEER_MAC.hex(':')} nud permanent dev outside")
        space.ip("route add default via 192.0.2.1")

    def load(self, ruleset, udp_timeout=30):
        """Nothing but these rules, and an empty table of flows that is large enough."""
        self.namespace.run(["nft", "delete table inet gateway"], check=False)
        self.namespace.run(["conntrack", "-F"], check=False, timeout=_LONG)
        self._nft(ruleset)
        for path, value in ((_MAX, FLOWS), (_HASHSIZE, _BUCKETS)):
            before = path.read_text()
            if int(before) < value:
                self._stack.callback(path.write_text, before)
                path.write_text(str(value))
        self.namespace.sysctl("net.netfilter.nf_conntrack_udp_timeout", udp_timeout)

    def flows(self):
        return int(self.namespace.run(["conntrack", "-C"]).stdout)

    def bare(self, capture, seconds):
        return self._send("bare", capture, seconds)

    def forward(self, capture, seconds):
        return self._send("source", capture, seconds)

    def play(self, capture, passes=1, cpu=None, per_second=0):
        """All of a capture, not measured; on another CPU and at a rate if these are given."""
        self._run_sender("source", capture, self._cpu if cpu is None else cpu, _LONG, passes, per_second)

    def _run_sender(self, *arguments):
        command = [str(self._sender), *map(str, arguments)]
        return json.loads(self.namespace.run(command, timeout=2 * _LONG).stdout)

    def _send(self, device, capture, seconds):
        """Seconds of CPU time for each frame that arrived at the end."""
        arrived, softirq = self._arrived(), self._softirq_seconds()
        told = self._run_sender(device, capture, self._cpu, seconds)
        arrived, softirq = self._arrived() - arrived, self._softirq_seconds() - softirq
        if arrived < told["sent"] * (1 - _LOST):
            raise Failed(f"of {told['sent']} frames put into {device} {arrived} arrived: "
                     + self.namespace.ip("-s link") + self.namespace.run(["conntrack", "-S"], check=False).stdout)
        return {"arrived": arrived, "sent": told["sent"], "seconds": told["seconds"],
                "cpu_seconds": told["cpu_seconds"] + softirq,
                "cost": (told["cpu_seconds"] + softirq) / max(arrived, 1)}

    def _arrived(self):
        """By the devices' own counters: nft reads all elements of all sets before it tells a counter."""
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


def router_share(forwarded, bare):
    """Packets a second of the CPU time that the router itself takes."""
    return 1 / max(forwarded["cost"] - bare["cost"], 1e-12)
