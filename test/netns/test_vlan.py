"""VLAN sub-interfaces. The hosts' kernels may lack 8021q, so the tagged side speaks through a packet socket."""
import pytest
from api import ApiError
from lab import WAN
from scapy.all import ARP, ICMP, Dot1AD, Dot1Q, Ether, ICMPv6EchoReply, ICMPv6EchoRequest, IP, IPv6, Raw
from waiting import wait_for
from wire import Wire, resolver

pytestmark = pytest.mark.sluice_only
MAC = "02:00:00:00:01:10"


@pytest.fixture
def trunk(lab):
    """The trunk's far end as a wire, its neighbours answered by `resolver`."""
    lab.connect("trunk", "lan")
    lab.connect(**WAN)
    lab.start({
        "interfaces": {
            "lan": {"addresses": ["192.168.1.1/24"]},
            "wan": {"addresses": ["203.0.113.2/24", "fd00:2::2/64"]},
            "guests": {"parent": "lan", "vlan": 20, "addresses": ["192.168.20.1/24", "fd00:20::1/64"]},
            "staff": {"parent": "lan", "vlan": 30, "addresses": ["192.168.30.1/24"]},
        },
        "icmp": {"errors": "unlimited"},
    })
    lab.wire = Wire(lab.hosts["trunk"], "lan")
    yield lab
    lab.wire.close()


answer = resolver(MAC, "192.168.20.10", "192.168.30.10", "192.168.1.10", "fd00:20::10")


def tagged(lab, vlan: int, packet):
    return Ether(src=MAC, dst=lab.router.mac("lan")) / Dot1Q(vlan=vlan) / packet


def test_a_tagged_host_reaches_an_untagged_one(trunk):
    trunk.wire.send(tagged(trunk, 20, IP(src="192.168.20.10", dst="203.0.113.10") / ICMP(id=7, seq=1) / b"tagged"))
    reply = trunk.wire.expect(lambda f: ICMP in f and f[ICMP].type == 0, "the tagged echo reply", answer=answer)
    assert reply[Dot1Q].vlan == 20 and reply[IP].ttl == 63 and bytes(reply[Raw]) == b"tagged"


def test_a_tagged_host_reaches_an_untagged_one_over_ipv6(trunk):
    trunk.wire.send(tagged(trunk, 20, IPv6(src="fd00:20::10", dst="fd00:2::10", hlim=64) / ICMPv6EchoRequest(id=7)))
    reply = trunk.wire.expect(lambda f: ICMPv6EchoReply in f, "the tagged echo reply", answer=answer)
    assert reply[Dot1Q].vlan == 20 and reply[IPv6].hlim == 63


def test_between_two_vlans_of_one_trunk(trunk):
    trunk.wire.send(tagged(trunk, 20, IP(src="192.168.20.10", dst="192.168.30.10") / ICMP(id=8) / b"x"))
    passed = trunk.wire.expect(lambda f: ICMP in f and f[ICMP].type == 8, "the request in VLAN 30", answer=answer)
    assert passed[Dot1Q].vlan == 30 and passed[IP].ttl == 63


def test_the_box_answers_in_the_vlan_only(trunk):
    trunk.wire.send(tagged(trunk, 20, IP(src="192.168.20.10", dst="192.168.20.1") / ICMP(id=9) / b"x"))
    reply = trunk.wire.expect(lambda f: ICMP in f and f[ICMP].type == 0, "the box's echo reply", answer=answer)
    assert reply[Dot1Q].vlan == 20


def unknown_vlans(trunk):
    """AF_PACKET turns an outer service tag into a customer tag: then the tag inside it is what is not known."""
    return sum(count for reason, count in trunk.router.drops().items() if reason in ("unknown_vlan", "unknown_ethertype"))


def test_unknown_vlans_and_double_tags_are_counted_drops(trunk):
    request = IP(src="192.168.20.10", dst="203.0.113.10") / ICMP() / b"x"
    head = Ether(src=MAC, dst=trunk.router.mac("lan"))
    for frame in (head / Dot1Q(vlan=99) / request, head / Dot1AD(vlan=20) / Dot1Q(vlan=20) / request):
        before = unknown_vlans(trunk)
        trunk.wire.send(frame)
        wait_for(lambda b=before: unknown_vlans(trunk) == b + 1, "the counted drop")


def test_priority_tags_are_untagged_traffic(trunk):  # IEEE 802.1Q: VLAN 0 carries a priority only
    trunk.wire.send(tagged(trunk, 0, IP(src="192.168.1.10", dst="192.168.1.1") / ICMP(id=9) / b"x"))
    reply = trunk.wire.expect(lambda f: ICMP in f and f[ICMP].type == 0, "the box's echo reply", answer=answer)
    assert Dot1Q not in reply or reply[Dot1Q].vlan == 0


def test_counters_belong_to_the_sub_interface(trunk):
    before = trunk.router.interface("guests")["rx_packets"]
    trunk.wire.send(tagged(trunk, 20, IP(src="192.168.20.10", dst="192.168.20.1") / ICMP() / b"x"))
    trunk.wire.expect(lambda f: ICMP in f and f[ICMP].type == 0, "the box's echo reply", answer=answer)
    wait_for(lambda: trunk.router.interface("guests")["rx_packets"] > before, "the count")


def test_a_vlan_comes_and_goes_while_the_box_runs(trunk):
    counted = trunk.router.interface("guests")["rx_packets"]
    config = trunk.router.config
    first = {"new": {"parent": "lan", "vlan": 40, "addresses": ["192.168.40.1/24"]}}
    trunk.router.apply({**config, "interfaces": first | config["interfaces"]})
    reply = resolver(MAC, "192.168.40.10")
    trunk.wire.send(tagged(trunk, 40, IP(src="192.168.40.10", dst="192.168.40.1") / ICMP(id=11) / b"x"))
    answered = trunk.wire.expect(lambda f: ICMP in f and f[ICMP].type == 0, "an echo reply in the new VLAN", answer=reply)
    assert answered[Dot1Q].vlan == 40
    wait_for(lambda: trunk.router.interface("new")["rx_packets"] > 0, "packets counted for the new VLAN")
    assert trunk.router.interface("guests")["rx_packets"] == counted
    trunk.router.apply(config)
    trunk.wire.send(tagged(trunk, 40, IP(src="192.168.40.10", dst="192.168.40.1") / ICMP(id=12) / b"x"))
    wait_for(lambda: trunk.router.drops().get("unknown_vlan"), "a drop in the VLAN that is gone")


def test_a_vlan_that_comes_again_and_again_is_announced_each_time(trunk):
    # Of so many routes the table takes a while: an announcement must not be with the worker before it.
    routes = [{"to": f"10.{n >> 8}.{n & 255}.0/24", "via": "203.0.113.10"} for n in range(8000)]
    config = {**trunk.router.config, "routes": routes}
    for round in range(1, 4):
        address = f"192.168.40.{round}"
        new = {"new": {"parent": "lan", "vlan": 40, "addresses": [f"{address}/24"]}}
        trunk.router.apply({**config, "interfaces": new | config["interfaces"]})
        announced = trunk.wire.expect(lambda f: ARP in f and f[ARP].psrc == f[ARP].pdst == address, "its announcement")
        assert announced[Dot1Q].vlan == 40
        trunk.router.apply(config)


@pytest.mark.parametrize("change", [
    lambda interfaces: interfaces.pop("wan"),
    lambda interfaces: interfaces.pop("guests"),  # `staff` behind it would get its place
    lambda interfaces: interfaces.update(more={"device": "net_null7", "addresses": ["192.0.2.1/24"]}),
], ids=["device gone", "vlan gone", "new device"])
def test_interfaces_that_cannot_change_live_are_refused(trunk, change):
    interfaces = dict(trunk.router.config["interfaces"])
    change(interfaces)
    with pytest.raises(ApiError) as refusal:
        trunk.router.apply({**trunk.router.config, "interfaces": interfaces})
    assert "cannot change while running: interfaces." in refusal.value.body["error"]["message"]
    assert trunk.router.interface("guests")["mac"]
