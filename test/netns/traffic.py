"""Real transfers between hosts: HTTP, counted UDP streams, iperf3."""
import hashlib
import json
import os
import pathlib
import subprocess
import sys

from waiting import wait_for

UDP_STREAM = pathlib.Path(__file__).with_name("udp_stream.py")
HTTP_SERVER = pathlib.Path(__file__).with_name("http_server.py")


def make_file(path: pathlib.Path, megabytes: int) -> str:
    """Random bytes; returns their sha256."""
    digest = hashlib.sha256()
    with open(path, "wb") as file:
        for _ in range(megabytes):
            block = os.urandom(1 << 20)
            digest.update(block)
            file.write(block)
    return digest.hexdigest()


def sha256(path: pathlib.Path) -> str:
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def serve_http(host, directory: pathlib.Path, port: int = 8000) -> subprocess.Popen:
    """GET and PUT of files in `directory`, on every address of the host."""
    process = host.start([sys.executable, HTTP_SERVER, directory, port], stdout=subprocess.PIPE, text=True)
    assert process.stdout.readline().strip() == "ready"
    return process


def serve_iperf3(host) -> subprocess.Popen:
    process = host.start(["iperf3", "-s", "--forceflush"], stdout=subprocess.PIPE, text=True)
    wait_for(lambda: "listening" in process.stdout.readline(), "iperf3 listens")
    return process


def iperf3(host, *arguments) -> dict:
    """Runs a client and returns the `end` part of its report."""
    done = host.run(["iperf3", "-J", *arguments], check=False)
    report = json.loads(done.stdout)
    assert done.returncode == 0 and "error" not in report, f"iperf3 {arguments}: {report.get('error')}"
    return report["end"]


class UdpStream:
    """Numbered datagrams from one host to another at a steady rate, in processes of their own. `sent` and `received` are
    known when the stream has ended."""

    def __init__(self, sender, receiver, destination: str, rate: int = 2000, size: int = 200, port: int = 7000):
        self._hosts = sender, receiver
        self._commands = [
            [sys.executable, UDP_STREAM, "send", destination, port, rate, size],
            [sys.executable, UDP_STREAM, "receive", destination, port],
        ]
        self.sent = self.received = 0

    def __enter__(self) -> "UdpStream":
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
        self._receiver = self._hosts[1].start(self._commands[1], **pipes)
        assert self._receiver.stdout.readline().strip() == "ready"
        self._sender = self._hosts[0].start(self._commands[0], **pipes)
        assert self._receiver.stdout.readline().strip() == "first"
        return self

    def __exit__(self, *unused) -> None:
        """Ends the stream: the sender first, then the receiver once nothing comes any more."""
        self.sent, self.received = (int(p.communicate(timeout=30)[0]) for p in (self._sender, self._receiver))

    def lost(self) -> int:
        return self.sent - self.received
