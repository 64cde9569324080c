"""eBPF programs in the section `early`: on devices, by several workers, over reloads."""
import collections
import pathlib
import random
import shutil
import subprocess
import sys

import pytest
from lab import LAN, WAN, two_hosts
from router import ROOT, build_dir
from waiting import wait_for

sys.path.append(str(ROOT / "test/bench"))
import frames  # noqa: E402
from gateway import Gateway, configuration, played  # noqa: E402

CLANG = shutil.which("clang") or shutil.which("clang-19")
pytestmark = [pytest.mark.sluice_only,
              pytest.mark.skipif(CLANG is None, reason="programs are compiled with clang")]
WAN4 = "203.0.113.10"
ANSWERS = """
SLUICE_COUNTER(asked, "asked");
SLUICE_PROGRAM int edge(struct sluice_packet *packet) {
    sluice_count(packet, &asked);
    return packet->protocol == 1 && sluice_load(packet, packet->l4, 1) == 8 ? XDP_%s : XDP_PASS;
}"""


def compile_program(text: str, to: pathlib.Path) -> None:
    """In the place of what is there, at once."""
    source, fresh = to.with_suffix(".c"), to.with_suffix(".new")
    source.write_text('#include "sluice_bpf.h"\n' + text)
    subprocess.run([CLANG, "-O2", "-target", "bpf", "-mcpu=v2", f"-I{ROOT}/lib/bpf/include", "-c", source, "-o", fresh],
                   check=True)
    fresh.rename(to)


def program(lab) -> dict:
    (chain,) = [each for each in lab.router.api.items("/v1/rules") if each["chain"] == "early"]
    return chain["rules"][0]["program"]


def pings(lab) -> bool:
    return lab.hosts["lan"].run(f"ping -c 1 -W 1 {WAN4}", check=False).returncode == 0


def test_a_reload_takes_the_new_program_and_keeps_what_was_counted(lab, tmp_path):
    lab.connect(**LAN)
    lab.connect(**WAN)
    edge = tmp_path / "edge.o"
    compile_program(ANSWERS % "PASS", edge)
    lab.start({**two_hosts(), "early": [{"name": "edge", "in": "lan", "program": str(edge)}]})
    wait_for(lambda: pings(lab), "a ping")
    assert program(lab)["verdicts"]["pass"] > 0
    compile_program(ANSWERS % "DROP", edge)
    assert lab.router.ctl("reload").returncode == 0
    assert not pings(lab)
    said = program(lab)
    assert said["verdicts"]["drop"] == 1 and said["counters"]["asked"] == said["verdicts"]["pass"] + 1
    assert lab.router.drops()["program"] == 1

    edge.write_bytes(b"\x7fELF")
    refused = lab.router.ctl("reload", check=False)
    assert refused.returncode == 1 and "edge.o" in refused.stderr, refused
    assert not pings(lab)
    assert program(lab)["verdicts"]["drop"] == 2
    shown = lab.router.ctl("rules", "early").stdout
    assert "says drop" in shown and "asked" in shown

    compile_program((ROOT / "conf/bpf/echo_reply.c").read_text(), edge)
    lab.router.ctl("reload")
    lab.hosts["wan"].run("sysctl -q net.ipv4.icmp_echo_ignore_all=1")
    assert pings(lab)  # the gateway answers
    assert program(lab)["verdicts"]["tx"] > 0


def test_a_checksum_that_the_device_found_right_is_looked_at_again(lab, tmp_path, monkeypatch):
    """Where a program has changed the header since."""
    profiles = shutil.copytree(ROOT / "drivers-config", tmp_path / "drivers-config")
    tap = profiles / "tap.yaml"
    tap.write_text(tap.read_text().replace("rx: [scatter]", "rx: [scatter, ipv4_cksum]"))
    monkeypatch.setenv("SLUICE_DRIVERS_CONFIG", str(profiles))
    lab.connect(**LAN)
    lab.connect(**WAN)
    compile_program("""
SLUICE_PROGRAM int change(struct sluice_packet *packet) {
    if (packet->protocol == 1)
        packet->frame[14 + 8] = 7;
    return XDP_PASS;
}""", tmp_path / "change.o")
    lab.start({**two_hosts(), "early": [{"name": "change", "in": "lan", "program": str(tmp_path / "change.o")}]})
    if lab.kind == "tap":
        assert "ipv4_cksum" in lab.router.interface("lan")["offloads"]
    assert not pings(lab)
    wait_for(lambda: lab.router.drops().get("ip4_bad_checksum"), "a packet that is no good")


def test_every_packet_of_a_burst_is_judged_by_itself(tmp_path):
    """Full bursts of all sorts of packets: each rule counts exactly those that are its own."""
    compile_program((ROOT / "conf/bpf/drop_ports.c").read_text(), tmp_path / "ports.o")
    chance = random.Random(1)
    sent, expected = [], collections.Counter()
    for _ in range(5000):
        listed, asked, sport = chance.random() < 0.3, chance.random() < 0.3, chance.choice((7, 1900, 4000))
        if chance.random() < 0.5:
            source = (0x0A010000 if listed else 0x0A020000) | chance.getrandbits(16)
            sent.append(frames.udp4(source, 0xC6336407 if asked else 0xC6336408, sport, 53))
        else:
            source = bytes.fromhex("20010db8000100" if listed else "20010db8000200") + chance.randbytes(9)
            target = bytes.fromhex("20010db8000700000000000000000007" if asked else "20010db8000700000000000000000008")
            sent.append(frames.udp6(source, target, sport, 53))
        went = "from" if listed else "to" if asked else "reflected" if sport == 1900 else "seven" if sport == 7 else "on"
        expected[went] += 1
    frames.write_capture(tmp_path / "in.pcap", sent)
    config = tmp_path / "sluice.yaml"
    config.write_text(configuration(played(tmp_path / "in.pcap", forever=False), 0, tmp_path / "sluice.sock", sections="""
sets:
  blocked: {type: net, elements: [10.1.0.0/16, "2001:db8:1::/48"]}
  asked: {type: ip, counters: true, elements: [198.51.100.7, "2001:db8:7::7"]}
early:
  - {name: from, in: inside, saddr: "@blocked", action: drop}
  - {name: elsewhere, in: outside, saddr: "@blocked", action: drop}
  - {name: to, daddr: "@asked", action: drop}
  - {name: reflected, in: inside, program: ports.o}
  - {name: seven, proto: udp, sport: 7, action: drop}
"""))
    with Gateway(build_dir(), config, tmp_path) as gateway:
        def all_ended():
            packets = gateway.status()["packets"]
            return packets["sent"] - packets["originated"] + packets["dropped"] == len(sent)
        wait_for(all_ended, "the end of all packets")
        (chain,) = [each for each in gateway.api.items("/v1/rules") if each["chain"] == "early"]
        bursts = gateway.worker()["bursts"]
        elements = gateway.api.items("/v1/sets/asked")
        status = gateway.status()["packets"]
    counted = {rule["name"]: rule["packets"] for rule in chain["rules"]}
    assert counted == {"from": expected["from"], "elsewhere": 0, "to": expected["to"], "seven": expected["seven"],
                       "reflected": len(sent) - expected["from"] - expected["to"]}
    assert chain["rules"][3]["program"]["verdicts"]["drop"] == expected["reflected"]
    assert chain["packets"] == status["sent"] - status["originated"] == expected["on"]
    assert sum(element["packets"] for element in elements) == expected["to"]
    assert bursts < len(sent) / 16
