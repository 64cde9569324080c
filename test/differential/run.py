#!/usr/bin/env python3
"""run.py [--rulesets N] [--packets M] [--seed S] [--keep DIR] [--case FILE]

Random rulesets and traffic, or one case, through the Linux kernel and through Sluice. Prints each difference, a small
case that shows it, and `N packets, M rulesets, K differences` at the end. Exit code 0 only without differences. As root.
"""
import argparse
import dataclasses
import pathlib
import random
import sys
import tempfile
import time

import dialogues
import ftp
import kernel
import nat
import packets
import shrink
import sluice
from case import Case
from compare import Difference, compare
from rulesets import Rulesets
from sieve import sieved
from traffic import Traffic


# Flows that have ended are noticed by those who count them when the kernel's clock has moved.
_BEYOND_A_JIFFY = 0.01


def generated(seed: int, count: int, kind: str = "rules") -> Case:
    """The case of a seed: with rules, `plain` for a router without rules and connection tracking, or about `timeouts`, or
    `dialogues`, without rules but tracked, or about how many `flows` there are."""
    r = random.Random(seed)
    if kind == "dialogues":
        return Case({}, sieved(dialogues.packets(r, count)), f"{kind}, seed {seed}")
    if kind == "ftp":
        return Case(*ftp.case(r, count), f"{kind}, seed {seed}")
    if kind == "nat":
        return Case(*nat.case(r, count), f"{kind}, seed {seed}")
    rules = None if kind == "plain" else Rulesets(r, kind == "timeouts", kind == "flows").ruleset()
    frames = sieved(Traffic(r, kind == "plain").packets(count, waits=8 if kind == "timeouts" else 0))
    if kind == "flows":
        frames = [dataclasses.replace(packet, wait=_BEYOND_A_JIFFY) for packet in frames]
    return Case(rules, frames, f"{kind}, seed {seed}")


def judge(case: Case, directory: pathlib.Path) -> list[Difference]:
    """What differs between the kernel and Sluice, which repeats what its rules decided or does not."""
    theirs = kernel.run(case)
    found = []
    for cache in (True, False):
        try:
            ours = sluice.run(case, theirs.times, directory, decision_cache=cache)
        except sluice.Refused as refused:
            return [Difference("refused", None, str(refused))]
        found += compare(case, theirs, ours)
        if case.rules is None:
            break
    return found


def shrunk(case: Case, first: Difference, directory: pathlib.Path, about: str) -> Case:
    """The case made small as long as this difference remains, with packets a reader can follow."""
    def mark(of: Case, difference: Difference) -> tuple:
        return difference.kind, None if difference.n is None else of.packets[difference.n].frame

    def differs(candidate: Case) -> bool:
        try:
            return any(mark(candidate, each) == mark(case, first) for each in judge(candidate, directory))
        except (RuntimeError, KeyError):  # rules that nft does not take, such as a jump to a chain that was left out
            return False

    # What came after it has no part in it.
    upto = case.packets if first.n is None else case.packets[:first.n + 1]
    small = shrink.shrink(case.with_packets(upto), differs)
    noted = [dataclasses.replace(packet, note=packets.summary(packet.frame)) for packet in small.packets]
    return dataclasses.replace(small, packets=noted, about=about)


def main() -> int:
    options = _arguments()
    why = kernel.why_not()
    if why:
        print(f"run.py: {why}", file=sys.stderr)
        return 1
    begin = time.monotonic()
    with tempfile.TemporaryDirectory() as scratch:
        keep = pathlib.Path(options.keep or scratch)
        keep.mkdir(parents=True, exist_ok=True)
        if options.case:
            cases = [(path.stem, Case.load(path)) for path in options.case]
        else:
            cases = ((f"{options.kind}-{seed}", generated(seed, options.packets, options.kind))
                     for seed in range(options.seed, options.seed + options.rulesets))
        total = rulesets = differences = 0
        for name, case in cases:
            found = judge(case, pathlib.Path(scratch) / "run")
            if found and (case.rules or {}).get("nat"):
                # The kernel draws ports. It may have drawn one that a later flow would have kept; not twice.
                found = judge(case, pathlib.Path(scratch) / "run")
            total, rulesets, differences = total + len(case.packets), rulesets + 1, differences + len(found)
            if found:
                _report(name, case, found, pathlib.Path(scratch) / "run", keep, options)
    spent = time.monotonic() - begin
    print(f"{total} packets, {rulesets} rulesets, {differences} differences ({total / spent:.0f} packets/s)")
    return 1 if differences else 0


def _report(name: str, case: Case, found: list[Difference], scratch: pathlib.Path, keep: pathlib.Path,
            options: argparse.Namespace) -> None:
    print(f"== {name}: {len(found)} differences")
    for difference in found[:options.show]:
        print(difference.text)
    case.save(keep / f"{name}.json")
    if options.shrink:
        small = shrunk(case, found[0], scratch, f"{name}: {found[0].kind}")
        path = small.save(keep / f"{name}-small.json")
        print(f"-- {path}: {len(small.packets)} packets, rules {small.rules}")
        for difference in judge(small, scratch)[:options.show]:
            print(difference.text)
    sys.stdout.flush()


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rulesets", type=int, default=20, help="how many rulesets, each with traffic of its own")
    parser.add_argument("--packets", type=int, default=1000, help="packets for each ruleset")
    parser.add_argument("--seed", type=int, default=1, help="of the first ruleset; each next one has the next seed")
    parser.add_argument("--keep", metavar="DIR", help="keep cases that differ, whole and shrunk")
    parser.add_argument("--case", metavar="FILE", type=pathlib.Path, nargs="+", help="cases to judge instead of random ones")
    parser.add_argument("--kind", choices=("rules", "plain", "timeouts", "dialogues", "flows", "nat", "ftp"), default="rules",
                        help="plain: routers without rules; timeouts: expiry, in real time (try --packets 100); "
                             "dialogues: corners of TCP and SCTP; flows: how many there are, slowly; nat: translation; ftp: announcements through it")
    parser.add_argument("--no-shrink", dest="shrink", action="store_false", help="only report what differs")
    parser.add_argument("--show", type=int, default=3, help="how many differences of a case to print")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
