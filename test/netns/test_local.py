"""Traffic to the box itself."""
import re

import pytest
from scapy.all import ICMP, IP, TCP, UDP, Ether, ICMPv6DestUnreach, ICMPv6EchoReply, ICMPv6EchoRequest, IPv6, Raw
from wire import Wire


@pytest.mark.parametrize("address", ["192.168.1.1", "203.0.113.2", "fd00:1::1", "fd00:2::2"])
def test_every_address_of_the_box_answers_ping(net, address):  # R1122-3.2.2.6, R4443-4.2
    net.hosts["lan"].run(["ping", "-c", "2", "-i", "0.05", "-W", "2", address])


@pytest.mark.parametrize("size", [1472, 1473, 4000, 20000, 65507])
def test_large_echo_is_reassembled_and_answered(net, size):  # R1122-3.3.2, R791
    net.hosts["lan"].run(f"ping -c 2 -i 0.05 -W 2 -s {size} 192.168.1.1")


@pytest.mark.parametrize("size", [1452, 1453, 4000, 20000, 65487])
def test_large_echo6_is_reassembled_and_answered(net, size):  # R8200-4.5
    net.hosts["lan"].run(f"ping -6 -c 2 -i 0.05 -W 2 -s {size} fd00:1::1")


def test_link_local_address_answers_ping(net):
    lan = net.hosts["lan"]
    lan.run("ping -6 -c 1 -W 2 fd00:1::1")
    text = lan.ip("-6 neigh show dev lan")
    if net.router.is_sluice:
        addresses = net.router.interface("lan")["addresses"]
        local = next(a.split("/")[0] for a in addresses if a.startswith("fe80"))
    else:
        local = re.search(r"inet6 (fe80\S+)/64", net.dut.ip("addr show lan"))[1]
    lan.run(f"ping -6 -c 1 -W 2 {local}%lan")
    assert text


@pytest.mark.parametrize("address", ["192.168.1.1", "[fd00:1::1]"])
def test_tcp_to_a_closed_port_is_reset(net, address):  # R9293-3.10.7.1
    done = net.hosts["lan"].run(f"curl -sS -m 3 http://{address}:81/", check=False)
    assert done.returncode == 7 and re.search("refused|Failed to connect", done.stderr), done.stderr


def test_resets_have_the_right_numbers(net):  # R9293-3.10.7.1
    wire = Wire(net.hosts["lan"], "lan")
    net.hosts["lan"].run("ping -c 1 -W 2 192.168.1.1")
    head = Ether(src=wire.mac, dst=net.router.mac("lan")) / IP(src="192.168.1.10", dst="192.168.1.1")
    wire.send(head / TCP(sport=5000, dport=81, flags="S", seq=100))
    reply = wire.expect(lambda f: TCP in f and f[TCP].dport == 5000, "the reset of a SYN")
    assert str(reply[TCP].flags) == "RA" and (reply[TCP].seq, reply[TCP].ack) == (0, 101)
    wire.send(head / TCP(sport=5001, dport=81, flags="A", seq=100, ack=7777))
    reply = wire.expect(lambda f: TCP in f and f[TCP].dport == 5001, "the reset of an ACK")
    assert str(reply[TCP].flags) == "R" and reply[TCP].seq == 7777
    wire.send(head / TCP(sport=5002, dport=81, flags="R", seq=100))
    wire.send(head / TCP(sport=5003, dport=81, flags="S", seq=100))
    frames = []
    wire.expect(lambda f: frames.append(f) or (TCP in f and f[TCP].dport == 5003), "the next reset")
    assert not [f for f in frames if TCP in f and f[TCP].dport == 5002], "a reset was answered"
    wire.close()


def test_udp_to_a_closed_port_is_refused(net):  # R1122-3.2.2.1, R4443-3.1 code 4
    wire = Wire(net.hosts["lan"], "lan")
    net.hosts["lan"].run(["bash", "-c", "echo x > /dev/udp/192.168.1.1/9999"], check=False)
    error = wire.expect(lambda f: ICMP in f and f[ICMP].type == 3, "port unreachable")
    assert error[ICMP].code == 3 and error[IP].src == "192.168.1.1"
    net.hosts["lan"].run(["bash", "-c", "echo x > /dev/udp/fd00:1::1/9999"], check=False)
    error = wire.expect(lambda f: ICMPv6DestUnreach in f, "port unreachable (IPv6)")
    assert error[ICMPv6DestUnreach].code == 4 and error[IPv6].src == "fd00:1::1"
    wire.close()


def test_broadcast_and_multicast_get_no_errors(net):  # R1122-3.2.2, R4443-2.4
    wire = Wire(net.hosts["lan"], "lan")
    broadcast = Ether(src=wire.mac, dst="ff:ff:ff:ff:ff:ff")
    wire.send(broadcast / IP(src="192.168.1.10", dst="192.168.1.255") / UDP(sport=1, dport=9999) / b"x")
    wire.send(broadcast / IP(src="192.168.1.10", dst="255.255.255.255") / UDP(sport=1, dport=9999) / b"x")
    wire.send(Ether(src=wire.mac, dst="33:33:00:00:00:01") / IPv6(src="fd00:1::10", dst="ff02::1") / UDP(dport=9) / b"x")
    # A unicast echo afterwards shows that all were seen
    wire.send(
        Ether(src=wire.mac, dst=net.router.mac("lan"))
        / IPv6(src="fd00:1::10", dst="fd00:1::1") / ICMPv6EchoRequest(id=77) / Raw(b"end")
    )
    frames = []
    wire.expect(lambda f: frames.append(f) or ICMPv6EchoReply in f, "the echo reply")
    assert not [f for f in frames if (ICMP in f and f[ICMP].type == 3) or ICMPv6DestUnreach in f]
    wire.close()
