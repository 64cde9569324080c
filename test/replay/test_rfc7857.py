"""RFC 7857: what it adds to RFC 4787, 5382 and 5508. Profile rfc."""
import itertools

import pytest
import reason
from nat_net import (EVERYBODY, OUTSIDE, PORT, SERVICE, X1, X2, Y, Z, answer, back, behind_nat, error_from_inside, opening,
                     out, passes, pool, query, reached, source, talk)
from net import pattern
from scapy.layers.inet import ICMP, IP, UDP
from wire import assert_right_checksums

# ── TCP ──


def test_states_of_a_connection(gateway):
    """R7857-2: opening, open, a FIN of either side, of both, reset."""
    behind_nat(gateway)
    steps = [(talk("S", 100, at=0), "SYN_SENT"), (answer("SA", 500, 101, at=1), "SYN_RECV"),
             (talk("A", 101, 501, at=2), "ESTABLISHED"), (talk("FA", 101, 501, at=3), "FIN_WAIT"),
             (answer("A", 501, 102, at=4), "CLOSE_WAIT"), (answer("FA", 501, 102, at=5), "LAST_ACK"),
             (talk("A", 102, 502, at=6), "TIME_WAIT"), (talk("R", 102, at=7), "CLOSE")]
    for count in range(1, len(steps) + 1):
        result = gateway.send(*(frame for frame, _ in steps[:count]))
        assert [flow["state"] for flow in result.flows] == [steps[count - 1][1]]


RESETS = {"from inside": talk("RA", 101, 501, at=100), "from outside": answer("RA", 501, 101, at=100)}


@pytest.mark.parametrize("name", RESETS)
def test_a_reset_is_translated_and_leaves_four_minutes(gateway, name):
    """R7857-2.2: data in that time goes through, and begins it anew."""
    behind_nat(gateway)
    lines = gateway.send(*opening(), RESETS[name], answer("PA", 501, 101, 9, at=339), talk("A", 101, 510, at=578)).packets
    assert all(passes(line) for line in lines)
    lines = gateway.send(*opening(), RESETS[name], answer("PA", 501, 101, 9, at=341)).packets
    assert passes(lines[3]) and not passes(lines[4])


def test_a_reset_that_does_not_belong_to_the_connection_is_ignored(gateway):
    """R7857-2.2"""
    behind_nat(gateway)
    forged = [answer("R", sequence, at=100 + n) for n, sequence in enumerate((0, 1, 400, 900_000, 2**31, 2**32 - 1))]
    result = gateway.send(*opening(), *forged, answer("PA", 501, 101, 9, at=1000))
    assert passes(result.packets[-1]) and [flow["state"] for flow in result.flows] == ["ESTABLISHED"]


# ── Ports ──


def test_a_port_may_be_shared_towards_different_remotes(gateway):
    """R7857-3: by option, and never towards the same one."""
    behind_nat(gateway, {"mapping": "address_and_port_dependent", "port_overlap": True})
    lines = gateway.send(out(dst=Y), out(src=X2, dst=Z), out(src=X2, dst=Y)).packets
    shown = [source(line) for line in lines]
    assert shown[0] == shown[1] == (OUTSIDE, PORT) and shown[2] != shown[0]
    lines = gateway.send(out(dst=Y), out(src=X2, dst=Z), back(), back(src=Z)).packets
    assert [reached(line)[0] for line in lines[2:]] == [X1, X2]


@pytest.mark.parametrize("proto", ["udp", "tcp"])
@pytest.mark.parametrize("pooling", ["paired", "soft"])
def test_a_full_address(gateway, pooling, proto):
    """R7857-4: who is paired with it gets no more, unless pooling is soft."""
    behind_nat(gateway, {**pool("203.0.113.50-203.0.113.51", ports="2000-2003"), "pooling": pooling})
    lines = gateway.send(*(out(sport=3000 + n, proto=proto) for n in range(6))).packets
    first = {source(line)[0] for line in lines[:4]}
    assert len(first) == 1
    for line in lines[4:]:
        if pooling == "soft":
            assert source(line)[0] not in first
        else:
            line.assert_dropped(reason.nat_exhausted)


def test_mappings_are_of_one_protocol(gateway):
    """R7857-5: one does not make or end the other."""
    behind_nat(gateway)
    lines = gateway.send(out(0, src=X2), out(1, proto="tcp"), out(2), out(3, src=X2, proto="tcp"), out(122), out(123, proto="tcp")).packets
    shown = [source(line) for line in lines]
    assert shown[0] == (OUTSIDE, PORT) and shown[1] == (OUTSIDE, PORT)
    assert shown[2] != shown[0] and shown[3] != shown[1]


def test_filters_are_of_one_protocol(gateway):
    """R7857-6: a datagram to a mapping of TCP goes to nobody, nor does a segment to one of UDP."""
    behind_nat(gateway, EVERYBODY)
    lines = gateway.send(out(proto="tcp"), back(src=Z), out(src=X2, sport=9), back(src=Z, dport=9, proto="tcp")).packets
    assert not lines[1].sent("lan") and not lines[3].sent("lan")


def test_a_port_that_must_change_is_hard_to_guess(gateway):
    """R7857-9, R6888-15: spread over the whole range, and the next one tells nothing."""
    behind_nat(gateway)
    hosts = [f"192.168.{n // 250 + 1}.{10 + n % 240}" for n in range(240)]
    ports = [source(line)[1] for line in gateway.send(*(out(src=host) for host in hosts)).packets][1:]
    quarters = [sum(1024 + quarter * 16128 <= port < 1024 + (quarter + 1) * 16128 for port in ports) for quarter in range(4)]
    assert min(quarters) > 30, quarters
    steps = [after - before for before, after in itertools.pairwise(ports)]
    assert len(set(steps)) > 200


# ── Time ──


REFUSED = {"forward": {"policy": "accept", "rules": [
    {"name": "no", "in": "wan", "saddr": Y, "dport": PORT, "proto": ["udp", "tcp"], "action": "drop"}]}}
REJECTED = {"forward": {"policy": "accept", "rules": [
    {"name": "no", "in": "wan", "saddr": Y, "dport": PORT, "proto": ["udp", "tcp"], "action": {"reject": "port-unreachable"}}]}}


@pytest.mark.parametrize("filter", [REFUSED, REJECTED], ids=["drop", "reject"])
def test_what_a_rule_drops_keeps_nothing_alive(gateway, filter):
    """R7857-7"""
    behind_nat(gateway, filter=filter)
    result = gateway.send(out(0), *(back(at) for at in (50, 100, 119)), back(121), options=("--until", "122"))
    for line in result.packets[1:4]:
        line.assert_dropped(reason.rule, reason.rule_reject)
    assert result.packets[4].rule != "filter.forward/no" and not any(flow["original"]["src"] == X1 for flow in result.flows)
    # What the host sends does.
    lines = gateway.send(out(0), back(100), out(119), back(230)).packets
    assert lines[3].rule == "filter.forward/no"


def test_what_a_filter_keeps_out_keeps_nothing_alive(gateway):
    """R7857-7"""
    behind_nat(gateway)
    lines = gateway.send(out(0), back(100, src=Z), back(119, src=Z), back(121)).packets
    lines[1].assert_silent(reason.nat_filtered)
    assert not passes(lines[3])


def test_errors_and_resets_in_answer_keep_nothing_alive(gateway):
    """R7857-7.1"""
    behind_nat(gateway)
    quoted = IP(src=Y, dst=X1) / UDP(sport=SERVICE, dport=PORT) / pattern(20)
    lines = gateway.send(out(0), back(1), *(error_from_inside(quoted, at=at) for at in (100, 200, 299)), back(302)).packets
    assert all(passes(line) for line in lines[2:5]) and not passes(lines[5])
    lines = gateway.send(*opening(), talk("R", 101, at=7000), answer("PA", 501, 101, 9, at=7241)).packets
    assert passes(lines[3]) and not passes(lines[4])


# ── Identifications ──


def test_fragments_of_different_hosts_do_not_mix(gateway):
    """R7857-10: RFC 6864 5.3.1: packets to one remote that are not atomic have different identifications."""
    behind_nat(gateway)
    sizes = [out(src=f"192.168.1.{10 + n % 40}", sport=3000 + n, size=100, id=7) for n in range(200)]
    pieces = [("lan", out(src=host, sport=9, size=2500, id=7)[1]) for host in (X1, X2)]
    frames = [frame for line in gateway.send(*sizes, *pieces).packets for frame in line.sent("wan")]
    for frame in frames[:200]:
        assert_right_checksums(frame)
    idents = [frame[IP].id for frame in frames]
    assert len(set(idents[:200])) == 200
    half = (len(idents) - 200) // 2
    assert half >= 2 and len(set(idents[200:200 + half])) == len(set(idents[200 + half:])) == len(set(idents[200:])) - 1 == 1


def test_atomic_packets_keep_their_identification(gateway):
    """R7857-10: it means nothing in them; and by option nobody's is changed."""
    behind_nat(gateway)
    assert gateway.send(out(size=100, id=7, flags="DF")).packets[0].forwarded("wan")[IP].id == 7
    behind_nat(gateway, unique_ids=False)
    assert gateway.send(out(size=100, id=7)).packets[0].forwarded("wan")[IP].id == 7


def test_a_query_mapping_ends_with_its_last_session(gateway):
    """R7857-11: and its identifier is free then."""
    behind_nat(gateway)
    lines = gateway.send(query(0), query(1, src=X2), query(30, dst=Z), query(85, src=X2), query(91.5, src=X2, dst=Z)).packets
    idents = [line.forwarded("wan")[ICMP].id for line in lines]
    assert idents[0] == 77 and idents[1] != 77 and idents[2] == 77
    lines = gateway.send(query(0), query(61, src=X2)).packets
    assert [line.forwarded("wan")[ICMP].id for line in lines] == [77, 77]
