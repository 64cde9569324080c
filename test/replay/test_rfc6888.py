"""RFC 6888: what carriers' NAT has that others can do with, too. Profile rfc."""

import pytest
import reason
from nat_net import (EVERYBODY, OUTSIDE, X1, X2, Y, Z, back, behind_nat, out, passes, pool, query, reached, source)
from net import LAN
from scapy.layers.inet import ICMP, IP


def test_addresses_that_are_not_next_to_one_another(gateway):
    """R6888-3: ranges, networks and single ones in one pool, and nothing between them."""
    behind_nat(gateway, pool("203.0.113.50-203.0.113.51", "203.0.113.64/30", "198.18.0.9"))
    pooled = {f"203.0.113.{n}" for n in (50, 51, 64, 65, 66, 67)} | {"198.18.0.9"}
    lines = gateway.send(*(out(src=f"192.168.1.{10 + n}") for n in range(200))).packets
    assert {source(line)[0] for line in lines} == pooled


def test_a_host_has_so_many_ports_and_no_more(gateway):
    """R6888-4, R6888-5: of all protocols together; what it has goes on, and others are not concerned."""
    behind_nat(gateway, ports_per_host=10)
    begin = [out(0, sport=1000 + n, proto=("udp", "tcp")[n % 2]) for n in range(10)]
    lines = gateway.send(*begin, out(1, sport=2000), query(1.1), out(1.2, src=X2), out(1.3, sport=1000, dst=Z), out(125, sport=2000)).packets
    assert all(passes(line) for line in lines[:10])
    for line in lines[10:12]:
        line.assert_dropped(reason.nat_host_limit)
    assert all(passes(line) for line in lines[12:])


def test_translation_is_off_for_some_destinations(gateway):
    """R6888-6"""
    behind_nat(gateway)
    gateway.config["nat"]["postrouting"].insert(0, {"name": "inner", "out": "wan", "daddr": "198.51.100.0/28", "action": "accept"})
    lines = gateway.send(out(dst=Y), out(dst="198.51.100.99")).packets
    assert [line.forwarded("wan")[IP].src for line in lines] == [X1, OUTSIDE]


def clock(at):
    """Of no consequence, but the time is looked at."""
    return query(at, dst=LAN.ip4)


ONE_PORT = {**pool(OUTSIDE, ports="2000-2000"), **EVERYBODY}


@pytest.mark.parametrize("hold, least", [(None, 120), ("30s", 30)])
def test_a_freed_port_rests(gateway, hold, least):
    """R6888-8: for 120 s, or as configured, if anybody may have sent to it."""
    behind_nat(gateway, ONE_PORT, **({"hold_down": hold} if hold else {}))
    ended = 120  # the mapping, of which nobody made use
    for late, free in ((least - 1, False), (least + 1, True)):
        line = gateway.send(out(0), clock(ended + 0.1), out(ended + late, src=X2)).packets[2]
        assert passes(line) == free, line
        if not free:
            line.assert_dropped(reason.nat_exhausted)


def test_a_freed_port_need_not_rest(gateway):
    """R6888-8: the exceptions: TCP, and filters that depend on the address; both may be told to wait."""
    for proto, rule, option in (("tcp", EVERYBODY, "hold_down_tcp"), ("udp", {}, "hold_down_filtered")):
        ended = 240 if proto == "tcp" else 120
        for options, free in (({}, True), ({option: True}, False)):
            behind_nat(gateway, {**pool(OUTSIDE, ports="2000-2000"), **rule}, **options)
            assert passes(gateway.send(out(0, proto=proto), out(ended + 2, src=X2, proto=proto)).packets[1]) == free


def test_after_a_start_all_ports_rest(gateway):
    """R6888-8: somebody may have had them before; by option."""
    behind_nat(gateway, EVERYBODY, hold_down_at_start=True)
    lines = gateway.send(out(0), out(119), out(121)).packets
    for line in lines[:2]:
        line.assert_dropped(reason.nat_held_down)
    assert passes(lines[2])
    behind_nat(gateway, EVERYBODY)
    assert passes(gateway.send(out(0)).packets[0])


def test_who_comes_too_late_takes_nothing_from_anybody(gateway):
    """R6888-11: no port left: dropped, counted, told host unreachable; and every mapping stays."""
    behind_nat(gateway, {**pool(OUTSIDE, ports="2000-2019"), **EVERYBODY})
    begin = [out(0, src=f"192.168.1.{10 + n}", sport=2000 + n) for n in range(20)]
    late = [out(1 + n / 100, src=f"192.168.1.{50 + n}") for n in range(100)]
    result = gateway.send(*begin, *late, *(back(3, dport=2000 + n, src=Z) for n in range(20)))
    for line in result.packets[20:120]:
        error = line.assert_dropped(reason.nat_exhausted).answered("lan")
        assert (error[IP].src, error[ICMP].type, error[ICMP].code) == (LAN.ip4, 3, 1)
    assert result.summary["reasons"][reason.nat_exhausted] == 100
    assert [reached(line) for line in result.packets[120:]] == [(f"192.168.1.{10 + n}", 2000 + n) for n in range(20)]


def test_every_port_can_be_used(gateway):
    """R6888-13: whoever asks, in whatever order, until the last."""
    behind_nat(gateway, pool(OUTSIDE, ports="2000-2255"))
    lines = gateway.send(*(out(src=f"192.168.1.{10 + n % 7}", sport=5000 + n * 37 % 60000) for n in range(256))).packets
    assert {source(line)[1] for line in lines} == set(range(2000, 2256))
