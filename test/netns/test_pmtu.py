"""Packets too large for the way out: refused with the right MTU, or fragmented."""
import socket

import pytest
from lab import LAN, WAN, two_hosts
from scapy.all import ICMP, IP, ICMPv6PacketTooBig, IPv6
from traffic import make_file, serve_http, sha256
from waiting import wait_for
from wire import Wire

WAN4, WAN6 = "203.0.113.10", "fd00:2::10"


@pytest.fixture
def narrow(lab):
    """The far interface carries 1400 bytes, and neither host knows."""
    config = two_hosts()
    config["interfaces"]["wan"]["mtu"] = 1400
    lab.connect(**LAN)
    lab.connect(**WAN)
    return lab.start(config)


@pytest.mark.parametrize("address", [WAN4, WAN6], ids=["ip4", "ip6"])
def test_path_mtu_is_learnt_and_the_transfer_completes(narrow, tmp_path, address):  # RFC 1191, RFC 8201
    lan, wan = narrow.hosts["lan"], narrow.hosts["wan"]
    digest = make_file(tmp_path / "file", 5)
    (tmp_path / "in").mkdir()
    serve_http(wan, tmp_path / "in")
    url = f"http://[{address}]:8000/up" if ":" in address else f"http://{address}:8000/up"
    lan.run(f"curl -sSf -m 30 -T {tmp_path}/file {url}")
    assert sha256(tmp_path / "in" / "up") == digest
    assert "mtu 1400" in lan.ip(f"route get {address}")


def test_fragmentation_needed_names_the_mtu(narrow):  # R1812-4.3.2.3, R1191-4
    near = Wire(narrow.hosts["lan"], "lan")
    done = narrow.hosts["lan"].run(f"ping -c 1 -W 1 -s 1472 -M do {WAN4}", check=False)
    assert "mtu = 1400" in done.stdout
    error = near.expect(lambda f: ICMP in f and f[ICMP].type == 3, "destination unreachable")
    assert (error[ICMP].code, error[ICMP].nexthopmtu) == (4, 1400)
    near.close()


def test_packet_too_big_names_the_mtu(narrow):  # R4443-3.2
    near = Wire(narrow.hosts["lan"], "lan")
    done = narrow.hosts["lan"].run(f"ping -6 -c 1 -W 1 -s 1452 -M do {WAN6}", check=False)
    assert "mtu=1400" in done.stdout
    error = near.expect(lambda f: ICMPv6PacketTooBig in f, "packet too big")
    assert error[ICMPv6PacketTooBig].mtu == 1400
    assert error[IPv6].src == "fd00:1::1" and len(error[IPv6]) <= 1280
    near.close()


def test_datagrams_without_df_are_fragmented(narrow):  # R1812-4.2.2.7, RFC 791
    lan, wan = narrow.hosts["lan"], narrow.hosts["wan"]
    far = Wire(wan, "wan")
    payload = bytes(range(256)) * 5
    with wan.entered():
        receiver = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        receiver.bind((WAN4, 7000))
        receiver.settimeout(5)
    with lan.entered():
        sender = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        sender.setsockopt(socket.IPPROTO_IP, 10, 0)  # IP_MTU_DISCOVER: IP_PMTUDISC_DONT
    for length in (1372, 1373, 1472):  # the largest that fits, one more, the largest of the near link
        data = (payload * 2)[:length]
        sender.sendto(data, (WAN4, 7000))
        assert receiver.recv(65536) == data
    fragments = [f for f in far.drain() if IP in f and (f[IP].flags.MF or f[IP].frag)]
    assert len(fragments) == 4 and all(f[IP].len <= 1400 for f in fragments)
    assert all(f[IP].len % 8 == 20 % 8 for f in fragments if f[IP].flags.MF)
    sender.close()
    receiver.close()
    far.close()


def test_large_udp6_datagrams_arrive_in_the_hosts_own_fragments(narrow):  # R8200-5: routers do not fragment
    lan, wan = narrow.hosts["lan"], narrow.hosts["wan"]
    with wan.entered():
        receiver = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
        receiver.bind((WAN6, 7000))
        receiver.settimeout(0.2)
    with lan.entered():
        sender = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)

    def arrives():
        sender.sendto(b"x" * 1452, (WAN6, 7000))
        try:
            return receiver.recv(65536)
        except TimeoutError:
            return b""

    assert wait_for(arrives, "the datagram, once the path MTU is known", timeout=5) == b"x" * 1452
    sender.close()
    receiver.close()
