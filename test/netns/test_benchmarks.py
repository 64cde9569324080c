"""The benchmarks against the kernel still run: each in a moment, without a word about how fast anything is."""
import json
import subprocess

import pytest
from router import ROOT, build_dir
from waiting import need

pytestmark = [pytest.mark.sluice_only, pytest.mark.timing]


def quickly(name: str, tmp_path) -> dict | list:
    need((build_dir() / "test/bench/raw_sender").is_file(), "raw_sender is not built; run scripts/build")
    written = tmp_path / "figures.json"
    done = subprocess.run([ROOT / "test/bench" / name, "--quick", "--build", build_dir(), "--json", written],
                          capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return json.loads(written.read_text())["results"]


def test_firewall(tmp_path):
    results = {each["case"]: each for each in quickly("firewall.py", tmp_path)}
    assert set(results) == {"udp-1k", "tcp-1k", "nat-udp-1k", "nat-udp6-1k", "nat-tcp-1k", "new-10-rules", "new-mappings"}
    for name, case in results.items():
        assert case["sluice"]["median"] > 0
        assert name == "nat-udp6-1k" or case["kernel rules"]["median"] > 0
        assert not name.startswith("nat-") and name != "new-mappings" or case["without nat"]["median"] > 0


def test_sets(tmp_path):
    loaded = quickly("sets.py", tmp_path)["load"]
    assert loaded["sluice"]["received"]["median"] > 0
    assert loaded["sluice"]["own_mb"]["median"] > 0
    assert "own_mb" in loaded["nft"]


def test_early(tmp_path):
    results = {each["case"]: each for each in quickly("early.py", tmp_path)}
    assert {"addresses", "prefixes"} <= set(results)
    for case in results.values():
        assert case["sluice"]["median"] > 0
