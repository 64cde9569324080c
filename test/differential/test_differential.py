"""Sluice does what the kernel does: with every case that ever differed, and with a small random sample.

More than a sample: `sudo test/differential/run.py --rulesets 1000 --packets 1000`.
"""
import pathlib

import pytest
import run
from case import Case

CASES = sorted((pathlib.Path(__file__).parent / "cases").glob("*.json"))
SEEDS = range(1, 13)


def check(case: Case, directory: pathlib.Path) -> None:
    found = run.judge(case, directory)
    assert not found, f"{case.about}\nrules: {case.rules}\n" + "\n".join(each.text for each in found[:3])


@pytest.mark.parametrize("path", CASES, ids=lambda path: path.stem)
def test_saved_case(boxes, path, tmp_path):
    check(Case.load(path), tmp_path)


@pytest.mark.parametrize("seed", SEEDS)
def test_random_rules_and_traffic(boxes, seed, tmp_path):
    check(run.generated(seed, 600), tmp_path)


@pytest.mark.parametrize("seed", range(1, 4))
def test_corners_of_the_trackers(boxes, seed, tmp_path):
    check(run.generated(seed, 900, "dialogues"), tmp_path)


def test_router_without_rules(boxes, tmp_path):
    check(run.generated(1, 1000, "plain"), tmp_path)


@pytest.mark.parametrize("seed", range(1, 4))
def test_announcements_through_translation(boxes, seed, tmp_path):
    check(run.generated(seed, 300, "ftp"), tmp_path)


@pytest.mark.parametrize("seed", range(1, 7))
def test_translation(boxes, seed, tmp_path):
    check(run.generated(seed, 300, "nat"), tmp_path)
