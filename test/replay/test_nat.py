"""NAT: flows that leave and arrive by other addresses, and every packet and error of theirs."""
import subprocess

import pytest
import reason
from net import DMZ, HOST, LAN, REMOTE, ROUTER, SERVER, WAN, from_dmz, from_lan, from_wan, pattern
from scapy.layers.inet import ICMP, IP, TCP, UDP, fragment
from scapy.layers.inet6 import ICMPv6DestUnreach, ICMPv6EchoReply, ICMPv6EchoRequest, ICMPv6TimeExceeded, IPv6
from scapy.packet import Raw
from wire import assert_right_checksums, ip_bytes, reassemble

OTHER = "198.51.100.8"  # another remote
SECOND = "192.168.1.11"  # another host inside
MASQUERADE = {"name": "masq", "out": "wan", "masquerade": True}


def nat(gateway, prerouting=(), postrouting=(), profile="rfc", **options):
    gateway.config["conntrack"] = {"profile": profile}
    gateway.config["nat"] = {"prerouting": list(prerouting), "postrouting": list(postrouting), **options}
    return gateway


@pytest.fixture(params=["rfc", "linux"])
def masquerade(gateway, request):
    return nat(gateway, postrouting=[MASQUERADE], profile=request.param)


def lan_udp(src=HOST.ip4, dst=REMOTE.ip4, sport=40000, dport=53, size=20, **ip):
    return "lan", from_lan(IP(src=src, dst=dst, **ip) / UDP(sport=sport, dport=dport) / pattern(size))


def wan_udp(dport, src=REMOTE.ip4, dst=WAN.ip4, sport=53, size=20, **ip):
    return "wan", from_wan(IP(src=src, dst=dst, **ip) / UDP(sport=sport, dport=dport) / pattern(size))


def ends(frame):
    """(source, source port, destination, destination port)"""
    network = frame[IP] if IP in frame else frame[IPv6]
    transport = frame[TCP] if TCP in frame else frame[UDP]
    return network.src, transport.sport, network.dst, transport.dport


def forwarded(line, interface):
    frame = line.forwarded(interface)
    assert_right_checksums(frame)
    return frame


# ── Sources ──


def test_a_datagram_and_its_answer(masquerade):
    out, back = masquerade.send(lan_udp(), wan_udp(40000)).packets
    assert ends(forwarded(out, "wan")) == (WAN.ip4, 40000, REMOTE.ip4, 53)
    assert ends(forwarded(back, "lan")) == (REMOTE.ip4, 53, HOST.ip4, 40000)
    assert (out.ct_state, back.ct_state) == ("new", "established")


def test_a_connection(masquerade):
    mine = lambda flags, seq, ack=0, size=0: ("lan", from_lan(
        IP(src=HOST.ip4, dst=REMOTE.ip4) / TCP(sport=40000, dport=80, flags=flags, seq=seq, ack=ack) / pattern(size)))
    theirs = lambda flags, seq, ack=0, size=0: ("wan", from_wan(
        IP(src=REMOTE.ip4, dst=WAN.ip4) / TCP(sport=80, dport=40000, flags=flags, seq=seq, ack=ack) / pattern(size)))
    result = masquerade.send(mine("S", 100), theirs("SA", 500, 101), mine("A", 101, 501), mine("PA", 101, 501, 99),
                             theirs("PA", 501, 200, 77))
    for place, side in ((0, "wan"), (1, "lan"), (2, "wan"), (3, "wan"), (4, "lan")):
        wanted = ((WAN.ip4, 40000, REMOTE.ip4, 80) if side == "wan" else (REMOTE.ip4, 80, HOST.ip4, 40000))
        assert ends(forwarded(result.packets[place], side)) == wanted
    (flow,) = result.flows
    assert flow["state"] == "ESTABLISHED" and "snat" in flow["status"] and "dnat" not in flow["status"]
    assert (flow["original"]["src"], flow["original"]["dst"]) == (HOST.ip4, REMOTE.ip4)
    assert (flow["reply"]["src"], flow["reply"]["dst"], flow["reply"]["dport"]) == (REMOTE.ip4, WAN.ip4, 40000)


def test_a_ping(masquerade):
    request = from_lan(IP(src=HOST.ip4, dst=REMOTE.ip4) / ICMP(id=77, seq=1) / pattern(30))
    reply = from_wan(IP(src=REMOTE.ip4, dst=WAN.ip4) / ICMP(type=0, id=77, seq=1) / pattern(30))
    out, back = masquerade.send(("lan", request), ("wan", reply)).packets
    assert (forwarded(out, "wan")[IP].src, forwarded(out, "wan")[ICMP].id) == (WAN.ip4, 77)
    assert (forwarded(back, "lan")[IP].dst, forwarded(back, "lan")[ICMP].id) == (HOST.ip4, 77)


def test_ip6(masquerade):
    request = from_lan(IPv6(src=HOST.ip6, dst=REMOTE.ip6) / ICMPv6EchoRequest(id=7))
    reply = from_wan(IPv6(src=REMOTE.ip6, dst=WAN.ip6) / ICMPv6EchoReply(id=7))
    sent = from_lan(IPv6(src=HOST.ip6, dst=REMOTE.ip6) / UDP(sport=4000, dport=53) / pattern(9))
    answer = from_wan(IPv6(src=REMOTE.ip6, dst=WAN.ip6) / UDP(sport=53, dport=4000) / pattern(9))
    lines = masquerade.send(("lan", request), ("wan", reply), ("lan", sent), ("wan", answer)).packets
    assert forwarded(lines[0], "wan")[IPv6].src == WAN.ip6
    assert forwarded(lines[1], "lan")[IPv6].dst == HOST.ip6
    assert ends(forwarded(lines[2], "wan")) == (WAN.ip6, 4000, REMOTE.ip6, 53)
    assert ends(forwarded(lines[3], "lan")) == (REMOTE.ip6, 53, HOST.ip6, 4000)


def test_a_port_that_is_taken_is_exchanged(masquerade):
    """R4787-3: two hosts, one source port, one destination: two external ports."""
    first, second = masquerade.send(lan_udp(), lan_udp(src=SECOND)).packets
    ports = [ends(forwarded(line, "wan"))[1] for line in (first, second)]
    assert ports[0] == 40000 and ports[1] != 40000 and ports[1] >= 1024
    again = masquerade.send(lan_udp(), lan_udp(src=SECOND), wan_udp(ports[1]), wan_udp(ports[0])).packets
    assert [forwarded(line, "lan")[IP].dst for line in again[2:]] == [SECOND, HOST.ip4]


def test_endpoint_independent_mapping(gateway):
    """R4787-1, in the order that breaks Linux."""
    nat(gateway, postrouting=[MASQUERADE])
    lines = gateway.send(lan_udp(sport=5000), lan_udp(src=SECOND, sport=5000, dst=OTHER),
                         lan_udp(src=SECOND, sport=5000), lan_udp(sport=5000, dst=OTHER)).packets
    shown = [ends(forwarded(line, "wan"))[:2] for line in lines]
    assert shown[0] == shown[3] and shown[1] == shown[2] and shown[0] != shown[1]


@pytest.mark.parametrize("filtering, lets_in", [
    ("endpoint_independent", ["same", "port", "address"]), ("address_dependent", ["same", "port"]),
    ("address_and_port_dependent", ["same"])])
def test_filtering(gateway, filtering, lets_in):
    """R4787-8"""
    nat(gateway, postrouting=[{**MASQUERADE, "filtering": filtering}])
    lines = gateway.send(lan_udp(), wan_udp(40000), wan_udp(40000, sport=54), wan_udp(40000, src=OTHER)).packets[1:]
    for name, line in zip(("same", "port", "address"), lines):
        if name in lets_in:
            assert ends(forwarded(line, "lan"))[2:] == (HOST.ip4, 40000)
        else:
            line.assert_silent(reason.nat_filtered)


@pytest.mark.parametrize("filtering, lets_in", [("address_dependent", False), ("endpoint_independent", True)])
def test_who_comes_by_another_way_out_is_outside_too(gateway, filtering, lets_in):
    """R4787-8: nor is a stranger shown to the inside as if it were of it."""
    nat(gateway, postrouting=[{**MASQUERADE, "out": ["wan", "dmz"], "filtering": filtering}])
    stranger = "dmz", from_dmz(IP(src=SERVER.ip4, dst=WAN.ip4) / UDP(sport=53, dport=40000) / pattern(20))
    line = gateway.send(lan_udp(), stranger).packets[1]
    if lets_in:
        assert ends(forwarded(line, "lan")) == (SERVER.ip4, 53, HOST.ip4, 40000)
    else:
        line.assert_silent(reason.nat_filtered)


def test_a_default_route_makes_nobody_inside(gateway):
    """R4787-8: where only a rule of routing knows the way to the inside host."""
    inside = "172.16.0.5"
    gateway.routes({"to": "default", "via": SERVER.ip4}, {"to": "default", "via": ROUTER.ip4, "table": "up"},
                   {"to": "172.16.0.0/16", "via": HOST.ip4, "table": "down"})
    gateway.config["route_rules"] = [{"saddr": "172.16.0.0/16", "table": "up"}, {"daddr": "172.16.0.0/16", "table": "down"}]
    nat(gateway, postrouting=[{**MASQUERADE, "out": ["wan", "dmz"]}])
    stranger = "dmz", from_dmz(IP(src=SERVER.ip4, dst=WAN.ip4) / UDP(sport=53, dport=40000) / pattern(20))
    first, refused = gateway.send(lan_udp(src=inside), stranger).packets
    assert ends(forwarded(first, "wan"))[:2] == (WAN.ip4, 40000)
    refused.assert_silent(reason.nat_filtered)


def test_who_comes_as_the_inside_host_does_is_inside(gateway):
    """R4787-9: though some packets to there have their source translated."""
    nat(gateway, postrouting=[MASQUERADE, {"name": "to-lan", "saddr": "10.9.0.0/24", "out": "lan", "masquerade": True}])
    line = gateway.send(lan_udp(), lan_udp(src=SECOND, dst=WAN.ip4, sport=50000, dport=40000)).packets[1]
    source, _, *to = ends(forwarded(line, "lan"))
    assert (source, *to) == (WAN.ip4, HOST.ip4, 40000)


def test_source_pool_and_ports(gateway):
    nat(gateway, postrouting=[{"name": "pool", "out": "wan", "proto": ["tcp", "udp"],
                               "snat": ["203.0.113.50-203.0.113.51"], "ports": "2000-2003"}])
    lines = gateway.send(*(lan_udp(sport=port) for port in (2001, 40000, 40001))).packets
    for line in lines:
        source, port = ends(forwarded(line, "wan"))[:2]
        assert source in ("203.0.113.50", "203.0.113.51") and 2000 <= port <= 2003
    assert len({ends(forwarded(line, "wan"))[0] for line in lines}) == 1  # R4787-2
    assert ends(forwarded(lines[0], "wan"))[1] == 2001


def test_no_port_left(gateway):
    """R6888-11: the newcomer is refused and told, nobody loses what it has."""
    nat(gateway, postrouting=[{"name": "small", "out": "wan", "proto": "udp", "snat": "203.0.113.50",
                               "ports": "2000-2001"}])
    result = gateway.send(*(lan_udp(sport=port) for port in (1, 2, 3)),
                          wan_udp(2000, dst="203.0.113.50"), wan_udp(2001, dst="203.0.113.50"))
    error = result.packets[2].assert_dropped(reason.nat_exhausted).answered("lan")
    assert (error[ICMP].type, error[ICMP].code, error[IP].src) == (3, 1, LAN.ip4)
    quoted = error[ICMP].payload
    assert (quoted.src, quoted.dst, quoted.payload.sport) == (HOST.ip4, REMOTE.ip4, 3)
    assert {forwarded(line, "lan")[UDP].dport for line in result.packets[3:]} == {1, 2}


def test_most_ports_of_a_host(gateway):
    nat(gateway, postrouting=[MASQUERADE], ports_per_host=2)
    lines = gateway.send(*(lan_udp(sport=port) for port in (1000, 1001, 1002)), lan_udp(src=SECOND)).packets
    lines[2].assert_dropped(reason.nat_host_limit)
    assert lines[3].verdict == "accept"


def test_fragments_come_and_go(masquerade):
    """R4787-14, R4787-13a"""
    datagram = IP(src=HOST.ip4, dst=REMOTE.ip4, id=99) / UDP(sport=40000, dport=53) / pattern(2500)
    parts = fragment(datagram, fragsize=1000)
    result = masquerade.send(*(("lan", from_lan(parts[place])) for place in (2, 0, 1)))
    sent = [frame[IP] for line in result.packets for frame in line.sent("wan")]
    assert len(sent) == 3 and {part.src for part in sent} == {WAN.ip4}
    whole = IP(src=WAN.ip4, dst=REMOTE.ip4) / UDP(reassemble(sent))
    assert (whole[UDP].sport, bytes(whole[UDP].payload)) == (40000, pattern(2500))
    assert_right_checksums(from_wan(whole))


# ── Errors ──


def test_an_error_from_outside_speaks_of_the_inside(masquerade):
    """R5508-4, R4787-12: the quoted packet is as the inside host sent it, and the mapping stays."""
    quoted = IP(src=WAN.ip4, dst=REMOTE.ip4, ttl=1) / UDP(sport=40000, dport=53) / pattern(20)
    error = from_wan(IP(src=ROUTER.ip4, dst=WAN.ip4) / ICMP(type=11) / ip_bytes(from_wan(quoted))[:28])
    lines = masquerade.send(lan_udp(), ("wan", error), wan_udp(40000)).packets
    got = forwarded(lines[1], "lan")
    assert lines[1].ct_state == "related"
    assert (got[IP].src, got[IP].dst, got[ICMP].type) == (ROUTER.ip4, HOST.ip4, 11)
    inner = IP(bytes(got[ICMP].payload))
    assert (inner.src, inner.dst, inner[UDP].sport) == (HOST.ip4, REMOTE.ip4, 40000)
    assert lines[2].verdict == "accept"


def test_an_error_from_inside_speaks_of_the_outside(masquerade):
    """R5508-5"""
    quoted = IP(src=REMOTE.ip4, dst=HOST.ip4, ttl=63) / UDP(sport=53, dport=40000) / pattern(20)
    error = from_lan(IP(src=HOST.ip4, dst=REMOTE.ip4) / ICMP(type=3, code=3) / ip_bytes(from_lan(quoted))[:28])
    line = masquerade.send(lan_udp(), wan_udp(40000), ("lan", error)).packets[2]
    got = forwarded(line, "wan")
    assert (got[IP].src, got[IP].dst) == (WAN.ip4, REMOTE.ip4)
    inner = IP(bytes(got[ICMP].payload))
    assert (inner.src, inner.dst, inner[UDP].dport) == (REMOTE.ip4, WAN.ip4, 40000)


def test_the_box_quotes_what_it_was_sent(masquerade):
    """R4787-13, R1812-4.3.2.3: errors of the box's own, about packets of both directions."""
    masquerade.config["interfaces"]["wan"]["mtu"] = 1300
    too_big, expired = masquerade.send(lan_udp(size=1400, flags="DF"), lan_udp(ttl=1)).packets
    for line, kind in ((too_big, (3, 4)), (expired, (11, 0))):
        error = line.answered("lan")
        assert (error[ICMP].type, error[ICMP].code, error[IP].dst) == (*kind, HOST.ip4)
        inner = error[ICMP].payload
        assert (inner.src, inner.dst, inner.payload.sport) == (HOST.ip4, REMOTE.ip4, 40000)
    assert too_big.answered("lan")[ICMP].nexthopmtu == 1300
    back = masquerade.send(lan_udp(), wan_udp(40000, ttl=1)).packets[1]
    error = back.answered("wan")
    assert_right_checksums(error)
    assert (error[IP].src, error[IP].dst, error[ICMP].type) == (WAN.ip4, REMOTE.ip4, 11)
    inner = IP(bytes(error[ICMP].payload))
    assert (inner.src, inner.dst, inner[UDP].dport) == (REMOTE.ip4, WAN.ip4, 40000)


def test_an_error_in_ip6(masquerade):
    quoted = IPv6(src=WAN.ip6, dst=REMOTE.ip6, hlim=1) / UDP(sport=4000, dport=53) / pattern(9)
    sent = from_lan(IPv6(src=HOST.ip6, dst=REMOTE.ip6) / UDP(sport=4000, dport=53) / pattern(9))
    error = from_wan(IPv6(src=ROUTER.ip6, dst=WAN.ip6) / ICMPv6TimeExceeded() / Raw(ip_bytes(from_wan(quoted))))
    got = forwarded(masquerade.send(("lan", sent), ("wan", error)).packets[1], "lan")
    inner = IPv6(bytes(got[ICMPv6TimeExceeded].payload))
    assert (got[IPv6].dst, inner.src, inner.dst, inner[UDP].sport) == (HOST.ip6, HOST.ip6, REMOTE.ip6, 4000)


# ── Destinations ──

WEB = {"name": "web", "in": "wan", "proto": "tcp", "dport": 8080, "dnat": f"{HOST.ip4}:80"}


def syn(src=REMOTE.ip4, dst=WAN.ip4, sport=3333, dport=8080, flags="S", **fields):
    return IP(src=src, dst=dst) / TCP(sport=sport, dport=dport, flags=flags, **fields)


@pytest.mark.parametrize("profile", ["rfc", "linux"])
def test_a_published_service(gateway, profile):
    nat(gateway, [WEB], [MASQUERADE], profile)
    gateway.config["filter"] = {"forward": {"policy": "drop", "rules": [
        {"name": "established", "ct": "established", "action": "accept"},
        {"name": "published", "in": "wan", "out": "lan", "ct_status": "dnat", "dport": 80, "proto": "tcp",
         "action": "accept"}]}}
    answer = from_lan(syn(HOST.ip4, REMOTE.ip4, 80, 3333, "SA", seq=9, ack=1))
    result = gateway.send(("wan", from_wan(syn())), ("lan", answer), ("wan", from_wan(syn(dport=8081))))
    there, back, other = result.packets
    assert ends(forwarded(there, "lan")) == (REMOTE.ip4, 3333, HOST.ip4, 80)
    assert there.rule == "filter.forward/published"
    assert ends(forwarded(back, "wan")) == (WAN.ip4, 8080, REMOTE.ip4, 3333)
    assert other.verdict != "accept"
    flow = next(each for each in result.flows if each["original"]["dport"] == 8080)
    assert "dnat" in flow["status"] and "snat" not in flow["status"]
    assert (flow["original"]["dst"], flow["reply"]["src"], flow["reply"]["sport"]) == (WAN.ip4, HOST.ip4, 80)


def test_several_targets_share_the_clients(gateway):
    nat(gateway, [{**WEB, "dnat": [f"{HOST.ip4}:80", f"{SERVER.ip4}:80"]}])
    result = gateway.send(*(("wan", from_wan(syn(src=f"198.51.100.{n}"))) for n in range(1, 40)))
    reached = [frame[IP].dst for line in result.packets for side in ("lan", "dmz") for frame in line.sent(side)]
    assert len(reached) == 39 and set(reached) == {HOST.ip4, SERVER.ip4}


def test_a_rule_with_targets_of_one_family_is_about_that(gateway):
    nat(gateway, [{"name": "web", "in": "wan", "dnat": HOST.ip4}])
    line = gateway.send(("wan", from_wan(IPv6(src=REMOTE.ip6, dst=HOST.ip6) / UDP(dport=9)))).packets[0]
    assert line.forwarded("lan")[IPv6].dst == HOST.ip6


def test_a_published_service_in_ip6(gateway):
    nat(gateway, [{**WEB, "dnat": f"[{HOST.ip6}]:80"}])
    line = gateway.send(("wan", from_wan(IPv6(src=REMOTE.ip6, dst=WAN.ip6) / TCP(sport=3333, dport=8080)))).packets[0]
    assert ends(forwarded(line, "lan")) == (REMOTE.ip6, 3333, HOST.ip6, 80)


def test_what_was_published_is_quoted_as_it_came(gateway):
    """R1812-4.3.2.3: behind destination NAT too."""
    nat(gateway, [WEB])
    packet = syn()
    packet.ttl = 1
    error = gateway.send(("wan", from_wan(packet))).packets[0].answered("wan")
    assert_right_checksums(error)
    inner = IP(bytes(error[ICMP].payload))
    assert (inner.dst, inner.payload.dport) == (WAN.ip4, 8080)


def test_redirect_to_the_box(gateway):
    nat(gateway, [{"name": "trap", "in": "lan", "proto": "udp", "dport": 53, "redirect": 5353}])
    line = gateway.send(lan_udp()).packets[0]
    error = line.answered("lan")  # nobody listens; it comes from whom was asked
    assert (error[IP].src, error[ICMP].type, error[ICMP].code) == (REMOTE.ip4, 3, 3)
    inner = IP(bytes(error[ICMP].payload))
    assert (inner.src, inner.dst, inner[UDP].dport) == (HOST.ip4, REMOTE.ip4, 53)


def test_a_ping_that_is_sent_to_the_box(gateway):
    nat(gateway, [{"name": "ping", "in": "lan", "proto": "icmp", "dnat": LAN.ip4}])
    ping = from_lan(IP(src=HOST.ip4, dst=REMOTE.ip4) / ICMP(id=3) / pattern(8))
    reply = gateway.send(("lan", ping)).packets[0].answered("lan")
    assert_right_checksums(reply)
    assert (reply[IP].src, reply[IP].dst, reply[ICMP].type) == (REMOTE.ip4, HOST.ip4, 0)


# ── Hairpin ──


def test_hosts_inside_reach_one_another_from_outside(gateway):
    """R4787-9, R4787-9a: by the external endpoint, which the other one sees too."""
    nat(gateway, postrouting=[MASQUERADE])
    lines = gateway.send(lan_udp(src=SECOND, sport=6000), lan_udp(dst=WAN.ip4, sport=7000, dport=6000),
                         lan_udp(src=SECOND, dst=WAN.ip4, sport=6000, dport=7000)).packets
    assert ends(forwarded(lines[1], "lan")) == (WAN.ip4, 7000, SECOND, 6000)
    assert ends(forwarded(lines[2], "lan")) == (WAN.ip4, 6000, HOST.ip4, 7000)


def test_a_published_service_from_inside(gateway):
    nat(gateway, [{**WEB, "hairpin": True}], [MASQUERADE])
    there = from_lan(syn(src=SECOND))
    back = from_lan(syn(HOST.ip4, WAN.ip4, 80, 3333, "SA", seq=9, ack=1))
    lines = gateway.send(("lan", there), ("lan", back)).packets
    assert ends(forwarded(lines[0], "lan")) == (WAN.ip4, 3333, HOST.ip4, 80)
    assert ends(forwarded(lines[1], "lan")) == (WAN.ip4, 8080, SECOND, 3333)


def test_without_the_word_it_is_for_those_outside(gateway):
    nat(gateway, [WEB], [MASQUERADE])
    line = gateway.send(("lan", from_lan(syn(src=SECOND)))).packets[0]
    assert line.verdict != "accept"


# ── Rules ──


def test_only_the_first_packet_of_a_flow_asks(gateway):
    nat(gateway, postrouting=[{"name": "logged", "out": "wan", "limit": {"rate": "1/day", "burst": 1}, "snat": WAN.ip4}])
    lines = gateway.send(lan_udp(), lan_udp(), lan_udp(sport=40001)).packets
    assert [line.sent("wan")[0][IP].src for line in lines] == [WAN.ip4, WAN.ip4, HOST.ip4]


def test_the_first_statement_ends_the_chain(gateway):
    nat(gateway, postrouting=[{"name": "not-dns", "out": "wan", "proto": "udp", "dport": 53, "action": "accept"}, MASQUERADE])
    lines = gateway.send(lan_udp(), lan_udp(dport=54)).packets
    assert [line.sent("wan")[0][IP].src for line in lines] == [HOST.ip4, WAN.ip4]


def test_a_rule_of_nat_may_drop(gateway):
    nat(gateway, postrouting=[{"name": "no", "out": "wan", "proto": "udp", "dport": 53, "action": "drop"}])
    gateway.send(lan_udp()).packets[0].assert_silent(reason.rule)


def check(gateway) -> str:
    """What `sluice check` has against the configuration."""
    process = subprocess.run([gateway.sluice, "check", "-c", gateway.write_config()], capture_output=True, text=True,
                             timeout=60, check=False)
    assert (process.returncode == 0) == (process.stderr == ""), process
    return process.stderr


WRONG = {
    "two": ("postrouting", {"masquerade": True, "snat": "1.2.3.4"}, "one NAT statement"),
    "place": ("postrouting", {"dnat": "1.2.3.4"}, "no place in nat.postrouting"),
    "masquerade": ("prerouting", {"masquerade": True}, "no place in nat.prerouting"),
    "port": ("prerouting", {"dnat": "1.2.3.4:80"}, "needs protocols that have ports"),
    "redirect": ("prerouting", {"redirect": 80}, "needs protocols that have ports"),
    "family": ("prerouting", {"saddr": "10.0.0.0/8", "dnat": "fd00::1"}, "another family"),
    "word": ("postrouting", {"persistent": True}, "how to translate"),
    "mapping": ("prerouting", {"dnat": "1.2.3.4", "mapping": "endpoint_independent"}, "says nothing"),
    "action": ("postrouting", {"masquerade": True, "action": "accept"}, "ends the chain"),
    "reject": ("input", {"action": {"reject": "host-unreachable"}}, "not for nat"),
    "range": ("postrouting", {"snat": "1.2.3.9-1.2.3.1"}, "ends before it begins"),
    "target": ("postrouting", {"snat": "1.2.3.4:0"}, "no port"),
}


@pytest.mark.parametrize("case", WRONG)
def test_rules_that_are_refused(gateway, case):
    hook, rule, text = WRONG[case]
    gateway.config["nat"] = {hook: [{"name": "x", **rule}]}
    assert text in check(gateway)


@pytest.mark.parametrize("rule, fine", [
    ({"in": "wan", "proto": "udp", "dport": 53}, True), ({"in": "lan", "proto": "udp", "dport": 53}, False),
    ({"proto": "tcp"}, False), ({"in": "lan", "family": "ip6"}, True), ({"in": "lan", "daddr": "10.0.0.0/8"}, False),
    ({"in": "lan", "saddr": "172.16.0.0/12"}, True)])
def test_notrack_and_nat_do_not_meet(gateway, rule, fine):
    gateway.config["raw"] = {"prerouting": [{"name": "fast", **rule, "notrack": True}]}
    nat(gateway, postrouting=[{**MASQUERADE, "family": "ip4", "saddr": "192.168.0.0/16"}])
    told = check(gateway)
    assert told == "" if fine else "would leave untranslated" in told
