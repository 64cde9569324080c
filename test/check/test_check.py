"""`sluice check`: the examples are valid, mistakes are told all at once with their places."""
import json
import os
import pathlib
import re
import subprocess

import pytest
import yaml

ROOT = pathlib.Path(__file__).resolve().parents[2]
EXAMPLES = sorted((ROOT / "conf").glob("*.yaml"))

MISTAKES = """\
engine: {workers: many}
control: {socket_mode: "0999"}
log: {levle: debug}
interfaces:
  lan:
    device: "net_null0"
    mtu: 12
    addresses: [192.168.1.300/24]
    rp_filter: sometimes
  wan: {device: "net_null1", mac: 02:00:00:00:01}
  guests: {parent: lam, vlan: 20}
routes:
  - {to: default, via: 203.0.113.1, tpye: unicast}
  - {to: 10.0.0.0/40, type: blackhole}
  - {to: 10.0.0.0/8, type: nowhere}
route_rules:
  - {saddr: 192.168.1.128/25, table: backup, table: other}
"""
# Line of MISTAKES: what the message about it must say.
EXPECTED = {
    1: ["engine.workers"], 2: ["control.socket_mode"], 3: ["levle", "did you mean 'level'"], 7: ["interfaces.lan.mtu"],
    8: ["192.168.1.300"], 9: ["interfaces.lan.rp_filter", "strict"], 10: ["interfaces.wan.mac"],
    11: ["lam", "did you mean 'lan'"], 13: ["tpye", "did you mean 'type'"], 14: ["10.0.0.0/40"],
    15: ["nowhere", "blackhole"], 17: ["table"],
}


def sluice(*arguments) -> subprocess.CompletedProcess:
    build = pathlib.Path(os.environ.get("SLUICE_BUILD", ROOT / "build"))
    program = build / "app/sluice"
    assert program.is_file(), f"sluice is not built in {build}; run scripts/build"
    return subprocess.run([program, *map(str, arguments)], capture_output=True, text=True, timeout=60)


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda p: p.stem)
def test_examples_are_valid(path):
    done = sluice("check", "-c", path)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda p: p.stem)
def test_what_is_printed_is_the_same_configuration(path, tmp_path):
    printed = sluice("check", "-c", path, "--print")
    assert printed.returncode == 0, printed.stderr
    again = tmp_path / "again.yaml"
    again.write_text(printed.stdout)
    assert yaml.safe_load(printed.stdout)["engine"]["budget"] == 64, "defaults are filled in"
    assert sluice("check", "-c", again, "--print").stdout == printed.stdout
    as_json = sluice("check", "-c", path, "--print", "--json")
    assert set(json.loads(as_json.stdout)) == set(yaml.safe_load(printed.stdout))
    again.write_text(as_json.stdout)
    assert sluice("check", "-c", again, "--print").stdout == printed.stdout, "JSON is YAML"


def test_twelve_mistakes_are_told_at_once(tmp_path):
    path = tmp_path / "wrong.yaml"
    path.write_text(MISTAKES)
    done = sluice("check", "-c", path)
    assert done.returncode == 1
    lines = (done.stdout + done.stderr).splitlines()
    by_line: dict[int, str] = {}
    for line in lines:
        if match := re.match(rf"{re.escape(str(path))}:(\d+):\d+: (.*)", line):
            by_line[int(match[1])] = by_line.get(int(match[1]), "") + match[2]
    missing = {number: words for number, words in EXPECTED.items()
               if not all(word in by_line.get(number, "") for word in words)}
    assert not missing, "\n".join(lines)


@pytest.mark.parametrize("text", ["", "interfaces: [", "[]", "\0", "a: &x [*x]", "\xff\xfe", "interfaces: {" * 5000])
def test_broken_files_are_refused_in_words(tmp_path, text):
    path = tmp_path / "broken.yaml"
    path.write_bytes(text.encode("latin-1"))
    done = sluice("check", "-c", path)
    assert done.returncode in (0, 1) and (text == "" or done.returncode == 1)
    assert done.returncode == 0 or str(path) in done.stdout + done.stderr


@pytest.mark.parametrize("workers, ports, valid", [
    (1, "40000-40063", True), (4, "40000-40063", False), ("[1, 2]", "40000-40063", False),
    (4, "40000-40255", True), (4, "40001-40190", False), (4, None, True)])
def test_a_range_of_ports_has_some_for_each_worker(tmp_path, workers, ports, valid):
    path = tmp_path / "nat.yaml"
    path.write_text(f"""\
engine: {{workers: {workers}}}
interfaces:
  lan: {{device: "net_null0", addresses: [192.168.1.1/24]}}
  wan: {{device: "net_null1", addresses: [203.0.113.2/24]}}
nat:
  postrouting:
    - {{name: hide, out: wan, masquerade: true{f', ports: {ports}' if ports else ''}}}
""")
    done = sluice("check", "-c", path)
    said = done.stdout + done.stderr
    assert (done.returncode == 0) == valid, said
    assert valid or ("nat.yaml:7:" in said and "without ports" in said and "expected at least" in said)


def test_exit_codes(tmp_path):
    assert sluice("check", "-c", tmp_path / "absent.yaml").returncode == 1
    assert sluice("check").returncode == 2
    assert sluice("no_such_command").returncode == 2
    assert sluice("--help").returncode == 0 and "replay" in sluice("--help").stdout
    assert sluice("check", "--help").returncode == 0
