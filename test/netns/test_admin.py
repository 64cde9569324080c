"""What the operator sees and does: sluicectl, the API, metrics, permissions."""
import grp
import json
import os
import re
import socket
import stat
import subprocess
import threading

import pytest
from api import Api, ApiError
from lab import LAN, two_hosts
from router import program
from waiting import wait_for

pytestmark = [pytest.mark.sluice_only, pytest.mark.one_kind]

# verb: the API's path for the same thing
LISTS = {
    "status": "/v1/status", "interfaces": "/v1/interfaces", "workers": "/v1/workers", "drops": "/v1/drops",
    "counters": "/v1/counters", "routes": "/v1/routes", "neighbours": "/v1/neighbours",
}


def _shape(value):
    """The value without its numbers, which move between two questions."""
    if isinstance(value, dict):
        return {key: _shape(v) for key, v in value.items()}
    if isinstance(value, list):
        return [_shape(v) for v in value]
    return "number" if isinstance(value, (int, float)) and not isinstance(value, bool) else value


@pytest.fixture(scope="module")
def busy(net):
    """Some traffic has passed, and a packet was dropped."""
    net.hosts["lan"].run("ping -c 2 -i 0.05 -W 2 203.0.113.10")
    net.hosts["lan"].run("ping -6 -c 2 -i 0.05 -W 2 fd00:2::10")
    net.hosts["lan"].run("ping -c 1 -W 0.2 198.51.100.1", check=False)
    return net


@pytest.mark.parametrize("verb", LISTS)
def test_json_output_is_the_apis(busy, verb):
    router = busy.router
    assert _shape(json.loads(router.ctl("--json", verb).stdout)) == _shape(router.api.get(LISTS[verb]))


@pytest.mark.parametrize("verb", LISTS)
def test_tables_are_aligned_text(busy, verb):
    text = busy.router.ctl(verb).stdout
    assert text.strip() and "\x1b" not in text, "colour only on a terminal"


def test_status(busy):
    status = busy.router.api.get("/v1/status")
    assert status["version"] and status["uptime"] > 0
    assert set(status["packets"]) >= {"received", "originated", "sent", "dropped", "consumed", "held"}


def test_interfaces(busy):
    lan = busy.router.interface("lan")
    assert {"name", "rx_packets", "rx_bytes", "tx_packets", "tx_bytes", "link", "mac", "addresses"} <= set(lan)
    assert lan["rx_packets"] >= 4 and "192.168.1.1/24" in lan["addresses"]
    wan = busy.router.interface("wan")
    assert wan["tx_packets"] >= 4


def test_drops_have_a_reason_and_an_explanation(busy):
    drops = busy.router.api.items("/v1/drops")
    assert any(d["packets"] > 0 and d["interface"] == "lan" for d in drops)
    assert all({"reason", "packets", "bytes", "interface", "worker", "description"} <= set(d) for d in drops)
    assert {drop["worker"] for drop in drops} <= {0, "control"}


def test_counters_have_their_snmp_names(busy):
    text = json.dumps(busy.router.api.get("/v1/counters"))
    for name in ("IpForwDatagrams", "IcmpOutDestUnreachs", "Ip6OutForwDatagrams"):
        assert name in text, name


def test_lists_take_limit_and_offset(busy):
    everything = busy.router.api.get("/v1/routes")
    page = busy.router.api.get("/v1/routes?limit=1&offset=1")
    assert page["total"] == everything["total"] and page["items"] == everything["items"][1:2]


def test_metrics_on_the_socket(busy):
    status, text = busy.router.api.raw("GET", "/metrics")
    assert status == 200
    for line in text.splitlines():
        assert line.startswith("#") or re.fullmatch(r'sluice_[a-z0-9_]+(\{[^{}]*\})? [-+0-9.e]+(inf|nan)?', line), line
    assert re.search(r'^sluice_interface_rx_packets_total\{[^}]*interface="lan"', text, re.MULTILINE), text[:2000]


def test_errors_are_explained(busy):
    for method, path, status in (("GET", "/v1/nonsense", 404), ("DELETE", "/v1/status", 405)):
        with pytest.raises(ApiError) as error:
            busy.router.api.call(method, path)
        assert error.value.status == status and error.value.body["error"]["message"]


def test_sluicectl_exit_codes(busy):
    assert busy.router.ctl("no_such_verb", check=False).returncode == 2
    assert busy.router.ctl("--help").stdout
    done = busy.router.ctl("config", "check", "/nonexistent", check=False)
    assert done.returncode in (1, 2) and len(done.stderr.strip().splitlines()) >= 1
    nobody = subprocess.run([program("sluicectl"), "-s", str(busy.directory / "none.sock"), "status"],
                            capture_output=True, text=True)
    assert nobody.returncode == 1 and "none.sock" in nobody.stderr


def test_config_verbs(busy, tmp_path):
    router = busy.router
    assert "interfaces" in router.ctl("config", "show").stdout
    bad = tmp_path / "bad.yaml"
    bad.write_text("interfaces:\n  lan: {devise: x}\n")
    done = router.ctl("config", "check", str(bad), check=False)
    assert done.returncode == 1 and "did you mean 'device'" in done.stdout + done.stderr
    assert router.ctl("config", "check", str(router.config_file)).returncode == 0
    assert router.ctl("config", "apply", str(router.config_file)).returncode == 0


def test_log_level_changes_live(busy):
    router = busy.router
    router.ctl("log", "trace")
    router.ctl("log", "info")
    assert router.ctl("log", "shout", check=False).returncode != 0
    assert router.api.call("PUT", "/v1/log", {"format": "json"}) == {"level": "info", "format": "json"}
    assert router.api.call("PUT", "/v1/log", {"level": "debug"}) == {"level": "debug", "format": "json"}
    with pytest.raises(ApiError) as refusal:
        router.api.call("PUT", "/v1/log", {"target": "stderr"})
    assert refusal.value.status == 400 and "target" in refusal.value.body["error"]["message"]


def test_a_misspelt_parameter_is_refused(busy):
    """Or a configuration that was to be confirmed would be in force for good."""
    text = busy.router.config_file.read_text()
    for path in ("config/apply?confrim=60", "config/check?fiel=x", "config/diff?cut=true", "config/rollback?now=1", "reload?confirm=1"):
        with pytest.raises(ApiError) as refusal:
            busy.router.api.call("POST", f"/v1/{path}", text)
        assert refusal.value.status == 400


def test_top_draws_once_without_a_terminal(busy):
    assert "lan" in busy.router.ctl("top").stdout


def test_socket_permissions(lab):
    lab.connect(**LAN)
    config = two_hosts()
    lab.start({**config, "interfaces": {"lan": config["interfaces"]["lan"]},
               "control": {"socket_mode": "0600", "socket_group": "nogroup"}})
    status = os.stat(lab.router.socket)
    assert stat.S_IMODE(status.st_mode) == 0o600
    assert status.st_gid == grp.getgrnam("nogroup").gr_gid


def test_metrics_listener(lab):
    lab.connect(**LAN)
    config = two_hosts()
    lab.start({**config, "interfaces": {"lan": config["interfaces"]["lan"]}, "control": {"metrics": "127.0.0.1:9273"}})
    text = lab.dut.run("curl -sSf http://127.0.0.1:9273/metrics").stdout
    assert "sluice_" in text
    done = lab.dut.run("curl -s -o /dev/null -w %{http_code} http://127.0.0.1:9273/v1/status", check=False)
    assert done.stdout == "404", "the metrics listener offers metrics only"


def test_many_clients_and_slow_ones(busy):
    """Idle, half-spoken and unread connections do not hold up the others."""
    path = str(busy.router.socket)
    crowd = []
    for number in range(40):
        client = socket.socket(socket.AF_UNIX)
        client.connect(path)
        client.sendall((b"", b"GET /v1/sta", b"GET /v1/counters HTTP/1.1\r\nHost: x\r\n\r\n" * 20)[number % 3])
        crowd.append(client)
    answers = []

    def ask():
        api = Api(path)
        for _ in range(20):
            answers.append(api.get("/v1/status")["version"])
        api.close()

    threads = [threading.Thread(target=ask) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    assert len(answers) == 160
    busy.hosts["lan"].run("ping -c 1 -W 2 203.0.113.10")
    for client in crowd:
        client.close()


def test_broken_requests_get_an_error_or_a_closed_connection(busy):
    for request in (b"\0" * 100, b"GET\r\n\r\n", b"POST /v1/config/apply HTTP/1.1\r\nContent-Length: 99999999999\r\n\r\n",
                    b"GET /" + b"a" * 100000 + b" HTTP/1.1\r\n\r\n", b"PUT /v1/log HTTP/1.1\r\nContent-Length: 3\r\n\r\n{{{"):
        client = socket.socket(socket.AF_UNIX)
        client.settimeout(5)
        client.connect(str(busy.router.socket))
        try:
            client.sendall(request)
            answer = client.recv(4096)
        except (ConnectionResetError, BrokenPipeError):
            answer = b""
        assert answer == b"" or b" 4" in answer.split(b"\r\n")[0], answer[:100]
        client.close()
    assert busy.router.api.get("/v1/status")["version"]


def test_stop_verb(lab):
    lab.connect(**LAN)
    config = two_hosts()
    lab.start({**config, "interfaces": {"lan": config["interfaces"]["lan"]}})
    lab.router.ctl("stop")
    wait_for(lambda: lab.router.process.poll() is not None, "the end of the process")
    assert lab.router.stop() == 0
