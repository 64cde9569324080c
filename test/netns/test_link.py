"""A link that goes down and comes back."""
import pytest
from lab import LAN, WAN, two_hosts
from waiting import wait_for


@pytest.fixture
def fresh(lab):
    lab.connect(**LAN)
    lab.connect(**WAN)
    return lab.start(two_hosts())


def _cycle(lab):
    """Takes the far host's link down and up, as pulling the cable does; its static addresses are put back."""
    wan = lab.hosts["wan"]
    wan.ip("link set wan down")
    yield
    wan.ip("link set wan up")
    wait_for(lambda: "LOWER_UP" in wan.ip("link show wan"), "the host's carrier")
    wan.ip("addr replace fd00:2::10/64 dev wan nodad")
    for gateway in ("203.0.113.2", "fd00:2::2"):
        wan.ip(f"{'-6' if ':' in gateway else '-4'} route replace default via {gateway} dev wan")


def test_traffic_stops_and_resumes(fresh):
    lan = fresh.hosts["lan"]
    pings = ("ping -c 1 -W 1 203.0.113.10", "ping -6 -c 1 -W 1 fd00:2::10")
    for ping in pings:
        lan.run(ping)
    cycle = _cycle(fresh)
    next(cycle)
    assert lan.run("ping -c 1 -W 0.3 203.0.113.10", check=False).returncode != 0
    next(cycle, None)
    for ping in pings:
        wait_for(lambda p=ping: lan.run(p, check=False).returncode == 0, f"answer to {ping}")


@pytest.mark.sluice_only
@pytest.mark.not_tap  # its carrier is in the host's namespace
def test_carrier_is_shown(fresh):
    assert fresh.router.interface("wan")["link"]["up"]
    cycle = _cycle(fresh)
    next(cycle)
    wait_for(lambda: fresh.router.interface("wan")["link"]["up"] is False, "link down")
    assert fresh.router.interface("lan")["link"]["up"]
    next(cycle, None)
    wait_for(lambda: fresh.router.interface("wan")["link"]["up"], "link up")
    wait_for(lambda: fresh.hosts["lan"].run("ping -c 1 -W 1 203.0.113.10", check=False).returncode == 0, "traffic")
