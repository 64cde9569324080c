"""A stateful firewall between hosts with kernel stacks: who may begin, and what belongs to what was begun."""
import shutil
import socket

import pytest
from lab import LAN, WAN, two_hosts
from traffic import make_file, serve_http, sha256
from waiting import need, wait_for

LAN4, LAN6, WAN4, WAN6 = "192.168.1.10", "fd00:1::10", "203.0.113.10", "fd00:2::10"

NEIGHBOUR_DISCOVERY = ["nd-neighbor-solicit", "nd-neighbor-advert", "nd-router-solicit"]


def stateful() -> dict:
    """The inside may begin anything, the outside only what is published; the box answers pings."""
    config = two_hosts()
    config["conntrack"] = {"helpers": ["ftp", "tftp"]}
    config["filter"] = {
        "input": {"policy": "drop", "rules": [
            {"name": "established", "ct": ["established", "related"], "action": "accept"},
            {"name": "discovery", "icmpv6_type": NEIGHBOUR_DISCOVERY, "action": "accept"},
            {"name": "ping", "proto": "icmp", "icmp_type": "echo-request", "action": "accept"},
            {"name": "ping6", "icmpv6_type": "echo-request", "action": "accept"},
        ]},
        "forward": {"policy": "drop", "rules": [
            {"name": "established", "ct": ["established", "related"], "action": "accept"},
            {"name": "invalid", "ct": "invalid", "action": "drop"},
            {"name": "inside-out", "in": "lan", "out": "wan", "action": "accept"},
            {"name": "published", "in": "wan", "proto": "tcp", "dport": 8080, "action": "accept"},
            {"name": "refused", "in": "wan", "proto": "tcp", "dport": 113, "action": {"reject": "tcp-reset"}},
        ]},
    }
    return config


@pytest.fixture
def firewall(lab):
    lab.connect(**LAN)
    lab.connect(**WAN)
    return lab.start(stateful())


def rule(router, chain: str, name: str) -> dict:
    chains = {entry["name"]: entry for entry in router.api.get("/v1/rules")["items"]}
    return next(r for r in chains[chain]["rules"] if r["name"] == name)


def test_ping_and_traceroute_from_inside(firewall):
    lan = firewall.hosts["lan"]
    lan.run(f"ping -c 3 -i 0.05 -W 2 {WAN4}")
    lan.run(f"ping -6 -c 3 -i 0.05 -W 2 {WAN6}")
    lan.run("ping -c 1 -W 2 192.168.1.1")
    assert WAN4 in lan.run(f"traceroute -I -n -q 1 -w 2 -m 5 {WAN4}").stdout
    # The port unreachable that ends it is related to the probe.
    assert WAN4 in lan.run(f"traceroute -U -n -q 1 -w 2 -m 5 {WAN4}").stdout
    assert WAN6 in lan.run(f"traceroute -6 -U -n -q 1 -w 2 -m 5 {WAN6}").stdout


def test_outside_may_not_begin(firewall):
    wan = firewall.hosts["wan"]
    assert wan.run(f"ping -c 1 -W 0.5 {LAN4}", check=False).returncode != 0
    assert wan.run(f"ping -6 -c 1 -W 0.5 {LAN6}", check=False).returncode != 0
    assert wan.run(f"curl -s -m 0.5 http://{LAN4}:8000/", check=False).returncode == 28, "no answer at all"
    assert wan.run(f"curl -s -m 2 http://{LAN4}:113/", check=False).returncode == 7, "refused at once"


@pytest.mark.parametrize("address", [WAN4, f"[{WAN6}]"], ids=["ip4", "ip6"])
def test_large_transfers(firewall, tmp_path, address):
    digest = make_file(tmp_path / "big", 30)
    server = serve_http(firewall.hosts["wan"], tmp_path)
    try:
        firewall.hosts["lan"].run(f"curl -sSf -m 60 -o {tmp_path}/down http://{address}:8000/big", timeout=70)
        assert sha256(tmp_path / "down") == digest
        firewall.hosts["lan"].run(f"curl -sSf -m 60 -T {tmp_path}/big http://{address}:8000/up", timeout=70)
        assert sha256(tmp_path / "up") == digest
    finally:
        firewall.hosts["wan"].stop(server)


def test_half_closed_connection(firewall):
    with firewall.hosts["wan"].entered():
        listener = socket.create_server((WAN4, 4000))
    with firewall.hosts["lan"].entered():
        client = socket.create_connection((WAN4, 4000), timeout=5)
    served, _ = listener.accept()
    client.sendall(b"all I have to say")
    client.shutdown(socket.SHUT_WR)
    served.settimeout(5)
    assert served.recv(100) == b"all I have to say"
    assert served.recv(100) == b""
    for _ in range(20):
        served.sendall(b"x" * 1000)
    served.close()
    received = b""
    while chunk := client.recv(65536):
        received += chunk
    assert len(received) == 20000
    client.close()
    listener.close()


def test_flows_are_listed(firewall):
    firewall.hosts["lan"].run(f"ping -c 2 -i 0.05 -W 2 {WAN4}")
    flows = firewall.router.api.get(f"/v1/conntrack?proto=icmp&src={LAN4}")["items"]
    assert len(flows) == 1
    assert flows[0]["original"]["packets"] == 2 and flows[0]["reply"]["packets"] == 2
    assert "seen_reply" in flows[0]["status"]
    assert "icmp" in firewall.router.ctl("conntrack", "list").stdout
    firewall.router.ctl("conntrack", "delete", "-p", "icmp")
    assert firewall.router.api.get("/v1/conntrack?proto=icmp")["total"] == 0


def test_a_reload_keeps_connections_that_rules_accept(firewall):
    with firewall.hosts["wan"].entered():
        listener = socket.create_server((WAN4, 4001))
    with firewall.hosts["lan"].entered():
        client = socket.create_connection((WAN4, 4001), timeout=5)
    served, _ = listener.accept()
    served.settimeout(5)
    config = stateful()
    config["filter"]["forward"]["rules"] = config["filter"]["forward"]["rules"][:2]
    firewall.router.apply(config)
    client.sendall(b"still there")
    assert served.recv(100) == b"still there"
    with firewall.hosts["lan"].entered(), pytest.raises(OSError):
        socket.create_connection((WAN4, 4001), timeout=0.5)
    for end in (client, served, listener):
        end.close()


@pytest.mark.parametrize("mode", ["passive", "active"])
def test_ftp(firewall, tmp_path, mode):
    need(shutil.which("curl") is not None, "curl is not installed")
    ftp = pytest.importorskip("pyftpdlib", reason="python3-pyftpdlib is not installed")
    assert ftp
    digest = make_file(tmp_path / "file", 1)
    server = firewall.hosts["wan"].start(f"/usr/bin/python3 -m pyftpdlib -i {WAN4} -p 21 -d {tmp_path}")
    try:
        wait_for(lambda: ":21" in firewall.hosts["wan"].run("ss -ltn").stdout, "the FTP server")
        option = "--ftp-port -" if mode == "active" else "--ftp-pasv"
        firewall.hosts["lan"].run(f"curl -sSf -m 20 {option} -o {tmp_path}/got ftp://{WAN4}/file", timeout=30)
        assert sha256(tmp_path / "got") == digest
    finally:
        firewall.hosts["wan"].stop(server)
