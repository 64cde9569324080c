"""The benchmarks still run: each in a moment, without a word about how fast anything is."""
import json
import subprocess

import pytest
from router import ROOT, build_dir
from waiting import need

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
    (forward,) = [each for each in results.values() if each["part"] == "forward"]
    assert forward["lines"][0]["peer"] == "testpmd macswap" and forward["lines"][0]["ratio"]["median"] > 0
    for name in ("udp-1k", "nat-tcp-1k", "new-10-rules"):
        assert results[name]["figures"]["kernel rules"]["median"] > 0
    assert all(results["set-load"]["notes"][tool][0]["own_mb"] > 0 for tool in ("sluice", "nft"))


def test_two_builds(tmp_path):
    told = quickly("bench-compare", tmp_path, build_dir(), build_dir(), "--case", "ip4-1k", "--repeat", "2", "--threshold", "10000")
    (result,) = told["results"]
    assert [len(result[each]["runs"]) for each in ("a", "b", "ratio")] == [2, 2, 2]
    assert told["a"]["commit"] == told["b"]["commit"]
