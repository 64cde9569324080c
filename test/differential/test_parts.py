"""The judge can be trusted: the kernel agrees with itself, other rules are noticed, cases become small and stay cases."""
import pathlib

import compare
import kernel
import nft
import packets as p
import pytest
import run
import shrink
from case import Case, Packet
from outcome import Flow, Line, Outcome, flow_tuple
from topology import BOX, LAN_HOSTS, REMOTE_HOSTS, SIDES


def packet(version: int = 4, *, ttl: int = 64, port: int = 80) -> Packet:
    client, server = LAN_HOSTS[0], REMOTE_HOSTS[0]
    src, dst = client.address(version), server.address(version)
    return Packet("lan", p.frame(client, p.ip(src, dst, p.UDP, p.udp(src, dst, 4000, port, b"hello"), ttl=ttl)))


def box_echo_reply(ident: int, ttl: int = 64) -> bytes:
    box, host = BOX["lan"], LAN_HOSTS[0]
    src, dst = box.address(4), host.address(4)
    reply = p.ip4(src, dst, p.ICMP, p.echo(src, dst, 1, 1, reply=True), ident=ident, flags=0, ttl=ttl)
    return host.mac + box.mac + b"\x08\x00" + reply


def outcome(frames: list[bytes], flows: list[Flow] | None = None) -> Outcome:
    return Outcome([Line([("lan", frame) for frame in frames], [])], flows or [], {}, [0])


def flow(timeout: float = 30.0, status: tuple[str, ...] = (), mark: int = 0) -> Flow:
    original = flow_tuple({"src": "192.168.1.10", "dst": "198.51.100.7", "sport": 1, "dport": 2, "packets": 1, "bytes": 30})
    reply = flow_tuple({"src": "198.51.100.7", "dst": "192.168.1.10", "sport": 2, "dport": 1, "packets": 0, "bytes": 0})
    return Flow("ip4", 17, None, timeout, frozenset(status), original, reply, mark)


class TestKernel:
    def test_it_agrees_with_itself(self, boxes):
        """No race and no clock in what is compared: the same case twice gives the same."""
        for seed in (1, 2):
            case = run.generated(seed, 500)
            assert compare.compare(case, kernel.run(case), kernel.run(case)) == []

    def test_other_rules_are_noticed(self, boxes):
        def rules(action) -> dict:
            return {"filter": {"forward": [{"name": "r", "proto": "udp", "dport": 80, "action": action}]}}

        accepted, dropped, rejected = (kernel.run(Case(rules(action), [packet()]))
                                       for action in ("accept", "drop", {"reject": "port-unreachable"}))
        case = Case(rules("accept"), [packet()])
        assert {each.kind for each in compare.compare(case, accepted, dropped)} == {"frames", "flow"}
        assert {each.kind for each in compare.compare(case, dropped, rejected)} == {"frames"}

    def test_flows_and_counters_are_read(self, boxes):
        rules = {"mangle": {"forward": [{"name": "m", "family": "ip6", "ct_mark": 7}]}}
        seen = kernel.run(Case(rules, [packet(4), packet(6), packet(6)]))
        assert seen.counters == {"mangle.forward/m": (2, 2 * 53)}
        assert {(each.family, each.proto, each.mark, each.original[-2:]) for each in seen.flows} == {
            ("ip4", 17, 0, (1, 33)), ("ip6", 17, 7, (2, 106))}

    def test_states_are_told(self, boxes):
        rules = {"raw": {"prerouting": [{"name": "n", "proto": "udp", "dport": 53, "notrack": True}]}}
        case = Case(rules, [packet(4), packet(6), packet(4, port=53), packet(ttl=1)])
        seen = kernel.run(case)
        assert [line.state for line in seen.lines] == ["new", "new", "untracked", None]
        assert seen.lines[0].out[0][1][6:12] == SIDES["wan"].mac

    def test_a_router_without_rules_tracks_nothing(self, boxes):
        seen = kernel.run(Case(None, [packet()]))
        assert [interface for interface, _ in seen.lines[0].out] == ["wan"] and seen.flows == []

    @pytest.mark.parametrize("line, expected", [
        ("ipv4     2 udp      17 29 src=10.0.0.1 dst=10.0.0.2 sport=1 dport=2 packets=1 bytes=30 [UNREPLIED] "
         "src=10.0.0.2 dst=10.0.0.1 sport=2 dport=1 packets=0 bytes=0 mark=3 zone=0 use=2", (None, set(), 3)),
        ("ipv4     2 tcp      6 100 TIME_WAIT src=10.0.0.1 dst=10.0.0.2 sport=1 dport=2 packets=1 bytes=30 "
         "src=10.0.0.2 dst=10.0.0.1 sport=2 dport=1 packets=0 bytes=0 [ASSURED] mark=0 zone=0 use=2",
         ("TIME_WAIT", {"seen_reply", "assured"}, 0)),
        ("ipv4     2 gre      47 29 timeout=30, stream_timeout=180 src=10.0.0.1 dst=10.0.0.2 srckey=0x0 dstkey=0x0 "
         "packets=1 bytes=30 [UNREPLIED] src=10.0.0.2 dst=10.0.0.1 srckey=0x0 dstkey=0x0 packets=0 bytes=0 mark=0 use=2",
         (None, set(), 0)),
    ])
    def test_a_line_of_the_table(self, line, expected):
        read = kernel.parse_flow(line)
        assert (read.state, set(read.status), read.mark) == expected
        assert read.original[:2] == ("10.0.0.1", "10.0.0.2") and read.original[-2:] == (1, 30)


class TestCompare:
    def differences(self, left: Outcome, right: Outcome) -> list[str]:
        return [each.kind for each in compare.compare(Case({}, [packet()]), left, right)]

    def test_the_identification_of_the_box_is_its_own(self):
        assert self.differences(outcome([box_echo_reply(1)]), outcome([box_echo_reply(0xFFFF)])) == []

    def test_any_other_field_counts(self):
        assert self.differences(outcome([box_echo_reply(1)]), outcome([box_echo_reply(1, ttl=63)])) == ["frames"]
        assert self.differences(outcome([box_echo_reply(1)]), outcome([])) == ["frames"]

    def test_a_wrong_checksum_is_not_excused(self):
        frame = bytearray(box_echo_reply(9))
        frame[25] ^= 1
        assert self.differences(outcome([box_echo_reply(1)]), outcome([bytes(frame)])) == ["frames"]

    def test_flows(self):
        assert self.differences(outcome([], [flow(30)]), outcome([], [flow(28)])) == []
        for other in (flow(120), flow(status=("assured",)), flow(mark=1)):
            assert self.differences(outcome([], [flow()]), outcome([], [other])) == ["flow"]
        assert self.differences(outcome([], [flow()]), outcome([])) == ["flow"]
        assert self.differences(outcome([]), outcome([], [flow()])) == ["flow"]


class TestShrink:
    def test_what_the_difference_needs_remains(self):
        rules = {"sets": {"s": {"type": "ip"}},
                 "filter": {"forward": {"policy": "drop", "rules": [{"name": "a"}, {"name": "b", "ttl": 1, "mark": 1}]}}}
        case = Case(rules, [packet(port=port) for port in range(40)])
        wanted = {case.packets[7].frame, case.packets[31].frame}

        def differs(candidate: Case) -> bool:
            listed = (candidate.rules or {}).get("filter", {}).get("forward", {}).get("rules", [])
            return wanted <= {each.frame for each in candidate.packets} and any("ttl" in rule for rule in listed)

        small = shrink.shrink(case, differs)
        assert {each.frame for each in small.packets} == wanted
        assert small.rules == {"filter": {"forward": {"rules": [{"name": "b", "ttl": 1}]}}}


class TestCase:
    def test_it_is_read_as_it_was_written(self, tmp_path: pathlib.Path):
        case = Case({"filter": {"input": {"policy": "drop"}}}, [packet(), Packet("wan", b"\x01\x02", "short", 1.5)], "why")
        assert Case.load(case.save(tmp_path / "case.json")) == case
        plain = Case(None, [packet()])
        assert Case.load(plain.save(tmp_path / "plain.json")) == plain


class TestNft:
    @pytest.mark.parametrize("rule, expected", [
        ({"saddr": ["10.0.0.0/8", "fd00::/8"], "action": "drop"},
         ["meta nfproto ipv4 ip saddr 10.0.0.0/8 counter drop", "meta nfproto ipv6 ip6 saddr fd00::/8 counter drop"]),
        ({"daddr": "!10.0.0.0/8"}, ["meta nfproto ipv4 ip daddr != 10.0.0.0/8 counter"]),
        ({"proto": ["tcp", "udp"], "dport": {"not": [80, "1000-2000"]}, "action": "accept"},
         ["meta l4proto { tcp, udp } th dport != { 80, 1000-2000 } counter accept"]),
        ({"ct": "!new", "ct_status": ["assured", "seen_reply"], "mark": "=3", "set_mark": 4},
         ["ct state != new ct status assured,seen-reply meta mark == 3 counter meta mark set 4"]),
        ({"proto": "tcp", "tcp_flags": "none/syn,ack", "action": {"reject": "tcp-reset"}},
         ["meta l4proto tcp tcp flags & (syn|ack) == 0 counter reject with tcp reset"]),
        ({"family": "ip6", "ttl": "<5", "limit": {"over": "3/hour", "burst": 2}, "action": {"jump": "x"}},
         ["meta nfproto ipv6 ip6 hoplimit < 5 limit rate over 3/hour burst 2 packets counter jump c_x"]),
    ])
    def test_a_rule(self, rule, expected):
        text = nft.ruleset({"filter": {"forward": [{"name": "r", **rule}]}})
        assert [line.strip() for line in text.splitlines() if "filter.forward/r" in line] == [
            f'{each} comment "filter.forward/r"' for each in expected]
