"""Early rules for whole bursts: each packet meets what it would alone, and those behind what was dropped go their way."""
import ipaddress
import pathlib
import random
import shutil
import subprocess

import pytest
from scapy.all import IP, UDP, Dot1Q, Ether, IPOption, IPv6
from test_bursts import BOX, HOST, VALID, Conversation, broken, by_flow, leaving, play
from test_captures import HERE

CLANG = shutil.which("clang") or shutil.which("clang-19")
SETS = {"hosts": ["10.9.0.1", "10.9.0.2", "fd00:1::b1"], "nets": ["10.9.1.0/24", "10.9.2.0/28", "fd00:1:0:0:b::/80"],
        "counted": ["10.1.0.66", "fd00:9::66"], "bad": ["10.9.3.1", "10.9.3.3", "fd00:1::b3"], "echoed": ["10.1.0.7", "fd00:9::7"]}
KINDS = {"nets": "net", "bad": "net"}
PROGRAM = """#include "sluice_bpf.h"
SLUICE_SET(bad, "bad");
SLUICE_SET(echoed, "echoed");
SLUICE_PROGRAM int edge(struct sluice_packet *packet) {
    if (sluice_set_contains_source(packet, &bad))
        return XDP_DROP;
    return sluice_set_contains_destination(packet, &echoed) ? XDP_TX : XDP_PASS;
}
"""


def rules(program: bool) -> str:
    sets = "".join(f"  {name}: {{type: {KINDS.get(name, 'ip')}, elements: [{', '.join(map(repr, elements))}]"
                   + (", counters: true" if name == "counted" else "") + "}\n" for name, elements in SETS.items())
    return f"""
sets:
{sets}
early:
  - {{name: hosts, in: lan, saddr: "@hosts", action: drop}}
  - {{name: nets, saddr: "@nets", action: drop}}
  - {{name: counted, daddr: "@counted", action: drop}}
  {"- {name: edge, in: lan, program: edge.o}" if program else ""}
  - {{name: long, length: ">1000", action: drop}}
"""


needs_clang = pytest.mark.skipif(CLANG is None, reason="programs are compiled with clang")


def compile_program(folder: pathlib.Path, name: str, text: str):
    (folder / f"{name}.c").write_text(text)
    subprocess.run([CLANG, "-O2", "-target", "bpf", "-mcpu=v2", f"-I{HERE.parents[1]}/lib/bpf/include", "-c",
                    folder / f"{name}.c", "-o", folder / f"{name}.o"], check=True)


def is_in(name: str, address: str) -> bool:
    one = ipaddress.ip_address(address)
    return any(one.version == net.version and one in net for net in map(ipaddress.ip_network, SETS[name]))


def first_rule(tagged: bool, src: str, dst: str, length: int, program: bool) -> str | None:
    """The one that ends a packet."""
    ends = {"hosts": not tagged and is_in("hosts", src), "nets": is_in("nets", src), "counted": is_in("counted", dst),
            "edge": program and not tagged and (is_in("bad", src) or is_in("echoed", dst)), "long": length > 1000}
    return next((name for name, ended in ends.items() if ended), None)


def ip_length(frame: Ether) -> int:
    return len(frame) - len(Ether()) - (len(Dot1Q()) if Dot1Q in frame else 0)


def traffic(program: bool, tracks: bool):
    """Frames as they come, how they should leave or nothing, and the rule that ended them. Where connections are tracked, among
    them acknowledgments whose checksum may be wrong."""
    draw = random.Random(9)
    conversations = [Conversation(6000 + n, timestamps=False, ip6=n == 1) for n in range(2)] if tracks else []
    for conversation in conversations:
        for to, frame in conversation.opening():
            yield frame, leaving(to, frame), None
    sources = {4: ["192.168.1.9", "10.9.0.1", "10.9.0.3", "10.9.1.77", "10.9.2.15", "10.9.2.16", "10.9.3.1", "10.9.3.2", "10.9.3.3"],
               6: ["fd00:1::9", "fd00:1::b1", "fd00:1:0:0:b::5", "fd00:1::b3", "fd00:1::b4"]}
    destinations = {4: ["10.1.0.1", "10.1.0.66", "10.1.0.7", "10.2.0.1"], 6: ["fd00:9::1", "fd00:9::66", "fd00:9::7"]}
    gateways = {"10.1": "one", "10.2": "two", "fd00": "six"}
    for number in range(3000):
        # Bursts of friends, of strangers, and of both.
        strange = draw.random() < (0, 0.3, 1)[number // 200 % 3]
        if number % 1000 == 300:  # a flood of which no packet is left
            flood = Ether(bytes(Ether(src=HOST, dst=BOX["lan"]) / IP(src="10.9.0.1", dst="10.1.0.1") / UDP(dport=53) / b"xxxxx"))
            yield from [(flood, None, "hosts")] * 200
        if tracks and draw.random() < 0.5:
            one = draw.choice(conversations)
            to = draw.choice([one.server, one.client])
            frame = one.segment(to, "A", b"d" * draw.choice([0, 5]))
            yield frame, leaving(to, frame), None
            if draw.random() < 0.2:
                yield broken(one.segment(to, "A")), None, None
            continue
        version = draw.choice([4, 4, 6])
        source = draw.choice(sources[version]) if strange else sources[version][0]
        destination = draw.choice(destinations[version]) if strange else destinations[version][0]
        tagged = version == 4 and draw.random() < 0.1
        payload = b"x" * draw.choice([5, 5, 5, 20, 1100])
        header = (IP(src=source, dst=destination, id=number, options=draw.choice([[], [], [], [IPOption(b"\1\1\1\0")]]))
                  if version == 4 else IPv6(src=source, dst=destination))
        packet = header / UDP(sport=4000 + number % 5, dport=53) / payload
        plain = Ether(bytes(Ether(src=HOST, dst=BOX["lan"]) / packet))
        comes = Ether(src=HOST, dst=BOX["lan"]) / Dot1Q(vlan=5) / packet if tagged else plain
        ended_by = first_rule(tagged, source, destination, len(plain) - 14, program)
        yield comes, None if ended_by else leaving(gateways[destination[:4]], plain), ended_by


@pytest.mark.parametrize("program", [False, pytest.param(True, marks=needs_clang)], ids=["sets", "sets and a program"])
@pytest.mark.parametrize("filter_rules", ["", VALID], ids=["router", "firewall"])
def test_packets_of_a_burst_meet_early_rules_as_if_alone(tmp_path: pathlib.Path, program, filter_rules):
    if program:
        compile_program(tmp_path, "edge", PROGRAM)
    frames = list(traffic(program, bool(filter_rules)))

    def asks(api):
        chain = next(each for each in api.get("/v1/rules")["items"] if each["chain"] == "early")
        counted = api.get("/v1/sets/counted")["items"]
        lan = next(each for each in api.get("/v1/interfaces")["items"] if each["name"] == "lan")
        return ({rule["name"]: rule for rule in chain["rules"]}, {each["value"]: each["packets"] for each in counted},
                (lan["rx_packets"], lan["rx_bytes"]))

    sent, (rule, counted, received) = play(tmp_path, [comes for comes, _, _ in frames], filter_rules + rules(program), asks=asks)
    assert by_flow(sent) == by_flow([leaves for _, leaves, _ in frames if leaves])
    ended = [by for _, _, by in frames]
    assert received == (len(frames), sum(len(comes) for comes, _, _ in frames))
    for name in ("hosts", "nets", "counted", "long"):
        assert rule[name]["packets"] == ended.count(name) > 0
        assert rule[name]["bytes"] == sum(ip_length(comes) for comes, _, by in frames if by == name)
    if program:
        verdicts = rule["edge"]["program"]["verdicts"]
        assert verdicts["drop"] + verdicts["tx"] == ended.count("edge")
        assert min(verdicts["drop"], verdicts["tx"], verdicts["pass"]) > 0
    assert sum(counted.values()) == ended.count("counted")


@needs_clang
def test_a_program_finds_what_an_early_rule_has_added_for_the_packet_before(tmp_path):
    compile_program(tmp_path, "edge", """#include "sluice_bpf.h"
SLUICE_SET(knocked, "knocked");
SLUICE_PROGRAM int edge(struct sluice_packet *packet) {
    return sluice_set_contains_source(packet, &knocked) ? XDP_DROP : XDP_PASS;
}
""")
    traffic = [Ether(src=HOST, dst=BOX["lan"]) / IP(src="192.168.1.9", dst="10.1.0.1", id=number) /
               UDP(sport=4000, dport=7 if number == 100 else 53) for number in range(256)]
    sent, _ = play(tmp_path, traffic, """
sets:
  knocked: {type: ip}
early:
  - {name: edge, program: edge.o}
  - {name: knock, proto: udp, dport: 7, add_to: "@knocked"}
""")
    assert sent == [leaving("one", frame) for frame in traffic[:101]]
