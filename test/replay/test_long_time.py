"""A day and more of virtual time: what is due comes at its moment, in the last hour as in the first."""
import dataclasses
import json

import flood
import pytest
import reason
from capture import NANOSECONDS, write_pcap
from gateway import START
from net import HOST, LAN, REMOTE, datagram4, from_lan, from_wan
from scapy.layers.inet import ICMP, IP, UDP
from scapy.layers.l2 import ARP, Ether

HOUR = 3600 * NANOSECONDS
TICK = 2**20  # nanoseconds: as fine as flows tell time
FIRST_LATENESS, LATENESS = 2 * TICK, TICK  # of a flow's first timeout, and of those that packets renew
# In 32 bits ticks begin anew every 52 days: they do so at noon of this day.
DAY = -(-START // (TICK << 32)) * (TICK << 32) - 12 * HOUR
HOST_BYTES, REMOTE_BYTES = flood.packed(HOST.ip4), flood.packed(REMOTE.ip4)


@dataclasses.dataclass(frozen=True)
class Expected:
    time: int  # nanoseconds of the day
    side: str
    frame: bytes
    passes: bool
    what: str


class Day:
    """Frames at moments of the day, and what is to become of each."""

    def __init__(self):
        self.frames: list[Expected] = []

    def at(self, time: int, packet: tuple[str, bytes], passes: bool, what: str) -> None:
        self.frames.append(Expected(time, *packet, passes, what))

    def replay(self, gateway, begin: int = DAY, options: tuple[str, ...] = ()):
        frames = sorted(self.frames, key=lambda each: (each.time, each.side))
        captures = {side: write_pcap(gateway.directory / f"day-{side}.pcap",
                                     [(begin + each.time, each.frame) for each in frames if each.side == side])
                    for side in {each.side for each in frames}}
        result = gateway.replay(*captures.items(), options=options)
        wrong = [(each.what, each.time / HOUR, line.verdict, line.reason) for each, line in zip(frames, result.packets)
                 if (line.verdict == "accept") != each.passes]
        assert wrong == []
        return result


def question(port: int) -> tuple[str, bytes]:
    return "lan", flood.datagram("lan", HOST_BYTES, REMOTE_BYTES, port, 53)


def answer(port: int) -> tuple[str, bytes]:
    return "wan", flood.datagram("wan", REMOTE_BYTES, HOST_BYTES, 53, port)


@pytest.fixture
def firewall(gateway):
    """Only hosts inside may begin; decisions are repeated as usual."""
    gateway.config["conntrack"] = {}
    gateway.config["filter"] = {"forward": {"policy": "drop", "rules": [
        {"name": "established", "ct": ["established", "related"], "action": "accept"},
        {"name": "inside-out", "in": "lan", "ct": "new", "action": "accept"},
    ]}}
    return gateway


def test_flows_end_at_their_moment_every_hour_of_a_day(firewall):
    """A packet just in time renews a flow, one just too late finds none: at every hour, and where ticks begin anew."""
    day = Day()
    for hour in range(25):
        begin, port = hour * HOUR + hour * 137_931, 2000 + 10 * hour  # at other fractions of a tick each time
        for late, passes in ((-1, True), (FIRST_LATENESS, False)):
            day.at(begin, question(port), True, "question")
            day.at(begin + 120 * NANOSECONDS + late, answer(port), passes, f"first answer, {late} ns late")
            port += 1
        for late, passes in ((-1, True), (LATENESS, False)):
            day.at(begin, question(port), True, "question")
            day.at(begin + 1, answer(port), True, "answer")
            day.at(begin + 1 + 300 * NANOSECONDS + late, answer(port), passes, f"later answer, {late} ns late")
            port += 1
    result = day.replay(firewall)
    assert result.summary["last"] - result.summary["first"] > 24 * 3600


def test_flows_that_are_renewed_in_time_live_all_day(firewall):
    """UDP every 300 s, where only the outside speaks, which may not begin; TCP every 7440 s; less some nanoseconds."""
    day = Day()
    day.at(0, question(1000), True, "question")
    talk, packets = flood.TcpTalk(1001), 3
    for n, packet in enumerate(talk.opening()):
        day.at(n, packet, True, "opening")
    for time in range(1, 24 * HOUR, 300 * NANOSECONDS - 1):
        day.at(time, answer(1000), True, "answer")
    for time in range(7440 * NANOSECONDS, 25 * HOUR, 7440 * NANOSECONDS - 1):
        for n, packet in enumerate(talk.exchange()):
            day.at(time + n, packet, True, "exchange")
            packets += 1
    result = day.replay(firewall)
    flows = {flow["proto"]: flow for flow in result.flows}
    assert set(flows) == {"tcp"}, "an hour after its last packet the other is gone"
    assert flows["tcp"]["state"] == "ESTABLISHED"
    assert flows["tcp"]["original"]["packets"] + flows["tcp"]["reply"]["packets"] == packets


def test_fragments_are_given_up_at_their_moment(gateway):
    """RFC 792: the error comes 30 s after the first fragment of each hour, to the nanosecond."""
    day = Day()
    to_the_box = IP(src=HOST.ip4, dst=LAN.ip4, flags="MF") / UDP(sport=1, dport=2) / bytes(64)
    for hour in range(25):
        frame = to_the_box.copy()
        frame.id = hour
        day.at(hour * HOUR + hour, ("lan", bytes(from_lan(frame))), False, "first fragment")
    result = day.replay(gateway, options=("--until", str(25 * 3600)))
    assert [line.time - DAY for line in result.timers] == [hour * HOUR + hour + 30 * NANOSECONDS for hour in range(25)]
    errors = [Ether(line.out[0][1]) for line in result.timers]
    assert {(error[ICMP].type, error[ICMP].code) for error in errors} == {(11, 1)}


def test_limits_give_the_same_every_hour(gateway):
    """A token an hour: the packet on the hour passes, and the one just before it does not."""
    gateway.config["filter"] = {"forward": {"policy": "drop", "rules": [
        {"name": "hourly", "dport": 53, "proto": "udp", "limit": {"rate": "1/hour", "burst": 1}, "action": "accept"},
        {"name": "each", "dport": 80, "proto": "udp", "limit": {"rate": "1/hour", "burst": 1, "per": "saddr"}, "action": "accept"},
    ]}}
    day = Day()
    for hour in range(26):
        for port in (53, 80):
            frame = "lan", flood.datagram("lan", HOST_BYTES, REMOTE_BYTES, 1000 + hour, port)
            if hour:
                day.at(hour * HOUR - 1, frame, False, f"{port}: too early")
            day.at(hour * HOUR + (port == 80), frame, True, f"{port}: on the hour")
            if port == 80 and hour:
                day.at(hour * HOUR, frame, False, "80: a nanosecond too early")
    day.replay(gateway)


def test_elements_that_rules_add_leave_at_their_moment(gateway):
    gateway.config["sets"] = {"seen": {"type": "ip", "size": 1024, "timeout": "10m"}}
    gateway.config["filter"] = {"forward": {"policy": "drop", "rules": [
        {"name": "knock", "proto": "udp", "dport": 7, "add_to": "@seen", "action": "accept"},
        {"name": "seen", "saddr": "@seen", "action": "accept"},
    ]}}
    day = Day()
    for hour in range(25):
        host = flood.packed(f"192.168.1.{100 + hour}")
        begin = hour * HOUR + hour * 1000
        day.at(begin, ("lan", flood.datagram("lan", host, REMOTE_BYTES, 1, 7)), True, "knock")
        for offset, passes in ((1, True), (600 * NANOSECONDS - 1, True), (600 * NANOSECONDS, False)):
            day.at(begin + offset, ("lan", flood.datagram("lan", host, REMOTE_BYTES, 2, 9)), passes, f"{offset} ns later")
    day.replay(gateway)


def test_neighbours_are_the_same_all_day(gateway):
    """Listed ones, one of which nothing is known, and one that speaks ARP in the first hour."""
    day = Day()
    hello = Ether(src="02:00:00:00:77:77", dst="ff:ff:ff:ff:ff:ff") / ARP(
        op=1, hwsrc="02:00:00:00:77:77", psrc="192.168.1.77", pdst=LAN.ip4)
    day.at(0, ("lan", bytes(hello)), False, "ARP request")
    for hour in range(25):
        for n, to in enumerate(("192.168.1.77", HOST.ip4, "192.168.1.78")):
            day.at(hour * HOUR + 1 + n, ("wan", bytes(from_wan(datagram4(src=REMOTE.ip4, dst=to)))), True, f"to {to}")
    result = day.replay(gateway)
    assert result.packets[0].answered("lan")[ARP].op == 2
    macs = {(Ether(frame)[IP].dst, Ether(frame).dst) for line in result.packets[1:] for _, frame in line.out}
    assert len(macs) == 3 and (HOST.ip4, HOST.mac) in macs


# The day of the captures, not that of the wall.

MIDNIGHT = 1_700_006_400  # 2023-11-15


@pytest.fixture
def expiring(gateway):
    gateway.config["filter"] = {"forward": {"policy": "drop", "rules": [
        {"name": "until-the-14th", "proto": "udp", "expires": "2023-11-14", "action": "accept"}]}}
    return gateway


def test_rules_expire_by_the_time_of_captures(expiring):
    """The last day ends at midnight in UTC, in the middle of a capture too, and for flows that were let through."""
    day = Day()
    frame = "lan", flood.datagram("lan", HOST_BYTES, REMOTE_BYTES, 1, 7)
    for time, passes in ((0, True), (100 * NANOSECONDS - 1, True), (100 * NANOSECONDS, False), (200 * NANOSECONDS, False)):
        day.at(time, frame, passes, "datagram")
    begin = (MIDNIGHT - 100) * NANOSECONDS
    first = day.replay(expiring, begin)
    assert [line.rule for line in first.packets[:2]] == ["filter.forward/until-the-14th"] * 2
    for line in first.packets[2:]:
        line.assert_silent(reason.chain_policy)
    rules = json.loads((first.directory / "rules.json").read_text())["items"][0]["rules"]
    assert [(rule["name"], rule["packets"]) for rule in rules] == [("until-the-14th", 2)]
    assert day.replay(expiring, begin).files() == first.files()


@pytest.mark.parametrize("days, passes", [(-400, True), (-1, True), (0, False), (400, False)])
def test_the_first_packet_says_what_day_it_is(expiring, days, passes):
    day = Day()
    day.at(0, ("lan", flood.datagram("lan", HOST_BYTES, REMOTE_BYTES, 1, 7)), passes, "datagram")
    day.replay(expiring, (MIDNIGHT + days * 86_400) * NANOSECONDS)


def test_timers_before_midnight_know_the_rules_of_their_day(gateway):
    """The error about fragments that did not come is sent by the box, past its rules: one before midnight, one behind."""
    gateway.config["filter"] = {"output": {"policy": "drop", "rules": [
        {"name": "until-the-14th", "proto": "icmp", "expires": "2023-11-14", "action": "accept"}]}}
    day = Day()
    for n, time in enumerate((60, 80)):
        frame = IP(src=HOST.ip4, dst=LAN.ip4, flags="MF", id=n) / UDP(sport=1, dport=2) / bytes(64)
        day.at(time * NANOSECONDS, ("lan", bytes(from_lan(frame))), False, "first fragment")
    result = day.replay(gateway, (MIDNIGHT - 100) * NANOSECONDS, options=("--until", "1000"))
    assert [line.time for line in result.timers if line.out] == [(MIDNIGHT - 10) * NANOSECONDS]


def test_elements_of_the_configuration_have_their_time_from_the_first_packet_on(gateway):
    gateway.config["sets"] = {"known": {"type": "ip", "timeout": "10m", "elements": [HOST.ip4]}}
    gateway.config["filter"] = {"forward": {"policy": "drop", "rules": [
        {"name": "known", "saddr": "@known", "action": "accept"}]}}
    day = Day()
    frame = "lan", flood.datagram("lan", HOST_BYTES, REMOTE_BYTES, 1, 7)
    for time, passes in ((0, True), (600 * NANOSECONDS - 1, True), (600 * NANOSECONDS, False)):
        day.at(time, frame, passes, "datagram")
    day.replay(gateway)


def test_flows_are_listed_as_they_are_at_the_end(firewall):
    """--until: what time flows have left then, and not those whose time was up."""
    day = Day()
    day.at(0, question(1000), True, "question")
    day.at(50 * NANOSECONDS, question(1001), True, "question")
    result = day.replay(firewall, options=("--until", "100"))
    left = {flow["original"]["sport"]: flow["timeout"] for flow in result.flows}
    assert left == pytest.approx({1000: 20, 1001: 70}, abs=0.01)
    result = day.replay(firewall, options=("--until", "130"))
    assert {flow["original"]["sport"] for flow in result.flows} == {1001}
