#!/usr/bin/env python3
"""Forwarding rate of one worker against dpdk-testpmd in macswap mode, same source, same run.

Frames of 64 bytes (with check sequence) come from net_pcap (infinite_rx) and go to net_null. Runs of the two
alternate, so that a noisy machine disturbs both; rates are by the CPU time of the thread that forwards. Run it as root on an otherwise idle machine:

    test/bench/forward.py [--build build] [--runs 5] [--seconds 4] [--cpu 1] [--case NAME] [--json FILE]
"""

import argparse
import pathlib
import random
import sys
import tempfile

import figures
import frames
import testpmd
from gateway import Gateway, configuration

FLOWS = 4096
SEED = 7


def make_ip4(chance):
    return [frames.udp4(0x0A000000 | chance.getrandbits(24), 0xC6120000 | chance.getrandbits(17),
                        chance.randrange(1024, 65536), 53) for _ in range(FLOWS)]


def make_ip6(chance):
    inside = bytes.fromhex("fd000001") + bytes(4)
    outside = bytes.fromhex("20010db8")
    return [frames.udp6(inside + chance.randbytes(8), outside + chance.randbytes(12), chance.randrange(1024, 65536), 53)
            for _ in range(FLOWS)]


def make_ip4_everywhere(chance):
    """Destinations all over the unicast space, so that a large table is really used."""
    result = []
    while len(result) < FLOWS:
        destination = chance.getrandbits(32)
        first = destination >> 24
        if first in (0, 10, 127) or first >= 224 or destination >> 16 == 0xA9FE:
            continue
        result.append(frames.udp4(0x0A000000 | chance.getrandbits(24), destination, chance.randrange(1024, 65536), 53))
    return result


def million_routes(chance):
    """Lengths roughly as in the Internet's tables: most are /24, many /22 to /20, few are short."""
    lengths = [24] * 60 + [23] * 9 + [22] * 12 + [21] * 5 + [20] * 5 + [19] * 3 + [18] * 2 + [17, 16, 16, 14]
    routes = set()
    while len(routes) < 1_000_000:
        length = chance.choice(lengths)
        network = chance.getrandbits(32) >> (32 - length) << (32 - length)
        first = network >> 24
        if first in (0, 10, 127) or first >= 224:
            continue
        routes.add((network, length))
    for network, length in sorted(routes):
        dotted = ".".join(str(network >> shift & 255) for shift in (24, 16, 8, 0))
        yield f"  - {{to: {dotted}/{length}, via: 192.0.2.1}}\n"


CASES = {
    "ip4": {"frames": make_ip4, "routes": None, "goal": 0.45},
    "ip4-1m-routes": {"frames": make_ip4_everywhere, "routes": million_routes, "goal": 0.40},
    "ip6": {"frames": make_ip6, "routes": None, "goal": 0.35},
}


def run_sluice(options, config, folder):
    """Packets a second of CPU time, cycles by stage, memory."""
    with Gateway(options.build, config, folder) as gateway:
        gateway.rate(0.5)
        rate = gateway.rate(options.seconds)
        if rate["sent"] < rate["received"] * 0.999:
            sys.exit(f"sluice received {rate['received']} packets but sent {rate['sent']}: {gateway.api.items('/v1/drops')}")
        return rate["cpu_pps"], gateway.worker()["stages"], gateway.status()["memory"]


def measure(name, options, folder):
    case = CASES[name]
    chance = random.Random(SEED)
    capture = folder / f"{name}.pcap"
    frames.write_capture(capture, case["frames"](chance))
    config = folder / f"{name}.yaml"
    routes = "".join(case["routes"](chance)) if case["routes"] else ""
    config.write_text(configuration(f"rx_pcap={capture},infinite_rx=1", options.cpu, folder / "sluice.sock") + routes)
    ours, theirs, stages = [], [], {}
    for _ in range(options.runs):
        theirs.append(testpmd.run(capture, options.cpu, options.seconds)["cpu_pps"] / 1e6)
        rate, stages, memory = run_sluice(options, config, folder)
        ours.append(rate / 1e6)
    result = {"case": name, "sluice_mpps": figures.summary(ours)["median"],
              "testpmd_mpps": figures.summary(theirs)["median"],
              "sluice_runs": ours, "testpmd_runs": theirs, "goal": case["goal"],
              "cycles_per_packet": {stage: round(value, 1) for stage, value in stages.items()},
              "resident_mb": round(memory["resident"] / 1e6), "hugepages_mb": round(memory["hugepages"] / 1e6)}
    result["ratio"] = result["sluice_mpps"] / result["testpmd_mpps"]
    return result


def main():
    figures.clean_up_when_ended()
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--build", type=pathlib.Path, default=pathlib.Path("build"))
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--seconds", type=int, default=4)
    parser.add_argument("--cpu", type=int, default=1)
    parser.add_argument("--case", choices=CASES, action="append")
    parser.add_argument("--json", type=pathlib.Path)
    options = parser.parse_args()
    options.build = options.build.absolute()
    results = []
    with tempfile.TemporaryDirectory(prefix="sluice-bench-") as folder:
        print(f"{'case':15} {'sluice':>12} {'testpmd':>12} {'ratio':>6} {'goal':>5}  cycles a packet by stage")
        for name in options.case or CASES:
            result = measure(name, options, pathlib.Path(folder))
            results.append(result)
            stages = " ".join(f"{stage} {value:.0f}" for stage, value in result["cycles_per_packet"].items())
            print(f"{name:15} {result['sluice_mpps']:7.2f} Mpps {result['testpmd_mpps']:7.2f} Mpps "
                  f"{result['ratio']:6.2f} {result['goal']:5.2f}  {stages}", flush=True)
    figures.write(options.json, figures.machine(), results)


if __name__ == "__main__":
    main()
