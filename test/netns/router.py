"""The router between the hosts: Sluice, or the Linux kernel as an oracle for the same tests."""
import os
import pathlib
import re
import signal
import subprocess
import time

import yaml
from api import Api
from waiting import need, wait_for

ROOT = pathlib.Path(__file__).resolve().parents[2]
_SANITIZER = re.compile(r"(AddressSanitizer|ThreadSanitizer|LeakSanitizer|runtime error:)")


def build_dir() -> pathlib.Path:
    return pathlib.Path(os.environ.get("SLUICE_BUILD", ROOT / "build")).resolve()


def program(name: str) -> str:
    path = build_dir() / "app" / name
    need(path.is_file(), f"{name} is not built in {build_dir()}; run scripts/build")
    return str(path)


def sanitized() -> bool:
    return os.environ.get("SLUICE_SANITIZED") == "1"


class Sluice:
    """`sluice run` in a namespace, with its files in one directory."""

    is_sluice = True

    def __init__(self, namespace, directory: pathlib.Path):
        self.namespace, self.directory = namespace, directory
        self.socket = directory / "sluice.sock"
        self.config_file = directory / "sluice.yaml"
        self.log_file = directory / "sluice.log"
        self.process: subprocess.Popen | None = None
        self.api: Api | None = None
        self.config: dict = {}

    def write(self, config: dict) -> None:
        control = {"socket": str(self.socket), **config.get("control", {})}
        log = {"level": "debug", **config.get("log", {})}
        self.config = {**config, "control": control, "log": log}
        self.config_file.write_text(yaml.safe_dump(self.config, sort_keys=False))

    def start(self, config: dict, wait: bool = True) -> None:
        self.write(config)
        self.started = time.monotonic()
        with open(self.log_file, "ab") as log:
            self.process = self.namespace.start(
                [program("sluice"), "run", "-c", self.config_file],
                cwd=self.directory, stdout=log, stderr=log, stdin=subprocess.DEVNULL,
            )
        if wait:
            self.wait_ready()

    def wait_ready(self) -> None:
        def answers():
            assert self.process.poll() is None, f"sluice ended with {self.process.returncode}:\n{self.log()}"
            if not self.socket.exists():
                return False
            api = Api(self.socket)
            try:
                api.get("/v1/status")
            except OSError:
                return False
            self.api = api
            return True

        wait_for(answers, "an answer on the admin socket", timeout=30)

    def stop(self, how: int = signal.SIGTERM) -> int:
        """Ends it and returns the exit code; a sanitizer's report in the log is a failure."""
        if self.process is None:
            return 0
        if self.api:
            self.api.close()
            self.api = None
        process, self.process = self.process, None
        if process.poll() is None:
            process.send_signal(how)
            try:
                process.wait(60 if sanitized() else 10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
                raise AssertionError(f"sluice did not stop within 10 s:\n{self.log()}") from None
        match = _SANITIZER.search(self.log())
        assert match is None, f"sanitizer report:\n{self.log()[match.start() - 200:][:6000]}"
        return process.returncode

    def log(self) -> str:
        return self.log_file.read_text(errors="replace") if self.log_file.exists() else ""

    def ctl_command(self) -> list[str]:
        return [program("sluicectl"), "-s", str(self.socket)]

    def ctl(self, *arguments: str, check: bool = True) -> subprocess.CompletedProcess:
        done = subprocess.run([*self.ctl_command(), *arguments], capture_output=True, text=True, timeout=30)
        assert not check or done.returncode == 0, f"sluicectl {arguments}: {done.returncode}\n{done.stdout}{done.stderr}"
        return done

    def apply(self, config: dict):
        """Replaces the configuration through the API."""
        self.write(config)
        return self.api.call("POST", "/v1/config/apply", self.config_file.read_text())

    def interface(self, name: str) -> dict:
        return next(i for i in self.api.items("/v1/interfaces") if i["name"] == name)

    def mac(self, name: str) -> str:
        return self.interface(name)["mac"]

    def drops(self) -> dict[str, int]:
        """Packets dropped so far, by reason."""
        total: dict[str, int] = {}
        for drop in self.api.items("/v1/drops"):
            total[drop["reason"]] = total.get(drop["reason"], 0) + drop["packets"]
        return total

    def check_invariant(self) -> None:
        """Nothing disappears: what came in or was made is sent, dropped, consumed or held."""
        seen = []

        def holds():
            p = self.api.get("/v1/status")["packets"]
            seen[:] = [p]
            return p["received"] + p["originated"] == p["sent"] + p["dropped"] + p["consumed"] + p["held"]

        try:
            wait_for(holds, "received + originated = sent + dropped + consumed + held", timeout=3, pause=0.05)
        except AssertionError as error:
            raise AssertionError(f"{error}: {seen}") from None

    def describe(self) -> str:
        text = f"--- configuration\n{self.config_file.read_text()}--- log\n{self.log()[-8000:]}"
        if self.api and self.process and self.process.poll() is None:
            for command in ("status", "interfaces", "drops", "neighbours", "routes"):
                done = self.ctl(command, check=False)
                text += f"--- sluicectl {command}\n{done.stdout}{done.stderr}"
        return text


class LinuxRouter:
    """The kernel's forwarding, from the same configuration: shows that a test asks for what Linux does."""

    is_sluice = False
    _rp_filter = {"strict": 1, "loose": 2, "off": 0}

    def __init__(self, namespace, directory: pathlib.Path):
        self.namespace = namespace
        self._tables = {"main": 254}

    def start(self, config: dict, wait: bool = True) -> None:
        ns = self.namespace
        ns.sysctl("net.ipv4.ip_forward", 1)
        ns.sysctl("net.ipv6.conf.all.forwarding", 1)
        ns.sysctl("net.ipv4.conf.all.rp_filter", 0)
        for key in ("net.ipv4.icmp_ratelimit", "net.ipv6.icmp.ratelimit"):
            ns.sysctl(key, 0)
        for name, interface in config["interfaces"].items():
            need("parent" not in interface, "this kernel has no VLAN devices")
            ns.sysctl(f"net.ipv4.conf.{name}.rp_filter", self._rp_filter[interface.get("rp_filter", "off")])
            ns.sysctl(f"net.ipv4.conf.{name}.send_redirects", 0)
            if "mac" in interface:
                ns.ip(f"link set {name} address {interface['mac']}")
            ns.ip(f"link set {name} mtu {interface.get('mtu', 1500)} up")
            for address in interface.get("addresses", []):
                ns.ip(f"addr add {address} dev {name}")
        for neighbour in config.get("neighbours", []):
            ns.ip(f"neigh replace {neighbour['ip']} lladdr {neighbour['mac']} dev {neighbour['interface']}")
        for route in config.get("routes", []):
            v6 = ":" in route["to"] or ":" in route.get("via", "")
            words = ["-6" if v6 else "-4", "route", "add"]
            words += [route["type"]] if route.get("type", "unicast") != "unicast" else []
            words += [route["to"]]
            words += ["via", route["via"]] if "via" in route else []
            words += ["dev", route["interface"]] if "interface" in route else []
            words += ["table", str(self._table(route.get("table", "main")))]
            ns.ip(" ".join(words))
        for number, rule in enumerate(config.get("route_rules", [])):
            family = "-6" if ":" in rule["saddr"] else "-4"
            ns.ip(f"{family} rule add pref {1000 + number} from {rule['saddr']} table {self._table(rule['table'])}")

    def _table(self, name: str) -> int:
        return self._tables.setdefault(name, 100 + len(self._tables))

    def mac(self, name: str) -> str:
        return self.namespace.ip(f"link show {name}").split("link/ether ")[1].split()[0]

    def stop(self, how: int = 0) -> int:
        return 0

    def check_invariant(self) -> None:
        pass

    def describe(self) -> str:
        ns = self.namespace
        return ns.ip("addr") + ns.ip("route show table all") + ns.ip("neigh") + ns.ip("-s link")
