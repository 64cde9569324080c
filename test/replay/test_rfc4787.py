"""RFC 4787: what a NAT does with UDP, and TCP where RFC 5382 asks for the same. Profile rfc."""
import subprocess

import pytest
import reason
from nat_net import (EVERYBODY, OUTSIDE, PORT, ROUTER4, SERVICE, X1, X2, Y, Z, as_seen_outside, back, behind_nat,
                     ends, error_from_outside, out, passes, permutations, pool, query, reached, sent, source)
from net import from_lan, from_wan, pattern
from scapy.layers.inet import ICMP, IP, TCP, UDP, fragment
from scapy.packet import Raw
from wire import assert_right_checksums, ip_bytes, reassemble

both = pytest.mark.parametrize("proto", ["udp", "tcp"])


# ── Mappings ──


@both
def test_one_external_endpoint_for_whatever_remote(gateway, proto):
    """R4787-1, R5382-1: to other ports and other addresses."""
    behind_nat(gateway)
    lines = gateway.send(*(out(dst=dst, dport=dport, proto=proto) for dst in (Y, Z) for dport in (1000, 1001, 1002))).packets
    assert {source(line) for line in lines} == {(OUTSIDE, PORT)}


@both
def test_one_external_endpoint_in_the_order_that_breaks_linux(gateway, proto):
    """R4787-1, R5382-1: two hosts with one port, who meet only at the second remote."""
    behind_nat(gateway)
    lines = gateway.send(*(out(src=src, dst=dst, sport=5000, proto=proto)
                           for src, dst in ((X1, Y), (X2, Z), (X2, Y), (X1, Z)))).packets
    shown = [source(line) for line in lines]
    assert shown[0] == shown[3] and shown[1] == shown[2] and shown[0] != shown[1]


def test_a_host_keeps_one_address_of_a_pool(gateway):
    """R4787-2, R6888-2: for all ports and protocols; hosts are spread over all of it."""
    behind_nat(gateway, pool("203.0.113.50-203.0.113.57"))
    hosts = [f"192.168.1.{10 + n}" for n in range(20)]
    packets = [frame for host in hosts for frame in (
        out(src=host), out(src=host, sport=41000, dst=Z), out(src=host, proto="tcp"), query(src=host))]
    lines = gateway.send(*packets).packets
    shown = [line.forwarded("wan")[IP].src for line in lines]
    for n in range(20):
        assert len(set(shown[4 * n:4 * n + 4])) == 1
    assert len(set(shown)) > 4


@both
def test_no_port_is_shared(gateway, proto):
    """R4787-3, R5382-7: 50 hosts with one source port, to one remote or several: 50 external ports."""
    behind_nat(gateway)
    lines = gateway.send(*(out(src=f"192.168.1.{10 + n}", dst=dst, proto=proto) for n in range(50) for dst in (Y, Z))).packets
    shown = [source(line) for line in lines]
    assert shown[::2] == shown[1::2] and len(set(shown)) == 50


@pytest.mark.parametrize("port, least, most", [(500, 1, 1023), (1023, 1, 1023), (1024, 1024, 65535), (40000, 1024, 65535)])
def test_a_port_stays_in_its_class(gateway, port, least, most):
    """R4787-3a: 0-1023 or 1024-65535, also where it has to be exchanged."""
    behind_nat(gateway)
    lines = gateway.send(*(out(src=f"192.168.1.{10 + n}", sport=port) for n in range(30))).packets
    ports = [source(line)[1] for line in lines]
    assert ports[0] == port and len(set(ports)) == 30 and all(least <= each <= most for each in ports)


@pytest.mark.parametrize("port", [40000, 40001])
def test_parity_is_kept_if_asked_for(gateway, port):
    """R4787-4, R7857-8: by option."""
    behind_nat(gateway, parity=True)
    hosts = [f"192.168.1.{10 + n}" for n in range(30)]
    ports = [source(line)[1] for line in gateway.send(*(out(src=host, sport=port) for host in hosts)).packets]
    assert len(set(ports)) == 30 and {each % 2 for each in ports} == {port % 2}
    behind_nat(gateway)
    ports = [source(line)[1] for line in gateway.send(*(out(src=host, sport=port) for host in hosts)).packets]
    assert {each % 2 for each in ports} == {0, 1}


def test_nothing_changes_with_load(gateway):
    """R4787-11: with 95 of 100 ports in use a mapping is as independent of the remote as the first one."""
    behind_nat(gateway, pool(OUTSIDE, ports="2000-2099"))
    crowd = [out(src=f"192.168.1.{100 + n}", sport=3000 + n) for n in range(93)]
    order = [out(src=src, dst=dst, sport=2050) for src, dst in ((X1, Y), (X2, Z), (X2, Y), (X1, Z))]
    first = [source(line) for line in gateway.send(*order).packets]
    loaded = [source(line) for line in gateway.send(*crowd, *order).packets[len(crowd):]]
    for shown in (first, loaded):
        assert shown[0] == shown[3] and shown[1] == shown[2] and shown[0] != shown[1]
    again = gateway.send(*crowd, *order, *(out(src=f"192.168.1.{100 + n}", sport=3000 + n, dst=Z) for n in range(93))).packets
    assert [source(line) for line in again[-93:]] == [source(line) for line in again[:93]]


# ── Time ──


def test_a_mapping_lasts_two_minutes(gateway):
    """R4787-5: one packet from inside, then silence: 119 s later an answer comes in, 121 s later none."""
    behind_nat(gateway, EVERYBODY)
    for late, comes in ((119, True), (121, False)):
        assert passes(gateway.send(out(0), back(late)).packets[1]) == comes
        assert passes(gateway.send(out(0), back(late, src=Z, sport=9)).packets[1]) == comes


def test_the_times_are_configured(gateway):
    """R4787-5b"""
    behind_nat(gateway, conntrack={"timeouts": {"udp": "200s", "udp_stream": "400s"}})
    for late, comes in ((199, True), (201, False)):
        assert passes(gateway.send(out(0), back(late)).packets[1]) == comes
    for late, comes in ((399, True), (402, False)):
        assert passes(gateway.send(out(0), back(1), back(1 + late)).packets[2]) == comes


def test_who_was_answered_has_five_minutes(gateway):
    """R4787-5c"""
    behind_nat(gateway)
    for late, comes in ((299, True), (301, False)):
        assert passes(gateway.send(out(0), back(1), back(1 + late)).packets[2]) == comes


def test_packets_from_inside_keep_a_mapping(gateway):
    """R4787-6"""
    behind_nat(gateway)
    lines = gateway.send(out(0), out(110), out(220), back(335)).packets
    assert reached(lines[3]) == (X1, PORT)


def test_answers_keep_a_mapping(gateway):
    """R4787-6a: packets from outside that are let in, and only these."""
    behind_nat(gateway)
    lines = gateway.send(out(0), back(100), back(390), back(680)).packets
    assert all(passes(line) for line in lines)
    lines = gateway.send(out(0), back(50, src=Z), back(100, src=Z), back(121)).packets
    assert not any(passes(line) for line in lines[1:])


# ── From outside ──


FILTERS = {"endpoint_independent": (True, True), "address_dependent": (True, False),
           "address_and_port_dependent": (False, False)}


@both
@pytest.mark.parametrize("filtering", [*FILTERS, None])
def test_who_is_let_in(gateway, filtering, proto):
    """R4787-8, R4787-8a, R5382-3, R6888-7: by option; without a word remotes by address."""
    behind_nat(gateway, {"filtering": filtering} if filtering else None)
    packets = [out(0, proto=proto), back(1, sport=54, proto=proto), back(1.1, src=Z, proto=proto)]
    lines = gateway.send(*packets).packets[1:]
    for line, comes in zip(lines, FILTERS[filtering or "address_dependent"]):
        if comes:
            assert reached(line) == (X1, PORT)
        else:
            line.assert_silent(reason.nat_filtered)


@both
def test_inside_hosts_reach_one_another_by_external_endpoints(gateway, proto):
    """R4787-9, R4787-9a, R5382-8, R5382-8a: and each is shown the other's external one."""
    behind_nat(gateway, EVERYBODY)
    x2 = out(0, src=X2, sport=6000, proto=proto)
    there = out(1, dst=OUTSIDE, sport=7000, dport=6000, proto=proto)
    if proto == "udp":
        return_ = out(2, src=X2, dst=OUTSIDE, sport=6000, dport=7000)
    else:
        segment = IP(src=X2, dst=OUTSIDE) / TCP(sport=6000, dport=7000, flags="SA", seq=7, ack=101)
        return_ = ("lan", from_lan(segment), 2)
    lines = gateway.send(x2, there, return_).packets
    assert sent(lines[1], "lan") == (OUTSIDE, 7000, X2, 6000)
    assert sent(lines[2], "lan") == (OUTSIDE, 6000, X1, 7000)


# ── Application layer gateways ──


INVITE = (f"INVITE sip:bob@{Y} SIP/2.0\r\nVia: SIP/2.0/UDP {X1}:5060\r\nContact: <sip:alice@{X1}:5060>\r\n"
          f"Content-Length: 0\r\n\r\nc=IN IP4 {X1}\r\nm=audio 49170 RTP/AVP 0\r\n").encode()


def test_payload_is_nobodys_business(gateway):
    """R4787-10, R4787-10a, R5382-6: SIP and FTP pass to the byte; helpers are switched on one by one."""
    behind_nat(gateway)
    sip = "lan", from_lan(IP(src=X1, dst=Y) / UDP(sport=5060, dport=5060) / INVITE)
    assert bytes(gateway.send(sip).packets[0].forwarded("wan")[UDP].payload) == INVITE
    segment = lambda flags, seq, ack=0: TCP(sport=PORT, dport=21, flags=flags, seq=seq, ack=ack)
    order = f"PORT {X1.replace('.', ',')},19,137\r\n".encode()
    ftp = [("lan", from_lan(IP(src=X1, dst=Y) / segment("S", 100))),
           ("wan", from_wan(IP(src=Y, dst=OUTSIDE) / TCP(sport=21, dport=PORT, flags="SA", seq=500, ack=101))),
           ("lan", from_lan(IP(src=X1, dst=Y) / segment("A", 101, 501))),
           ("lan", from_lan(IP(src=X1, dst=Y) / segment("PA", 101, 501) / order))]
    assert bytes(gateway.send(*ftp).packets[3].forwarded("wan")[TCP].payload) == order
    for helper in ("ftp", "tftp"):
        behind_nat(gateway, conntrack={"helpers": [helper]})
        assert bytes(gateway.send(sip).packets[0].forwarded("wan")[UDP].payload) == INVITE


# ── Errors ──


def test_icmp_ends_no_mapping(gateway):
    """R4787-12: errors of every type and code about a flow, and its answers come in as before."""
    behind_nat(gateway)
    seen = as_seen_outside()
    kinds = [(kind, code) for kind in (3, 4, 5, 11, 12) for code in range(16)] + [(kind, 0) for kind in (1, 2, 6, 7, 41, 255)]
    errors = [error_from_outside(seen, kind, code, at=1 + n / 100) for n, (kind, code) in enumerate(kinds)]
    result = gateway.send(out(0), *errors, back(3), out(3.1), back(119))
    assert reached(result.packets[-3]) == (X1, PORT) and source(result.packets[-2]) == (OUTSIDE, PORT)
    assert passes(result.packets[-1])


@pytest.mark.parametrize("kind, code", [(3, 1), (3, 4), (11, 0)])
@pytest.mark.parametrize("sender", [ROUTER4, Z, Y, "192.0.2.9"])
def test_errors_come_from_whoever_is_on_the_way(gateway, sender, kind, code):
    """R4787-12a"""
    behind_nat(gateway, {"filtering": "address_and_port_dependent"})
    line = gateway.send(out(0), error_from_outside(as_seen_outside(), kind, code, at=1, src=sender)).packets[1]
    assert line.forwarded("lan")[IP].src == sender


@both
@pytest.mark.parametrize("code", [0, 1, 2, 3, 4, 13])
def test_destination_unreachable_reaches_the_host_it_is_about(gateway, code, proto):
    """R4787-12b, R5382-9: and speaks of what that host sent."""
    behind_nat(gateway)
    fields = {"nexthopmtu": 1280} if code == 4 else {}
    port = {"src": X2, "proto": proto}  # whose port had to be exchanged
    first = gateway.send(out(0, proto=proto), out(0.1, **port)).packets
    external = source(first[1])[1]
    quoted = as_seen_outside(proto, external)
    line = gateway.send(out(0, proto=proto), out(0.1, **port), error_from_outside(quoted, 3, code, at=1, **fields)).packets[2]
    frame = line.forwarded("lan")
    assert_right_checksums(frame)
    assert (frame[IP].src, frame[IP].dst, frame[ICMP].type, frame[ICMP].code) == (ROUTER4, X2, 3, code)
    inner = IP(bytes(frame[ICMP].payload))
    assert (inner.src, inner.payload.sport, inner.dst, inner.payload.dport) == (X2, PORT, Y, SERVICE)
    assert frame[ICMP].nexthopmtu == fields.get("nexthopmtu", 0)


def test_what_does_not_fit_is_told_to_the_inside(gateway):
    """R4787-13, R1191: 3/4 with the MTU, about the packet as the host sent it."""
    behind_nat(gateway)
    gateway.config["interfaces"]["wan"]["mtu"] = 1300
    for flow in ([], [out(0)]):  # of a flow that begins, and of one that is known
        line = gateway.send(*flow, out(1, size=1400, flags="DF", id=7)).packets[-1].assert_dropped(reason.too_big)
        error = line.answered("lan")
        assert_right_checksums(error)
        assert (error[IP].dst, error[ICMP].type, error[ICMP].code, error[ICMP].nexthopmtu) == (X1, 3, 4, 1300)
        quoted = bytes(error[ICMP].payload)
        whole = ip_bytes(from_lan(IP(src=X1, dst=Y, flags="DF", id=7) / UDP(sport=PORT, dport=SERVICE) / pattern(1400)))
        assert quoted == whole[:len(quoted)]


# ── Fragments ──


def test_what_may_be_cut_is_cut_in_order(gateway):
    """R4787-13a"""
    behind_nat(gateway)
    gateway.config["interfaces"]["wan"]["mtu"] = 1300
    frames = gateway.send(out(size=3000)).packets[0].sent("wan")
    assert [frame[IP].frag for frame in frames] == sorted(frame[IP].frag for frame in frames)
    assert len(frames) == 3 and len({frame[IP].id for frame in frames}) == 1
    whole = from_wan(IP(src=OUTSIDE, dst=Y) / UDP(reassemble([frame[IP] for frame in frames])))
    assert_right_checksums(whole)
    assert ends(whole) == (OUTSIDE, PORT, Y, SERVICE)


def test_fragments_pass_in_any_order(gateway):
    """R4787-14: all orders of three, both ways; whole datagrams of the flow in between."""
    behind_nat(gateway)
    for number, (outward, inward) in enumerate(zip(
            permutations(fragment(IP(src=X1, dst=Y, id=9) / UDP(sport=PORT, dport=SERVICE) / pattern(2500), 1000)),
            permutations(fragment(IP(src=Y, dst=OUTSIDE, id=9) / UDP(sport=SERVICE, dport=PORT) / pattern(2500), 1000)))):
        result = gateway.send(*(("lan", from_lan(part)) for part in outward), back(), *(("wan", from_wan(part)) for part in inward))
        for side, wanted in (("wan", (OUTSIDE, PORT, Y, SERVICE)), ("lan", (Y, SERVICE, X1, PORT))):
            parts = [frame[IP] for line in result.packets for frame in line.sent(side) if frame[IP].len > 100]
            whole = IP(src=parts[0].src, dst=parts[0].dst) / UDP(reassemble(parts))
            assert_right_checksums(from_wan(whole))
            assert ends(whole) == wanted and bytes(whole[UDP].payload) == pattern(2500), number


def test_a_flood_of_fragments_hurts_nobody(gateway):
    """R4787-14a: thousands of first and last fragments that never become whole, and every other packet passes."""
    behind_nat(gateway)
    flood = []
    for n in range(6000):
        part = IP(src=f"198.51.{n % 100}.{n % 250}", dst=OUTSIDE, id=n, flags="MF" if n % 2 else 0, frag=0 if n % 2 else 100)
        flood.append(("wan", from_wan(part / Raw(bytes(64))), 1 + n / 10_000))
    between = [back(1 + n / 100 + 0.00005) for n in range(60)]
    frames = sorted([out(0), *flood, *between], key=lambda frame: frame[2])
    result = gateway.send(*frames)
    assert sum(passes(line) for line in result.packets) == 61


# ── Addresses ──


def test_one_network_on_both_sides_is_refused(gateway):
    """R4787-7: an external address out of an inside network."""
    behind_nat(gateway)
    gateway.config["interfaces"]["wan"]["addresses"] = ["192.168.1.77/24"]
    gateway.config["routes"] = []
    process = subprocess.run([gateway.sluice, "check", "-c", gateway.write_config()], capture_output=True, text=True,
                             timeout=60, check=False)
    assert process.returncode != 0 and "192.168.1" in process.stderr, process
