"""NAT as its operator sees it: which ports are taken and by whom, what happens at the last one, and at a new address."""
import contextlib
import copy
import shutil
import select
import socket
import struct
import subprocess
import time

import pytest
from lab import LAN, WAN
from test_nat import BOX4, WAN4, WAN6, translating
from traffic import iperf3, make_file, serve_dns, serve_ftp, serve_iperf3, serve_ssh, sha256
from waiting import need, wait_for

pytestmark = pytest.mark.sluice_only
FIRST, SECOND = "192.168.1.10", "192.168.1.11"  # two clients
SO_RCVBUFFORCE = 33
IP_RECVERR = 11  # without it UDP is told of unreachable ports only


def start(lab, config: dict):
    lab.connect(**LAN)
    lab.connect(**{**WAN, "via": []})
    lab.start(config)
    lab.hosts["lan"].ip(f"addr add {SECOND}/24 dev lan")
    return lab


@pytest.fixture
def nat(lab):
    return start(lab, translating())


@contextlib.contextmanager
def bound(host, kind: int, address: str, port: int):
    with host.entered():
        end = socket.socket(socket.AF_INET, kind)
    with end:
        end.settimeout(5)
        end.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        end.bind((address, port))
        yield end


def mappings(lab, query: str = "") -> list[dict]:
    return lab.router.api.items(f"/v1/nat{query}")


def test_two_clients_with_the_same_port(nat):
    lan, wan = nat.hosts["lan"], nat.hosts["wan"]
    with bound(wan, socket.SOCK_DGRAM, WAN4, 9) as server, bound(lan, socket.SOCK_DGRAM, FIRST, 5555) as first, \
            bound(lan, socket.SOCK_DGRAM, SECOND, 5555) as second:
        seen = []
        for client in (first, second):
            client.sendto(client.getsockname()[0].encode(), (WAN4, 9))
            said, source = server.recvfrom(100)
            seen.append(source)
            server.sendto(said, source)
        assert [source[0] for source in seen] == [BOX4, BOX4] and seen[0][1] != seen[1][1]
        for client in (second, first):
            assert client.recv(100) == client.getsockname()[0].encode()
    with bound(wan, socket.SOCK_STREAM, WAN4, 9) as server, bound(lan, socket.SOCK_STREAM, FIRST, 5555) as first, \
            bound(lan, socket.SOCK_STREAM, SECOND, 5555) as second:
        server.listen()
        for client in (first, second):
            client.connect((WAN4, 9))
            with server.accept()[0] as peer:
                client.sendall(client.getsockname()[0].encode())
                peer.sendall(peer.recv(100))
                assert client.recv(100) == client.getsockname()[0].encode()


def test_mappings_ports_and_who(nat):
    router = nat.router
    with bound(nat.hosts["wan"], socket.SOCK_DGRAM, WAN4, 9) as server, \
            bound(nat.hosts["lan"], socket.SOCK_DGRAM, FIRST, 5555) as client:
        client.sendto(b"?", (WAN4, 9))
        _, (address, port) = server.recvfrom(100)
    (mapping,) = mappings(nat, f"?address={FIRST}&proto=udp")
    assert mapping["inside"] == {"address": FIRST, "port": 5555}
    assert mapping["external"] == {"address": address, "port": port}
    assert (mapping["interface"], mapping["flows"], mapping["worker"]) == ("wan", 1, 0)
    assert f"{FIRST}:5555" in router.ctl("nat").stdout
    assert f"{address}  udp" in router.ctl("nat", "ports").stdout
    ports = router.api.get("/v1/nat/ports")
    assert ports["hosts"] == [{"address": FIRST, "external": BOX4, "mappings": 1}]
    during = time.time()
    assert f"{FIRST}:5555" in router.ctl("nat", "who", f"{address}:{port}", "udp").stdout
    router.ctl("conntrack", "delete", "-s", FIRST)
    wait_for(lambda: not mappings(nat, "?proto=udp"), "the mapping ends with its flow")
    assert f"{FIRST}:5555" in router.ctl("nat", "who", f"{address}:{port}", "udp", "at", f"{during:.3f}").stdout
    wait_for(lambda: "nobody" in router.ctl("nat", "who", f"{address}:{port}", "udp", "at", f"{time.time():.3f}").stdout,
             "nobody has the endpoint any more")
    assert "nobody" in router.ctl("nat", "who", f"{address}:{port}", "tcp").stdout


COUNT, PORTS = 60_000, (5000, 64_999)
IN_FLIGHT = 200


def exchange(client: socket.socket, server: socket.socket) -> tuple[set, set]:
    """A datagram from each port, and its answer: the sources that the server saw and the ports that got one."""
    seen, answered = set(), set()
    client.setblocking(False)
    server.setblocking(False)
    deadline = time.monotonic() + 20

    def take(seconds: float) -> bool:
        """What has come to either end; False if nothing does in this time."""
        ready = select.select([client, server], [], [], seconds)[0]
        with contextlib.suppress(BlockingIOError):
            while server in ready:
                said, source = server.recvfrom(100)
                seen.add(source)
                server.sendto(said, source)
        with contextlib.suppress(BlockingIOError):
            while client in ready:
                answered.add(struct.unpack_from("!HH", client.recv(100), 20)[1])
        return bool(ready)

    left = list(range(PORTS[0], PORTS[1] + 1))
    while left and time.monotonic() < deadline:
        for count, port in enumerate(left):
            client.sendto(struct.pack("!HHHH", port, 9, 8, 0), (WAN4, 0))
            if count % IN_FLIGHT == 0:
                take(0.01)
        while take(0.05):
            pass
        left = [port for port in left if port not in answered]
    return seen, answered


def speak(client: socket.socket) -> str:
    """Asks the server and tells what became of it."""
    try:
        client.send(b"?")
        return client.recv(100).decode()
    except OSError as error:
        return error.strerror or "silence"


@pytest.mark.one_kind
def test_sixty_thousand_mappings_then_none_then_some(lab):
    config = translating()
    config["nat"]["postrouting"][0]["ports"] = "{}-{}".format(*PORTS)
    nat = start(lab, config)
    lan, wan, router = nat.hosts["lan"], nat.hosts["wan"], nat.router
    with lan.entered():
        raw = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_UDP)
    with raw, bound(wan, socket.SOCK_DGRAM, WAN4, 9) as server, bound(lan, socket.SOCK_DGRAM, SECOND, 7000) as late:
        raw.bind((FIRST, 0))
        for end in (raw, server):
            end.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, 64 << 20)
        seen, answered = exchange(raw, server)
        assert len(seen) == len(answered) == COUNT
        assert {address for address, _ in seen} == {BOX4}
        (use,) = [one for one in router.api.items("/v1/nat/ports") if one["proto"] == "udp"]
        assert (use["in_use"], use["free"], use["limit"], use["share"]) == (COUNT, 0, COUNT, 1.0)

        late.setsockopt(socket.IPPROTO_IP, IP_RECVERR, 1)
        late.connect((WAN4, 9))
        assert speak(late) == "No route to host", "host unreachable"
        assert router.drops()["nat_exhausted"] == 1
        said = router.ctl("nat", "ports").stdout
        assert f"{COUNT}          0     0  {COUNT}  100.0 %        1" in said, said
        assert FIRST in said, "the top holder"
        assert f"1000 of {router.api.get('/v1/nat?limit=1')['total']} mappings are shown" in router.ctl("nat").stderr
        wait_for(lambda: f"{BOX4} had no udp port left for 1 new flow" in router.log(), "a line in the log", timeout=5)
        assert f"{BOX4}: " in router.log() and "% of udp ports are taken" in router.log()
        labels = f'{{address="{BOX4}",proto="udp"}}'
        metrics = router.api.raw("GET", "/metrics")[1]
        assert f"sluice_nat_ports_in_use{labels} {COUNT}\n" in metrics
        assert f"sluice_nat_ports_limit{labels} {COUNT}\n" in metrics
        assert f"sluice_nat_ports_refused_total{labels} 1\n" in metrics

        router.ctl("conntrack", "delete", "-s", FIRST, "--sport", "6000")
        server.setblocking(True)
        wait_for(lambda: router.api.items("/v1/nat/ports")[0]["in_use"] < COUNT, "the port is free")
        late.send(b"!")
        said, source = server.recvfrom(100)
        while said != b"!":
            said, source = server.recvfrom(100)
        assert source == (BOX4, 6000)
        server.sendto(said, source)
        assert late.recv(100) == b"!"


def test_masquerade_follows_the_address(nat):
    other = "203.0.113.3"
    config = copy.deepcopy(nat.router.config)
    config["interfaces"]["wan"]["addresses"][0] = f"{other}/24"
    kept = nat.hosts["lan"].start(["ping", "-c", "40", "-i", "0.05", "-W", "1", "192.168.1.1"],
                                  stdout=subprocess.DEVNULL)
    pinging = nat.hosts["lan"].start(["ping", "-c", "40", "-i", "0.05", "-W", "1", WAN4], stdout=subprocess.PIPE,
                                     text=True)

    def flows() -> dict:
        return {flow["original"]["dst"]: flow for flow in nat.router.api.items("/v1/conntrack?proto=icmp")}

    before = wait_for(lambda: len(flows()) == 2 and flows(), "both flows")
    assert before[WAN4]["reply"]["dst"] == BOX4
    nat.router.apply(config)
    after = wait_for(lambda: WAN4 in flows() and flows()[WAN4]["id"] != before[WAN4]["id"] and flows(), "a new flow")
    assert after[WAN4]["reply"]["dst"] == other
    assert after["192.168.1.1"]["id"] == before["192.168.1.1"]["id"], "others go on"
    wait_for(lambda: {one["external"]["address"] for one in mappings(nat, "?proto=icmp")} == {other}, "a new mapping")
    said = pinging.communicate(timeout=20)[0]
    assert int(said.split(" received")[0].split()[-1]) >= 37, said
    assert kept.wait(timeout=20) == 0


def test_mappings_end_with_their_address(lab):
    config = translating()
    config["nat"]["postrouting"][0]["filtering"] = "endpoint_independent"
    nat = start(lab, config)
    lan, wan = nat.hosts["lan"], nat.hosts["wan"]
    with bound(wan, socket.SOCK_DGRAM, WAN4, 9) as server, bound(wan, socket.SOCK_DGRAM, WAN4, 10) as stranger, \
            bound(lan, socket.SOCK_DGRAM, FIRST, 5555) as client:
        client.sendto(b"?", (WAN4, 9))
        _, external = server.recvfrom(100)
        stranger.sendto(b"!", external)
        assert client.recv(100) == b"!"
        (mapping,) = mappings(nat, "?proto=udp")
        assert mapping["flows"] == 2
        config = copy.deepcopy(nat.router.config)
        config["interfaces"]["wan"]["addresses"][0] = "203.0.113.3/24"
        nat.router.apply(config)
        wait_for(lambda: not mappings(nat, "?proto=udp"), "the mapping ends")
        assert nat.router.api.items("/v1/conntrack?proto=udp") == []
        client.sendto(b"?", (WAN4, 9))
        assert server.recvfrom(100)[1][0] == "203.0.113.3"


def test_flows_stay_when_other_addresses_change(nat):
    config = copy.deepcopy(nat.router.config)
    config["interfaces"]["wan"]["addresses"].append("203.0.113.3/24")
    pinging = nat.hosts["lan"].start(["ping", "-c", "30", "-i", "0.05", "-W", "1", WAN4], stdout=subprocess.DEVNULL)

    def identity() -> int:
        found = nat.router.api.items("/v1/conntrack?proto=icmp")
        return found[0]["id"] if found else 0

    before = wait_for(identity, "a flow")
    nat.router.apply(config)
    config["interfaces"]["wan"]["addresses"].pop()
    nat.router.apply(config)
    assert pinging.wait(timeout=20) == 0
    assert identity() == before


def test_ssh_ftp_dns_and_iperf3(nat, tmp_path):
    lan, wan = nat.hosts["lan"], nat.hosts["wan"]
    need(shutil.which("dnsmasq") and shutil.which("dig"), "dnsmasq and dig are not installed")
    server = serve_dns(wan, tmp_path)
    for target in (WAN4, WAN6):
        for how in ("+notcp", "+tcp"):
            answer = lan.run(f"dig +short +time=2 +tries=2 {how} @{target} server.test A").stdout
            assert answer.strip() == WAN4
    wan.stop(server)
    need(shutil.which("sshd", path="/usr/sbin") and shutil.which("ssh"), "ssh and sshd are not installed")
    server, login = serve_ssh(wan, tmp_path)
    said = lan.run([*login, f"root@{WAN4}", "echo $SSH_CLIENT"]).stdout
    assert said.split()[0] == BOX4
    wan.stop(server)
    server = serve_iperf3(wan)
    for target, options in ((WAN4, ("-P", "2")), (WAN6, ("-R",)), (WAN4, ("-u", "-b", "10M"))):
        iperf3(lan, "-c", target, "-t", "1", *options)
    wan.stop(server)
    need(subprocess.run(["/usr/bin/python3", "-c", "import pyftpdlib"]).returncode == 0,
         "python3-pyftpdlib is not installed")
    digest = make_file(tmp_path / "file", 1)
    server = serve_ftp(wan, WAN4, tmp_path)
    lan.run(f"curl -sSf -m 20 --ftp-pasv -o {tmp_path}/got ftp://{WAN4}/file")
    wan.stop(server)
    assert sha256(tmp_path / "got") == digest
