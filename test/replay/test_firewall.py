"""A stateful firewall: what belongs to a flow passes, what would begin one is asked of the rules."""
import pytest
import reason
from net import HOST, LAN, REMOTE, WAN, datagram4, from_lan, from_wan, pattern
from scapy.layers.inet import ICMP, IP, TCP, UDP, fragment
from scapy.layers.inet6 import ICMPv6EchoReply, ICMPv6EchoRequest, IPv6
from wire import assert_right_checksums, ip_bytes, reassemble


@pytest.fixture(params=[True, False], ids=["repeated", "asked"])
def firewall(gateway, request):
    """The inside may begin flows, the outside may not; decisions are repeated, or every packet is asked about."""
    gateway.config["conntrack"] = {"decision_cache": request.param}
    gateway.config["filter"] = {
        "input": {"policy": "drop", "rules": [
            {"name": "established", "ct": ["established", "related"], "action": "accept"},
            {"name": "ping", "in": "lan", "proto": "icmp", "icmp_type": "echo-request", "action": "accept"},
        ]},
        "forward": {"policy": "drop", "rules": [
            {"name": "established", "ct": ["established", "related"], "action": "accept"},
            {"name": "invalid", "ct": "invalid", "action": "drop"},
            {"name": "inside-out", "in": "lan", "action": "accept"},
            {"name": "refused", "in": "wan", "dport": 113, "proto": "tcp", "action": {"reject": "tcp-reset"}},
            {"name": "told", "in": "wan", "dport": 114, "proto": "udp", "action": {"reject": "admin-prohibited"}},
        ]},
    }
    return gateway


def out(flags="", seq=1000, ack=0, sport=40000, dport=80, size=0, **fields):
    """A segment from the host inside."""
    layers = IP(src=HOST.ip4, dst=REMOTE.ip4) / TCP(sport=sport, dport=dport, flags=flags, seq=seq, ack=ack, **fields)
    return "lan", from_lan(layers / pattern(size))


def back(flags="", seq=5000, ack=0, sport=80, dport=40000, size=0, **fields):
    """One from the host outside."""
    layers = IP(src=REMOTE.ip4, dst=HOST.ip4) / TCP(sport=sport, dport=dport, flags=flags, seq=seq, ack=ack, **fields)
    return "wan", from_wan(layers / pattern(size))


HANDSHAKE = [out("S"), back("SA", ack=1001), out("A", seq=1001, ack=5001)]


def test_a_connection_from_inside_is_followed_to_its_end(firewall):
    result = firewall.send(
        *HANDSHAKE,
        out("PA", seq=1001, ack=5001, size=100), back("A", seq=5001, ack=1101),
        back("PA", seq=5001, ack=1101, size=200), out("A", seq=1101, ack=5201),
        out("FA", seq=1101, ack=5201), back("FA", seq=5201, ack=1102), out("A", seq=1102, ack=5202),
    )
    assert [line.verdict for line in result.packets] == ["accept"] * 10
    assert [line.ct_state for line in result.packets] == ["new"] + ["established"] * 9
    assert [line.rule for line in result.packets[:3]] == [
        "filter.forward/inside-out", "filter.forward/established", "filter.forward/established"]
    assert {line.hook for line in result.packets} == {"forward"}
    (flow,) = result.flows
    assert (flow["proto"], flow["state"]) == ("tcp", "TIME_WAIT")
    assert flow["original"]["packets"] == 6 and flow["reply"]["packets"] == 4
    assert flow["rule"] == "filter.forward/inside-out"


def test_nobody_outside_begins(firewall):
    result = firewall.send(back("S"), back("SA", ack=1), back("A", ack=1))
    for line in result.packets:
        line.assert_silent(reason.rule, reason.chain_policy)
    assert result.flows == []


def test_what_is_outside_the_window_is_invalid(firewall):
    line = firewall.send(*HANDSHAKE, back("A", seq=5001 + 10_000_000, ack=1001, size=10)).packets[3]
    line.assert_silent(reason.rule)
    assert (line.ct_state, line.rule) == ("invalid", "filter.forward/invalid")


def test_a_reset_refuses_a_connection(firewall):
    line = firewall.send(back("S", seq=77, dport=113)).packets[0].assert_dropped(reason.rule_reject)
    reset = line.answered("wan")
    assert (reset[IP].src, reset[IP].dst) == (HOST.ip4, REMOTE.ip4)
    assert (reset[TCP].sport, reset[TCP].dport, reset[TCP].flags, reset[TCP].ack) == (113, 80, "RA", 78)
    assert_right_checksums(reset)


def test_a_reset_closes_a_connection(gateway):
    gateway.config["filter"] = {"forward": [
        {"name": "too-much", "proto": "tcp", "length": ">1000", "action": {"reject": "tcp-reset"}}]}
    gateway.config["conntrack"] = {}
    result = gateway.send(*HANDSHAKE, out("PA", seq=1001, ack=5001, size=1200))
    result.packets[3].assert_dropped(reason.rule_reject)
    (flow,) = result.flows
    assert flow["state"] == "CLOSE" and flow["timeout"] < 11


def test_an_error_refuses_a_datagram(firewall):
    packet = from_wan(IP(src=REMOTE.ip4, dst=HOST.ip4) / UDP(sport=9, dport=114) / b"x")
    error = firewall.send(("wan", packet)).packets[0].assert_dropped(reason.rule_reject).answered("wan")
    assert (error[ICMP].type, error[ICMP].code) == (3, 13)
    assert error[IP].src == WAN.ip4


def test_errors_about_a_flow_are_related(firewall):
    """R5508-4: the error's own source does not matter."""
    sent = IP(src=HOST.ip4, dst=REMOTE.ip4) / UDP(sport=5000, dport=5001) / pattern(40)
    about = IP(src="192.0.2.1", dst=HOST.ip4) / ICMP(type=11, code=0) / ip_bytes(from_lan(sent))[:28]
    stray = IP(src="192.0.2.1", dst=HOST.ip4) / ICMP(type=11, code=0) / ip_bytes(
        from_lan(IP(src=HOST.ip4, dst=REMOTE.ip4) / UDP(sport=5002, dport=5001)))[:28]
    result = firewall.send(("lan", from_lan(sent)), ("wan", from_wan(about)), ("wan", from_wan(stray)))
    assert (result.packets[1].verdict, result.packets[1].ct_state) == ("accept", "related")
    assert (result.packets[2].verdict, result.packets[2].ct_state) == ("drop", "invalid")


def test_ping_and_its_reply(firewall):
    request = IPv6(src=HOST.ip6, dst=REMOTE.ip6) / ICMPv6EchoRequest(id=7)
    reply = IPv6(src=REMOTE.ip6, dst=HOST.ip6) / ICMPv6EchoReply(id=7)
    other = IPv6(src=REMOTE.ip6, dst=HOST.ip6) / ICMPv6EchoReply(id=8)
    result = firewall.send(("lan", from_lan(request)), ("wan", from_wan(reply)), ("wan", from_wan(other)))
    assert [line.verdict for line in result.packets] == ["accept", "accept", "drop"]


def test_the_box_answers_whom_it_may(firewall):
    ask = lambda source, ip: source(IP(src=ip, dst=LAN.ip4) / ICMP(id=3))
    inside, outside = firewall.send(("lan", ask(from_lan, HOST.ip4)), ("wan", ask(from_wan, REMOTE.ip4))).packets
    assert inside.verdict == "consumed" and inside.answered("lan")[ICMP].type == 0
    outside.assert_silent(reason.chain_policy)


@pytest.mark.parametrize("order", [(0, 1, 2), (2, 1, 0), (1, 0, 2)])
def test_fragments_are_judged_whole_and_leave_as_they_came(firewall, order):
    """R4787-14: in order and out of order; never larger than they came."""
    parts = fragment(datagram4(size=2500, id=99), fragsize=1000)
    result = firewall.send(*[("lan", from_lan(parts[place])) for place in order])
    assert [line.verdict for line in result.packets] == ["consumed", "consumed", "accept"]
    left = [frame[IP] for frame in result.packets[2].sent("wan")]
    assert [(ip.frag, ip.len, int(ip.flags)) for ip in left] == [
        (ip.frag, len(ip), int(ip.flags)) for ip in parts]
    assert reassemble(left)[8:] == pattern(2500)
    assert result.packets[2].ct_state == "new"


def test_untracked_packets_pass_without_a_flow(firewall):
    firewall.config["raw"] = {"prerouting": [{"name": "dns", "proto": "udp", "dport": 53, "notrack": True}]}
    firewall.config["filter"]["forward"]["rules"].insert(0, {"name": "loose", "ct": "untracked", "action": "accept"})
    line = firewall.send(("lan", from_lan(IP(src=HOST.ip4, dst=REMOTE.ip4) / UDP(dport=53) / b"q"))).packets[0]
    assert (line.verdict, line.ct_state, line.rule) == ("accept", "untracked", "filter.forward/loose")


def test_a_flow_ends_when_its_time_is_up(firewall):
    """R4787-5: 120 s for a mapping that was not answered."""
    sent = from_lan(IP(src=HOST.ip4, dst=REMOTE.ip4) / UDP(sport=5000, dport=5001) / b"x")
    answer = from_wan(IP(src=REMOTE.ip4, dst=HOST.ip4) / UDP(sport=5001, dport=5000) / b"x")
    assert firewall.send(("lan", sent, 0), ("wan", answer, 119)).packets[1].verdict == "accept"
    assert firewall.send(("lan", sent, 0), ("wan", answer, 121)).packets[1].verdict == "drop"


def test_a_full_table_refuses_what_is_new_and_keeps_what_there_is(firewall):
    """R6888-11: never delete to make room."""
    firewall.config["conntrack"].update({"max": 64, "reserve": "0%"})
    flood = [("lan", from_lan(IP(src=HOST.ip4, dst=REMOTE.ip4) / UDP(sport=1000 + n, dport=9) / b"x"))
             for n in range(200)]
    result = firewall.send(*HANDSHAKE, *flood, back("PA", seq=5001, ack=1001, size=10))
    assert sum(line.reason == reason.conntrack_full for line in result.packets) == 200 - 63
    assert result.packets[-1].verdict == "accept"
    assert len(result.flows) == 64


def test_rules_count_the_same_with_and_without_repetition(gateway):
    """What a decision stands for is counted as if every packet had walked the chains."""
    counted = []
    for cache in (True, False):
        gateway.config["conntrack"] = {"decision_cache": cache}
        gateway.config["mangle"] = {"forward": [{"name": "seen", "proto": "tcp"}]}
        gateway.config["filter"] = {"forward": {"policy": "drop", "rules": [
            {"name": "all", "in": ["lan", "wan"], "action": {"jump": "deeper"}}]}}
        gateway.config["chains"] = {"deeper": [{"name": "ours", "proto": "tcp", "action": "accept"}]}
        result = gateway.send(*HANDSHAKE, out("PA", seq=1001, ack=5001, size=100), back("A", seq=5001, ack=1101))
        counted.append([(line.verdict, line.hook, line.rule, line.ct_state) for line in result.packets])
        assert counted[-1][0][2] == "chains.deeper/ours"
    assert counted[0] == counted[1]
