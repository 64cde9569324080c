"""How long packets take: the first one after an idle second, what the box tells of its own share, and what an idle
worker costs whatever its devices are."""
import pathlib
import re
import statistics
import time

import pytest
from lab import LAN, WAN, two_hosts
from router import Sluice
from test_process import cpu_seconds
from waiting import wait_for

pytestmark = pytest.mark.sluice_only
WAN4 = "203.0.113.10"


@pytest.fixture
def fresh(lab):
    lab.connect(**LAN)
    lab.connect(**WAN)
    lab.start(two_hosts())
    lab.hosts["lan"].run(f"ping -c 3 -i 0.05 -W 2 {WAN4}")  # neighbours are known
    return lab


def round_trips(host, address: str, count: int, pause: float) -> list[float]:
    """Seconds from each echo request to its reply, one after each pause, by the host's kernel."""
    done = host.run(f"ping -c {count} -i {pause} -W 2 {address}", check=False)
    times = [float(each) / 1000 for each in re.findall(r" time=([\d.]+) ms", done.stdout)]
    assert len(times) > count * 0.8, done.stdout
    return times


def total(lab, *keys: str) -> int:
    """A number of all workers together."""
    sum_of = 0
    for worker in lab.router.api.items("/v1/workers"):
        for key in keys:
            worker = worker[key]
        sum_of += worker
    return sum_of


def grown_in_a_second(lab, key: str) -> int:
    begin, before = time.monotonic(), total(lab, key)
    wait_for(lambda: time.monotonic() - begin > 1, "the measurement", pause=0.1)
    return total(lab, key) - before


@pytest.mark.timing
def test_the_first_packet_after_an_idle_second(fresh, record_property):
    """There and back again, with the box's worker asleep before each request."""
    awake = round_trips(fresh.hosts["lan"], WAN4, 200, 0.002)
    asleep = round_trips(fresh.hosts["lan"], WAN4, 10, 1)
    told = {"awake": statistics.median(awake), "first_after_idle": statistics.median(asleep), "worst": max(asleep)}
    for name, value in told.items():
        record_property(f"round_trip_{name}_us", round(value * 1e6))
    print({name: f"{value * 1e6:.0f} us" for name, value in told.items()})
    assert told["first_after_idle"] < 0.01


@pytest.mark.timing
def test_a_worker_waits_awake_for_the_next_round_trip(fresh, record_property):
    """Where one packet soon follows the other it does not sleep in between; where it does not it sleeps for each."""
    def sleeps_per_packet(ping: str) -> float:
        before = total(fresh, "sleeps"), total(fresh, "packets")
        fresh.hosts["lan"].run(f"ping -q -W 2 {ping} {WAN4}")
        return (total(fresh, "sleeps") - before[0]) / (total(fresh, "packets") - before[1])

    soon, late = sleeps_per_packet("-A -c 2000"), sleeps_per_packet("-i 0.01 -c 100")
    record_property("sleeps_per_packet_of_round_trips", soon)
    print(f"sleeps a packet: {soon:.2f} of round trips, {late:.2f} with pauses")
    assert soon < late / 2


def test_packets_do_not_wait_for_the_control_thread(fresh):
    """Nor does it have to run for them: on a busy machine it may not for long."""
    def times_it_ran() -> int:
        status = pathlib.Path(f"/proc/{fresh.router.process.pid}/status").read_text()  # of the first thread
        return int(re.search(r"^voluntary_ctxt_switches:\s+(\d+)", status, re.MULTILINE)[1])

    before = times_it_ran()
    fresh.hosts["lan"].run(f"ping -c 300 -i 0.002 -W 2 {WAN4}")
    assert times_it_ran() - before < 200


def test_time_in_the_box(fresh):
    before = total(fresh, "latency", "packets")
    fresh.hosts["lan"].run(f"ping -c 20 -i 0.01 -W 2 {WAN4}")
    # What the control thread sends, ARP and ND, is not among them.
    assert 40 <= total(fresh, "latency", "packets") - before <= 44
    for worker in fresh.router.api.items("/v1/workers"):
        latency = worker["latency"]
        if latency["packets"] == 0:
            continue
        assert 0 < latency["p50"] <= latency["p90"] <= latency["p99"] <= latency["p999"] <= latency["max"] < 10
        assert 0 < latency["mean"] <= latency["max"]
    assert fresh.router.api.get("/v1/status")["latency"]["packets"] == total(fresh, "latency", "packets")
    heads = fresh.router.ctl("workers").stdout.splitlines()[0]
    assert "LATENCY P50" in heads and "P99" in heads and "MAX" in heads


def test_packets_that_wait_for_a_neighbour_are_not_counted(lab):
    lab.connect(**LAN)
    lab.connect(**WAN)
    lab.start(two_hosts())
    lab.hosts["lan"].run(f"ping -c 1 -W 5 {WAN4}")
    # The request waited; the reply need not have.
    assert total(lab, "latency", "packets") <= 1
    assert lab.router.api.get("/v1/status")["packets"]["sent"] >= 4


@pytest.mark.one_kind
def test_metrics_of_workers(fresh):
    fresh.hosts["lan"].run(f"ping -c 5 -i 0.3 -W 2 {WAN4}")
    text = fresh.router.api.raw("GET", "/metrics")[1]
    values = {line.rpartition(" ")[0]: float(line.rpartition(" ")[2])
              for line in text.splitlines() if line.startswith("sluice_")}
    worker = max(fresh.router.api.items("/v1/workers"), key=lambda each: each["latency"]["packets"])["id"]
    label = f'worker="{worker}"'
    for name in ("sleeps", "wakeups", "budget_exhausted", "empty_rounds", "busy_cycles", "total_cycles"):
        assert f"sluice_worker_{name}_total{{{label}}}" in values
    assert values[f"sluice_worker_sleeps_total{{{label}}}"] >= values[f"sluice_worker_wakeups_total{{{label}}}"] > 0
    counts = [(float(bound), values[f'sluice_latency_seconds_bucket{{{label},le="{bound}"}}'])
              for bound in re.findall(rf'sluice_latency_seconds_bucket{{{label},le="([^"]+)"', text)]
    assert counts == sorted(counts) and [count for _, count in counts] == sorted(count for _, count in counts)
    assert counts[-1][0] == float("inf")
    assert counts[-1][1] == values[f"sluice_latency_seconds_count{{{label}}}"] > 0
    assert 0 < values[f"sluice_latency_seconds_sum{{{label}}}"] < 10


@pytest.mark.one_kind
def test_a_full_budget_is_counted(lab):
    lab.connect(**LAN)
    lab.connect(**WAN)
    lab.start({"engine": {"mbufs": 8192, "budget": 1}, **two_hosts()})
    lab.hosts["lan"].run(f"ping -c 5 -i 0.05 -W 2 {WAN4}")
    assert total(lab, "budget_exhausted") == total(lab, "packets") > 10


def test_a_busy_worker_never_sleeps(lab):
    lab.connect(**LAN)
    lab.connect(**WAN)
    lab.start({"engine": {"mbufs": 8192, "poll": "busy"}, **two_hosts()})
    lab.hosts["lan"].run(f"ping -c 5 -i 0.2 -W 2 {WAN4}")
    assert total(lab, "sleeps") == 0
    assert grown_in_a_second(lab, "empty_rounds") > 1000


def test_a_queue_wakes_the_worker_that_polls_it(lab):
    if lab.kind != "af_packet":
        pytest.skip("one queue a device")
    config = two_hosts()
    lab.connect(**LAN)
    lab.connect(**WAN)
    for number, (name, interface) in enumerate(config["interfaces"].items()):
        interface["device"] = f"net_af_packet{number},iface={name},qpairs=2"
    lab.start({"engine": {"workers": 2, "mbufs": 8192}, **config})
    lab.hosts["lan"].run(f"ping -c 3 -i 0.05 -W 2 {WAN4}")
    before = lab.router.api.items("/v1/workers")
    lab.hosts["lan"].run(f"ping -c 100 -i 0.01 -W 2 {WAN4}")
    for then, now in zip(before, lab.router.api.items("/v1/workers")):
        packets, sleeps = (now[key] - then[key] for key in ("packets", "sleeps"))
        assert sleeps <= packets + 50, (packets, sleeps)


@pytest.mark.not_tap
def test_an_interface_that_is_down_wakes_nobody(fresh):
    for interface in ("lan", "wan"):
        fresh.dut.ip(f"link set {interface} down")
        wait_for(lambda: not fresh.router.interface(interface)["link"]["up"], "link down")
        assert grown_in_a_second(fresh, "sleeps") < 100
        fresh.dut.ip(f"link set {interface} up")
        wait_for(lambda: fresh.router.interface(interface)["link"]["up"], "link up")
    wait_for(lambda: fresh.hosts["lan"].run(f"ping -c 1 -W 1 {WAN4}", check=False).returncode == 0, "an answer")
    assert grown_in_a_second(fresh, "sleeps") < 100


@pytest.mark.timing
@pytest.mark.one_kind
def test_a_device_without_interrupts_takes_naps(lab, record_property):
    """Whatever its profile asks; the other device still wakes the worker."""
    lab.connect(**LAN)
    lab.start({"interfaces": {
        "lan": {"device": lab.device("lan", 0), "addresses": ["192.168.1.1/24"]},
        "null": {"device": "net_null0,no-rx=1", "profile": "virtio", "addresses": ["192.0.2.1/24"]}}})
    told = lab.router.interface("null")
    assert told["sleep"] == "nap" and "sleep_interrupt" in told["offloads_refused"]
    assert lab.router.interface("lan")["sleep"] == ("interrupt" if lab.kind == "tap" else "descriptor")
    pid = lab.router.process.pid
    begin, before = time.monotonic(), cpu_seconds(pid)
    wait_for(lambda: time.monotonic() - begin > 2, "the measurement", pause=0.1)
    elapsed, after = time.monotonic() - begin, cpu_seconds(pid)
    share = max((used - before.get(thread, 0)) / elapsed for thread, used in after.items())
    record_property("busiest_thread_napping", share)
    print(f"napping: {share:.1%}")
    assert share < 0.2  # all of it without naps


@pytest.mark.one_kind
def test_receive_interrupts_wake_workers(lab, tmp_path):
    """virtio-user and vhost-user have those of a NIC: switched on before a sleep and off after it, and nothing tells of
    packets that came before. Two boxes, joined by such a pair."""
    engine = {"mbufs": 8192, "hugepages": "off", "eal_args": ["--single-file-segments"]}
    path = tmp_path / "vhost.sock"
    lab.connect(**LAN)
    lab.start({"engine": engine, "interfaces": {
        "lan": {"device": lab.device("lan", 0), "addresses": ["192.168.1.1/24"]},
        "wan": {"device": f"net_vhost0,iface={path}", "addresses": ["203.0.113.2/24"]}}})
    directory = tmp_path / "other"
    directory.mkdir()
    other = Sluice(lab.dut, directory)
    try:
        other.start({"engine": engine, "routes": [{"to": "default", "via": "203.0.113.2"}], "interfaces": {
            "lan": {"device": f"net_virtio_user0,path={path},queue_size=256", "addresses": [f"{WAN4}/24"]}}})
        assert [lab.router.interface("wan")["sleep"], other.interface("lan")["sleep"]] == ["interrupt"] * 2
        wait_for(lambda: lab.router.interface("wan")["link"]["up"], "a link between the boxes")
        wait_for(lambda: lab.hosts["lan"].run(f"ping -c 1 -W 1 {WAN4}", check=False).returncode == 0, "an answer")
        assert grown_in_a_second(lab, "sleeps") < 100
        before = other.api.items("/v1/workers")[0]["wakeups"]
        times = round_trips(lab.hosts["lan"], WAN4, 10, 0.3)
        assert statistics.median(times) < 0.05, times  # a sleep that nothing ends lasts for 0.2 s
        assert other.api.items("/v1/workers")[0]["wakeups"] - before >= 5
    finally:
        code, log = other.stop(), other.log()
        print(log)
    assert code == 0, log
