"""Several workers, more than there are CPUs: whichever queue packets come by, flows are judged as by one."""
import pytest
from lab import LAN, WAN
from router import program
from test_nat import translating
from traffic import make_file, serve_http, sha256

pytestmark = pytest.mark.sluice_only

LAN4, WAN4, WAN6 = "192.168.1.10", "203.0.113.10", "fd00:2::10"


@pytest.fixture(params=[2, 4])
def several(lab, request):
    lab.connect(**LAN)
    lab.connect(**{**WAN, "via": []})
    return lab.start({"engine": {"workers": request.param, "poll": "adaptive", "mbufs": 8192}, **translating()})


def test_packets_are_brought_to_the_workers_that_own_them(several, tmp_path):
    """Each device has one queue, so that one worker receives all of it."""
    lan = several.hosts["lan"]
    digest = make_file(tmp_path / "big", 5)
    server = serve_http(several.hosts["wan"], tmp_path)
    try:
        for number in range(12):
            address = WAN4 if number % 2 == 0 else f"[{WAN6}]"
            lan.run(f"curl -s -m 60 -o {tmp_path}/got http://{address}:8000/big")
            assert sha256(tmp_path / "got") == digest
    finally:
        several.hosts["wan"].stop(server)
    for target in (WAN4, WAN6):
        lan.run(f"ping -c 3 -i 0.05 -W 2 -s 4000 {target}")  # in fragments
    api = several.router.api
    workers = api.get("/v1/workers")["items"]
    assert len(workers) == several.router.config["engine"]["workers"]
    assert sum(each["handed_over"] for each in workers) == sum(each["taken_over"] for each in workers) > 1000
    busy = [each for each in workers if each["packets"] + each["taken_over"] > 2000]
    assert busy and all(each["cycles_per_packet"] > 0 and each["stages"]["forward"] > 0 for each in busy)
    assert not [each for each in api.get("/v1/drops")["items"] if each["reason"].startswith("steer")]
    assert "sluice_worker_handed_over_total{" in api.raw("GET", "/metrics")[1]


def test_published_servers_answer_from_every_worker(several, tmp_path):
    """Whose flow an answer belongs to its headers do not tell."""
    make_file(tmp_path / "small", 1)
    server = serve_http(several.hosts["lan"], tmp_path)
    try:
        for _ in range(16):
            several.hosts["wan"].run(f"curl -s -f -m 20 -o {tmp_path}/got http://203.0.113.2:8080/small")
    finally:
        several.hosts["lan"].stop(server)
    flows = [each for each in several.router.api.get("/v1/conntrack")["items"] if each["original"].get("dport") == 8080]
    assert len(flows) == 16 and all("seen_reply" in each["status"] for each in flows)


def test_a_device_may_spread_packets_as_it_likes(lab, tmp_path):
    """The kernel's fanout knows nothing of translation."""
    if lab.kind != "af_packet":
        pytest.skip("one queue a device")
    lab.connect(**LAN)
    lab.connect(**{**WAN, "via": []})
    config = translating()
    for number, (name, interface) in enumerate(config["interfaces"].items()):
        interface["device"] = f"net_af_packet{number},iface={name},qpairs=2"
    lab.start({"engine": {"workers": 2, "mbufs": 8192}, **config})
    make_file(tmp_path / "small", 1)
    server = serve_http(lab.hosts["wan"], tmp_path)
    try:
        for _ in range(12):
            lab.hosts["lan"].run(f"curl -s -f -m 20 -o {tmp_path}/got http://{WAN4}:8000/small")
    finally:
        lab.hosts["wan"].stop(server)
    assert all(interface["queues"] == 2 for interface in lab.router.api.items("/v1/interfaces"))
    assert all(worker["packets"] > 0 for worker in lab.router.api.items("/v1/workers"))


@pytest.mark.one_kind
def test_rss_wants_as_many_queues_as_workers(lab, tmp_path):
    file = tmp_path / "rss.yaml"
    file.write_text("engine: {workers: 2, steering: rss, mbufs: 2048}\n"
                    "interfaces: {lan: {device: 'net_tap7,iface=rss0', addresses: [192.0.2.1/24]}}\n"
                    f"control: {{socket: {tmp_path}/rss.sock}}\n")
    refused = lab.router.namespace.run([program("sluice"), "run", "-c", str(file)], check=False)
    assert refused.returncode == 1 and "1 queue(s) for 2 workers" in refused.stderr


@pytest.mark.one_kind
@pytest.mark.parametrize("engine, told", [("workers: 1", "qpairs=2, but 1 queue(s)"), ("workers: 2, steering: software", "set qpairs=1")])
def test_no_queue_goes_unread(lab, tmp_path, engine, told):
    """AF_PACKET's sockets divide what comes among themselves, whoever reads them."""
    file = tmp_path / "unread.yaml"
    file.write_text(f"engine: {{{engine}, mbufs: 2048}}\n"
                    "interfaces: {lan: {device: 'net_af_packet7,iface=lo,qpairs=2', addresses: [192.0.2.1/24]}}\n"
                    f"control: {{socket: {tmp_path}/unread.sock}}\n")
    refused = lab.router.namespace.run([program("sluice"), "run", "-c", str(file)], check=False)
    assert refused.returncode == 1 and told in refused.stderr
