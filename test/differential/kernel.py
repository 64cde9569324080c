"""The kernel as the box: a network namespace with a tap for each interface, into which frames are written one by one.

After each frame an ARP probe (RFC 5227: sender 0.0.0.0) goes down the same wire. When its answer is back, the frame has
been dealt with, and what lies in the taps is all that left because of it.
"""
import contextlib
import ctypes
import fcntl
import json
import os
import re
import struct
import subprocess
import time

import nft
import outcome
import packets
from case import Case
from topology import NEIGHBOURS, ROUTER, SIDES, ip_commands, packed

_libc = ctypes.CDLL(None, use_errno=True)
_CLONE_NEWNET = 0x40000000
_TUNSETIFF = 0x400454CA
_IFF_TAP, _IFF_NO_PI = 0x0002, 0x1000
_ECHO_REPLY6 = 129
_ARP = b"\x08\x06"
_ANSWER_SECONDS = 5.0

_SYSCTLS = {
    "net/ipv4/ip_forward": 1,
    "net/ipv4/conf/all/rp_filter": 0,
    "net/ipv4/conf/all/send_redirects": 0,
    "net/ipv4/ip_no_pmtu_disc": 2,
    "net/ipv4/icmp_ratelimit": 0,
    "net/ipv4/icmp_ratemask": 0,
    "net/ipv4/icmp_msgs_per_sec": 10_000_000,
    "net/ipv4/icmp_msgs_burst": 10_000_000,
    "net/ipv6/conf/all/forwarding": 1,
    "net/ipv6/icmp/ratelimit": 0,
    "net/ipv6/icmp/ratemask": "",
    "net/ipv6/auto_flowlabels": 0,
    "net/netfilter/nf_conntrack_log_invalid": 0,
    "net/netfilter/nf_conntrack_acct": 1,
}
_SYSCTLS_OF_INTERFACES = {
    "net/ipv4/conf/{}/rp_filter": 0,
    "net/ipv4/conf/{}/send_redirects": 0,
    "net/ipv6/conf/{}/accept_ra": 0,
    "net/ipv6/conf/{}/accept_dad": 0,
    "net/ipv6/conf/{}/router_solicitations": 0,
}


def why_not() -> str:
    """Why the kernel cannot be asked here; empty if it can."""
    if os.geteuid() != 0:
        return "needs root (sudo)"
    if subprocess.run(["unshare", "-n", "true"], capture_output=True, check=False).returncode != 0:
        return "network namespaces cannot be created here"
    if not os.path.exists("/dev/net/tun"):
        return "no /dev/net/tun"
    if subprocess.run(["unshare", "-n", "nft", "list", "ruleset"], capture_output=True, check=False).returncode != 0:
        return "nft does not work here"
    return ""


def run(case: Case) -> outcome.Outcome:
    """What the kernel makes of a case."""
    with _namespace(), contextlib.ExitStack() as stack:
        taps = {name: _Tap(name, stack) for name in SIDES}
        _command(["ip", "-batch", "-"], ip_commands())
        for key, value in _SYSCTLS.items():
            _write_sysctl(key, value)
        for key, value in _SYSCTLS_OF_INTERFACES.items():
            for name in SIDES:
                _write_sysctl(key.format(name), value)
        _await_addresses(taps)
        if case.rules is not None:
            _write_options(case.rules.get("conntrack", {}))
            _command(["nft", "-f", "-"], nft.ruleset(case.config()))
        lines, times = _drive(case, taps)
        with open("/proc/thread-self/net/nf_conntrack", encoding="ascii") as file:
            flows = [parse_flow(line) for line in file]
        idle = (time.monotonic_ns() - times[-1]) / 1e9 if times else 0.0
        counters = _rule_counters()
    return outcome.Outcome(lines, flows, counters, times, idle)


def _await_addresses(taps: dict) -> None:
    """The kernel takes IPv6 addresses into use in its own time, even without duplicate address detection. What it would forward
    until then has no hop left, or it would complain seconds later that nobody answers for the address."""
    deadline = time.monotonic() + _ANSWER_SECONDS
    for host in {host.side: host for host in NEIGHBOURS}.values():
        src, dst = packed(host.ip6), packed(SIDES[host.side].ip6)
        echo = packets.frame(host, packets.ip(src, dst, packets.icmp_proto(src), packets.echo(src, dst, 1, 1), ttl=1))
        tap = taps[host.side]
        while not any(frame[54] == _ECHO_REPLY6 for frame in tap.take()):
            if time.monotonic() > deadline:
                raise RuntimeError("the kernel does not answer echo requests")
            tap.send(echo)
            tap.send(_probe(SIDES[host.side]))
            tap.await_answer()


def _drive(case: Case, taps: dict) -> tuple[list[outcome.Line], list[int]]:
    probes = {name: _probe(SIDES[name]) for name in taps}
    lines, times = [], []
    for packet in case.packets:
        if packet.wait:
            time.sleep(packet.wait)
        before = [(name, frame) for name, tap in taps.items() for frame in tap.take()]
        times.append(time.monotonic_ns())
        tap = taps[packet.interface]
        if tap.send(packet.frame):
            tap.send(probes[packet.interface])
            tap.await_answer()
        out = [(name, frame) for name, each in taps.items() for frame in each.take()]
        lines.append(_line(packet.interface, out, before))
    return lines, times


def _line(came_by: str, out: outcome.Frames, before: outcome.Frames) -> outcome.Line:
    """With the state that forwarded frames tell by their source MAC, which is put right; answers go back."""
    state, frames = None, []
    for name, frame in out:
        if frame[6:11] == nft.STATE_MAC:
            told = nft.STATES[frame[11]]
            frame = frame[:6] + SIDES[name].mac + frame[12:]
            if name != came_by and not outcome.is_from_box(frame):
                state = told
        frames.append((name, frame))
    return outcome.Line(frames, before, state)


class _Tap:
    def __init__(self, name: str, stack: contextlib.ExitStack):
        self._fd = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK)
        stack.callback(os.close, self._fd)
        fcntl.ioctl(self._fd, _TUNSETIFF, struct.pack("16sH22x", name.encode(), _IFF_TAP | _IFF_NO_PI))
        self._answers = SIDES[name].mac
        self._frames: list[bytes] = []

    def send(self, frame: bytes) -> bool:
        """False if the device does not take it: shorter than a link header."""
        try:
            os.write(self._fd, frame)
        except OSError:
            return False
        return True

    def await_answer(self) -> None:
        deadline = time.monotonic() + _ANSWER_SECONDS
        while not self._read():
            if time.monotonic() > deadline:
                raise RuntimeError("the kernel does not answer ARP probes")

    def take(self) -> list[bytes]:
        self._read()
        frames, self._frames = self._frames, []
        return frames

    def _read(self) -> bool:
        answered = False
        while True:
            try:
                frame = os.read(self._fd, 65536)
            except BlockingIOError:
                return answered
            if frame[12:14] == _ARP:
                answered |= frame[20:22] == b"\x00\x02"
            elif not _is_membership_report(frame):
                self._frames.append(frame)


def _is_membership_report(frame: bytes) -> bool:
    """MLDv2 reports, which the kernel sends for its own addresses when it likes."""
    return frame[:6] == b"\x33\x33\x00\x00\x00\x16" and frame[6:12] in {side.mac for side in SIDES.values()}


def _probe(side) -> bytes:
    body = struct.pack("!HHBBH6s4s6s4s", 1, 0x0800, 6, 4, 1, ROUTER.mac, bytes(4), bytes(6), packed(side.ip4))
    return b"\xff" * 6 + ROUTER.mac + _ARP + body


@contextlib.contextmanager
def _namespace():
    """This thread is in a new network namespace, on one CPU; the namespace ends with what was opened in it."""
    cpus = os.sched_getaffinity(0)
    home = os.open("/proc/thread-self/ns/net", os.O_RDONLY)
    try:
        os.sched_setaffinity(0, {max(cpus)})
        if _libc.unshare(_CLONE_NEWNET) != 0:
            raise OSError(ctypes.get_errno(), "unshare")
        try:
            yield
        finally:
            _libc.setns(home, _CLONE_NEWNET)
    finally:
        os.sched_setaffinity(0, cpus)
        os.close(home)


def _write_sysctl(key: str, value) -> None:
    with open(f"/proc/sys/{key}", "w", encoding="ascii") as file:
        file.write(f"{value}\n")


def _write_options(conntrack: dict) -> None:
    """The section `conntrack` but helpers as sysctls: their names without nf_conntrack_, and in `timeouts` without timeout_."""
    options = {key: value for key, value in conntrack.items() if key not in ("timeouts", "helpers")}
    for name, seconds in conntrack.get("timeouts", {}).items():
        proto, _, state = name.partition("_")
        options[f"{proto}_timeout_{state}" if state else f"{proto}_timeout"] = seconds
    for name, value in options.items():
        _write_sysctl(f"net/netfilter/nf_conntrack_{name}", int(value))


def _command(arguments: list[str], text: str | None = None) -> str:
    done = subprocess.run(arguments, input=text, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise RuntimeError(f"{' '.join(arguments)}: {done.stderr}\n{text}")
    return done.stdout


def _rule_counters() -> dict[str, tuple[int, int]]:
    """Packets and bytes of each rule, by the name nft.py wrote as its comment."""
    counters: dict[str, tuple[int, int]] = {}
    for entry in json.loads(_command(["nft", "-j", "list", "ruleset"]))["nftables"]:
        rule = entry.get("rule", {})
        counter = next((each["counter"] for each in rule.get("expr", []) if "counter" in each), None)
        if counter and "comment" in rule:
            packets, size = counters.get(rule["comment"], (0, 0))
            counters[rule["comment"]] = packets + counter["packets"], size + counter["bytes"]
    return counters


_STATES = re.compile(r"^[A-Z_0-9]+$")


def parse_flow(line: str) -> outcome.Flow:
    """A line of /proc/net/nf_conntrack."""
    words = line.split()
    tuples: list[dict] = []
    status, fields, state = {"seen_reply"}, {}, None
    for word in words[5:]:
        key, _, value = word.partition("=")
        if key == "src":
            tuples.append({})
        if word == "[UNREPLIED]":
            status.discard("seen_reply")
        elif word == "[ASSURED]":
            status.add("assured")
        elif key in ("mark", "zone", "use"):
            fields[key] = int(value)
        elif tuples and value:
            tuples[-1][key] = value if key in ("src", "dst") else int(value, 0)
        elif _STATES.match(word):
            state = word
    return outcome.Flow(family=words[0].replace("ipv", "ip"), proto=int(words[3]), state=state, timeout=float(words[4]),
                        status=frozenset(status), original=outcome.flow_tuple(tuples[0]),
                        reply=outcome.flow_tuple(tuples[1]), mark=fields.get("mark", 0))
