"""A stateful firewall between hosts with kernel stacks: who may begin, and what belongs to what was begun."""
import copy
import shutil
import socket
import subprocess

import pytest
from lab import LAN, WAN, two_hosts
from traffic import (ManyConnections, UdpStream, iperf3, make_file, serve_dns, serve_ftp, serve_http, serve_iperf3, serve_ssh,
                     sha256)
from waiting import need, wait_for

pytestmark = pytest.mark.sluice_only
LAN4, LAN6, WAN4, WAN6 = "192.168.1.10", "fd00:1::10", "203.0.113.10", "fd00:2::10"

NEIGHBOUR_DISCOVERY = ["nd-neighbor-solicit", "nd-neighbor-advert", "nd-router-solicit"]


def stateful() -> dict:
    """The inside may begin anything, the outside only what is published; the box answers pings."""
    config = two_hosts()
    config["conntrack"] = {"helpers": ["ftp", "tftp"]}
    config["sets"] = {"blocked": {"type": "ip"}}
    config["filter"] = {
        "input": {"policy": "drop", "rules": [
            {"name": "established", "ct": ["established", "related"], "action": "accept"},
            {"name": "discovery", "icmpv6_type": NEIGHBOUR_DISCOVERY, "action": "accept"},
            {"name": "ping", "proto": "icmp", "icmp_type": "echo-request", "action": "accept"},
            {"name": "ping6", "icmpv6_type": "echo-request", "action": "accept"},
        ]},
        "forward": {"policy": "drop", "rules": [
            {"name": "blocked", "proto": "udp", "saddr": "@blocked", "action": "drop"},
            {"name": "established", "ct": ["established", "related"], "action": "accept"},
            {"name": "invalid", "ct": "invalid", "action": "drop"},
            {"name": "inside-out", "in": "lan", "out": "wan", "action": "accept"},
            {"name": "published", "in": "wan", "proto": "tcp", "dport": [21, 22], "action": "accept"},
            {"name": "refused", "in": "wan", "proto": "tcp", "dport": 113, "log": "ident: ",
             "action": {"reject": "tcp-reset"}},
        ]},
    }
    return config


@pytest.fixture
def firewall(lab):
    lab.connect(**LAN)
    lab.connect(**WAN)
    return lab.start(stateful())


def rule(router, chain: str, name: str) -> dict:
    chains = {entry["chain"]: entry for entry in router.api.get("/v1/rules")["items"]}
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


@pytest.mark.parametrize("address", [WAN4, WAN6])
def test_what_rules_decided_is_repeated(firewall, address):
    server = serve_iperf3(firewall.hosts["wan"])
    try:
        # Long enough that losses at its beginning do not matter: acknowledgements with SACK are not repeated.
        iperf3(firewall.hosts["lan"], "-c", address, "-n", "20M")
    finally:
        firewall.hosts["wan"].stop(server)
    repeated = sum(worker["decision_repeated"] for worker in firewall.router.api.get("/v1/conntrack/stats")["items"])
    assert repeated > rule(firewall.router, "filter.forward", "established")["packets"] / 2


@pytest.mark.parametrize("address", [WAN4, WAN6], ids=["ip4", "ip6"])
@pytest.mark.parametrize("translated", [False, True], ids=["plain", "masqueraded"])
def test_a_stream_of_small_datagrams_comes_and_goes_unchanged(firewall, translated, address):
    """Which are repeated in rows once the flow is a stream: each is echoed, and what comes back is what was sent."""
    router = firewall.router
    if translated:
        router.apply({**router.config, "nat": {"postrouting": [
            {"name": "out", "out": "wan", "masquerade": True}]}})
    with firewall.hosts["wan"].entered():
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        server = socket.socket(family, socket.SOCK_DGRAM)
        server.bind((address, 4007))
    with firewall.hosts["lan"].entered():
        client = socket.socket(family, socket.SOCK_DGRAM)
        client.connect((address, 4007))
    for end in (client, server):
        end.settimeout(5)

    def echoed(number, count):
        """A burst each way; the numbers differ, so that none can stand for another."""
        sent = [f"{number} {place}".encode() for place in range(count)]
        for datagram in sent:
            client.send(datagram)
        for datagram in sent:
            received, source = server.recvfrom(100)
            assert received == datagram
            server.sendto(received, source)
        assert [client.recv(100) for _ in sent] == sent

    young = "/v1/conntrack/count?proto=udp&dport=4007&status=!assured"
    wait_for(lambda: echoed(0, 1) or router.api.get(young)["count"] == 0, "a stream", timeout=20)
    before = sum(worker["decision_repeated"] for worker in router.api.items("/v1/conntrack/stats"))
    for number in range(1, 50):
        echoed(number, 16)
    after = sum(worker["decision_repeated"] for worker in router.api.items("/v1/conntrack/stats"))
    assert after - before >= 49 * 32
    client.close()
    server.close()


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
    config = copy.deepcopy(firewall.router.config)
    config["filter"]["forward"]["rules"] = config["filter"]["forward"]["rules"][:2]  # nobody may begin anything
    firewall.router.apply(config)
    client.sendall(b"still there")
    assert served.recv(100) == b"still there"
    with firewall.hosts["lan"].entered(), pytest.raises(OSError):
        socket.create_connection((WAN4, 4001), timeout=0.5)
    for end in (client, served, listener):
        end.close()


def test_diff_tells_which_flows_would_be_cut_and_apply_cuts_them(firewall):
    router = firewall.router
    with firewall.hosts["wan"].entered():
        listeners = [socket.create_server((WAN4, port)) for port in (4002, 4003)]
    with firewall.hosts["lan"].entered():
        clients = [socket.create_connection((WAN4, port), timeout=5) for port in (4002, 4003)]
    served = [listener.accept()[0] for listener in listeners]
    for end in served:
        end.settimeout(5)
    config = copy.deepcopy(router.config)
    config["filter"]["forward"]["rules"].insert(2, {"name": "closed", "proto": "tcp", "dport": 4003, "action": "drop"})
    begun = rule(router, "filter.forward", "inside-out")["packets"]
    router.write(config)
    said = router.api.call("POST", "/v1/config/diff", router.config_file.read_text())
    assert said["flows_cut"] == 1 and [flow["original"]["dport"] for flow in said["flows"]] == [4003]
    assert rule(router, "filter.forward", "inside-out")["packets"] == begun, "a question counts nothing"
    shown = router.ctl("config", "diff", str(router.config_file)).stdout
    assert "1 live flow would not have been let begin" in shown and "dport=4003" in shown

    # A VLAN in front of the others takes no place of theirs: rules mean the same interfaces.
    config["interfaces"] = {"guests": {"parent": "lan", "vlan": 20, "addresses": ["192.168.20.1/24"]}} | config["interfaces"]
    router.write(config)
    said = router.api.call("POST", "/v1/config/diff", router.config_file.read_text())
    assert [flow["original"]["dport"] for flow in said["flows"]] == [4003]

    router.ctl("config", "apply", str(router.config_file))
    clients[1].sendall(b"still there")
    assert served[1].recv(100) == b"still there", "established flows stay unless they are cut"
    assert "1 live flow ended" in router.ctl("config", "apply", "--cut", str(router.config_file)).stdout
    assert router.api.get("/v1/conntrack/count?proto=tcp&dport=4003")["count"] == 0
    for client, end in zip(clients, served):
        client.sendall(b"anybody there?")
    assert served[0].recv(100) == b"anybody there?"
    served[1].settimeout(0.5)
    with pytest.raises(TimeoutError):
        served[1].recv(100)
    for end in (*clients, *served, *listeners):
        end.close()


def without_helpers(firewall) -> None:
    config = copy.deepcopy(firewall.router.config)
    config["conntrack"]["helpers"] = []
    firewall.router.apply(config)


# Each way the data connection is begun from outside, which no rule allows: inside asks a server outside to connect to
# it, outside connects to the port that a server inside names.
@pytest.mark.parametrize("helped", [True, False], ids=["helper", "no_helper"])
@pytest.mark.parametrize("mode", ["active", "passive"])
def test_ftp(firewall, tmp_path, mode, helped):
    need(shutil.which("curl") is not None, "curl is not installed")
    need(subprocess.run(["/usr/bin/python3", "-c", "import pyftpdlib"]).returncode == 0,
         "python3-pyftpdlib is not installed")
    client, server, address, option = {
        "active": ("lan", "wan", WAN4, "--ftp-port -"), "passive": ("wan", "lan", LAN4, "--ftp-pasv"),
    }[mode]
    if not helped:
        without_helpers(firewall)
    digest = make_file(tmp_path / "file", 1)
    process = serve_ftp(firewall.hosts[server], address, tmp_path)
    done = firewall.hosts[client].run(
        f"curl -sSf -m {20 if helped else 2} {option} -o {tmp_path}/got ftp://{address}/file", check=False)
    firewall.hosts[server].stop(process)
    if helped:
        assert done.returncode == 0, done.stderr
        assert sha256(tmp_path / "got") == digest
        assert "helper=ftp" in firewall.router.ctl("conntrack", "list", "-p", "tcp", "--dport", "21").stdout
    else:
        assert done.returncode != 0, "the data connection came through without a helper"


def test_dns(firewall, tmp_path):
    need(shutil.which("dnsmasq") and shutil.which("dig"), "dnsmasq and dig are not installed")
    server = serve_dns(firewall.hosts["wan"], tmp_path)
    for target in (WAN4, WAN6):
        for how in ("+notcp", "+tcp"):
            answer = firewall.hosts["lan"].run(f"dig +short +time=2 +tries=2 {how} @{target} server.test A").stdout
            assert answer.strip() == WAN4
    firewall.hosts["wan"].stop(server)


def test_ssh_both_ways(firewall, tmp_path):
    need(shutil.which("sshd", path="/usr/sbin") and shutil.which("ssh"), "ssh and sshd are not installed")
    for client, server, address in (("lan", "wan", WAN4), ("wan", "lan", LAN4)):
        (directory := tmp_path / server).mkdir()
        process, login = serve_ssh(firewall.hosts[server], directory)
        said = firewall.hosts[client].run([*login, f"root@{address}", "head -c 3000000 /dev/zero | sha256sum"]).stdout
        assert said.split()[0] == subprocess.run("head -c 3000000 /dev/zero | sha256sum", shell=True,
                                                 capture_output=True, text=True).stdout.split()[0]
        firewall.hosts[server].stop(process)


def test_ten_thousand_parallel_connections(firewall):
    count = 10_000
    with ManyConnections(firewall.hosts["lan"], firewall.hosts["wan"], WAN4, count) as connections:
        assert connections.opened == count
        assert connections.exchange() == count
        query = "/v1/conntrack/count?proto=tcp&state=established&status=assured"
        assert firewall.router.api.get(query)["count"] == count
        assert len(firewall.router.ctl("conntrack", "list", "-p", "tcp").stdout.splitlines()) == count
        assert connections.exchange() == count, "after the flows were listed"


def test_a_rule_writes_to_the_log(firewall):
    firewall.hosts["wan"].run(f"curl -s -m 2 http://{LAN4}:113/", check=False)
    wait_for(lambda: "ident: IN=wan OUT=lan " in firewall.router.log(), "the line of the rule")
    line = next(line for line in firewall.router.log().splitlines() if "ident: " in line)
    assert f" SRC={WAN4} DST={LAN4} " in line and " PROTO=TCP " in line and " DPT=113 " in line and " SYN " in line
    assert rule(firewall.router, "filter.forward", "refused")["packets"] == 1


def test_sets_change_while_packets_flow(firewall):
    """What is about others loses nothing; what is about the sender counts from that packet on, and no longer."""
    ctl = firewall.router.ctl
    firewall.hosts["lan"].run(f"ping -c 1 -W 2 {WAN4}")  # neighbours are known from here on
    with UdpStream(firewall.hosts["lan"], firewall.hosts["wan"], WAN4) as stream:
        for last in range(1, 101):
            ctl("set", "add", "blocked", f"10.0.0.{last}")
        ctl("set", "flush", "blocked")
        assert rule(firewall.router, "filter.forward", "blocked")["packets"] == 0
        ctl("set", "add", "blocked", LAN4)
        wait_for(lambda: rule(firewall.router, "filter.forward", "blocked")["packets"] > 100, "dropped packets")
        ctl("set", "del", "blocked", LAN4)
    assert stream.received > 0
    assert stream.lost() == rule(firewall.router, "filter.forward", "blocked")["packets"] > 100


def test_events_of_flows(firewall, tmp_path):
    lan = firewall.hosts["lan"]
    with open(tmp_path / "events", "w+") as events:
        listener = subprocess.Popen([*firewall.router.ctl_command(), "conntrack", "events", "-p", "icmp"], stdout=events)
        try:
            def told(*words) -> bool:
                return any(all(w in line for w in words) for line in (tmp_path / "events").read_text().splitlines())

            wait_for(lambda: lan.run(f"ping -c 1 -W 2 {WAN4}") and told("[NEW]", f"src={LAN4}", "icmp"), "a new flow")
            firewall.router.ctl("conntrack", "delete", "-p", "icmp")
            wait_for(lambda: told("[DESTROY]", f"src={LAN4}"), "its end")
        finally:
            listener.terminate()
            listener.wait()
