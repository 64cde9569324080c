"""Where packets go: rp_filter, policy routing, routes that refuse."""
import pytest
from lab import LAN, WAN, two_hosts
from scapy.all import ICMP, IP, Ether, ICMPv6DestUnreach
from waiting import wait_for
from wire import Wire

# ICMP (type, code) a packet gets, by the type of its route. R1812-5.2.7.1; `ip route` of Linux
REFUSALS = [("unreachable", (3, 1)), ("prohibit", (3, 13)), ("blackhole", None)]
# Linux answers 0 (no route) to an `unreachable` route of IPv6, Sluice 3 (address unreachable) as it does for IPv4.
REFUSALS6 = [("unreachable", (0, 3)), ("prohibit", (1,)), ("blackhole", ())]


@pytest.fixture
def refusing(lab):
    config = two_hosts()
    config["routes"] = [
        {"to": f"10.{n}.0.0/16", "type": kind} for n, (kind, _) in enumerate(REFUSALS)
    ] + [{"to": f"fd1{n}::/16", "type": kind} for n, (kind, _) in enumerate(REFUSALS6)]
    lab.connect(**LAN)
    return lab.start({**config, "interfaces": {"lan": config["interfaces"]["lan"]}})


def test_routes_that_refuse(refusing):
    lan = refusing.hosts["lan"]
    wire = Wire(lan, "lan")

    def errors(ping: str, is_error) -> list:
        """What came back of it until the box answered a ping sent afterwards."""
        lan.run("ping -6 -c 1 -W 5 fd00:1::1")  # the box knows both addresses of the host
        lan.run(ping, check=False)
        lan.run("ping -c 1 -W 5 192.168.1.1")
        return [f for f in wire.drain() if is_error(f)]

    for number, (kind, expected) in enumerate(REFUSALS):
        found = errors(f"ping -c 1 -W 0.1 10.{number}.0.1", lambda f: ICMP in f and f[ICMP].type == 3)
        assert [(e[ICMP].type, e[ICMP].code) for e in found] == ([expected] if expected else []), kind
    for number, (kind, expected) in enumerate(REFUSALS6):
        found = errors(f"ping -6 -c 1 -W 0.1 fd1{number}::1", lambda f: ICMPv6DestUnreach in f)
        assert len(found) == bool(expected) and all(e[ICMPv6DestUnreach].code in expected for e in found), kind
    wire.close()


def test_no_route(refusing):  # R1812-5.2.7.1: network unreachable; R4443-3.1: no route to destination
    lan = refusing.hosts["lan"]
    wire = Wire(lan, "lan")
    lan.run("ping -c 1 -W 0.3 198.51.100.1", check=False)
    error = wire.expect(lambda f: ICMP in f and f[ICMP].type == 3, "network unreachable")
    assert error[ICMP].code == 0
    lan.run("ping -6 -c 1 -W 0.3 2001:db8::1", check=False)
    error = wire.expect(lambda f: ICMPv6DestUnreach in f, "no route")
    assert error[ICMPv6DestUnreach].code == 0
    wire.close()


@pytest.mark.sluice_only
def test_routes_are_listed(refusing):
    listed = {r["to"]: r for r in refusing.router.api.items("/v1/routes")}
    assert listed["10.0.0.0/16"]["type"] == "unreachable"
    assert "192.168.1.0/24" in listed and "fd00:1::/64" in listed
    assert "blackhole" in refusing.router.ctl("routes").stdout


@pytest.fixture
def two_ways(lab, request):
    """The lan host has a second link to the box; `request.param` is rp_filter of that interface."""
    lab.connect(**LAN)
    lab.connect("lan", "second", ["192.168.2.10/24"])
    lab.connect(**WAN)
    config = two_hosts()
    config["interfaces"]["second"] = {"addresses": ["192.168.2.1/24"], "rp_filter": request.param}
    lab.start(config)
    for interface in ("all", "lan", "second"):
        lab.hosts["lan"].sysctl(f"net.ipv4.conf.{interface}.rp_filter", 0)
    # out by the second link, back by the first
    lab.hosts["lan"].ip("route add 203.0.113.10/32 via 192.168.2.1 dev second src 192.168.1.10")
    lab.mode = request.param
    return lab


@pytest.mark.parametrize("two_ways", ["strict", "loose", "off"], indirect=True)
def test_asymmetric_ways(two_ways):  # RFC 3704
    strict = two_ways.mode == "strict"
    wait = "0.3" if strict else "5"
    ping = two_ways.hosts["lan"].run(f"ping -c 1 -W {wait} -I 192.168.1.10 203.0.113.10", check=False)
    assert (ping.returncode == 0) == (not strict)
    if two_ways.router.is_sluice and strict:
        wait_for(lambda: two_ways.router.drops().get("rp_filter"), "the counted drop")


@pytest.mark.parametrize("two_ways", ["strict", "loose", "off"], indirect=True)
def test_sources_without_a_route(two_ways):  # RFC 3704: loose asks for any route at all
    near, far = Wire(two_ways.hosts["lan"], "second"), Wire(two_ways.hosts["wan"], "wan")
    # The box must know its way to the destination first
    two_ways.hosts["wan"].run("ping -c 1 -W 2 203.0.113.2")
    head = Ether(src=near.mac, dst=two_ways.router.mac("second"))
    near.send(head / IP(src="198.18.0.1", dst="203.0.113.10") / ICMP(id=1) / b"stranger")
    near.send(head / IP(src="192.168.2.10", dst="203.0.113.10") / ICMP(id=2) / b"known")
    seen = []
    far.expect(lambda f: (seen.append(f) or ICMP in f and f[ICMP].id == 2 and f[ICMP].type == 8),
               "the packet with a routed source")
    passed = any(ICMP in f and f[ICMP].id == 1 and f[ICMP].type == 8 for f in seen)
    assert passed == (two_ways.mode == "off")
    near.close()
    far.close()


@pytest.fixture
def two_providers(lab):
    """Sources of the upper half of the lan leave by the second provider. Both own the destination."""
    lab.connect("lan", "lan", ["192.168.1.10/24", "192.168.1.200/24", "fd00:1::10/64", "fd00:1:0:0:ffff::10/64"],
                ["192.168.1.1", "fd00:1::1"])
    for name, n in (("first", 113), ("second", 114)):
        host = lab.connect(name, name, [f"203.0.{n}.10/24", f"fd00:{n}::10/64"], [f"203.0.{n}.1", f"fd00:{n}::1"])
        host.ip("addr add 198.51.100.1/32 dev lo")
        host.ip("addr add 2001:db8::1/128 dev lo")
    lab.start({
        "interfaces": {
            "lan": {"addresses": ["192.168.1.1/24", "fd00:1::1/64"]},
            "first": {"addresses": ["203.0.113.1/24", "fd00:113::1/64"]},
            "second": {"addresses": ["203.0.114.1/24", "fd00:114::1/64"]},
        },
        "routes": [
            {"to": "0.0.0.0/0", "via": "203.0.113.10"},
            {"to": "::/0", "via": "fd00:113::10"},
            {"to": "0.0.0.0/0", "via": "203.0.114.10", "interface": "second", "table": "backup"},
            {"to": "::/0", "via": "fd00:114::10", "interface": "second", "table": "backup"},
        ],
        "route_rules": [
            {"saddr": "192.168.1.128/25", "table": "backup"},
            {"saddr": "fd00:1:0:0:ffff::/80", "table": "backup"},
        ],
    })
    return lab


@pytest.mark.parametrize(
    "source, destination, provider",
    [
        ("192.168.1.10", "198.51.100.1", "first"),
        ("192.168.1.200", "198.51.100.1", "second"),
        ("fd00:1::10", "2001:db8::1", "first"),
        ("fd00:1:0:0:ffff::10", "2001:db8::1", "second"),
    ],
)
def test_policy_routing_by_source(two_providers, source, destination, provider):
    wires = {name: Wire(two_providers.hosts[name], name) for name in ("first", "second")}
    two_providers.hosts["lan"].run(["ping", "-c", "1", "-W", "2", "-I", source, destination])

    requests = {name: [f for f in wire.drain() if getattr(f.payload, "dst", "") == destination]
                for name, wire in wires.items()}
    assert {name: len(frames) for name, frames in requests.items()} == {n: int(n == provider) for n in wires}
    for wire in wires.values():
        wire.close()


def test_routes_by_gateway_follow_a_reload(lab):
    """A changed default route moves the traffic."""
    lab.connect(**LAN)
    for name, n in (("first", 113), ("second", 114)):
        host = lab.connect(name, name, [f"203.0.{n}.10/24"], [f"203.0.{n}.1"])
        host.ip("addr add 198.51.100.1/32 dev lo")
    if not lab.router.is_sluice:
        pytest.skip("the kernel is the router")
    config = {
        "interfaces": {
            "lan": {"addresses": ["192.168.1.1/24", "fd00:1::1/64"]},
            "first": {"addresses": ["203.0.113.1/24"]},
            "second": {"addresses": ["203.0.114.1/24"]},
        },
        "routes": [{"to": "default", "via": "203.0.113.10"}],
    }
    lab.start(config)
    wire = Wire(lab.hosts["second"], "second")
    lab.hosts["lan"].run("ping -c 1 -W 2 198.51.100.1")
    assert not [f for f in wire.drain() if ICMP in f]
    lab.router.apply({**lab.router.config, "routes": [{"to": "default", "via": "203.0.114.10"}]})
    lab.hosts["lan"].run("ping -c 1 -W 2 198.51.100.1")
    wait_for(lambda: [f for f in wire.drain() if ICMP in f], "traffic by the second provider")
    wire.close()
