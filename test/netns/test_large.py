"""Large frames: what a virtual machine sends as one leaves as the segments that it stands for, byte by byte."""
import os
import random
import socket

import pytest
from lab import WAN
from scapy.all import ICMP, IP, TCP, UDP, Dot1Q, Ether, ICMPv6PacketTooBig, IPv6, Raw
from virtual_machine import VirtualMachine, segments_of
from waiting import wait_for
from wire import Wire

pytestmark = [pytest.mark.sluice_only, pytest.mark.one_kind]
BOX_MAC, VM_MAC, OTHER_MAC = "02:00:00:00:01:01", "02:00:00:00:01:02", "02:00:00:00:02:02"
VM4, VM6, WAN4, WAN6 = "192.168.1.10", "fd00:1::10", "203.0.113.10", "fd00:2::10"
OTHER4 = "192.168.2.10"
OPTIONS = [("NOP", None), ("NOP", None), ("Timestamp", (7, 9))]
RULES = {"filter": {"forward": {"policy": "drop", "rules": [
    {"name": "established", "ct": ["established", "related"], "action": "accept"},
    {"name": "inside-out", "in": "lan", "action": "accept"}]}}}


def data_of(size: int) -> bytes:
    return random.Random(size).randbytes(size)


def large(source, to, size: int = 20000, data: bytes | None = None, **tcp):
    ip = IPv6(src=source, dst=to, tc=2, fl=0x12345) if ":" in to else IP(src=source, dst=to, id=0xfffe, flags="DF", tos=2)
    header = {"sport": 40000, "dport": 7000, "seq": 0xffffff00, "ack": 1, "flags": "PA", "window": 500, "options": OPTIONS, **tcp}
    frame = Ether(src=VM_MAC, dst=BOX_MAC) / ip / TCP(**header) / Raw(data_of(size) if data is None else data)
    return Ether(bytes(frame))


class Net:
    """A virtual machine at `lan`, and a host with a kernel at `wan`."""

    def __init__(self, lab, directory, config=None, mtu: int = 1500, other: bool = False, link: str = "virtio_user",
                 guests=None):
        self.lab = lab
        self.vm = VirtualMachine(lab.dut, directory, "vm", link)
        self.other = VirtualMachine(lab.dut, directory, "other", "virtio_user") if other else None
        lab.connect(**WAN, mtu=mtu)
        interfaces = {
            "lan": {"device": self.vm.device(0), "mac": BOX_MAC, "addresses": ["192.168.1.1/24", "fd00:1::1/64"]},
            "wan": {"device": lab.device("wan", 1), "addresses": ["203.0.113.2/24", "fd00:2::2/64"], "mtu": mtu}}
        neighbours = [{"interface": "lan", "ip": VM4, "mac": VM_MAC}, {"interface": "lan", "ip": VM6, "mac": VM_MAC}]
        if other:
            interfaces["dmz"] = {"device": self.other.device(2), "addresses": ["192.168.2.1/24"]}
            neighbours.append({"interface": "dmz", "ip": OTHER4, "mac": OTHER_MAC})
        if guests:
            interfaces["guests"] = guests
        neighbours += [{"interface": "wan", "ip": ip, "mac": lab.host_mac("wan")} for ip in (WAN4, WAN6)]
        lab.start({
            "engine": {"workers": int(os.environ.get("SLUICE_WORKERS", "1")), "mbufs": 8192, "hugepages": "off",
                       "eal_args": ["--single-file-segments"]},
            "interfaces": interfaces, "neighbours": neighbours, "icmp": {"errors": "unlimited"}, **(config or {})})
        if not self.vm.starts_first:
            self.vm.start()
            wait_for(lambda: lab.router.interface("lan")["link"]["up"], "a link to the machine")
        self.host, self.router = lab.hosts["wan"], lab.router
        self._dropped = self.router.drops()  # before the machine was there
        self.wan = Wire(self.host, "wan")

    def leaving(self, frame):
        """The frame as the router passes it on to `wan`."""
        out = frame.copy()
        out.src, out.dst = self.router.mac("wan"), self.lab.host_mac("wan")
        if IP in out:
            out[IP].ttl -= 1
            del out[IP].chksum
        else:
            out[IPv6].hlim -= 1
        return Ether(bytes(out))

    def expect_segments(self, frame, segment: int) -> None:
        expected = segments_of(frame, segment)
        came = []
        for _ in expected:
            came.append(self.wan.expect(lambda f: TCP in f and f[TCP].dport == frame[TCP].dport,
                                        f"segment {len(came)} of {len(expected)}; {self.router.drops()}"))
        for number, (has, should) in enumerate(zip(came, expected, strict=True)):
            assert bytes(has) == should, f"segment {number}: {has.show(dump=True)} instead of {Ether(should).show(dump=True)}"

    def drops(self) -> dict[str, int]:
        """Without what the host's kernel tells everybody."""
        now = self.router.drops()
        return {reason: count - self._dropped.get(reason, 0) for reason, count in now.items()
                if reason != "multicast" and count != self._dropped.get(reason, 0)}

    def repeated(self) -> int:
        return sum(worker["decision_repeated"] for worker in self.router.api.items("/v1/conntrack/stats"))

    def flow(self) -> dict:
        return next(flow for flow in self.router.api.items("/v1/conntrack") if flow["proto"] == "tcp")


@pytest.fixture
def make(lab, tmp_path):
    return lambda *arguments, **named: Net(lab, tmp_path, *arguments, **named)


@pytest.fixture
def plain(make):
    return make()


FAMILIES = pytest.mark.parametrize("ends", [(VM4, WAN4), (VM6, WAN6)], ids=["ip4", "ip6"])


LINKS = pytest.mark.parametrize("link", ["virtio_user", "vhost"])


@LINKS
@FAMILIES
def test_segments_leave_as_if_they_had_come(make, ends, link):
    net = make(link=link)
    sizes = ((20000, 1428), (2856, 1428), (1428, 1428), (60000, 1428), (5001, 500), (3, 1))
    for number, (size, segment) in enumerate(sizes):
        frame = large(*ends, size, flags=("A", "PA", "FPAEC")[number % 3])
        net.vm.send(frame, segment)
        net.expect_segments(net.leaving(frame), segment)
    assert net.drops() == {}


@LINKS
def test_what_lacks_its_checksum_leaves_with_it(make, link):
    plain = make(link=link)
    for ends in ((VM4, WAN4), (VM6, WAN6)):
        for upper in (TCP(sport=1, dport=7001, flags="A") / b"odd", UDP(sport=1, dport=7001) / b"datagram"):
            ip = IPv6(src=ends[0], dst=ends[1]) if ":" in ends[1] else IP(src=ends[0], dst=ends[1])
            frame = Ether(bytes(Ether(src=VM_MAC, dst=BOX_MAC) / ip / upper))
            plain.vm.send(frame, unfinished=True)
            came = plain.wan.expect(lambda f: (TCP in f or UDP in f) and f.dport == 7001, "the packet")
            expected = bytes(plain.leaving(frame))
            assert bytes(came)[:len(expected)] == expected


@pytest.mark.parametrize("nat", [False, True], ids=["rules", "masquerade"])
@FAMILIES
def test_a_connection_with_rules(make, ends, nat):
    """The host's kernel is the judge of what it gets; the frames are looked at as well."""
    config = dict(RULES)
    if nat:
        config["nat"] = {"postrouting": [{"name": "masq", "out": "wan", "masquerade": True}]}
    net = make(config)
    sent = data_of(120000)
    with net.host.entered():
        server = socket.create_server((ends[1], 7000), family=socket.AF_INET6 if ":" in ends[1] else socket.AF_INET)
    client = {"sport": 40000, "dport": 7000}
    mine = lambda f: TCP in f and f[TCP].sport == 7000
    net.vm.send(large(*ends, 0, flags="S", seq=999, options=[("MSS", 1460), ("WScale", 7)], **client))
    _, answer = net.vm.expect(mine, "SYN and ACK")
    assert answer[TCP].flags == "SA"
    base = answer[TCP].seq + 1
    net.vm.send(large(*ends, 0, flags="A", seq=1000, ack=base, options=[], **client))
    connection, _ = server.accept()
    connection.settimeout(10)
    got = b""
    sequence, at = 1000, 0
    before = None
    while at < len(sent):
        part = sent[at:at + 20000]
        frame = large(*ends, data=part, flags="PA", seq=sequence, ack=base, options=[], **client)
        net.vm.send(frame, 1400)
        seen = [net.wan.expect(lambda f: TCP in f and f[TCP].dport == 7000 and len(f[TCP].payload) > 6, "data")
                for _ in range(-(-len(part) // 1400))]
        out = net.leaving(frame)
        if nat:
            network = IPv6 if ":" in ends[1] else IP
            out[network].src = "fd00:2::2" if ":" in ends[1] else "203.0.113.2"
            out[TCP].sport = seen[0][TCP].sport
            if network is IP:
                del out[IP].chksum
            out = Ether(bytes(out))
        assert [bytes(f) for f in seen] == segments_of(out, 1400)
        at += len(part)
        sequence += len(part)
        while len(got) < at:
            got += connection.recv(1 << 16)
        before = before or net.repeated()
        net.vm.expect(lambda f: mine(f) and f[TCP].ack == sequence % (1 << 32), "acknowledgement of all")
    assert got == sent
    # The first data opens the flow's way; what follows goes as one frame, and counts as its segments.
    assert net.repeated() - before >= 15 * 5
    flow = net.flow()
    assert flow["original"]["packets"] == 2 + 15 * 6
    header = 60 if ":" in ends[1] else 40
    assert flow["original"]["bytes"] == header + 8 + header + 15 * 6 * header + len(sent)
    net.vm.send(large(*ends, 0, flags="R", seq=sequence, ack=base, options=[], **client))
    connection.close()
    server.close()


@FAMILIES
def test_segments_beyond_the_mtu(make, ends):
    """The sender is told of each as if it had come by itself; one that fits leaves."""
    net = make(mtu=1300)
    frame = large(*ends, 4000)
    net.vm.send(frame, 1448)
    if ":" in ends[1]:
        _, error = net.vm.expect(lambda f: ICMPv6PacketTooBig in f, "packet too big")
        assert error[ICMPv6PacketTooBig].mtu == 1300
        quoted, first = bytes(error[ICMPv6PacketTooBig].payload), segments_of(frame, 1448)[0][14:]
    else:
        _, error = net.vm.expect(lambda f: ICMP in f, "fragmentation needed")
        assert (error[ICMP].type, error[ICMP].code, error[ICMP].nexthopmtu) == (3, 4, 1300)
        quoted, first = bytes(error[ICMP].payload), segments_of(frame, 1448)[0][14:]
    assert len(quoted) > 500 and first.startswith(quoted)
    net.wan.expect(lambda f: TCP in f and bytes(f) == segments_of(net.leaving(frame), 1448)[2], "the last, short one")
    assert net.drops() == {"too_big": 2}
    frame = large(*ends, 4000, dport=7002)
    net.vm.send(frame, 1200)
    net.expect_segments(net.leaving(frame), 1200)


def test_the_last_hop_ends_each_segment(plain):
    frame = large(VM4, WAN4, 3000)
    frame[IP].ttl = 1
    del frame[IP].chksum
    plain.vm.send(Ether(bytes(frame)), 1000)
    for _ in range(3):
        plain.vm.expect(lambda f: ICMP in f and f[ICMP].type == 11, "time exceeded")
    assert plain.drops() == {"ttl_exceeded": 3}


def test_for_the_box_itself(plain):
    frame = large(VM4, "192.168.1.1", 3000)
    plain.vm.send(frame, 1000)
    for number in range(3):
        _, reset = plain.vm.expect(lambda f: TCP in f, "a reset")
        assert reset[TCP].flags == "R" and reset[TCP].seq == frame[TCP].ack, number


def test_early_rules_see_segments(make):
    config = {"early": [{"name": "count", "in": "lan", "length": "<1100", "action": "accept"},
                        {"name": "others", "in": "lan", "action": "drop"}]}
    net = make(config)
    frame = large(VM4, WAN4, 5000)
    net.vm.send(frame, 1000)
    net.expect_segments(net.leaving(frame), 1000)
    rules = {rule["name"]: rule["packets"] for chain in net.router.api.items("/v1/rules") for rule in chain["rules"]}
    assert rules["count"] == 5


def expect_whole(net, frame) -> None:
    """At the other virtual machine, which takes large frames."""
    segment, came = net.other.expect(lambda f: TCP in f, "the large frame")
    assert segment == 1448
    out = net.leaving(frame)
    out.src, out.dst = net.router.mac("dmz"), OTHER_MAC
    assert segments_of(came, 1448) == segments_of(out, 1448)


def test_a_device_that_cuts_frames_gets_them_whole(make):
    net = make(other=True)
    frame = large(VM4, OTHER4, 30000)
    net.vm.send(frame, 1448)
    expect_whole(net, frame)


def test_what_rules_let_pass_arrives_whole_where_it_can(make):
    net = make(RULES, other=True)
    client = {"sport": 40000, "dport": 7000, "options": []}
    net.vm.send(large(VM4, OTHER4, 0, flags="S", seq=999, **client))
    net.other.expect(lambda f: TCP in f, "SYN")
    answer = Ether(src=OTHER_MAC, dst=net.router.mac("dmz")) / IP(src=OTHER4, dst=VM4) / TCP(
        sport=7000, dport=40000, flags="SA", seq=99, ack=1000, window=60000)
    net.other.send(Ether(bytes(answer)))
    net.vm.expect(lambda f: TCP in f, "SYN and ACK")
    for data, flags in ((b"", "A"), (b"first", "PA")):
        net.vm.send(large(VM4, OTHER4, data=data, flags=flags, seq=1000, ack=100, **client))
        net.other.expect(lambda f: TCP in f, "a packet")
    frame = large(VM4, OTHER4, 30000, flags="PA", seq=1005, ack=100, **client)
    net.vm.send(frame, 1448)
    expect_whole(net, frame)
    # The last segments begin beyond the window that the other end has announced: each is judged alone.
    frame = large(VM4, OTHER4, 32000, flags="PA", seq=31005, ack=100, **client)
    net.vm.send(frame, 1448)
    for expected in segments_of(frame, 1448):
        segment, came = net.other.expect(lambda f: TCP in f, "a segment")
        assert (segment, came[TCP].seq) == (0, Ether(expected)[TCP].seq)
    assert net.drops() == {}


def test_from_a_vlan(make):
    net = make(guests={"parent": "lan", "vlan": 20, "addresses": ["192.168.20.1/24"]})
    frame = large("192.168.20.5", WAN4, 9000)
    tagged = Ether(src=VM_MAC, dst=BOX_MAC) / Dot1Q(vlan=20) / frame[IP]
    net.vm.send(Ether(bytes(tagged)), 1400)
    net.expect_segments(net.leaving(frame), 1400)


def test_what_is_no_large_frame_is_dropped(plain):
    plain.vm.send(large(VM4, WAN4, 3000), 1)
    wait_for(lambda: plain.router.drops().get("large_malformed") == 1, "the drop")
