"""The section `early`: sets for whole bursts, and eBPF programs with each of their verdicts."""
import json
import os
import pathlib
import shutil
import subprocess

import pytest
import reason
from net import DMZ, HOST, LAN, REMOTE, ROUTER, WAN, datagram4, datagram6, from_lan, from_wan, pattern
from scapy.layers.inet import ICMP, IP, TCP, UDP
from scapy.layers.l2 import Dot1Q, Ether
from wire import assert_right_checksums

ROOT = pathlib.Path(__file__).resolve().parents[2]
CLANG = shutil.which("clang") or shutil.which("clang-19")
needs_clang = pytest.mark.skipif(CLANG is None, reason="programs are compiled with clang")


@pytest.fixture
def compiled(gateway):
    """Compiles a program next to the configuration: an example by its name, or a text."""
    def compile_program(name: str, text: str | None = None) -> str:
        source = ROOT / "conf" / "bpf" / f"{name}.c"
        if text is not None:
            source = gateway.directory / f"{name}.c"
            source.write_text('#include "sluice_bpf.h"\n' + text)
        subprocess.run([CLANG, "-O2", "-target", "bpf", "-mcpu=v2", "-Wall", "-Werror", f"-I{ROOT}/lib/bpf/include",
                        "-c", source, "-o", gateway.directory / f"{name}.o"], check=True)
        return f"{name}.o"
    return compile_program


def early(gateway, *rules: dict) -> None:
    gateway.config["early"] = list(rules)


def chain(result) -> dict:
    """What the chain `early` counted."""
    chains = json.loads((result.directory / "rules.json").read_text())["items"]
    return next(each for each in chains if each["chain"] == "early")


def udp(dport: int, src: str = REMOTE.ip4, size: int = 20):
    return from_wan(IP(src=src, dst=HOST.ip4) / UDP(sport=4000, dport=dport) / pattern(size))


def check(gateway) -> str:
    """What `sluice check` has against the configuration."""
    done = subprocess.run([gateway.sluice, "check", "-c", gateway.write_config()], capture_output=True, text=True,
                          check=False)
    assert done.returncode == 1, done
    return done.stderr


def test_packets_to_and_from_members_of_a_set_are_dropped(gateway):
    gateway.config["sets"] = {"blocked": {"type": "net", "elements": ["198.51.100.0/24", "2001:db8:7::/48"]},
                              "asked": {"type": "ip", "counters": True, "elements": [HOST.ip4]}}
    early(gateway, {"name": "from", "in": "wan", "saddr": "@blocked", "action": "drop"},
          {"name": "to", "in": ["lan", "wan"], "daddr": "@asked", "action": "drop"},
          {"name": "long", "length": ">1000", "action": "drop"})
    result = gateway.send(
        ("wan", udp(1)), ("wan", from_wan(datagram6(src=REMOTE.ip6, dst=HOST.ip6))), ("lan", from_lan(datagram4())),
        ("wan", udp(1, src="203.0.113.99")), ("lan", from_lan(datagram4(size=1100))),
        ("lan", from_lan(datagram6())), ("lan", from_lan(IP(src=REMOTE.ip4, dst=REMOTE.ip4) / UDP())))
    assert [(line.verdict, line.rule) for line in result.packets] == [
        ("drop", "early/from"), ("drop", "early/from"), ("accept", None), ("drop", "early/to"), ("drop", "early/long"),
        ("accept", None), ("accept", None)]
    assert {line.reason for line in result.packets if line.verdict == "drop"} == {reason.early_rule}
    counted = chain(result)
    assert [rule["packets"] for rule in counted["rules"]] == [2, 1, 1]
    assert [rule["bytes"] for rule in counted["rules"]] == [48 + 68, 48, 1128]
    assert counted["packets"] == 3  # went on


def test_what_is_no_good_is_the_parsers_whether_it_is_listed_or_not(gateway):
    """Behind a packet that a set dropped, the next one is asked about before it is parsed."""
    gateway.config["sets"] = {"blocked": {"type": "ip", "elements": [REMOTE.ip4]},
                              "counting": {"type": "ip", "counters": True, "elements": ["203.0.113.99"]}}
    early(gateway, {"name": "blocked", "in": "wan", "saddr": "@blocked", "action": "drop"},
          {"name": "counting", "in": "wan", "saddr": "@counting", "action": "drop"})

    def from_(src: str, dst: str | None = None, **header):
        frame = from_wan(IP(src=src, dst=HOST.ip4, **header) / UDP(sport=4000, dport=1) / pattern(20))
        frame.dst = dst or frame.dst
        return "wan", frame

    mac = from_(REMOTE.ip4)[1].dst
    ends = [(from_(REMOTE.ip4, chksum=1), reason.ip4_bad_checksum), (from_("203.0.113.7", chksum=1), reason.ip4_bad_checksum),
            (from_("203.0.113.99", chksum=1), reason.ip4_bad_checksum), (from_("203.0.113.99"), reason.early_rule),
            (from_(REMOTE.ip4, len=200), reason.ip4_truncated), (from_(REMOTE.ip4, len=19), reason.ip4_bad_total_length),
            (from_(REMOTE.ip4, dst="02:00:00:00:77:77"), reason.other_host), (from_(REMOTE.ip4, flags="MF", frag=9), reason.early_rule)]
    from_own = from_(REMOTE.ip4)
    from_own[1].src = mac
    ends.append((from_own, reason.bad_source_mac))
    listed = (from_(REMOTE.ip4), reason.early_rule)
    frames = [each for end in ends for each in (end, listed, end)]
    result = gateway.send(*(frame for frame, _ in frames))
    assert [line.reason for line in result.packets] == [why for _, why in frames]
    assert [rule["packets"] for rule in chain(result)["rules"]] == [2 + len(ends), 2]


@needs_clang
def test_a_program_drops_what_it_says(gateway, compiled):
    early(gateway, {"name": "reflected", "in": "wan", "program": compiled("drop_ports")})

    def reply(sport, frame=from_wan, src=REMOTE, dst=HOST):
        return frame(IP(src=src.ip4, dst=dst.ip4) / UDP(sport=sport, dport=4000) / pattern(100))
    result = gateway.send(("wan", reply(1900)), ("wan", reply(1901)), ("wan", reply(11211)),
                          ("lan", reply(1900, from_lan, HOST, REMOTE)))
    assert [(line.verdict, line.reason) for line in result.packets] == [
        ("drop", reason.program), ("accept", None), ("drop", reason.program), ("accept", None)]
    (rule,) = chain(result)["rules"]
    assert rule["packets"] == 3  # it was asked about those from wan
    program = rule["program"]
    assert program["verdicts"] == {"aborted": 0, "drop": 2, "pass": 1, "tx": 0, "redirect": 0}
    assert program["counters"] == {"reflected": 2}
    assert program["execution"] == "machine_code"


@needs_clang
def test_a_program_limits_each_source(gateway, compiled):
    early(gateway, {"name": "limited", "program": compiled("source_limit")})
    frames = [("wan", udp(53, src=f"198.51.100.{host}"), number * 1e-6) for number in range(15) for host in (1, 2)]
    # A twentieth of a second later one more fits.
    frames += [("wan", udp(53, src="198.51.100.1"), 0.0501 + number * 1e-6) for number in range(2)]
    frames += [("wan", udp(54, src="198.51.100.1"), 0.06)]
    result = gateway.send(*frames)
    verdicts = [line.verdict for line in result.packets]
    assert verdicts == ["accept"] * 20 + ["drop"] * 10 + ["accept", "drop", "accept"]
    assert chain(result)["rules"][0]["program"]["counters"] == {"beyond": 11}


@needs_clang
def test_a_program_looks_sets_up(gateway, compiled):
    gateway.config["sets"] = {"admins": {"type": "net", "elements": ["198.51.100.0/28"]},
                              "guarded": {"type": "port", "elements": [22, "8000-8999"]}}
    early(gateway, {"name": "guard", "program": compiled("allow_list")})

    def syn(src, dport):
        return "wan", from_wan(IP(src=src, dst=HOST.ip4) / TCP(sport=4000, dport=dport))
    result = gateway.send(syn("198.51.100.7", 22), syn("198.51.100.70", 22), syn("198.51.100.70", 80),
                          syn("198.51.100.70", 8443), ("wan", udp(22, src="198.51.100.70")))
    assert [line.verdict for line in result.packets] == ["accept", "drop", "accept", "drop", "accept"]


@needs_clang
def test_a_program_answers_by_the_interface_the_packet_came_by(gateway, compiled):
    early(gateway, {"name": "pong", "in": "lan", "proto": "icmp", "program": compiled("echo_reply")})
    ping = IP(src=HOST.ip4, dst=REMOTE.ip4) / ICMP(id=7, seq=9) / pattern(301)
    result = gateway.send(("lan", from_lan(ping)), ("lan", from_lan(datagram4())))
    answer = result.packets[0].forwarded("lan")
    assert (answer.src, answer.dst) == (LAN.mac, HOST.mac)
    assert (answer[IP].src, answer[IP].dst) == (REMOTE.ip4, HOST.ip4)
    assert (answer[ICMP].type, answer[ICMP].id, answer[ICMP].seq) == (0, 7, 9)
    assert bytes(answer[ICMP].payload) == pattern(301)
    assert_right_checksums(answer)
    assert result.packets[0].rule == "early/pong"
    result.packets[1].forwarded("wan")


@needs_clang
@pytest.mark.parametrize("tagged", [False, True])
def test_a_program_sends_by_another_interface(gateway, compiled, tagged):
    gateway.config["sets"] = {"scrubbed": {"type": "ip", "elements": [HOST.ip4]}}
    name = "dmz"
    if tagged:
        name = "scrubber"
        gateway.config["interfaces"]["scrubber"] = {"parent": "dmz", "vlan": 7, "addresses": ["10.7.0.1/24"]}
    text = (ROOT / "conf/bpf/redirect.c").read_text().replace('"scrubber"', f'"{name}"')
    early(gateway, {"name": "scrub", "in": "wan", "program": compiled("redirect", text)})
    syn = IP(src=REMOTE.ip4, dst=HOST.ip4) / TCP(sport=4000, dport=80) / pattern(50)
    result = gateway.send(("wan", from_wan(syn)), ("wan", udp(80)))
    frame = result.packets[0].forwarded("dmz")
    assert (frame.src, frame.dst) == (ROUTER.mac, "02:00:00:00:5c:0b")
    assert frame.haslayer(Dot1Q) == tagged and (not tagged or frame[Dot1Q].vlan == 7)
    assert bytes(frame[IP]) == bytes(syn)  # its hop limit too
    result.packets[1].forwarded("lan")


@needs_clang
def test_a_tag_is_left_behind_by_a_redirect(gateway, compiled):
    gateway.config["interfaces"]["guests"] = {"parent": "lan", "vlan": 20, "mac": LAN.mac, "addresses": ["10.20.0.1/24"]}
    early(gateway, {"name": "away", "in": "guests", "program": compiled("away", """
        SLUICE_INTERFACE(dmz, "dmz");
        SLUICE_PROGRAM int away(struct sluice_packet *packet) { return (int)sluice_redirect(packet, &dmz); }""")})
    packet = IP(src="10.20.0.9", dst=REMOTE.ip4) / UDP() / pattern(40)
    result = gateway.send(("lan", Ether(src=HOST.mac, dst=LAN.mac) / Dot1Q(vlan=20) / packet))
    frame = result.packets[0].forwarded("dmz")
    assert bytes(frame) == bytes(Ether(src=HOST.mac, dst=LAN.mac) / packet)


@needs_clang
def test_a_redirect_of_too_long_a_frame_is_dropped(gateway, compiled):
    gateway.interface("dmz", mtu=1280)
    early(gateway, {"name": "away", "in": "wan", "program": compiled("away", """
        SLUICE_INTERFACE(dmz, "dmz");
        SLUICE_PROGRAM int away(struct sluice_packet *packet) { return (int)sluice_redirect(packet, &dmz); }""")})
    result = gateway.send(("wan", udp(1, size=1252)), ("wan", udp(1, size=1253)))
    result.packets[0].forwarded("dmz")
    result.packets[1].assert_silent(reason.program_redirect)


@needs_clang
@pytest.mark.parametrize("said", ["XDP_ABORTED", "5", "-1", "XDP_REDIRECT"])
def test_what_has_no_meaning_is_dropped_as_a_mistake(gateway, compiled, said):
    early(gateway, {"name": "odd", "program": compiled("odd", f"""
        SLUICE_PROGRAM int odd(struct sluice_packet *packet) {{ return packet->protocol == 6 ? XDP_PASS : {said}; }}
        """)})
    result = gateway.send(("wan", udp(1)), ("wan", from_wan(IP(src=REMOTE.ip4, dst=HOST.ip4) / TCP())))
    result.packets[0].assert_silent(reason.program_aborted)
    result.packets[1].forwarded("lan")
    assert chain(result)["rules"][0]["program"]["verdicts"]["aborted"] == 1


@needs_clang
def test_a_changed_packet_is_judged_as_it_is_now(gateway, compiled):
    """Its destination port becomes another: the next rules see that one, and a broken header is found."""
    program = compiled("change", """
        SLUICE_PROGRAM int change(struct sluice_packet *packet) {
            sluice_u8 *ip = packet->frame + 14;
            if (sluice_read16(ip + 22) == 1)
                ip[23] = 99;
            if (sluice_read16(ip + 22) == 2)
                ip[8] = 7; /* the header's checksum is wrong now */
            return XDP_PASS;
        }""")
    early(gateway, {"name": "change", "in": "wan", "program": program},
          {"name": "ninety-nine", "proto": "udp", "dport": 99, "action": "drop"})
    result = gateway.send(("wan", udp(1)), ("wan", udp(2)), ("wan", udp(3)), ("wan", udp(99)))
    assert [(line.reason, line.rule) for line in result.packets] == [
        (reason.early_rule, "early/ninety-nine"), (reason.ip4_bad_checksum, None), (None, None),
        (reason.early_rule, "early/ninety-nine")]


@needs_clang
def test_a_packet_with_another_tag_is_of_another_interface(gateway, compiled):
    """Also to rules that ask a set about whole bursts."""
    for vlan in (20, 30):
        gateway.config["interfaces"][f"wan{vlan}"] = {"parent": "wan", "vlan": vlan, "mac": WAN.mac, "addresses": [f"10.{vlan}.0.1/24"]}
    gateway.config["sets"] = {"listed": {"type": "ip", "elements": [REMOTE.ip4]}}
    program = compiled("tag", """
        SLUICE_PROGRAM int tag(struct sluice_packet *packet) {
            if (packet->frame[12] == 0x81 && packet->frame[15] == 20)
                packet->frame[15] = 30;
            return XDP_PASS;
        }""")
    early(gateway, {"name": "tag", "program": program},
          *({"name": f"from{vlan}", "in": f"wan{vlan}", "saddr": "@listed", "action": "drop"} for vlan in (20, 30)))
    plain = udp(1)
    tagged = Ether(src=plain.src, dst=plain.dst) / Dot1Q(vlan=20) / plain.payload
    result = gateway.send(("wan", tagged), ("wan", plain))
    assert [line.rule for line in result.packets] == ["early/from30", None]


@needs_clang
@pytest.mark.parametrize("matches", [{}, {"proto": "udp"}], ids=["bursts", "packets"])
@pytest.mark.parametrize("window", [False, True], ids=["written", "in a copy"])
def test_a_program_asks_about_the_addresses_that_the_packet_came_with(gateway, compiled, matches, window):
    """Whatever it has written over them, and whether others are asked about a burst or one packet after the other."""
    gateway.config["sets"] = {"listed": {"type": "ip", "elements": [REMOTE.ip4, HOST.ip4]}}
    program = compiled("over", f"""
        SLUICE_SET(listed, "listed");
        SLUICE_LIMIT(few, "few", "1/day", 1);
        SLUICE_PROGRAM int over(struct sluice_packet *packet) {{
            sluice_store(packet, packet->l3 + 12, 8, {'packet->frame[20]' if window else '77'});
            if (!sluice_set_contains_source(packet, &listed) || !sluice_set_contains_destination(packet, &listed))
                return XDP_ABORTED;
            return sluice_limit_source(packet, &few) ? XDP_TX : XDP_DROP;
        }}""")
    early(gateway, {"name": "over", "program": program, **matches})
    result = gateway.send(("wan", udp(1)), ("wan", udp(2)), ("wan", udp(3, src="198.51.100.78")))
    assert [line.reason for line in result.packets] == [None, reason.program, reason.program_aborted]


@needs_clang
def test_programs_and_other_rules_are_asked_in_order(gateway, compiled):
    program = compiled("even", """
        SLUICE_COUNTER(asked, "asked");
        SLUICE_PROGRAM int even(struct sluice_packet *packet) {
            sluice_count(packet, &asked);
            return sluice_load(packet, packet->l4 + 2, 2) % 2 ? XDP_PASS : XDP_DROP;
        }""")
    early(gateway, {"name": "first", "proto": "udp", "dport": [2, 3], "action": "accept"},
          {"name": "even", "proto": "udp", "program": program},
          {"name": "five", "dport": 5, "action": "drop"})
    result = gateway.send(*(("wan", udp(port)) for port in range(1, 7)))
    assert [line.verdict for line in result.packets] == ["accept", "accept", "accept", "drop", "drop", "drop"]
    assert [line.rule for line in result.packets if line.verdict == "drop"] == ["early/even", "early/five", "early/even"]
    assert [rule["packets"] for rule in chain(result)["rules"]] == [2, 4, 1]
    assert chain(result)["rules"][1]["program"]["counters"] == {"asked": 4}


@needs_clang
def test_an_observing_program_changes_nothing(gateway, compiled):
    program = compiled("change", """
        SLUICE_PROGRAM int change(struct sluice_packet *packet) {
            packet->frame[14 + 8] = 1;
            sluice_store(packet, packet->length - 1, 1, 0);
            return XDP_DROP;
        }""")
    early(gateway, {"name": "change", "program": program, "observe": True})
    sent = udp(1, size=600)
    result = gateway.send(("wan", sent))
    assert bytes(result.packets[0].forwarded("lan"))[-1:] == bytes(sent)[-1:]
    assert result.packets[0].forwarded("lan")[IP].ttl == 63
    assert chain(result)["rules"][0]["program"]["verdicts"]["drop"] == 1


@needs_clang
def test_a_program_reads_and_writes_far_into_a_frame_and_not_beyond_it(gateway, compiled):
    program = compiled("far", """
        SLUICE_COUNTER(beyond, "beyond");
        SLUICE_PROGRAM int far(struct sluice_packet *packet) {
            sluice_u64 last = packet->length - 1;
            if (sluice_load(packet, last, 2) || sluice_load(packet, last + 1, 1) || sluice_load(packet, -1ull, 1) ||
                sluice_load(packet, 0, 3) || sluice_store(packet, last, 2, 1) || sluice_store(packet, -8ull, 8, 1))
                sluice_count(packet, &beyond);
            sluice_store(packet, last, 1, sluice_load(packet, last, 1) ^ 0xff);
            return packet->frame[packet->protocol] ? XDP_PASS : XDP_TX;
        }""")
    early(gateway, {"name": "far", "program": program})
    for size in (0, 1, 200, 215, 216, 217, 1400):
        sent = udp(1, size=size)
        result = gateway.send(("wan", sent))
        (_, frame), = result.packets[0].out
        assert frame[-1] == bytes(sent)[-1] ^ 0xFF
        assert frame[42:-1] == bytes(sent)[42:-1]
        assert chain(result)["rules"][0]["program"]["counters"] == {"beyond": 0}


REFUSED = {
    "loop": ("""SLUICE_PROGRAM int loop(struct sluice_packet *packet) {
                    int sum = 0;
                #pragma clang loop unroll(disable)
                    for (unsigned i = 0; i < packet->length; ++i) sum += packet->frame[i & 127];
                    return sum;
                }""", "jumps back: the program has a loop"),
    "beyond": ("SLUICE_PROGRAM int beyond(struct sluice_packet *packet) { return packet->frame[packet->l4]; }",
               "of struct sluice_packet, which has 280"),
    "before": ("""SLUICE_PROGRAM int before(struct sluice_packet *packet) { return ((char *)packet)[-1]; }""",
               "reads 1 bytes from -1 to 0"),
    "readonly": ("""SLUICE_PROGRAM int readonly(struct sluice_packet *packet) { packet->length = 0; return 2; }""",
                 "writes to what it can only read"),
    "unknown": ("""extern int bpf_redirect(int);
                   SLUICE_PROGRAM int unknown(struct sluice_packet *packet) { return bpf_redirect(packet->l3); }""",
                "there is no function 'bpf_redirect'"),
    "kernel": ("""static long (*bpf_ktime_get_ns)(void) = (void *)5;
                  SLUICE_PROGRAM int kernel(struct sluice_packet *packet) { return bpf_ktime_get_ns() + packet->l3; }""",
               "calls a helper of the kernel by its number 5"),
    "no_set": ("""SLUICE_SET(there, "bloklist");
                  SLUICE_PROGRAM int no_set(struct sluice_packet *p) { return sluice_set_contains_source(p, &there); }""",
               "there is no set 'bloklist', which the program names; expected one of blocklist, ports (did you mean "
               "'blocklist'?)"),
    "wrong_set": ("""SLUICE_SET(ports, "ports");
                     SLUICE_PROGRAM int wrong_set(struct sluice_packet *p) {
                         return sluice_set_contains_source(p, &ports); }""",
                  "argument 2 of sluice_set_contains_source is not of its kind"),
    "years": ("""SLUICE_LIMIT(slow, "slow", "1/day", 213504);
                 SLUICE_PROGRAM int years(struct sluice_packet *p) { return sluice_limit_source(p, &slow) ? 2 : 1; }""",
              "would take years to save up"),
    "data": ("""static const int table[] = {1, 2, 3, 4};
                SLUICE_PROGRAM int data(struct sluice_packet *packet) { return table[packet->family & 3]; }""",
             "the program has data of its own"),
    "long": ("""SLUICE_PROGRAM int lengthy(struct sluice_packet *packet) {
                    unsigned sum = 0;
                #pragma clang loop unroll(full)
                    for (int i = 0; i < 250; ++i)
                #pragma clang loop unroll(full)
                        for (int j = 0; j < 10; ++j) sum = (sum ^ packet->frame[i]) * 31;
                    return sum & 3;
                }""", "expected at most 4096"),
}


@needs_clang
@pytest.mark.parametrize("name", REFUSED)
def test_what_cannot_be_proved_is_refused(gateway, compiled, name):
    text, problem = REFUSED[name]
    gateway.config["sets"] = {"blocklist": {"type": "net"}, "ports": {"type": "port"}}
    early(gateway, {"name": "edge", "in": "wan", "program": compiled(name, text)})
    said = check(gateway)
    assert f"early[0].program: the program '{name}.o': " in said and problem in said, said


@needs_clang
def test_the_section_is_named_or_the_answer_tells_which_there_are(gateway, compiled):
    program = compiled("two", """
        __attribute__((section("inside"), used)) int one(struct sluice_packet *packet) { return packet->family; }
        __attribute__((section("outside"), used)) int two(struct sluice_packet *packet) { return XDP_DROP; }""")
    early(gateway, {"name": "edge", "program": program})
    assert "there is no section 'xdp' in the object; expected inside, outside" in check(gateway)
    early(gateway, {"name": "edge", "program": program, "section": "outside"})
    gateway.send(("wan", udp(1))).packets[0].assert_silent(reason.program)


def test_files_that_are_no_programs_are_refused(gateway):
    early(gateway, {"name": "edge", "program": "edge.o"})
    assert "cannot read" in check(gateway) and "No such file" in check(gateway)
    (gateway.directory / "edge.o").write_text("int main;")
    assert "this is no ELF object" in check(gateway)
    (gateway.directory / "edge.o").write_bytes(pathlib.Path("/proc/self/exe").read_bytes())
    assert "this object is not for eBPF" in check(gateway)
    early(gateway, {"name": "edge", "program": "/dev/zero"})
    assert "is no ordinary file" in check(gateway)


def test_a_program_decides_alone_and_only_early(gateway):
    early(gateway, {"name": "edge", "program": "edge.o", "action": "drop"})
    assert "early[0].action: what becomes of the packet is what the program says" in check(gateway)
    early(gateway, {"name": "edge", "section": "other", "action": "drop"})
    assert "early[0].section" in check(gateway)
    gateway.config["early"] = []
    gateway.config["filter"] = {"input": [{"name": "edge", "program": "edge.o"}]}
    assert "program has no place in filter.input" in check(gateway)
