"""ARP and neighbour discovery with kernel neighbours, in both directions."""
from lab import LAN, WAN, two_hosts
from scapy.all import ARP, Ether, ICMPv6ND_NA, ICMPv6ND_NS, ICMPv6NDOptDstLLAddr, ICMPv6NDOptSrcLLAddr, IPv6
from waiting import wait_for
from wire import Wire

import pytest


@pytest.fixture
def fresh(lab):
    lab.connect(**LAN)
    lab.connect(**WAN)
    return lab.start(two_hosts())


def test_the_kernel_resolves_the_box(fresh):  # RFC 826, R4861-7.2
    lan = fresh.hosts["lan"]
    lan.run("ping -c 1 -W 2 192.168.1.1")
    lan.run("ping -6 -c 1 -W 2 fd00:1::1")
    mac = fresh.router.mac("lan")
    for address in ("192.168.1.1", "fd00:1::1"):
        assert mac in lan.ip(f"neigh show {address}")


def test_first_packets_wait_for_the_resolution(fresh):  # R1122-2.3.2.2: at least one packet is kept
    fresh.hosts["lan"].run("ping -c 1 -W 2 203.0.113.10")
    fresh.hosts["lan"].run("ping -6 -c 1 -W 2 fd00:2::10")


@pytest.mark.sluice_only
def test_neighbours_are_listed(fresh):
    fresh.hosts["lan"].run("ping -c 1 -W 2 203.0.113.10")
    fresh.hosts["lan"].run("ping -6 -c 1 -W 2 fd00:2::10")
    listed = {(n["interface"], n["ip"]): n for n in fresh.router.api.items("/v1/neighbours")}
    assert listed["wan", "203.0.113.10"]["mac"] == fresh.host_mac("wan")
    assert listed["wan", "fd00:2::10"]["mac"] == fresh.host_mac("wan")
    text = fresh.router.ctl("neighbours").stdout
    assert "203.0.113.10" in text and fresh.host_mac("wan") in text


def test_arp_request_to_the_box_is_answered(fresh):  # RFC 826
    wire = Wire(fresh.hosts["lan"], "lan")
    ask = ARP(op=1, hwsrc=wire.mac, psrc="192.168.1.77", pdst="192.168.1.1")
    wire.send(Ether(src=wire.mac, dst="ff:ff:ff:ff:ff:ff") / ask)
    reply = wire.expect(lambda f: ARP in f and f[ARP].op == 2 and f[ARP].pdst == "192.168.1.77", "the ARP reply")
    assert (reply[ARP].psrc, reply[ARP].hwsrc) == ("192.168.1.1", fresh.router.mac("lan"))
    # ... and one for another address is not
    ask.pdst = "192.168.1.99"
    wire.send(Ether(src=wire.mac, dst="ff:ff:ff:ff:ff:ff") / ask)
    ask.pdst, ask.psrc = "192.168.1.1", "192.168.1.78"
    wire.send(Ether(src=wire.mac, dst="ff:ff:ff:ff:ff:ff") / ask)
    reply = wire.expect(lambda f: ARP in f and f[ARP].op == 2, "the next ARP reply")
    assert reply[ARP].pdst == "192.168.1.78"
    wire.close()


@pytest.mark.sluice_only
def test_solicitation_from_afar_is_dropped(fresh):  # R4861-7.1.1: hop limit 255 only
    wire = Wire(fresh.hosts["lan"], "lan")

    def solicit(hop_limit: int):
        wire.send(
            Ether(src=wire.mac, dst="33:33:ff:00:00:01")
            / IPv6(src="fd00:1::77", dst="ff02::1:ff00:1", hlim=hop_limit)
            / ICMPv6ND_NS(tgt="fd00:1::1")
            / ICMPv6NDOptSrcLLAddr(lladdr=wire.mac)
        )

    before = sum(fresh.router.drops().values())
    solicit(254)
    wait_for(lambda: sum(fresh.router.drops().values()) > before, "the counted drop")
    assert not [f for f in wire.drain(0.1) if ICMPv6ND_NA in f]
    solicit(255)
    reply = wire.expect(lambda f: ICMPv6ND_NA in f, "the neighbour advertisement")
    assert reply[ICMPv6NDOptDstLLAddr].lladdr == fresh.router.mac("lan")
    assert reply[IPv6].hlim == 255 and reply[ICMPv6ND_NA].S == 1
    wire.close()


def test_a_neighbour_changes_its_mac(fresh):
    """The host announces itself as `arping -A` and `ndptool` would; traffic follows at once."""
    lan, wan = fresh.hosts["lan"], fresh.hosts["wan"]
    lan.run("ping -c 1 -W 2 203.0.113.10")
    lan.run("ping -6 -c 1 -W 2 fd00:2::10")
    changed = "02:00:00:00:99:10"
    wan.ip(f"link set wan address {changed}")
    wire = Wire(wan, "wan")
    wire.send(
        Ether(src=changed, dst="ff:ff:ff:ff:ff:ff")
        / ARP(op=1, hwsrc=changed, psrc="203.0.113.10", hwdst="00:00:00:00:00:00", pdst="203.0.113.10")
    )
    wire.send(
        Ether(src=changed, dst="33:33:00:00:00:01")
        / IPv6(src="fd00:2::10", dst="ff02::1", hlim=255)
        / ICMPv6ND_NA(tgt="fd00:2::10", R=0, S=0, O=1)
        / ICMPv6NDOptDstLLAddr(lladdr=changed)
    )
    for command in ("ping -c 1 -W 1 203.0.113.10", "ping -6 -c 1 -W 1 fd00:2::10"):
        wait_for(lambda c=command: lan.run(c, check=False).returncode == 0, f"answer to {command}", timeout=10)
    if fresh.router.is_sluice:
        listed = {n["ip"]: n["mac"] for n in fresh.router.api.items("/v1/neighbours")}
        assert listed["203.0.113.10"] == changed and listed["fd00:2::10"] == changed
    wire.close()


def test_an_absent_neighbour_is_reported(fresh):  # R1812-5.2.7.1 host unreachable, R4443-3.1 code 3
    lan = fresh.hosts["lan"]
    done = lan.run("ping -c 1 -W 6 203.0.113.99", check=False)
    assert "Destination Host Unreachable" in done.stdout
    done = lan.run("ping -6 -c 1 -W 6 fd00:2::99", check=False)
    assert "Address unreachable" in done.stdout


@pytest.mark.sluice_only
def test_static_neighbours_are_used_without_asking(lab):
    config = two_hosts()
    config["neighbours"] = [{"interface": "wan", "ip": "203.0.113.10", "mac": "02:00:00:00:02:10"}]
    lab.connect(**LAN)
    lab.connect(**WAN)
    lab.start(config)
    far = Wire(lab.hosts["wan"], "wan")
    lab.hosts["wan"].ip(f"neigh replace 203.0.113.2 lladdr {lab.router.mac('wan')} dev wan")
    lab.hosts["lan"].run("ping -c 1 -W 2 203.0.113.10")
    assert not [f for f in far.drain() if ARP in f and f[ARP].op == 1 and f[ARP].pdst == "203.0.113.10"]
    far.close()
