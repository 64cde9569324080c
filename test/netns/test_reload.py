"""A new configuration replaces the old one between two bursts: nothing is lost, a bad one changes nothing."""
import copy
import os
import signal
import subprocess

import pytest
import yaml
from lab import LAN, WAN, two_hosts
from traffic import UdpStream, iperf3, serve_iperf3
from api import ApiError
from waiting import wait_for

pytestmark = pytest.mark.sluice_only
WAN4 = "203.0.113.10"
RELOADS = 50 if os.environ.get("SLUICE_SANITIZED") == "1" else 1000


@pytest.fixture
def fresh(lab):
    lab.connect(**LAN)
    lab.connect(**WAN)
    lab.start(two_hosts())
    lab.hosts["lan"].run(f"ping -c 1 -W 2 {WAN4}")
    return lab


def _variants(config: dict) -> list[dict]:
    """The same forwarding, with and without a hundred routes that this traffic does not take."""
    more = copy.deepcopy(config)
    more["routes"] = [{"to": f"10.{n}.0.0/16", "type": "blackhole"} for n in range(100)]
    return [more, copy.deepcopy(config)]


def test_reloads_under_load_lose_no_packet(fresh):
    router = fresh.router
    texts = []
    for variant in _variants(router.config):
        router.write(variant)
        texts.append(router.config_file.read_text())
    server = serve_iperf3(fresh.hosts["wan"])
    with UdpStream(fresh.hosts["lan"], fresh.hosts["wan"], WAN4) as stream:
        before = router.drops()
        client = fresh.hosts["lan"].start(["iperf3", "-c", WAN4, "-t", "60", "-b", "20M", "-J"], stdout=subprocess.DEVNULL)
        for number in range(RELOADS):
            router.api.call("POST", "/v1/config/apply", texts[number % 2])
        assert client.poll() is None, "iperf3 ended early"
        fresh.hosts["lan"].stop(client)
    assert stream.lost() == 0, f"{stream.lost()} of {stream.sent} datagrams lost in {RELOADS} reloads"
    after = router.drops()
    errors = {reason: n - before.get(reason, 0) for reason, n in after.items() if n > before.get(reason, 0)}
    assert not [r for r in errors if "route" in r or "neighbour" in r or "reload" in r], errors
    generation = router.api.get("/v1/status")["config"]["generation"]
    assert generation >= RELOADS
    fresh.hosts["wan"].stop(server)


def test_iperf3_survives_reloads(fresh):
    server = serve_iperf3(fresh.hosts["wan"])
    router = fresh.router
    texts = [router.write(v) or router.config_file.read_text() for v in _variants(router.config)]
    client = fresh.hosts["lan"].start(["iperf3", "-c", WAN4, "-t", "2", "-J"], stdout=subprocess.DEVNULL)
    number = 0
    while client.poll() is None:
        router.api.call("POST", "/v1/config/apply", texts[number % 2])
        number += 1
    assert client.returncode == 0 and number > 10
    fresh.hosts["wan"].stop(server)


def test_a_refused_file_changes_nothing(fresh):
    router = fresh.router
    before = router.api.raw("GET", "/v1/config"), router.api.items("/v1/routes")
    with UdpStream(fresh.hosts["lan"], fresh.hosts["wan"], WAN4) as stream:
        for bad in (
            "interfaces: [",
            "no_such_section: 1\n",
            router.config_file.read_text() + "routes:\n  - {to: 10.0.0.0/8, via: nonsense}\n",
        ):
            with pytest.raises(ApiError) as refusal:
                router.api.call("POST", "/v1/config/apply", bad)
            assert 400 <= refusal.value.status < 500 and refusal.value.body["error"]["message"]
        good = router.config_file.read_text()
        router.config_file.write_text(good + "\nno_such_section: 1\n")
        done = router.ctl("reload", check=False)
        assert done.returncode == 1 and "no_such_section" in done.stderr, done
        router.config_file.write_text(good)
    assert stream.lost() == 0
    assert (router.api.raw("GET", "/v1/config"), router.api.items("/v1/routes")) == before


def test_what_cannot_change_live_is_refused_by_name(fresh):
    router = fresh.router
    fresh_mbufs = router.config["engine"]["mbufs"]
    changed = copy.deepcopy(router.config)
    changed["engine"]["mbufs"] = 16384
    with pytest.raises(ApiError) as refusal:
        router.apply(changed)
    assert "mbufs" in str(refusal.value.body)
    with pytest.raises(ApiError) as refusal:
        router.api.call("POST", "/v1/reload")
    assert refusal.value.status == 409 and "mbufs" in refusal.value.body["error"]["message"]
    changed = copy.deepcopy({**router.config, "engine": {**router.config["engine"], "mbufs": fresh_mbufs}})
    changed["interfaces"]["another"] = {"device": "net_null7", "addresses": ["192.0.2.1/24"]}
    changes = router.api.call("POST", "/v1/config/diff", yaml.safe_dump(changed))["changes"]
    assert changes and all(change["fixed"] for change in changes if "another" in change["path"])
    fresh.hosts["lan"].run(f"ping -c 1 -W 2 {WAN4}")


def test_there_is_room_for_no_more_flows_than_at_the_start(fresh):
    router = fresh.router
    rules = {"policy": "accept"}
    for most, is_refused in ((500_000, False), (1_048_576, False), (1_048_577, True)):
        router.write({**router.config, "conntrack": {"max": most}, "filter": {"forward": rules}})
        text = router.config_file.read_text()
        changes = router.api.call("POST", "/v1/config/diff", text)["changes"]
        assert [change["path"] for change in changes if change["fixed"]] == ["conntrack.max"] * is_refused
        if not is_refused:
            router.api.call("POST", "/v1/config/apply", text)
            wait_for(lambda most=most: router.api.get("/v1/conntrack/count")["max"] == most, "the worker to know")
            continue
        with pytest.raises(ApiError) as refusal:
            router.api.call("POST", "/v1/config/apply", text)
        assert "conntrack.max" in refusal.value.body["error"]["message"]
    fresh.hosts["lan"].run(f"ping -c 1 -W 2 {WAN4}")


def test_sighup_and_sluicectl_reload_the_file(fresh):
    router = fresh.router
    first = router.api.get("/v1/status")["config"]["generation"]

    def generation_passes(number):
        wait_for(lambda: router.api.get("/v1/status")["config"]["generation"] > number, "a new generation")
        return router.api.get("/v1/status")["config"]["generation"]

    router.write({**router.config, "routes": [{"to": "10.1.0.0/16", "type": "blackhole"}]})
    router.process.send_signal(signal.SIGHUP)
    second = generation_passes(first)
    assert "10.1.0.0/16" in {r["to"] for r in router.api.items("/v1/routes")}
    router.write({**router.config, "routes": [{"to": "10.2.0.0/16", "type": "blackhole"}]})
    router.ctl("reload")
    generation_passes(second)
    assert "10.2.0.0/16" in {r["to"] for r in router.api.items("/v1/routes")}


def test_an_unconfirmed_apply_rolls_back(fresh):
    router = fresh.router
    router.write({**router.config, "routes": [{"to": "10.1.0.0/16", "type": "blackhole"}]})
    text = router.config_file.read_text()

    def there():
        return "10.1.0.0/16" in {r["to"] for r in router.api.items("/v1/routes")}

    router.api.call("POST", "/v1/config/apply?confirm=1", text)
    assert there()
    wait_for(lambda: not there(), "the rollback")
    router.api.call("POST", "/v1/config/apply?confirm=30", text)
    router.api.call("POST", "/v1/config/confirm")
    assert there()
    router.api.call("POST", "/v1/config/rollback")
    assert not there()


def test_a_rollback_brings_back_what_was_in_force(fresh, tmp_path):
    """Whatever has become of the files since; what was changed at run time, too."""
    router, listed = fresh.router, tmp_path / "listed.txt"
    listed.write_text("198.51.100.1\n")
    plain = router.config
    router.write({**plain, "sets": {"listed": {"type": "ip", "file": str(listed)}},
                  "early": [{"name": "listed", "saddr": "@listed", "action": "drop"}]})
    with_set = router.config_file.read_text()
    router.api.call("POST", "/v1/config/apply", with_set)
    router.api.call("POST", "/v1/sets/listed/elements", ["198.51.100.2"])
    router.write(plain)
    router.api.call("POST", "/v1/config/apply?confirm=1", router.config_file.read_text())
    listed.unlink()
    wait_for(lambda: router.api.items("/v1/sets"), "the rollback")
    for element in ("198.51.100.1", "198.51.100.2"):
        assert router.api.get(f"/v1/sets/listed/test?element={element}")["match"]
    router.api.call("POST", "/v1/config/rollback")
    assert not router.api.items("/v1/sets")
    router.api.call("POST", "/v1/config/rollback")
    assert router.api.get("/v1/sets/listed/test?element=198.51.100.2")["match"]


def test_a_refused_apply_moves_no_listener(fresh):
    router = fresh.router
    before = router.socket.stat().st_mode
    router.write({**router.config, "control": {**router.config["control"], "socket_mode": "0600"},
                  "log": {"target": "/nonexistent/sluice.log"}})
    with pytest.raises(ApiError) as refusal:
        router.api.call("POST", "/v1/config/apply", router.config_file.read_text())
    assert refusal.value.status == 409 and router.socket.stat().st_mode == before
