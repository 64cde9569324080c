#!/usr/bin/env python3
"""Forwarding rate of one worker against dpdk-testpmd in macswap mode, same source, same run.

Frames of 64 bytes (with check sequence) come from net_pcap (infinite_rx) and go to net_null. Runs of the two
alternate, so that a noisy machine disturbs both. Run it as root on an otherwise idle machine:

    test/bench/forward.py [--build build] [--runs 5] [--seconds 4] [--cpu 1] [--case NAME] [--json FILE]
"""

import argparse
import json
import os
import random
import re
import signal
import statistics
import struct
import subprocess
import sys
import tempfile
import time
from pathlib import Path

BOX_MAC = bytes.fromhex("020000000001")
PEER_MAC = bytes.fromhex("0200000000fe")
FLOWS = 4096
SEED = 7


def checksum(data):
    total = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


def ip4_frame(source, destination, sport, dport):
    udp = struct.pack("!HHHH", sport, dport, 26, 0) + bytes(18)
    header = struct.pack("!BBHHHBBHII", 0x45, 0, 20 + len(udp), 1, 0, 64, 17, 0, source, destination)
    header = header[:10] + struct.pack("!H", checksum(header)) + header[12:]
    return BOX_MAC + PEER_MAC + b"\x08\x00" + header + udp


def ip6_frame(source, destination, sport, dport):
    udp = struct.pack("!HHHH", sport, dport, 8, 0xFFFF)
    header = struct.pack("!IHBB", 0x60000000, len(udp), 17, 64) + source + destination
    return BOX_MAC + PEER_MAC + b"\x86\xdd" + header + udp


def write_capture(path, frames):
    with open(path, "wb") as file:
        file.write(struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 65535, 1))
        for frame in frames:
            file.write(struct.pack("<IIII", 0, 0, len(frame), len(frame)) + frame)


def make_ip4(chance):
    return [ip4_frame(0x0A000000 | chance.getrandbits(24), 0xC6120000 | chance.getrandbits(17),
                      chance.randrange(1024, 65536), 53) for _ in range(FLOWS)]


def make_ip6(chance):
    inside = bytes.fromhex("fd000001") + bytes(4)
    outside = bytes.fromhex("20010db8")
    return [ip6_frame(inside + chance.randbytes(8), outside + chance.randbytes(12), chance.randrange(1024, 65536), 53)
            for _ in range(FLOWS)]


def make_ip4_everywhere(chance):
    """Destinations all over the unicast space, so that a large table is really used."""
    frames = []
    while len(frames) < FLOWS:
        destination = chance.getrandbits(32)
        first = destination >> 24
        if first in (0, 10, 127) or first >= 224 or destination >> 16 == 0xA9FE:
            continue
        frames.append(ip4_frame(0x0A000000 | chance.getrandbits(24), destination, chance.randrange(1024, 65536), 53))
    return frames


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


def write_config(path, capture, routes, cpu, socket):
    with open(path, "w") as file:
        file.write(f"""engine: {{workers: [{cpu}], poll: busy, mbufs: 16384}}
control: {{socket: {socket}}}
interfaces:
  inside:
    device: "net_pcap0,rx_pcap={capture},infinite_rx=1"
    mac: {BOX_MAC.hex(":")}
    addresses: [10.255.255.1/30, "fd00:ffff::1/64"]
  outside:
    device: "net_null0,no-rx=1"
    addresses: [192.0.2.2/24, "2001:db8:ffff::2/64"]
neighbours:
  - {{interface: outside, ip: 192.0.2.1, mac: {PEER_MAC.hex(":")}}}
  - {{interface: outside, ip: "2001:db8:ffff::1", mac: {PEER_MAC.hex(":")}}}
routes:
  - {{to: default, via: 192.0.2.1}}
  - {{to: "::/0", via: "2001:db8:ffff::1"}}
""")
        if routes is not None:
            file.writelines(routes)


def ask(build, socket, verb):
    text = subprocess.run([build / "app/sluicectl", "-s", socket, "--json", verb], check=True, capture_output=True).stdout
    return json.loads(text)


def run_sluice(build, config, socket, seconds, folder):
    environment = dict(os.environ, SLUICE_STATE_DIR=str(folder))
    with open(folder / "sluice.log", "w") as log:
        daemon = subprocess.Popen([build / "app/sluice", "run", "-c", config], stdout=log, stderr=log, env=environment)
    try:
        deadline = time.monotonic() + 120
        while not socket.exists():
            if daemon.poll() is not None or time.monotonic() > deadline:
                sys.exit("sluice did not start:\n" + (folder / "sluice.log").read_text())
            time.sleep(0.05)
        time.sleep(0.5)
        before, began = ask(build, socket, "status"), time.monotonic()
        time.sleep(seconds)
        after, ended = ask(build, socket, "status"), time.monotonic()
        workers = ask(build, socket, "workers")["items"][0]
        sent = after["packets"]["sent"] - before["packets"]["sent"]
        received = after["packets"]["received"] - before["packets"]["received"]
        if sent < received * 0.999:
            sys.exit(f"sluice received {received} packets but sent {sent}: {ask(build, socket, 'drops')}")
        return sent / (ended - began) / 1e6, workers["stages"], after["memory"]
    finally:
        daemon.send_signal(signal.SIGTERM)
        daemon.wait(timeout=20)


def run_testpmd(capture, cpu, seconds):
    control = 0 if cpu != 0 else 1
    command = ["dpdk-testpmd", f"--lcores={control}@{control},{control + 1 if cpu < control else cpu}@{cpu}",
               "--in-memory", "--no-pci", "--no-telemetry", "-m", "128", "--log-level=4",
               f"--vdev=net_pcap0,rx_pcap={capture},infinite_rx=1", "--vdev=net_null0,no-rx=1", "--",
               "--forward-mode=macswap", "--auto-start", "--stats-period=1", "--total-num-mbufs=16384",
               "--burst=64"]
    run = subprocess.run(["timeout", "-s", "INT", str(seconds + 3), *command], stdin=subprocess.DEVNULL,
                         capture_output=True, text=True)
    rates = [int(rate) for rate in re.findall(r"Rx-pps:\s+(\d+)", run.stdout)]
    rates = [rate for rate in rates if rate > 0]
    if len(rates) < 3:
        sys.exit("dpdk-testpmd gave no rates:\n" + run.stdout[-2000:] + run.stderr[-2000:])
    return statistics.median(rates[1:]) / 1e6


def measure(name, options, folder):
    case = CASES[name]
    chance = random.Random(SEED)
    capture = folder / f"{name}.pcap"
    write_capture(capture, case["frames"](chance))
    config = folder / f"{name}.yaml"
    socket = folder / "sluice.sock"
    write_config(config, capture, case["routes"](chance) if case["routes"] else None, options.cpu, socket)
    ours, theirs, stages = [], [], {}
    for _ in range(options.runs):
        theirs.append(run_testpmd(capture, options.cpu, options.seconds))
        rate, stages, memory = run_sluice(options.build, config, socket, options.seconds, folder)
        ours.append(rate)
    result = {"case": name, "sluice_mpps": statistics.median(ours), "testpmd_mpps": statistics.median(theirs),
              "sluice_runs": ours, "testpmd_runs": theirs, "goal": case["goal"],
              "cycles_per_packet": {stage: round(value, 1) for stage, value in stages.items()},
              "resident_mb": round(memory["resident"] / 1e6), "hugepages_mb": round(memory["hugepages"] / 1e6)}
    result["ratio"] = result["sluice_mpps"] / result["testpmd_mpps"]
    return result


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--build", type=Path, default=Path("build"))
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--seconds", type=int, default=4)
    parser.add_argument("--cpu", type=int, default=1)
    parser.add_argument("--case", choices=CASES, action="append")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    options.build = options.build.absolute()
    results = []
    with tempfile.TemporaryDirectory(prefix="sluice-bench-") as folder:
        print(f"{'case':15} {'sluice':>12} {'testpmd':>12} {'ratio':>6} {'goal':>5}  cycles a packet by stage")
        for name in options.case or CASES:
            result = measure(name, options, Path(folder))
            results.append(result)
            stages = " ".join(f"{stage} {value:.0f}" for stage, value in result["cycles_per_packet"].items())
            print(f"{name:15} {result['sluice_mpps']:7.2f} Mpps {result['testpmd_mpps']:7.2f} Mpps "
                  f"{result['ratio']:6.2f} {result['goal']:5.2f}  {stages}", flush=True)
    if options.json:
        options.json.write_text(json.dumps(results, indent=1) + "\n")


if __name__ == "__main__":
    main()
