"""Real transfers between hosts: HTTP, counted UDP streams, iperf3."""
import hashlib
import json
import os
import pathlib
import socket
import struct
import subprocess
import sys
import threading
import time

from waiting import wait_for

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
    assert done.returncode == 0, f"iperf3 {arguments}: {report.get('error')}"
    return report["end"]


class UdpStream:
    """Numbered datagrams from one host to another at a steady rate; the receiver notes which came."""

    def __init__(self, sender, receiver, destination: str, rate: int = 2000, size: int = 200, port: int = 7000):
        family = socket.AF_INET6 if ":" in destination else socket.AF_INET
        with receiver.entered():
            self._receive = socket.socket(family, socket.SOCK_DGRAM)
            self._receive.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 32 << 20)
            self._receive.bind((destination, port))
        with sender.entered():
            self._send = socket.socket(family, socket.SOCK_DGRAM)
            self._send.connect((destination, port))
        self._rate, self._padding = rate, b"\0" * (size - 8)
        self._stopping = threading.Event()
        self.sent, self.received = 0, set()
        self._threads = [threading.Thread(target=self._sender), threading.Thread(target=self._receiver)]

    def __enter__(self) -> "UdpStream":
        for thread in self._threads:
            thread.start()
        wait_for(lambda: self.received, "the stream's first datagram")
        return self

    def _sender(self) -> None:
        begin = time.monotonic()
        while not self._stopping.is_set():
            due = int((time.monotonic() - begin) * self._rate)
            while self.sent <= due:
                self._send.send(struct.pack("!Q", self.sent) + self._padding)
                self.sent += 1
            self._stopping.wait(0.002)

    def _receiver(self) -> None:
        self._receive.settimeout(0.2)
        while True:
            try:
                self.received.add(struct.unpack("!Q", self._receive.recv(65536)[:8])[0])
            except TimeoutError:
                if self._stopping.is_set():
                    return

    def lost(self) -> int:
        return self.sent - len(self.received)

    def __exit__(self, *unused) -> None:
        """Ends the stream once what was sent has arrived or half a second of silence says it will not."""
        self._stopping.set()
        for thread in self._threads:
            thread.join()
        self._send.close()
        self._receive.close()
