"""RFC 5382: what a NAT does with TCP, as far as it is not what it does with UDP (test_rfc4787.py). Profile rfc."""
import pytest
import reason
from nat_net import (OUTSIDE, PORT, X1, Y, Z, answer, as_seen_outside, back, behind_nat, error_from_outside, opening,
                     out, passes, reached, sent, talk, timed)
from net import HOST, REMOTE, WAN, from_lan, from_wan
from scapy.layers.inet import ICMP, IP, TCP
from scapy.layers.inet6 import ICMPv6DestUnreach, IPv6
from wire import assert_right_checksums, ip_bytes


def assert_translated(result):
    """Every segment went through, from X's endpoint to Y's and back."""
    for line in result.packets:
        outward = line.interface == "lan"
        wanted = (OUTSIDE, PORT, Y, 80) if outward else (Y, 80, X1, PORT)
        assert sent(line, "wan" if outward else "lan") == wanted


SEQUENCES = {
    "data both ways": [talk("PA", 101, 501, 50), answer("A", 501, 151), answer("PA", 501, 151, 70), talk("A", 151, 571)],
    "out of order": [answer("PA", 511, 101, 10), talk("A", 101, 501), answer("PA", 501, 101, 10), talk("A", 101, 521)],
    "closed from inside": [talk("FA", 101, 501), answer("A", 501, 102), answer("FA", 501, 102), talk("A", 102, 502)],
    "closed from outside": [answer("FA", 501, 101), talk("A", 101, 502), talk("FA", 101, 502), answer("A", 502, 102)],
    "half closed": [talk("FA", 101, 501), answer("A", 501, 102), answer("PA", 501, 102, 90), talk("A", 102, 591)],
    "closed from both sides at once": [talk("FA", 101, 501), answer("FA", 501, 101), talk("A", 102, 502), answer("A", 502, 102)],
    "kept alive": [talk("A", 100, 501), answer("A", 501, 101), answer("A", 500, 101), talk("A", 101, 501)],
    "reset from inside": [talk("R", 101)],
    "reset from outside": [answer("RA", 501, 101)],
    "SYN repeated": [talk("S", 100), answer("A", 501, 101)],
}


@pytest.mark.parametrize("name", SEQUENCES)
def test_every_valid_sequence_of_segments(gateway, name):
    """R5382-2"""
    behind_nat(gateway)
    opened = [frame[:2] for frame in opening()]
    assert_translated(gateway.send(*opened, *SEQUENCES[name]))


def test_a_simultaneous_open(gateway):
    """R5382-2a: crossing SYNs end established, whichever comes first."""
    behind_nat(gateway)
    crossing = [talk("S", 100, at=1), answer("S", 500, at=1.1), talk("SA", 100, 501, at=1.2), answer("SA", 500, 101, at=1.3),
                talk("A", 101, 501, at=1.4), talk("PA", 101, 501, 9, at=1.5), answer("A", 501, 110, at=1.6)]
    result = gateway.send(*crossing)
    assert_translated(result)
    assert [flow["state"] for flow in result.flows] == ["ESTABLISHED"]
    # From outside first: the SYN is dropped without a word, and comes again.
    result = gateway.send(answer("S", 500, at=0.9), out(0, sport=9), *crossing, options=("--until", "20"))
    early = next(line for line in result.packets if line.time == min(each.time for each in result.packets[1:]))
    assert early.verdict == "drop" and early.out == [] and result.timers == []
    assert {flow["state"] for flow in result.flows if flow["proto"] == "tcp"} == {"ESTABLISHED"}


# ── SYNs that nobody asked for ──


def syn_in(at, src=Z, dport=PORT, sport=80):
    return back(at, src=src, sport=sport, dport=dport, proto="tcp")


def errors_of(result):
    """(seconds after the SYN at 1 s, frame) of what the box sent by itself."""
    start = result.packets[0].time
    return [((line.time - start) / 1e9 - 1, frame) for line in result.timers for frame in line.sent("wan")]


@pytest.mark.parametrize("dport", [PORT, 50000], ids=["kept_out_by_the_filter", "no_mapping"])
def test_an_unsolicited_syn_is_answered_after_six_seconds(gateway, dport):
    """R5382-4: nothing before, then port unreachable about it as it came."""
    behind_nat(gateway)
    syn = syn_in(1, dport=dport)
    result = gateway.send(out(0, proto="tcp"), syn, syn_in(4, dport=dport), back(6.9, src=Z, sport=1), options=("--until", "20"))
    for line in result.packets[1:3]:
        line.assert_silent(reason.nat_filtered if dport == PORT else reason.nat_unsolicited)
    (late, error), = errors_of(result)
    assert late == pytest.approx(6, abs=1e-6) and late >= 6 - 1e-9
    assert_right_checksums(error)
    assert (error[IP].src, error[IP].dst, error[ICMP].type, error[ICMP].code) == (OUTSIDE, Z, 3, 3)
    assert bytes(error[ICMP].payload) == ip_bytes(syn[1])


@pytest.mark.parametrize("dport", [PORT, PORT + 1], ids=["kept_out_by_the_filter", "no_mapping"])
@pytest.mark.parametrize("late", [0.1, 5.9])
def test_an_unsolicited_syn_whose_counterpart_appears_is_forgotten(gateway, dport, late):
    """R5382-4: an outbound SYN for the connection within the 6 s, and nobody is told anything."""
    behind_nat(gateway)
    ours = out(1 + late, dst=Z, sport=dport, dport=80, proto="tcp")
    result = gateway.send(out(0, proto="tcp"), syn_in(1, dport=dport), ours, syn_in(8, dport=dport), options=("--until", "20"))
    assert result.packets[1].out == [] and sent(result.packets[2]) == (OUTSIDE, dport, Z, 80)
    assert reached(result.packets[3]) == (X1, dport)
    assert errors_of(result) == []


def test_an_outbound_syn_for_another_connection_does_not_count(gateway):
    """R5382-4"""
    behind_nat(gateway)
    others = [out(2, dst=Z, sport=PORT, dport=81, proto="tcp"), out(3, dst=Y, sport=PORT, dport=80, proto="tcp")]
    result = gateway.send(out(0, sport=PORT, dport=9, dst="192.0.2.1", proto="tcp"), syn_in(1), *others, options=("--until", "20"))
    assert len(errors_of(result)) == 1


def test_unsolicited_syns_in_ip6(gateway):
    """R5382-4"""
    behind_nat(gateway)
    ours = from_lan(IPv6(src=HOST.ip6, dst=REMOTE.ip6) / TCP(sport=PORT, dport=80, flags="S"))
    syn = from_wan(IPv6(src="2001:db8:7::8", dst=WAN.ip6) / TCP(sport=80, dport=PORT, flags="S"))
    result = gateway.send(timed("lan", ours, 0), timed("wan", syn, 1), options=("--until", "20"))
    result.packets[1].assert_silent(reason.nat_filtered)
    (late, error), = errors_of(result)
    assert late == pytest.approx(6, abs=1e-6) and error[ICMPv6DestUnreach].code == 4
    assert error[IPv6].dst == "2001:db8:7::8"


def test_a_flood_of_unsolicited_syns_is_answered_in_part(gateway):
    """R5382-4, R1812-4.3.2.8: what is kept of it is bounded, connections go on."""
    behind_nat(gateway)
    flood = [syn_in(1 + n / 1000, src=f"192.0.2.{n % 250}", sport=1000 + n) for n in range(1000)]
    result = gateway.send(*opening(), *flood, talk("PA", 101, 501, 9, at=5), options=("--until", "20"))
    assert passes(result.packets[-1]) and len(errors_of(result)) == 256


DROPS = {
    "input": {"input": {"policy": "drop", "rules": []}},
    "output": {"output": {"policy": "accept", "rules": [
        {"name": "stealth", "out": "wan", "proto": "icmp", "action": "drop"}]}},
}


@pytest.mark.parametrize("chain, dport", [("input", 50000), ("output", 50000), ("output", PORT)])
def test_policy_may_forbid_the_answer(gateway, chain, dport):
    """R5382-4a, R5508-9"""
    behind_nat(gateway, filter=DROPS[chain])
    result = gateway.send(out(0, proto="tcp"), syn_in(1, dport=dport), options=("--until", "20"))
    assert result.packets[1].verdict == "drop" and result.packets[1].out == [] and errors_of(result) == []


def test_waiting_may_be_switched_off(gateway):
    """R5382-4a: then mappings are silent, and ports of the box answer at once."""
    behind_nat(gateway, syn_hold="0s")
    result = gateway.send(out(0, proto="tcp"), syn_in(1), syn_in(2, dport=50000), options=("--until", "20"))
    result.packets[1].assert_silent(reason.nat_filtered)
    assert result.packets[2].answered("wan")[TCP].flags == "RA" and result.timers == []


# ── Time ──


def idle(gateway, before, late, segment):
    """Whether a segment gets through so late after the others."""
    last = max(frame[2] for frame in before)
    line = gateway.send(*before, (*segment[:2], last + late)).packets[-1]
    return passes(line) and (line.interface == "wan" or sent(line)[0] == OUTSIDE)


def test_an_open_connection_may_idle_for_two_hours_and_four_minutes(gateway):
    """R5382-5"""
    behind_nat(gateway)
    assert idle(gateway, opening(), 7439, answer("PA", 501, 101, 9))
    assert not idle(gateway, opening(), 7441, answer("PA", 501, 101, 9))


TRANSITORY = {
    "SYN": ([talk("S", 100, at=0)], answer("SA", 500, 101)),
    "SYN-ACK": ([talk("S", 100, at=0), answer("SA", 500, 101, at=0.1)], talk("A", 101, 501)),
    "FIN": ([*opening(), talk("FA", 101, 501, at=1)], answer("PA", 501, 102, 9)),
    "FIN acknowledged": ([*opening(), talk("FA", 101, 501, at=1), answer("A", 501, 102, at=1.1)], answer("PA", 501, 102, 9)),
    "both FINs": ([*opening(), talk("FA", 101, 501, at=1), answer("FA", 501, 102, at=1.1)], talk("A", 102, 502)),
    "closed": ([*opening(), talk("FA", 101, 501, at=1), answer("FA", 501, 102, at=1.1), talk("A", 102, 502, at=1.2)],
               answer("FA", 501, 102)),
}


@pytest.mark.parametrize("name", TRANSITORY)
def test_a_connection_that_opens_or_closes_has_four_minutes(gateway, name):
    """R5382-5, R7857-2.1"""
    before, segment = TRANSITORY[name]
    behind_nat(gateway)
    assert idle(gateway, before, 239, segment)
    assert not idle(gateway, before, 241, segment)


def test_the_times_are_configured(gateway):
    """R5382-5a, R7857-2.1: those of opening and of closing apart from each other."""
    behind_nat(gateway, conntrack={"timeouts": {"tcp_established": "3h", "tcp_syn_sent": "30s", "tcp_fin_wait": "100s"}})
    assert idle(gateway, opening(), 10799, answer("PA", 501, 101, 9))
    for name, limit in (("SYN", 30), ("FIN", 100)):
        before, segment = TRANSITORY[name]
        assert idle(gateway, before, limit - 1, segment) and not idle(gateway, before, limit + 1, segment)


# ── Errors ──


def test_icmp_ends_no_connection(gateway):
    """R5382-10: neither one that opens nor one that is open."""
    behind_nat(gateway)
    seen = as_seen_outside("tcp", dport=80)
    kinds = [(kind, code) for kind in (3, 4, 5, 11, 12) for code in range(16)]
    errors = lambda begin: [error_from_outside(seen, kind, code, at=begin + n / 1000) for n, (kind, code) in enumerate(kinds)]
    first, second, third = opening(at=1)
    result = gateway.send(first, *errors(1.001)[:5], second, third, *errors(2), answer("PA", 501, 101, 9, at=7000))
    assert passes(result.packets[-1]) and {flow["state"] for flow in result.flows} == {"ESTABLISHED"}
