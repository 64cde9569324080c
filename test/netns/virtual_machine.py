"""The other end of a virtual device of Sluice's: frames go in and out as through a virtual machine's NIC, large ones too."""
import os
import select
import subprocess
import time

from router import build_dir
from scapy.all import IP, TCP, UDP, Ether, IPv6
from waiting import need


class VirtualMachine:
    """`link`: what Sluice's device is, virtio_user or vhost. The latter waits for the machine, to be started after it."""

    def __init__(self, namespace, directory, name: str, link: str):
        self._program = build_dir() / "test/netns/virtual_peer"
        need(self._program.is_file(), "virtual_peer is not built; run scripts/build")
        self._namespace = namespace
        self._socket = directory / f"{name}.socket"
        self._log = directory / f"{name}.log"
        self._ends = [f"net_vhost{{}},iface={self._socket},tso=1", f"net_virtio_user{{}},path={self._socket},queue_size=256"]
        self.starts_first = link == "virtio_user"
        if self.starts_first:
            self._ends.reverse()
            self.start()

    def start(self) -> None:
        command = [self._program, self._ends[1].format(0)]
        with open(self._log, "wb") as log:
            self._process = self._namespace.start(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log)
        self._waiting = b""
        if self._line(20) != "ready":
            need(False, f"the other end of a virtual link does not start here: {self._log.read_text()[-300:]}")

    def device(self, number: int) -> str:
        return self._ends[0].format(number)

    def _line(self, timeout: float) -> str | None:
        deadline = time.monotonic() + timeout
        output = self._process.stdout.fileno()
        while b"\n" not in self._waiting:
            if not select.select([output], [], [], max(deadline - time.monotonic(), 0))[0]:
                return None
            more = os.read(output, 1 << 16)
            if not more:
                return None
            self._waiting += more
        line, self._waiting = self._waiting.split(b"\n", 1)
        return line.decode()

    def send(self, frame, segment: int = 0, unfinished: bool = False) -> None:
        """With `segment` as a large frame of TCP segments with so much data each; `unfinished`: without the checksum."""
        headers = (0, 0, 0)
        data = bytes(frame)
        if segment or unfinished:
            upper = frame[TCP] if TCP in frame else frame[UDP]
            ip = len(frame) - len(frame[IP] if IP in frame else frame[IPv6])
            transport = len(frame) - len(upper)
            size = upper.dataofs * 4 if TCP in frame else 8
            headers = (ip, transport - ip, size)
            # What a sender leaves undone: anything may stand there.
            at = transport + (16 if TCP in frame else 6)
            data = data[:at] + b"\xab\xcd" + data[at + 2:]
        words = " ".join(str(number) for number in (segment, *headers))
        self._process.stdin.write(f"{words} {data.hex()}\n".encode())
        self._process.stdin.flush()

    def receive(self, timeout: float = 5):
        """The next frame and its segment size, 0 for an ordinary one; None if nothing comes."""
        line = self._line(timeout)
        if line is None:
            return None
        segment, digits = line.split()
        return int(segment), Ether(bytes.fromhex(digits))

    def expect(self, matches, what: str, timeout: float = 5):
        """The first frame for which `matches` is true, with its segment size."""
        deadline = time.monotonic() + timeout
        seen = []
        while (left := deadline - time.monotonic()) > 0:
            if (got := self.receive(left)) is None:
                break
            if matches(got[1]):
                return got
            seen.append(got[1].summary())
        raise AssertionError(f"not seen within {timeout:g} s: {what}; seen: {seen[-20:]}; {self._log.read_text()[-300:]}")


def segments_of(frame, segment: int) -> list[bytes]:
    """The frames that a sender without any offload sends in place of a large one."""
    data = bytes(frame[TCP].payload)
    flags = int(frame[TCP].flags)
    frames = []
    for at in range(0, len(data), segment):
        one = frame.copy()
        is_last = at + segment >= len(data)
        tcp = one[TCP]
        tcp.remove_payload()
        tcp.seq = (frame[TCP].seq + at) % (1 << 32)
        tcp.flags = flags & ~(0 if is_last else 0x09) & ~(0 if at == 0 else 0x80)
        del tcp.chksum
        if IP in one:
            one[IP].id = (frame[IP].id + at // segment) % (1 << 16)
            del one[IP].len, one[IP].chksum
        else:
            del one[IPv6].plen
        frames.append(bytes(one / data[at:at + segment]))
    return frames
