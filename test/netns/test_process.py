"""The process: what it leaves behind, how fast it starts, what it costs."""
import os
import pathlib
import re
import signal
import subprocess
import time

import pytest
from lab import LAN, WAN, Lab, two_hosts
from scapy.all import ICMP
from traffic import UdpStream
from waiting import wait_for
from wire import Wire

pytestmark = pytest.mark.sluice_only
_TICKS = os.sysconf("SC_CLK_TCK")


@pytest.fixture
def fresh(lab):
    lab.connect(**LAN)
    lab.connect(**WAN)
    return lab.start(two_hosts())


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGINT], ids=["SIGTERM", "SIGINT"])
def test_nothing_is_left_behind(fresh, how):
    fresh.hosts["lan"].run("ping -c 1 -W 2 203.0.113.10")
    assert fresh.router.stop(how) == 0
    assert not fresh.router.socket.exists()
    left = {p.name for p in fresh.directory.iterdir()}
    assert left == {"sluice.yaml", "sluice.log"}
    if fresh.kind == "tap":
        assert not fresh.hosts["lan"].has_link("lan") and not fresh.hosts["wan"].has_link("wan")
    else:
        text = fresh.dut.ip("-d link show")
        assert "xdp" not in text, text
        assert fresh.dut.has_link("lan"), "the interface itself stays"
    if os.path.isdir("/dev/hugepages"):
        assert not list(pathlib.Path("/dev/hugepages").iterdir())


def test_it_starts_again_on_the_same_devices(fresh):
    fresh.hosts["lan"].run("ping -c 1 -W 2 203.0.113.10")
    fresh.router.stop()
    fresh.router.start(fresh.router.config)
    if fresh.kind == "tap":
        for interface in ("lan", "wan"):
            fresh.adopt_tap(interface)
            fresh.configure_host(interface)
    fresh.hosts["lan"].run("ping -c 3 -i 0.2 -W 2 203.0.113.10")


def test_it_stops_under_load_and_accounts_for_everything(fresh):
    with UdpStream(fresh.hosts["lan"], fresh.hosts["wan"], "203.0.113.10"):
        wait_for(lambda: fresh.router.interface("wan")["tx_packets"] > 1000, "some load")
        fresh.router.check_invariant()
        fresh.router.ctl("stop")
        wait_for(lambda: fresh.router.process.poll() is not None, "the end of the process")
    assert fresh.router.stop() == 0


def test_two_instances_side_by_side(fresh, kind, tmp_path_factory):
    other = Lab(kind, tmp_path_factory.mktemp("other"))
    try:
        other.connect(**LAN)
        other.connect(**WAN)
        other.start(two_hosts())
        for laboratory in (fresh, other):
            laboratory.hosts["lan"].run("ping -c 1 -W 2 203.0.113.10")
        other.router.check_invariant()
    finally:
        other.close()
    fresh.hosts["lan"].run("ping -c 1 -W 2 203.0.113.10")


@pytest.mark.timing
@pytest.mark.not_tap  # these devices exist only once Sluice runs, and the test has to move them
def test_start_to_first_forwarded_packet(lab, record_property):
    """Under a second, from exec() to a packet that was forwarded; hosts send all the time."""
    config = two_hosts()
    lab.connect(**LAN)
    lab.connect(**WAN)
    config["neighbours"] = [{"interface": "wan", "ip": "203.0.113.10", "mac": lab.host_mac("wan")}]
    config["interfaces"]["lan"]["mac"] = "02:00:00:00:fe:01"
    config["interfaces"]["wan"]["mac"] = "02:00:00:00:fe:02"
    lab.start(config)
    lab.router.stop()

    lan, wan = lab.hosts["lan"], lab.hosts["wan"]
    lan.ip("neigh replace 192.168.1.1 lladdr 02:00:00:00:fe:01 dev lan")
    far = Wire(wan, "wan")
    far.drain()
    pinging = lan.start("ping -i 0.01 203.0.113.10", stdout=subprocess.DEVNULL)
    lab.router.start(lab.router.config, wait=False)
    far.expect(lambda f: ICMP in f and f[ICMP].type == 8, "the first forwarded packet", timeout=10)
    taken = time.monotonic() - lab.router.started
    lan.stop(pinging)
    lab.router.wait_ready()
    record_property("start_to_first_packet", round(taken, 3))
    print(f"start to first forwarded packet: {taken:.3f} s")
    assert taken < 1.0
    far.close()


@pytest.mark.skipif(os.environ.get("SLUICE_SANITIZED") == "1", reason="sanitizers lock no memory")
def test_the_program_stays_in_memory(fresh):
    """All of its code is there and locked: no worker waits for a disk."""
    text = pathlib.Path(f"/proc/{fresh.router.process.pid}/smaps").read_text()
    mappings = re.split(r"^(?=[0-9a-f]+-[0-9a-f]+ )", text, flags=re.MULTILINE)
    code = [m for m in mappings if re.match(r"\S+ r-xp .*/sluice\n", m)]
    assert code
    for mapping in code:
        sizes = {name: int(size) for name, size in re.findall(r"^(Size|Rss|Locked): +(\d+) kB", mapping, re.MULTILINE)}
        assert sizes["Rss"] == sizes["Size"] and sizes["Locked"] > 0, mapping


@pytest.mark.timing
def test_resident_memory_with_defaults(lab, record_property):
    config = two_hosts()
    lab.connect(**LAN)
    lab.connect(**WAN)
    for number, (name, interface) in enumerate(config["interfaces"].items()):
        interface["device"] = lab.device(name, number).removesuffix(",framecnt=2048")  # a default too
    lab.start({"engine": {}, **config})
    lab.hosts["lan"].run("ping -c 5 -i 0.05 -W 2 203.0.113.10")
    status = pathlib.Path(f"/proc/{lab.router.process.pid}/status").read_text()
    sizes = {line.split(":")[0]: int(line.split()[1]) for line in status.splitlines() if line.endswith(" kB")}
    resident = sizes["VmRSS"] + sizes.get("HugetlbPages", 0)
    record_property("resident_kb", resident)
    print(f"resident: {sizes['VmRSS'] // 1024} MB, hugepages: {sizes.get('HugetlbPages', 0) // 1024} MB")
    assert resident < 200 * 1024


def cpu_seconds(pid: int) -> dict[str, float]:
    """CPU time of each thread, by its name and id."""
    used = {}
    for task in pathlib.Path(f"/proc/{pid}/task").iterdir():
        name, _, rest = (task / "stat").read_text().partition("(")[2].rpartition(")")
        fields = rest.split()
        used[f"{name}/{task.name}"] = (int(fields[11]) + int(fields[12])) / _TICKS
    return used


@pytest.mark.timing
def test_an_idle_box_sleeps(fresh, record_property):
    """Every thread of an idle box uses under 3 % of a CPU, measured over three seconds."""
    fresh.hosts["lan"].run("ping -c 5 -i 0.05 -W 2 203.0.113.10")
    pid = fresh.router.process.pid
    begin, before = time.monotonic(), cpu_seconds(pid)
    wait_for(lambda: time.monotonic() - begin > 3, "the measurement", pause=0.1)
    elapsed, after = time.monotonic() - begin, cpu_seconds(pid)
    shares = {thread: (used - before.get(thread, 0)) / elapsed for thread, used in after.items()}
    record_property("busiest_thread", max(shares.values()))
    print(f"idle: {', '.join(f'{t} {s:.1%}' for t, s in shares.items() if s > 0) or '0 %'}")
    assert max(shares.values()) < 0.03, shares
    # and it wakes at once
    fresh.hosts["lan"].run("ping -c 1 -W 1 203.0.113.10")
