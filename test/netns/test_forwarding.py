"""Hosts reach each other through the box: ping, traceroute, HTTP, iperf3."""
import re

import pytest
from scapy.all import ICMP, IP, ICMPv6EchoRequest, IPv6, UDPerror
from traffic import iperf3, make_file, serve_http, serve_iperf3, sha256
from wire import Wire

LAN4, LAN6, WAN4, WAN6 = "192.168.1.10", "fd00:1::10", "203.0.113.10", "fd00:2::10"


def test_ping_takes_one_from_the_ttl(net):  # R1812-5.3.1
    far = Wire(net.hosts["wan"], "wan")
    net.hosts["lan"].run(f"ping -c 3 -i 0.05 -W 2 -t 64 {WAN4}")
    frame = far.expect(lambda f: ICMP in f and f[ICMP].type == 8, "the echo request on the far side")
    assert frame[IP].ttl == 63
    assert frame.src == net.router.mac("wan")
    assert frame.dst == net.host_mac("wan")
    far.close()


def test_ping6_takes_one_from_the_hop_limit(net):  # R8200-3
    far = Wire(net.hosts["wan"], "wan")
    net.hosts["lan"].run(f"ping -6 -c 3 -i 0.05 -W 2 -t 64 {WAN6}")
    frame = far.expect(lambda f: ICMPv6EchoRequest in f, "the echo request on the far side")
    assert frame[IPv6].hlim == 63
    far.close()


def test_ping_both_ways_and_sizes(net):
    for size in (0, 1, 18, 1472):
        net.hosts["wan"].run(f"ping -c 1 -W 2 -s {size} {LAN4}")
    for size in (0, 1, 1452):
        net.hosts["wan"].run(f"ping -6 -c 1 -W 2 -s {size} {LAN6}")


@pytest.mark.parametrize("method", ["-I", "-U", "-T"])
def test_traceroute(net, method):
    done = net.hosts["lan"].run(f"traceroute {method} -n -q 1 -w 2 -m 5 {WAN4}")
    hops = re.findall(r"^\s*(\d+)\s+(\S+)", done.stdout, re.MULTILINE)
    assert hops == [("1", "192.168.1.1"), ("2", WAN4)], done.stdout


@pytest.mark.parametrize("method", ["-I", "-U", "-T"])
def test_traceroute6(net, method):
    done = net.hosts["lan"].run(f"traceroute -6 {method} -n -q 1 -w 2 -m 5 {WAN6}")
    hops = re.findall(r"^\s*(\d+)\s+(\S+)", done.stdout, re.MULTILINE)
    assert hops == [("1", "fd00:1::1"), ("2", WAN6)], done.stdout


@pytest.fixture(scope="module")
def big_file(tmp_path_factory):
    path = tmp_path_factory.mktemp("served") / "big"
    return path, make_file(path, 100)


@pytest.mark.parametrize("address", [WAN4, f"[{WAN6}]"], ids=["ip4", "ip6"])
def test_curl_100_megabytes_both_ways(net, big_file, tmp_path, address):
    path, digest = big_file
    server = serve_http(net.hosts["wan"], path.parent)
    try:
        net.hosts["lan"].run(f"curl -sSf -m 60 -o {tmp_path}/down http://{address}:8000/big", timeout=70)
        assert sha256(tmp_path / "down") == digest
        net.hosts["lan"].run(f"curl -sSf -m 60 -T {path} http://{address}:8000/up", timeout=70)
        assert sha256(path.parent / "up") == digest
    finally:
        net.hosts["wan"].stop(server)
        (path.parent / "up").unlink(missing_ok=True)
        (tmp_path / "down").unlink(missing_ok=True)


def test_iperf3(net):
    server = serve_iperf3(net.hosts["wan"])
    try:
        assert iperf3(net.hosts["lan"], "-c", WAN4, "-t", "1", "-P", "2")["sum_received"]["bits_per_second"] > 1e6
        assert iperf3(net.hosts["lan"], "-c", WAN6, "-t", "1", "-R")["sum_received"]["bits_per_second"] > 1e6
        udp = iperf3(net.hosts["lan"], "-c", WAN4, "-u", "-b", "10M", "-t", "1")["sum"]
        # On a busy machine the receiver's own buffer may overflow.
        assert udp["lost_packets"] <= udp["packets"] / 50, udp
    finally:
        net.hosts["wan"].stop(server)


def test_fragments_pass_as_they_are(net):  # R1812-4.2.2.7: a router does not reassemble what it forwards
    far = Wire(net.hosts["wan"], "wan")
    net.hosts["lan"].run(f"ping -c 1 -W 2 -s 4000 -M dont {WAN4}")
    net.hosts["lan"].run(f"ping -6 -c 1 -W 2 -s 4000 {WAN6}")
    frames = [f for f in far.drain() if IP in f and (f[IP].flags.MF or f[IP].frag)]
    assert len(frames) == 3
    far.close()


def test_expired_ttl_is_answered_from_the_near_address(net):  # R1812-4.3.2.4, R1812-5.3.1
    near = Wire(net.hosts["lan"], "lan")
    net.hosts["lan"].run(f"ping -c 1 -W 1 -t 1 {WAN4}", check=False)
    error = near.expect(lambda f: ICMP in f and f[ICMP].type == 11, "time exceeded")
    assert error[IP].src == "192.168.1.1" and error[ICMP].code == 0
    near.close()


def test_udp_to_a_far_closed_port(net):
    near = Wire(net.hosts["lan"], "lan")
    net.hosts["lan"].run(["bash", "-c", f"echo x > /dev/udp/{WAN4}/9999"], check=False)
    error = near.expect(lambda f: ICMP in f and f[ICMP].type == 3, "port unreachable of the far host")
    assert error[IP].src == WAN4 and error[ICMP].code == 3 and error[IP].ttl == 63
    assert error[UDPerror].dport == 9999
    near.close()
