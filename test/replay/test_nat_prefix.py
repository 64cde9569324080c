"""NPTv6: prefixes exchanged on both ways, with every checksum as it was (RFC 6296)."""
import subprocess

import pytest
import reason
from net import HOST, REMOTE, from_lan, from_wan, pattern
from scapy.compat import raw
from scapy.layers.inet import TCP, UDP
from scapy.layers.inet6 import ICMPv6DestUnreach, ICMPv6EchoReply, ICMPv6EchoRequest, ICMPv6TimeExceeded, IPv6
from wire import assert_right_checksums, ip_bytes

# RFC 6296 3.6's example, with its host's counterpart.
INSIDE, OUTSIDE = "fd01:203:405::/48", "2001:db8:1::/48"
INNER, OUTER = "fd01:203:405:1::1234", "2001:db8:1:d550::1234"


@pytest.fixture(params=["rfc", "linux"])
def prefixes(gateway, request):
    gateway.config["conntrack"] = {"profile": request.param}
    gateway.config["routes"].append({"to": INSIDE, "via": HOST.ip6})
    gateway.config["nat"] = {
        "prerouting": [{"name": "in", "in": "wan", "dnat_prefix": {"from": OUTSIDE, "to": INSIDE}}],
        "postrouting": [{"name": "out", "out": "wan", "snat_prefix": {"from": INSIDE, "to": OUTSIDE}}],
    }
    return gateway


def lan(upper, src=INNER):
    return "lan", from_lan(IPv6(src=src, dst=REMOTE.ip6) / upper)


def wan(upper, dst=OUTER, src=REMOTE.ip6):
    return "wan", from_wan(IPv6(src=src, dst=dst) / upper)


def forwarded(line, interface, sent=None):
    """The packet, whose upper layer is as it was sent."""
    frame = line.forwarded(interface)
    assert_right_checksums(frame)
    if sent is not None:
        assert ip_bytes(frame)[40:] == bytes(sent[1])[54:]
    return frame[IPv6]


@pytest.mark.parametrize("upper", [UDP(sport=4000, dport=53) / pattern(11), TCP(sport=4000, dport=80, flags="S", seq=7),
                                   ICMPv6EchoRequest(id=7, data=b"x")], ids=["udp", "tcp", "icmpv6"])
def test_flows_from_inside_and_their_answers(prefixes, upper):
    back = {UDP: UDP(sport=53, dport=4000) / pattern(9), TCP: TCP(sport=80, dport=4000, flags="SA", seq=3, ack=8),
            ICMPv6EchoRequest: ICMPv6EchoReply(id=7, data=b"x")}[type(upper)]
    out, answer = lan(upper), wan(back)
    result = prefixes.send(out, answer)
    assert forwarded(result.packets[0], "wan", out).src == OUTER
    assert forwarded(result.packets[1], "lan", answer).dst == INNER
    assert [line.ct_state for line in result.packets] == ["new", "established"]
    (flow,) = result.flows
    assert (flow["original"]["src"], flow["reply"]["dst"]) == (INNER, OUTER)


def test_flows_from_outside_and_their_answers(prefixes):
    come, answer = wan(UDP(sport=5000, dport=53) / pattern(9)), lan(UDP(sport=53, dport=5000) / pattern(20))
    result = prefixes.send(come, answer)
    assert forwarded(result.packets[0], "lan", come).dst == INNER
    assert forwarded(result.packets[1], "wan", answer).src == OUTER
    assert [line.ct_state for line in result.packets] == ["new", "established"]


def test_hosts_keep_apart_and_other_sources_stay(prefixes):
    hosts = [f"fd01:203:405:{subnet:x}::{host:x}" for subnet in (0, 1, 0xfffe) for host in (1, 2)]
    lines = prefixes.send(*(lan(UDP(sport=4000, dport=53), src) for src in (*hosts, "fd00:1::10"))).packets
    shown = [forwarded(line, "wan").src for line in lines]
    assert len(set(shown)) == len(shown) and shown[-1] == "fd00:1::10"
    assert all(address.startswith("2001:db8:1:") for address in shown[:-1])


def test_errors_from_outside_quote_the_inner_address(prefixes):
    sent = lan(UDP(sport=4000, dport=53) / pattern(11))
    out = forwarded(prefixes.send(sent).packets[0], "wan")
    error = "wan", from_wan(IPv6(src="2001:db8:99::1", dst=OUTER) / ICMPv6TimeExceeded() / raw(out))
    line = prefixes.send(sent, error).packets[1]
    packet = forwarded(line, "lan")
    assert packet.dst == INNER and line.ct_state == "related"
    quoted = IPv6(raw(packet[ICMPv6TimeExceeded].payload))
    assert (quoted.src, quoted.dst) == (INNER, REMOTE.ip6)


def test_errors_from_inside_quote_the_outer_address(prefixes):
    come = wan(UDP(sport=5000, dport=53) / pattern(9))
    seen = forwarded(prefixes.send(come).packets[0], "lan")
    error = lan(ICMPv6DestUnreach(code=4) / raw(seen))
    packet = forwarded(prefixes.send(come, error).packets[1], "wan")
    quoted = IPv6(raw(packet[ICMPv6DestUnreach].payload))
    assert packet.src == OUTER and (quoted.src, quoted.dst) == (REMOTE.ip6, OUTER)


def test_an_address_without_counterpart(prefixes):
    """RFC 6296 3.4"""
    (line,) = prefixes.send(lan(UDP(sport=4000, dport=53), "fd01:203:405:ffff::1")).packets
    line.assert_dropped(reason.nat_no_address)
    told = line.sent("lan")
    assert len(told) == (prefixes.config["conntrack"]["profile"] == "rfc")
    assert all(ICMPv6DestUnreach in frame for frame in told)


def check(gateway):
    return subprocess.run([gateway.sluice, "check", "-c", gateway.write_config()], capture_output=True, text=True, timeout=60,
                          check=False)


@pytest.mark.parametrize("rule, fine", [({"family": "ip4"}, True), ({"saddr": "fd00:1::/64"}, True), ({"family": "ip6"}, False),
                                        ({"saddr": "fd01:203:405:1::/64"}, False)])
def test_notrack_beside_prefixes(gateway, rule, fine):
    gateway.config["nat"] = {"postrouting": [{"name": "npt", "out": "wan", "snat_prefix": {"from": INSIDE, "to": OUTSIDE}}]}
    gateway.config["raw"] = {"prerouting": [{"name": "fast", **rule, "notrack": True}]}
    assert (check(gateway).returncode == 0) == fine


@pytest.mark.parametrize("rule, said", [
    ({"snat_prefix": {"from": INSIDE, "to": "2001:db8:1::/56"}}, "different length"),
    ({"snat_prefix": {"from": "192.0.2.0/24", "to": "198.51.100.0/24"}}, "only prefixes of IPv6"),
    ({"snat_prefix": {"from": INSIDE, "to": "198.51.0.0/16"}}, "only prefixes of IPv6"),
    ({"snat_prefix": {"from": "fd00::/96", "to": "fd01::/96"}}, "at most 64"),
    ({"snat_prefix": {"from": INSIDE, "to": OUTSIDE}, "saddr": "fd01::/16"}, "with `from`"),
    ({"snat_prefix": {"from": INSIDE, "to": OUTSIDE}, "family": "ip4"}, "not IPv6"),
    ({"snat_prefix": {"from": INSIDE, "to": OUTSIDE}, "random": True}, "says nothing"),
    ({"snat_prefix": {"from": INSIDE, "to": OUTSIDE}, "masquerade": True}, "already"),
    ({"dnat_prefix": {"from": INSIDE, "to": OUTSIDE}}, "nat.prerouting"),
])
def test_rules_that_are_refused(gateway, rule, said):
    gateway.config["nat"] = {"postrouting": [{"name": "npt", "out": "wan", **rule}]}
    done = check(gateway)
    assert done.returncode != 0 and said in done.stderr, done.stderr
