"""Several workers: every packet is judged by the one that owns its flow, whichever receives it. Replay gives
packets to the workers in turn, so that most have to be handed over."""
import collections
import random

import pytest
from nat_net import (OUTSIDE, X1, X2, Y, Z, as_seen_outside, back, behind_nat, error_from_outside, out, passes, pool,
                     query, reached, reply, sent, source)
from net import HOST, REMOTE, from_lan, from_wan, pattern
from scapy.layers.inet import ICMP, IP, TCP, UDP, fragment
from scapy.layers.inet6 import (ICMPv6DestUnreach, ICMPv6EchoReply, ICMPv6EchoRequest, IPv6, IPv6ExtHdrDestOpt, IPv6ExtHdrFragment, PadN)
from test_nat_property import any_traffic, mappings_of

several = pytest.mark.parametrize("workers", [2, 3, 4])
STATEFUL = {"forward": {"policy": "drop", "rules": [
    {"name": "established", "ct": ["established", "related"], "action": "accept"},
    {"name": "invalid", "ct": "invalid", "action": "drop"},
    {"name": "inside-out", "in": "lan", "ct": "new", "action": "accept"}]}}


def with_workers(gateway, workers, frames):
    return gateway.send(*frames, options=("--workers", str(workers)))


def by_flow(flows):
    """What is known of flows but which worker has them, and under which number."""
    return sorted((repr({key: value for key, value in flow.items() if key not in ("worker", "id")}) for flow in flows))


def assert_same(gateway, workers, frames):
    one, several_ = with_workers(gateway, 1, frames), with_workers(gateway, workers, frames)
    for before, after in zip(one.lines, several_.lines, strict=True):
        assert before == after
    assert by_flow(several_.flows) == by_flow(one.flows)
    assert several_.summary["counters"] == one.summary["counters"]
    assert several_.summary["packets"] == one.summary["packets"]
    return several_


def conversations(generator, count):
    """TCP and UDP of both families, pings, and errors about them, interleaved; some packets belong to nothing."""
    threads = []
    for number in range(count):
        sport, ipv6 = generator.randrange(1024, 65536), number % 3 == 0
        src, dst = (f"fd00:1::{number + 16:x}", f"2001:db8:7::{number + 1:x}") if ipv6 else (
            f"192.168.1.{number % 200 + 10}", f"198.51.100.{number % 250 + 1}")
        ip = IPv6 if ipv6 else IP

        def there(upper, src=src, dst=dst, ip=ip):
            return "lan", from_lan(ip(src=src, dst=dst) / upper)

        def here(upper, src=src, dst=dst, ip=ip):
            return "wan", from_wan(ip(src=dst, dst=src) / upper)

        match number % 4:
            case 0:
                tcp = {"sport": sport, "dport": 80}
                answered = {"sport": 80, "dport": sport}
                threads.append([
                    there(TCP(**tcp, flags="S", seq=100)), here(TCP(**answered, flags="SA", seq=500, ack=101)),
                    there(TCP(**tcp, flags="A", seq=101, ack=501)),
                    there(TCP(**tcp, flags="PA", seq=101, ack=501) / pattern(700)),
                    here(TCP(**answered, flags="A", seq=501, ack=801) / pattern(1300)),
                    here(TCP(**answered, flags="A", seq=99999999, ack=801)),  # not in the window
                    there(TCP(**tcp, flags="FA", seq=801, ack=1801)), here(TCP(**answered, flags="FA", seq=1801, ack=802)),
                    there(TCP(**tcp, flags="A", seq=802, ack=1802))])
            case 1:
                first = there(UDP(sport=sport, dport=53) / pattern(40))
                quoted = bytes(first[1])[14:]
                error = ICMPv6DestUnreach(code=4) if ipv6 else ICMP(type=3, code=3)
                threads.append([first, here(UDP(sport=53, dport=sport) / pattern(80)), there(UDP(sport=sport, dport=53)),
                                ("wan", from_wan(ip(src="2001:db8:9::9" if ipv6 else "198.51.100.254", dst=src) / error / quoted))])
            case 2:
                asks, tells = ((ICMPv6EchoRequest, {}), (ICMPv6EchoReply, {})) if ipv6 else (
                    (ICMP, {"type": 8}), (ICMP, {"type": 0}))
                threads.append([there(asks[0](**asks[1], id=number, seq=n)) if n % 2 == 0 else
                                here(tells[0](**tells[1], id=number, seq=n - 1)) for n in range(4)])
            case 3:
                threads.append([here(UDP(sport=sport, dport=5000)), here(TCP(sport=80, dport=sport, flags="A", seq=7, ack=8))])
    frames = []
    while threads:
        thread = generator.choice(threads)
        frames.append(thread.pop(0))
        if not thread:
            threads.remove(thread)
    return frames


@several
def test_verdicts_states_and_bytes_are_those_of_one_worker(gateway, workers):
    gateway.config["filter"] = STATEFUL
    result = assert_same(gateway, workers, conversations(random.Random(workers), 120))
    assert {flow["worker"] for flow in result.flows} == set(range(workers))
    states = collections.Counter(line.ct_state for line in result.packets)
    assert {"new", "established", "related", "invalid"} <= set(states)


@several
@pytest.mark.parametrize("order", ["in order", "reversed", "shuffled"])
def test_fragments_are_of_the_flow_of_their_datagram(gateway, workers, order):
    """Its ports are in the first fragment alone; the answer, whole, is established."""
    gateway.config["filter"] = STATEFUL
    generator = random.Random(workers)
    frames = []
    for number in range(1, 25):
        parts = fragment(IP(src=HOST.ip4, dst=f"198.51.100.{number}", id=number) / UDP(sport=number * 1000, dport=53) / pattern(900), 200)
        if order != "in order":
            parts = parts[::-1] if order == "reversed" else generator.sample(parts, len(parts))
        frames += [("lan", from_lan(part)) for part in parts]
        frames.append(("wan", from_wan(IP(src=f"198.51.100.{number}", dst=HOST.ip4) / UDP(sport=53, dport=number * 1000) / b"ok")))
    other = assert_same(gateway, workers, frames)
    assert [(line.verdict, line.ct_state) for line in other.packets if line.interface == "wan"] == [("accept", "established")] * 24


@several
def test_identifications_of_fragments_are_of_one_datagram_each(gateway, workers):
    """RFC 8200 4.5: whichever workers cut the datagrams between two hosts."""
    gateway.config["filter"] = STATEFUL
    frames = []
    for number in range(1, 41):
        whole = bytes(IPv6(src=HOST.ip6, dst=REMOTE.ip6) / UDP(sport=number * 1000, dport=53) / pattern(1600))[40:]
        frames += [("lan", from_lan(IPv6(src=HOST.ip6, dst=REMOTE.ip6) /
                                    IPv6ExtHdrFragment(nh=17, offset=at // 8, m=int(at == 0), id=number) / whole[at:at + 1200]))
                   for at in (0, 1200)]
    sent = [frame for line in with_workers(gateway, workers, frames).packets for frame in line.sent("wan")]
    assert collections.Counter(collections.Counter(frame[IPv6ExtHdrFragment].id for frame in sent).values()) == {2: 40}


@several
def test_fragments_without_their_first_are_dropped_in_the_end(gateway, workers):
    gateway.config["filter"] = STATEFUL
    later = [("lan", from_lan(fragment(IP(src=HOST.ip4, dst=REMOTE.ip4, id=n) / UDP(sport=n, dport=53) / pattern(900), 200)[1]), n * 0.01)
             for n in range(8)]
    quiet = [("lan", from_lan(IP(src=HOST.ip4, dst=REMOTE.ip4) / UDP(sport=9, dport=9)), 100 + n) for n in range(20)]
    summary = with_workers(gateway, workers, later + quiet).summary
    assert summary["reasons"] == {"steer_fragments": 8}
    assert summary["packets"]["held"] == 0


@several
def test_extension_headers_do_not_hide_the_flow(gateway, workers):
    gateway.config["filter"] = STATEFUL
    frames = []
    for number in range(1, 30):
        there = IPv6(src=HOST.ip6, dst=f"2001:db8:7::{number:x}")
        frames.append(("lan", from_lan(there / IPv6ExtHdrDestOpt(options=[PadN(optdata=bytes(4))]) / UDP(sport=number * 999, dport=53))))
        frames.append(("wan", from_wan(IPv6(src=there.dst, dst=there.src) / UDP(sport=53, dport=number * 999))))
    result = assert_same(gateway, workers, frames)
    assert {line.ct_state for line in result.packets} == {"new", "established"}


def endpoints(workers, gateway, first):
    """What left, and the external endpoints it left by."""
    lines = with_workers(gateway, workers, first).packets
    assert all(map(passes, lines)), [line for line in lines if not passes(line)][:3]
    return [source(line) for line in lines]


@several
@pytest.mark.parametrize("profile", ["rfc", "linux"])
@pytest.mark.parametrize("proto", ["udp", "tcp"])
def test_answers_come_to_who_asked(gateway, workers, profile, proto):
    """R4787-1, R5382-1 under rfc: an inside endpoint has one external endpoint, whatever it speaks to."""
    behind_nat(gateway, conntrack={"profile": profile})
    asked = [(f"192.168.1.{10 + n % 40}", 30000 + n // 40, remote) for n in range(120) for remote in (Y, Z)]
    first = [out(src=host, sport=port, dst=remote, proto=proto) for host, port, remote in asked]
    external = endpoints(workers, gateway, first)
    assert {address for address, _ in external} == {OUTSIDE}
    owners = collections.defaultdict(set)
    for (host, port, remote), (_, given) in zip(asked, external):
        owners[given if profile == "rfc" else (given, remote)].add((host, port))
    assert all(len(inside) == 1 for inside in owners.values()), "two hosts have one external endpoint"
    if profile == "rfc":
        assert len(owners) == 120, "an inside endpoint has two external ones"
    answers = [back(src=remote, dport=given, proto=proto) if proto == "udp" else
               ("wan", from_wan(IP(src=remote, dst=OUTSIDE) / TCP(sport=53, dport=given, flags="SA", seq=500, ack=101)))
               for (_, _, remote), (_, given) in zip(asked, external)]
    errors = [error_from_outside(as_seen_outside(proto, given, remote)) for (_, _, remote), (_, given) in zip(asked, external)]
    result = with_workers(gateway, workers, first + answers + errors)
    for (host, port, _), line in zip(asked, result.packets[len(first):]):
        assert reached(line) == (host, port) and line.ct_state == "established"
    for (host, _, _), line in zip(asked, result.packets[len(first) + len(answers):]):
        assert line.ct_state == "related" and line.forwarded("lan")[IP].dst == host
    assert {flow["worker"] for flow in result.flows} == set(range(workers))


@several
def test_whoever_is_let_in_reaches_the_mapping(gateway, workers):
    """R4787-8: flows from outside to a mapping begin at the worker that has it."""
    behind_nat(gateway, {"filtering": "endpoint_independent"})
    first = [out(src=f"192.168.1.{10 + n}", sport=3000 + n) for n in range(60)]
    external = endpoints(workers, gateway, first)
    strangers = [back(src=Z, sport=7000 + n, dport=port) for n, (_, port) in enumerate(external)]
    answers = [out(src=f"192.168.1.{10 + n}", sport=3000 + n, dst=Z, dport=7000 + n) for n in range(60)]
    lines = with_workers(gateway, workers, first + strangers + answers).packets
    for n, line in enumerate(lines[60:120]):
        assert reached(line) == (f"192.168.1.{10 + n}", 3000 + n) and line.ct_state == "new"
    for n, line in enumerate(lines[120:]):
        assert source(line) == external[n] and line.ct_state == "established"


@several
def test_hosts_inside_reach_each_other_by_their_mappings(gateway, workers):
    """R4787-9."""
    behind_nat(gateway, {"filtering": "endpoint_independent"})
    first = [out(src=X2, sport=3000 + n) for n in range(40)]
    external = endpoints(workers, gateway, first)
    calls = [out(src=f"192.168.1.{20 + n}", dst=OUTSIDE, sport=4000 + n, dport=port) for n, (_, port) in enumerate(external)]
    lines = with_workers(gateway, workers, first + calls).packets[40:]
    shown = []
    for n, line in enumerate(lines):
        address, port, *inside = sent(line, "lan")
        assert address == OUTSIDE and tuple(inside) == (X2, 3000 + n)
        shown.append(port)
    answers = [out(src=X2, dst=OUTSIDE, sport=3000 + n, dport=port) for n, port in enumerate(shown)]
    for n, line in enumerate(with_workers(gateway, workers, first + calls + answers).packets[80:]):
        assert sent(line, "lan") == (OUTSIDE, external[n][1], f"192.168.1.{20 + n}", 4000 + n)
        assert line.ct_state == "established"


@several
def test_pings_through_nat(gateway, workers):
    behind_nat(gateway)
    first = [query(src=f"192.168.1.{10 + n}", ident=77 + n % 3) for n in range(60)]
    idents = [line.forwarded("wan")[ICMP].id for line in with_workers(gateway, workers, first).packets]
    assert len(set(idents)) == 60
    for n, line in enumerate(with_workers(gateway, workers, first + [reply(ident=ident) for ident in idents]).packets[60:]):
        answered = line.forwarded("lan")
        assert (answered[IP].dst, answered[ICMP].id, line.ct_state) == (f"192.168.1.{10 + n}", 77 + n % 3, "established")


@several
@pytest.mark.parametrize("masquerades", [True, False])
def test_published_servers_answer(gateway, workers, masquerades):
    """Nobody chooses a port here: the answer's tuple leads elsewhere, and the flow is found all the same."""
    web = {"name": "web", "in": "wan", "proto": "tcp", "dport": 8080, "dnat": f"{X1}:80"}
    gateway.config["nat"] = {"prerouting": [web]}
    if masquerades:
        behind_nat(gateway, prerouting=[web])
    clients = [(f"198.51.100.{n + 1}", 20000 + 7 * n) for n in range(80)]

    def to_server(client, **tcp):
        return "wan", from_wan(IP(src=client[0], dst=OUTSIDE) / TCP(sport=client[1], dport=8080, **tcp))

    def to_client(client, **tcp):
        return "lan", from_lan(IP(src=X1, dst=client[0]) / TCP(sport=80, dport=client[1], **tcp))

    frames = [to_server(client, flags="S", seq=100) for client in clients]
    frames += [to_client(client, flags="SA", seq=500, ack=101) for client in clients]
    frames += [to_server(client, flags="A", seq=101, ack=501) for client in clients]
    frames += [to_client(client, flags="FA", seq=501, ack=101) for client in clients]
    result = with_workers(gateway, workers, frames)
    for n, line in enumerate(result.packets):
        client = clients[n % 80]
        there, here = (*client, X1, 80), (OUTSIDE, 8080, *client)
        assert sent(line, "lan" if line.interface == "wan" else "wan") == (there if line.interface == "wan" else here)
        assert line.ct_state == ("new" if n < 80 else "established")
    assert len(result.flows) == 80
    if not masquerades:
        assert {flow["worker"] for flow in result.flows} == set(range(workers))


@several
def test_what_has_no_ports_is_one_hosts(gateway, workers):
    """Answers are told by addresses alone, whoever's worker it is: one host behind an address can speak to a remote."""
    behind_nat(gateway)
    first = [("lan", from_lan(IP(src=f"192.168.1.{10 + n}", dst=f"198.51.100.{n % 8 + 1}", proto=50) / pattern(32)))
             for n in range(24)]
    answers = [("wan", from_wan(IP(src=f"198.51.100.{n + 1}", dst=OUTSIDE, proto=50) / pattern(32))) for n in range(8)]
    lines = with_workers(gateway, workers, first + answers).packets
    assert [line.reason for line in lines] == [None] * 8 + ["nat_exhausted"] * 16 + [None] * 8
    assert [line.forwarded("lan")[IP].dst for line in lines[24:]] == [f"192.168.1.{10 + n}" for n in range(8)]


@several
def test_two_ways_to_one_server_are_two_connections(gateway, workers):
    """They leave with different ports, whichever workers have them, and answers come back by the way that was taken."""
    ports = [8080 + 64 * n for n in range(8)]
    gateway.config["nat"] = {"prerouting": [{"name": f"web-{port}", "in": "wan", "proto": "udp", "dport": port, "dnat": f"{X1}:80"}
                                            for port in ports]}
    clients = [f"198.51.100.{n + 1}" for n in range(10)]
    ways = [(client, port) for client in clients for port in ports]
    first = [("wan", from_wan(IP(src=client, dst=OUTSIDE) / UDP(sport=5000, dport=port))) for client, port in ways]
    seen = [sent(line, "lan") for line in with_workers(gateway, workers, first).packets]
    assert {end[2:] for end in seen} == {(X1, 80)}
    assert len({end[:2] for end in seen}) == len(ways)


@several
def test_ports_are_given_once(gateway, workers):
    """Every port of a pool is had by one, and when all are gone nobody gets another."""
    behind_nat(gateway, pool(OUTSIDE, ports="2000-2511"), hold_down="0s")
    lines = with_workers(gateway, workers, [out(src=f"192.168.{1 + n // 200}.{1 + n % 200}", sport=9000) for n in range(1, 801)]).packets
    given = [source(line) for line in lines if passes(line)]
    assert len(set(given)) == len(given) and {port for _, port in given} <= set(range(2000, 2512))
    assert len(given) == 512
    assert {line.reason for line in lines if not passes(line)} == {"nat_exhausted"}


@several
@pytest.mark.parametrize("seed", range(3))
def test_whatever_comes_no_two_mappings_collide(gateway, workers, seed):
    """R4787-1: nor has an inside endpoint two external ones."""
    behind_nat(gateway, {"filtering": "endpoint_independent"}, hold_down="0s")
    # Those who flood are inside too. By the default route they would be outside, as whom they send to: between two
    # such hosts each worker keeps mappings for itself, and answers would leave by wan anyway.
    gateway.config["routes"].append({"to": "192.168.3.0/24", "via": X1})
    frames, _ = any_traffic(random.Random(seed), 600, 20, hairpin=False)
    for proto, pairs in mappings_of(with_workers(gateway, workers, frames).flows).items():
        inside, external = {pair[0] for pair in pairs}, {pair[1] for pair in pairs}
        assert len(pairs) > 10 and len(inside) == len(external) == len(pairs), proto


def test_one_worker_is_what_there_is_without_a_word(gateway):
    files = [gateway.send(out(), options=options).files() for options in ((), ("--workers", "1"))]
    assert files[0] == files[1]


@pytest.mark.parametrize("workers", ["0", "65", "many"])
def test_a_number_of_workers_is_wanted(gateway, workers):
    assert gateway.run("-c", gateway.write_config(), "--in", "lan=x", "--out", gateway.directory / "o", "--workers", workers).returncode == 2
