"""The benchmarks still run: each in a moment, without a word about how fast anything is."""
import json
import subprocess
import sys

import pytest
from router import ROOT, build_dir
from waiting import need

sys.path.append(str(ROOT / "test/bench"))
import compare  # noqa: E402
import contest  # noqa: E402

pytestmark = [pytest.mark.sluice_only, pytest.mark.timing]


def quickly(script: str, tmp_path, *arguments) -> dict:
    need((build_dir() / "test/bench/raw_sender").is_file(), "raw_sender is not built; run scripts/build")
    written = tmp_path / "figures.json"
    done = subprocess.run([ROOT / "scripts" / script, *arguments, "--quick", "--json", written],
                          capture_output=True, text=True, timeout=180, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    print(done.stdout)
    return json.loads(written.read_text())


def test_all(tmp_path):
    told = quickly("bench", tmp_path, "--build", build_dir(), "--seed", "11")
    assert told["machine"]["cpu"] and "commit" in told["build"] and told["build"]["compiler"] and told["seed"] == 11
    results = {each["case"]: each for each in told["results"]}
    listed = subprocess.run([ROOT / "scripts/bench", "--quick", "--list"], capture_output=True, text=True, check=True)
    assert set(results) == {line.split()[1] for line in listed.stdout.splitlines()}
    assert len({each["part"] for each in results.values()}) == len({line.split()[0] for line in listed.stdout.splitlines()})
    for name, result in results.items():
        if "skipped" in result:
            assert "not installed" in result["skipped"] or "does not load" in result["skipped"], result
            continue
        assert result["figures"]["sluice"]["median"] > 0, result
        assert len(result["figures"]["sluice"]["runs"]) == 1
        assert result["lines"], name
        assert any("app/sluice run" in command for command in result["commands"])
    (forward,) = [each for each in results.values() if each["part"] == "forward"]
    assert forward["lines"][0]["peer"] == "testpmd macswap" and forward["lines"][0]["ratio"]["median"] > 0
    for name in ("udp-1k", "nat-tcp-1k", "new-10-rules"):
        assert results[name]["figures"]["kernel rules"]["median"] > 0
    # What the kernel's sets take is the difference of two figures of the whole machine.
    assert results["set-load"]["notes"]["sluice"][0]["own_mb"] > 0 and "own_mb" in results["set-load"]["notes"]["nft"][0]


def test_two_builds(tmp_path):
    told = quickly("bench-compare", tmp_path, build_dir(), build_dir(), "--case", "ip4-1k", "--repeat", "2", "--threshold", "10000")
    (result,) = told["results"]
    assert [len(result[each]["runs"]) for each in ("a", "b", "ratio")] == [2, 2, 2]
    assert told["a"]["commit"] == told["b"]["commit"]


def test_two_builds_at_once(tmp_path):
    told = quickly("bench-compare", tmp_path, build_dir(), build_dir(), "--at-once", "--case", "tcp-1k", "--case", "early-addresses",
                   "--case", "new-10-rules", "--repeat", "2", "--threshold", "10000")
    results = {each["case"]: each for each in told["results"]}
    for name in ("tcp-1k", "early-addresses"):
        assert [len(results[name][each]["runs"]) for each in ("a", "b", "ratio")] == [2, 2, 2], results[name]
        assert results[name]["a"]["least"] > 0
    assert "in turns" in results["new-10-rules"]["skipped"]


@pytest.mark.parametrize("unit, before, after, verdict", [
    (contest.MPPS, [10, 10.1, 9.9], [9.0, 9.1, 8.9], "WORSE"),
    (contest.MPPS, [10, 10.1, 9.9], [9.8, 9.91, 9.7], "worse, within the threshold"),
    (contest.MPPS, [10, 10.1, 9.9], [11, 11.1, 10.9], "better"),
    (contest.MPPS, [10, 12, 9], [9, 11, 9.5], "within the spread"),
    (contest.NANOSECONDS, [10, 10.1, 9.9], [11, 11.1, 10.9], "WORSE"),
    (contest.NANOSECONDS, [10, 10.1, 9.9], [9.0, 9.1, 8.9], "better"),
    (contest.MPPS, [10], [5], "within the spread"),
])
def test_what_a_comparison_says(unit, before, after, verdict):
    assert compare.verdict(compare.judge(unit, before, after), threshold=3) == verdict


@pytest.mark.parametrize("result, code", [({"verdict": "WORSE"}, 1), ({"verdict": "better"}, 0), ({"failed": "lost"}, 2), ({"skipped": "no"}, 0)])
def test_a_regression_is_an_error(result, code):
    assert compare.close([{"case": "one", "verdict": "within the spread"}, {"case": "other", **result}], threshold=3) == code


@pytest.mark.parametrize("unit, line, met", [
    (contest.MPPS, contest.Against("peer", 0.5), True),
    (contest.MPPS, contest.Against("peer", 0.7), False),
    (contest.MPPS, contest.Against(aim=3), True),
    (contest.MICROSECONDS, contest.Against(aim=200), False),
    (contest.SECONDS, contest.Against("peer", 1), True),
])
def test_whether_an_aim_is_met(unit, line, met):
    runs = {"sluice": [4e6, 3e6, 5e6], "peer": [6e6, 6e6, 8e6]}
    assert contest.compare(unit, line, runs)["met"] is met
