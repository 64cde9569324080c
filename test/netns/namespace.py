"""A network namespace, made for one test and removed with everything in it."""
import contextlib
import ctypes
import os
import signal
import subprocess
import threading

_libc = ctypes.CDLL(None, use_errno=True)
_CLONE_NEWNET = 0x40000000


class CommandFailed(AssertionError):
    pass


class Namespace:
    def __init__(self, name: str, prefix: str):
        self.label = name
        self.name = f"{prefix}-{name}"
        self._processes: list[subprocess.Popen] = []
        subprocess.run(["ip", "netns", "add", self.name], check=True)
        self.ip("link set lo up")
        # No router advertisements, no waiting for duplicate address detection.
        self.sysctl("net.ipv6.conf.default.accept_dad", 0)
        self.sysctl("net.ipv6.conf.default.accept_ra", 0)

    def command(self, arguments: str | list[str]) -> list[str]:
        words = arguments.split() if isinstance(arguments, str) else [str(a) for a in arguments]
        return ["ip", "netns", "exec", self.name, *words]

    def run(self, arguments, check: bool = True, timeout: float = 60, **options) -> subprocess.CompletedProcess:
        """Runs a command to its end; a failure raises with both outputs."""
        done = subprocess.run(self.command(arguments), capture_output=True, text=True, timeout=timeout, **options)
        if check and done.returncode != 0:
            raise CommandFailed(f"{self.label}: {arguments}: exit {done.returncode}\n{done.stdout}\n{done.stderr}")
        return done

    def start(self, arguments, **options) -> subprocess.Popen:
        """Starts a command that close() will end."""
        process = subprocess.Popen(self.command(arguments), **options)
        self._processes.append(process)
        return process

    def ip(self, arguments: str) -> str:
        done = subprocess.run(["ip", "-n", self.name, *arguments.split()], capture_output=True, text=True)
        if done.returncode != 0:
            raise CommandFailed(f"{self.label}: ip {arguments}: {done.stderr}")
        return done.stdout

    def has_link(self, name: str) -> bool:
        return subprocess.run(["ip", "-n", self.name, "link", "show", name], capture_output=True).returncode == 0

    def sysctl(self, key: str, value) -> None:
        with self.entered(), open("/proc/sys/" + key.replace(".", "/"), "w") as file:
            file.write(str(value))

    @contextlib.contextmanager
    def entered(self):
        """The calling thread is in this namespace; sockets made there stay in it."""
        with open(f"/proc/self/task/{threading.get_native_id()}/ns/net") as here, open(
            f"/run/netns/{self.name}"
        ) as there:
            _setns(there.fileno())
            try:
                yield
            finally:
                _setns(here.fileno())

    def stop(self, process: subprocess.Popen) -> None:
        if process.poll() is None:
            process.send_signal(signal.SIGTERM)
            try:
                process.wait(5)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        for stream in (process.stdin, process.stdout, process.stderr):
            if stream:
                stream.close()
        if process in self._processes:
            self._processes.remove(process)

    def close(self) -> None:
        for process in list(self._processes):
            self.stop(process)
        subprocess.run(["ip", "netns", "del", self.name], check=False)


def _setns(descriptor: int) -> None:
    if _libc.setns(descriptor, _CLONE_NEWNET) != 0:
        error = ctypes.get_errno()
        raise OSError(error, os.strerror(error))
