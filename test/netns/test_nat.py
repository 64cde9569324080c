"""NAT between hosts with kernel stacks. The host outside knows no way to the inside: without translation nothing comes back."""
import copy
import shutil
import subprocess

import pytest
from lab import LAN, WAN, two_hosts
from traffic import iperf3, make_file, serve_ftp, serve_http, serve_iperf3, sha256
from waiting import need, wait_for

pytestmark = pytest.mark.sluice_only
BOX4, LAN4, WAN4, WAN6 = "203.0.113.2", "192.168.1.10", "203.0.113.10", "fd00:2::10"


def translating() -> dict:
    config = two_hosts()
    config["conntrack"] = {"helpers": ["ftp"]}
    config["nat"] = {
        "prerouting": [{"name": "web", "in": "wan", "proto": "tcp", "dport": 8080, "dnat": "192.168.1.10:8000", "hairpin": True},
                       {"name": "ftp", "in": "wan", "proto": "tcp", "dport": 21, "dnat": LAN4}],
        "postrouting": [{"name": "masq", "out": "wan", "masquerade": True}],
    }
    config["filter"] = {"forward": {"policy": "drop", "rules": [
        {"name": "established", "ct": ["established", "related"], "action": "accept"},
        {"name": "inside-out", "in": "lan", "action": "accept"},
        {"name": "published", "in": "wan", "out": "lan", "ct_status": "dnat", "action": "accept"},
    ]}}
    return config


@pytest.fixture
def nat(lab):
    lab.connect(**LAN)
    lab.connect(**{**WAN, "via": []})
    return lab.start(translating())


def test_ping_and_traceroute(nat):
    lan = nat.hosts["lan"]
    for target in (WAN4, WAN6):
        lan.run(f"ping -c 3 -i 0.05 -W 2 {target}")
    assert WAN4 in lan.run(f"traceroute -U -n -q 1 -w 2 -m 5 {WAN4}").stdout
    assert WAN6 in lan.run(f"traceroute -6 -U -n -q 1 -w 2 -m 5 {WAN6}").stdout


@pytest.mark.parametrize("address", [WAN4, f"[{WAN6}]"], ids=["ip4", "ip6"])
def test_a_transfer_through_masquerade(nat, tmp_path, address):
    digest = make_file(tmp_path / "big", 20)
    server = serve_http(nat.hosts["wan"], tmp_path)
    try:
        nat.hosts["lan"].run(f"curl -s -m 60 -o {tmp_path}/got http://{address}:8000/big")
    finally:
        nat.hosts["wan"].stop(server)
    assert sha256(tmp_path / "got") == digest
    (flow,) = [each for each in nat.router.api.get("/v1/conntrack")["items"] if each["proto"] == "tcp"]
    assert "snat" in flow["status"] and flow["reply"]["dst"] != flow["original"]["src"]


@pytest.mark.parametrize("address", [WAN4, WAN6])
def test_what_rules_decided_of_a_translated_flow_is_repeated(nat, address):
    server = serve_iperf3(nat.hosts["wan"])
    try:
        iperf3(nat.hosts["lan"], "-c", address, "-n", "20M")
    finally:
        nat.hosts["wan"].stop(server)
    repeated = sum(worker["decision_repeated"] for worker in nat.router.api.get("/v1/conntrack/stats")["items"])
    (chain,) = [each for each in nat.router.api.get("/v1/rules")["items"] if each["chain"] == "filter.forward"]
    (established,) = [each for each in chain["rules"] if each["name"] == "established"]
    assert established["packets"] > 100 and repeated > established["packets"] / 2


@pytest.mark.parametrize("side", ["wan", "lan"])
def test_a_port_forward_from_outside_and_around(nat, tmp_path, side):
    digest = make_file(tmp_path / "big", 5)
    server = serve_http(nat.hosts["lan"], tmp_path)
    try:
        nat.hosts[side].run(f"curl -s -m 60 -o {tmp_path}/got http://{BOX4}:8080/big")
    finally:
        nat.hosts["lan"].stop(server)
    assert sha256(tmp_path / "got") == digest


# PORT and PASV name an address; what curl says first, EPRT and EPSV, over IPv4 too.
@pytest.mark.parametrize("words", ["", "--disable-eprt --disable-epsv"], ids=["extended", "classic"])
@pytest.mark.parametrize("mode", ["--ftp-port -", "--ftp-pasv --no-ftp-skip-pasv-ip"], ids=["active", "passive"])
@pytest.mark.parametrize("client, server, address", [("lan", "wan", WAN4), ("wan", "lan", BOX4)], ids=["masqueraded", "published"])
def test_ftp(nat, tmp_path, client, server, address, mode, words):
    need(shutil.which("curl") is not None, "curl is not installed")
    need(subprocess.run(["/usr/bin/python3", "-c", "import pyftpdlib"]).returncode == 0, "python3-pyftpdlib is not installed")
    digest = make_file(tmp_path / "file", 1)
    process = serve_ftp(nat.hosts[server], {"wan": WAN4, "lan": LAN4}[server], tmp_path)
    try:
        for name in ("first", "second"):
            nat.hosts[client].run(f"curl -sSf -m 20 {mode} {words} -o {tmp_path}/{name} ftp://{address}/file")
            assert sha256(tmp_path / name) == digest
    finally:
        nat.hosts[server].stop(process)


def test_flows_keep_their_translation_over_reloads(nat):
    whole = copy.deepcopy(nat.router.config)
    without = {section: value for section, value in whole.items() if section != "nat"}
    answers = lambda: sum(flow["reply"]["packets"] for flow in nat.router.api.get("/v1/conntrack?proto=icmp")["items"])
    pinging = nat.hosts["lan"].start(["ping", "-c", "60", "-i", "0.05", "-W", "1", WAN4])
    for config in (without, whole, without):
        before = answers()
        wait_for(lambda: answers() >= before + 5, "pings are answered under this configuration")
        nat.router.write(config)
        nat.router.api.call("POST", "/v1/config/apply", nat.router.config_file.read_text())
    assert pinging.wait(timeout=20) == 0
    loss = nat.hosts["lan"].run(f"ping -c 1 -W 0.5 {WAN4}", check=False)
    assert loss.returncode != 0, "what begins now is not translated any more"
