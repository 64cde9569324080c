"""Real traffic between hosts: HTTP, DNS, ssh, FTP, iperf3, counted UDP streams, many connections at once."""
import hashlib
import json
import os
import pathlib
import subprocess
import sys

from waiting import wait_for

UDP_STREAM = pathlib.Path(__file__).with_name("udp_stream.py")
HTTP_SERVER = pathlib.Path(__file__).with_name("http_server.py")
MANY_CONNECTIONS = pathlib.Path(__file__).with_name("many_connections.py")


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


def serve_dns(host, directory: pathlib.Path) -> subprocess.Popen:
    """Answers for server.test, by UDP and TCP, on every address of the host."""
    names = directory / "names"
    names.write_text("203.0.113.10 server.test\nfd00:2::10 server.test\n")
    server = host.start(["dnsmasq", "-k", "-C", "/dev/null", "-R", "-h", "-H", names, "-u", "root", "--pid-file="],
                        stderr=subprocess.DEVNULL)
    wait_for(lambda: ":53 " in host.run("ss -lun").stdout, "dnsmasq listens")
    return server


def serve_ssh(host, directory: pathlib.Path) -> tuple[subprocess.Popen, list[str]]:
    """A server, and the command that logs in to it but for the destination and what to run there."""
    for name in ("host", "user"):
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", directory / name], check=True)
    (directory / "sshd_config").write_text(
        f"HostKey {directory}/host\nAuthorizedKeysFile {directory}/user.pub\nPermitRootLogin yes\nStrictModes no\n"
        "UsePAM no\nPidFile none\n")
    pathlib.Path("/run/sshd").mkdir(exist_ok=True)
    server = host.start(["/usr/sbin/sshd", "-D", "-f", directory / "sshd_config"])
    wait_for(lambda: ":22 " in host.run("ss -ltn").stdout, "sshd listens")
    return server, ["ssh", "-F", "none", "-i", str(directory / "user"), "-o", "StrictHostKeyChecking=no",
                    "-o", "UserKnownHostsFile=/dev/null", "-o", "ConnectTimeout=5"]


def serve_ftp(host, address: str, directory: pathlib.Path) -> subprocess.Popen:
    """Anonymous FTP, active and passive. Debian's own python3 has the module."""
    server = host.start(["/usr/bin/python3", "-m", "pyftpdlib", "-i", address, "-p", "21", "-d", directory],
                        stderr=subprocess.DEVNULL)
    wait_for(lambda: ":21 " in host.run("ss -ltn").stdout, "the FTP server listens")
    return server


def serve_iperf3(host) -> subprocess.Popen:
    process = host.start(["iperf3", "-s", "--forceflush"], stdout=subprocess.PIPE, text=True)
    wait_for(lambda: "listening" in process.stdout.readline(), "iperf3 listens")
    return process


def iperf3(host, *arguments) -> dict:
    """Runs a client and returns the `end` part of its report. A server that has just served another is not back at once: it
    refuses connections then, or says that it is busy."""
    report = wait_for(lambda: _iperf3_unless_busy(host, arguments), "an iperf3 server that has time")
    assert "error" not in report, f"iperf3 {arguments}: {report['error']}"
    return report["end"]


def _iperf3_unless_busy(host, arguments) -> dict | None:
    done = host.run(["iperf3", "-J", *arguments], check=False)
    report = json.loads(done.stdout)
    error = report.get("error", "")
    assert done.returncode == 0 or error, done
    return None if "Connection refused" in error or "the server is busy" in error else report


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


class ManyConnections:
    """So many TCP connections from one host to another, all open at the same time."""

    def __init__(self, client, server, destination: str, count: int, port: int = 7001):
        self._hosts = client, server
        self._arguments = [sys.executable, MANY_CONNECTIONS]
        self._target = [destination, port, count]

    def __enter__(self) -> "ManyConnections":
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
        client, server = self._hosts
        self._server = server.start([*self._arguments, "serve", *self._target], **pipes)
        assert self._server.stdout.readline().strip() == "ready"
        self._client = client.start([*self._arguments, "connect", *self._target], **pipes)
        self.opened = int(self._client.stdout.readline() or 0)
        return self

    def exchange(self) -> int:
        """How many connections answer with what was sent on them."""
        self._client.stdin.write("\n")
        self._client.stdin.flush()
        return int(self._client.stdout.readline() or 0)

    def __exit__(self, *unused) -> None:
        for host, process in zip(self._hosts, (self._client, self._server)):
            host.stop(process)
