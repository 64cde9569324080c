"""Hosts with kernel stacks around a router, all in namespaces of their own."""
import itertools
import os
import pathlib
import subprocess

from namespace import Namespace
from router import LinuxRouter, Sluice
from waiting import wait_for

_numbers = itertools.count(1)

KINDS = ("tap", "af_packet", "af_xdp")  # of Sluice's devices; the kernel as router has the kind "linux"


class Lab:
    def __init__(self, kind: str, directory: pathlib.Path):
        self.kind, self.directory = kind, directory
        self._prefix = f"sl{os.getpid()}x{next(_numbers)}"
        self.namespaces: dict[str, Namespace] = {}
        self._links: dict[str, dict] = {}  # by the router's interface
        self.hosts: dict[str, Namespace] = {}
        self.dut = self._namespace("router")
        self.router = (LinuxRouter if kind == "linux" else Sluice)(self.dut, directory)

    def _namespace(self, name: str) -> Namespace:
        self.namespaces[name] = Namespace(name, self._prefix)
        return self.namespaces[name]

    def host(self, name: str) -> Namespace:
        if name not in self.hosts:
            self.hosts[name] = self._namespace(name)
        return self.hosts[name]

    def connect(self, host: str, interface: str, addresses=(), via=(), mtu: int = 1500) -> Namespace:
        """A link from a host to the router's interface of that name; the host's device has the same name. The
        device carries these addresses, and `via` are its default gateways."""
        self._links[interface] = {
            "host": self.host(host), "addresses": list(addresses), "via": list(via), "mtu": mtu,
            "mac": f"02:00:00:00:{len(self._links) + 1:02x}:10",
        }
        return self.hosts[host]

    def host_mac(self, interface: str) -> str:
        return self._links[interface]["mac"]

    def device(self, interface: str, number: int) -> str:
        if self.kind == "tap":
            return f"net_tap{number},iface={interface}"
        if self.kind == "af_packet":
            # Room for half a second: the workers share their CPUs with all the hosts.
            return f"net_af_packet{number},iface={interface},framecnt=2048"
        return f"net_af_xdp{number},iface={interface},start_queue=0,queue_count=1"

    def start(self, config: dict) -> "Lab":
        """Makes the links, starts the router, brings the hosts' ends up. `device` of interfaces is filled in."""
        config = {"engine": {"workers": int(os.environ.get("SLUICE_WORKERS", "1")), "poll": "adaptive", "mbufs": 8192}, **config}
        if self.kind == "linux":
            config.pop("engine")
        else:
            config["interfaces"] = {
                name: interface if "parent" in interface else {"device": self.device(name, number), **interface}
                for number, (name, interface) in enumerate(config["interfaces"].items())
            }
        if self.kind != "tap":
            for interface, link in self._links.items():
                self._make_veth(interface, link)
        self.router.start(config)
        for interface, link in self._links.items():
            if self.kind == "tap":
                self.adopt_tap(interface)
            self.configure_host(interface)
        return self

    def _make_veth(self, interface: str, link: dict) -> None:
        host = link["host"]
        subprocess.run(
            ["ip", "link", "add", interface, "netns", self.dut.name, "type", "veth",
             "peer", "name", interface, "netns", host.name], check=True,
        )
        # Without this the kernel leaves checksums unfinished and sends frames larger than the MTU.
        host.run(f"ethtool -K {interface} tx off")
        if self.kind != "linux":
            # The kernel must not answer for itself on Sluice's end.
            self.dut.sysctl(f"net.ipv6.conf.{interface}.disable_ipv6", 1)
        self.dut.ip(f"link set {interface} up")
        host.ip(f"link set {interface} address {link['mac']} up")

    def adopt_tap(self, interface: str) -> None:
        """Moves the kernel side of a TAP device to its host; it starts with the port's own MAC."""
        wait_for(lambda: self.dut.has_link(interface), f"TAP device {interface}")
        link = self._links[interface]
        self.dut.ip(f"link set {interface} netns {link['host'].name}")
        link["host"].ip(f"link set {interface} address {link['mac']}")

    def configure_host(self, interface: str) -> None:
        """Brings the host's end up with its addresses and default routes."""
        link = self._links[interface]
        host = link["host"]
        host.sysctl(f"net.ipv6.conf.{interface}.accept_dad", 0)
        host.ip(f"link set {interface} mtu {link['mtu']} up")
        for address in link["addresses"]:
            host.ip(f"addr add {address} dev {interface}" + (" nodad" if ":" in address else ""))
        for gateway in link["via"]:
            host.ip(f"{'-6' if ':' in gateway else '-4'} route add default via {gateway} dev {interface}")
        wait_for(lambda: "LOWER_UP" in host.ip(f"link show {interface}"), f"carrier of {interface}")

    def close(self) -> None:
        try:
            if self.router.is_sluice and self.router.process is not None:
                code = self.router.stop()
                assert code == 0, f"sluice ended with {code}:\n{self.router.log()[-4000:]}"
        finally:
            for namespace in self.namespaces.values():
                namespace.close()

    def describe(self) -> str:
        return self.router.describe()


LAN = {"host": "lan", "interface": "lan", "addresses": ["192.168.1.10/24", "fd00:1::10/64"],
       "via": ["192.168.1.1", "fd00:1::1"]}
WAN = {"host": "wan", "interface": "wan", "addresses": ["203.0.113.10/24", "fd00:2::10/64"],
       "via": ["203.0.113.2", "fd00:2::2"]}


def two_hosts() -> dict:
    """The configuration most tests start from; `LAN` and `WAN` are the hosts that go with it."""
    return {
        "interfaces": {
            "lan": {"addresses": ["192.168.1.1/24", "fd00:1::1/64"]},
            "wan": {"addresses": ["203.0.113.2/24", "fd00:2::2/64"]},
        },
        "icmp": {"errors": "unlimited"},
    }
