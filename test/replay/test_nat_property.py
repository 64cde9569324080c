"""Whatever comes in whatever order: no two mappings collide, and the ports that are free are those nobody has."""
import random

import pytest
import reason
from nat_net import OUTSIDE, answer, as_seen_outside, back, behind_nat, error_from_outside, out, pool, talk

PORTS = range(2000, 2032)
REMOTES = [f"198.51.100.{n}" for n in range(1, 5)]
RULE = {**pool(OUTSIDE, ports=f"{PORTS[0]}-{PORTS[-1]}"), "filtering": "endpoint_independent"}


def any_traffic(generator, most, longest_pause, hairpin=True):
    """Opens, closes, resets, hairpins if wanted, calls from outside, errors, floods and silence."""
    now, frames = 0.0, []
    hosts = [f"192.168.1.{10 + n}" for n in range(14)]
    while len(frames) < most:
        now += generator.choice([0.001] * 9 + [generator.uniform(1, longest_pause)])
        host, sport, remote = generator.choice(hosts), generator.choice((1000, 2000, 2001, 3000)), generator.choice(REMOTES)
        proto, port = generator.choice(("udp", "tcp")), generator.choice(PORTS)
        match generator.randrange(9):
            case 0:
                frames.append(back(now, src=remote, dport=port, proto=proto))
            case 1 if hairpin:
                frames.append(out(now, src=host, dst=OUTSIDE, sport=sport, dport=port, proto=proto))
            case 2:
                frames += [talk("S", 100, at=now, sport=sport, src=host), answer("SA", 500, 101, at=now, dport=port),
                           talk("A", 101, 501, at=now, sport=sport, src=host)]
            case 3:
                frames.append(talk(generator.choice(("R", "RA", "FA")), 101, 501, at=now, sport=sport, src=host))
            case 4:
                frames.append(answer(generator.choice(("R", "RA", "FA")), 501, 101, at=now, dport=port))
            case 5:
                frames.append(error_from_outside(as_seen_outside(proto, port, remote), at=now))
            case 6 if generator.random() < 0.1:
                frames += [out(now, src=f"192.168.3.{n}", dst=remote, proto=proto) for n in range(1, 60)]
            case _:
                frames.append(out(now, src=host, dst=remote, sport=sport, proto=proto))
    return frames, now


def mappings_of(flows):
    """By protocol: (inside endpoint, external one)."""
    result = {"udp": set(), "tcp": set()}
    for flow in flows:
        original, answered = flow["original"], flow["reply"]
        if "snat" in flow["status"]:
            result[flow["proto"]].add(((original["src"], original["sport"]), (answered["dst"], answered["dport"])))
        if "dnat" in flow["status"]:
            result[flow["proto"]].add(((answered["src"], answered["sport"]), (original["dst"], original["dport"])))
    return result


def free_ports(gateway, frames, at):
    """How many strangers get one then, by protocol."""
    at += 1e-6  # frames of one moment come in the order of their interfaces
    strangers = [out(at, src=f"192.168.7.{n}", sport=8 + n % 2, proto=proto) for proto in ("udp", "tcp") for n in range(1, 41)]
    lines = gateway.send(*frames, *strangers).packets[len(frames):]
    assert {line.reason for line in lines} <= {None, reason.nat_exhausted}
    return {proto: sum(line.verdict == "accept" for line in part) for proto, part in (("udp", lines[:40]), ("tcp", lines[40:]))}


@pytest.mark.parametrize("seed", range(12))
def test_ports_in_use_are_mappings(gateway, seed):
    generator = random.Random(seed)
    behind_nat(gateway, RULE, hold_down="0s", parity=bool(seed % 2))
    frames, now = any_traffic(generator, 500, 40 if seed % 3 else 400, hairpin=False)
    mappings = mappings_of(gateway.send(*frames).flows)
    for proto, pairs in mappings.items():
        inside, external = {pair[0] for pair in pairs}, {pair[1] for pair in pairs}
        assert len(external) == len(pairs), f"{proto}: two inside endpoints share an external one"
        assert len(inside) == len(pairs), f"{proto}: an inside endpoint has two external ones"
    assert free_ports(gateway, frames, now) == {
        proto: sum((OUTSIDE, port) not in {external for _, external in pairs} for port in PORTS) for proto, pairs in mappings.items()}


@pytest.mark.parametrize("when_full", ["refuse_new", "early_drop"])
@pytest.mark.parametrize("seed", range(3))
def test_no_port_is_lost_where_the_flow_table_is_full(gateway, seed, when_full):
    """And when all flows have ended every port is free."""
    behind_nat(gateway, RULE, hold_down="0s", conntrack={"max": 80, "when_full": when_full, "reserve": "0%"})
    frames, now = any_traffic(random.Random(100 + seed), 600, 10)
    result = gateway.send(*frames)
    assert result.summary["reasons"].get(reason.conntrack_full, 0) or when_full == "early_drop"
    for pairs in mappings_of(result.flows).values():
        assert len({external for _, external in pairs}) == len(pairs)
    assert free_ports(gateway, frames, now + 8000) == {"udp": len(PORTS), "tcp": len(PORTS)}
