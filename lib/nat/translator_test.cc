// Mappings that exclude one another, as the RFCs want them.
#include "nat/translator.hh"

#include <gtest/gtest.h>

#include <array>
#include <set>
#include <vector>

#include "nat/box_under_test.hh"

namespace sluice::nat {
namespace {

using std::chrono::seconds;
using wire::IpProtocol;

const NatRule kMasquerade{.kind = NatKind::masquerade};
const IpAddress kX1 = ip("10.0.0.11");
const IpAddress kX2 = ip("10.0.0.12");
const IpAddress kExternal = ip("203.0.113.1");
const Endpoint kY1{ip("198.51.100.1"), 53};
const Endpoint kY1q{ip("198.51.100.1"), 54};
const Endpoint kY2{ip("198.51.100.2"), 53};

NatRule filtered(Dependence filtering) {
    NatRule rule = kMasquerade;
    rule.filtering = filtering;
    return rule;
}

// R4787-1, R5382-1: whatever the remote, and in whatever order others come.
TEST(Translator, MappingsAreEndpointIndependent) {
    for (const auto protocol : {IpProtocol::udp, IpProtocol::tcp, IpProtocol::sctp, IpProtocol::udplite}) {
        BoxUnderTest box;
        const auto first = (*box.open(kMasquerade, {kX1, 5000}, kY1, protocol))->seen_source();
        EXPECT_EQ(first, (Endpoint{kExternal, 5000}));
        EXPECT_EQ((*box.open(kMasquerade, {kX1, 5000}, kY1q, protocol))->seen_source(), first);
        EXPECT_EQ((*box.open(kMasquerade, {kX1, 5000}, kY2, protocol))->seen_source(), first);
    }
}

// R4787-1: the order in which Linux overlaps first and then splits.
TEST(Translator, MappingsAreEndpointIndependentWhenHostsShareASourcePort) {
    BoxUnderTest box;
    const auto x1 = (*box.open(kMasquerade, {kX1, 5000}, kY1))->seen_source();
    const auto x2 = (*box.open(kMasquerade, {kX2, 5000}, kY2))->seen_source();
    EXPECT_NE(x1, x2);
    EXPECT_EQ((*box.open(kMasquerade, {kX2, 5000}, kY1))->seen_source(), x2);
    EXPECT_EQ((*box.open(kMasquerade, {kX1, 5000}, kY2))->seen_source(), x1);
}

// R5508-1, R5508-1a: of queries the identifier.
TEST(Translator, QueryMappingsAreEndpointIndependent) {
    BoxUnderTest box;
    const auto x1 = (*box.open(kMasquerade, {kX1, 7}, kY1, IpProtocol::icmp))->seen_source();
    const auto x2 = (*box.open(kMasquerade, {kX2, 7}, kY1, IpProtocol::icmp))->seen_source();
    EXPECT_EQ(x1.port, 7);
    EXPECT_NE(x2.port, 7);
    EXPECT_EQ((*box.open(kMasquerade, {kX1, 7}, kY2, IpProtocol::icmp))->seen_source(), x1);
    EXPECT_EQ((*box.open(kMasquerade, {kX2, 7}, kY2, IpProtocol::icmp))->seen_source(), x2);
}

TEST(Translator, MappingsDependOnAsMuchOfTheRemoteAsTheRuleSays) {
    BoxUnderTest box;
    NatRule rule = kMasquerade;
    rule.random = true;
    rule.mapping = Dependence::address_dependent;
    const auto to_y1 = (*box.open(rule, {kX1, 5000}, kY1))->seen_source();
    EXPECT_EQ((*box.open(rule, {kX1, 5000}, kY1q))->seen_source(), to_y1);
    EXPECT_NE((*box.open(rule, {kX1, 5000}, kY2))->seen_source(), to_y1);
    rule.mapping = Dependence::address_and_port_dependent;
    const auto to_y1_53 = (*box.open(rule, {kX2, 5000}, kY1))->seen_source();
    EXPECT_NE((*box.open(rule, {kX2, 5000}, kY1q))->seen_source(), to_y1_53);
}

// R4787-2, R6888-2, R6888-3: one external address for all protocols of a host, of a pool with a gap.
TEST(Translator, PoolingIsPaired) {
    BoxUnderTest box;
    const auto rule = snat({target("203.0.113.16", "203.0.113.23"), target("198.18.0.1", "198.18.0.8")});
    std::set<IpAddress> chosen;
    for (uint32_t number = 0; number < 100; ++number) {
        const IpAddress host = Ip4Address::from_host(0x0a000100 + number);
        const auto external = (*box.open(rule, {host, 1000}, kY1))->seen_source().address;
        chosen.insert(external);
        for (uint16_t more = 0; more < 5; ++more) {
            const uint16_t port = static_cast<uint16_t>(2000 + more);
            EXPECT_EQ((*box.open(rule, {host, port}, kY2))->seen_source().address, external);
            EXPECT_EQ((*box.open(rule, {host, port}, kY2, IpProtocol::tcp))->seen_source().address, external);
        }
    }
    EXPECT_EQ(chosen.size(), 16U);  // all of the pool is used
}

// R7857-4: when a host's address is full.
TEST(Translator, AFullAddressRefusesOrLetsAnotherBeUsed) {
    for (const auto pooling : {Pooling::paired, Pooling::soft}) {
        BoxUnderTest box;
        auto rule = snat({target("203.0.113.16", "203.0.113.17")});
        rule.ports = PortRange{4000, 4009};
        rule.pooling = pooling;
        std::set<IpAddress> chosen;
        for (uint16_t port = 0; port < 10; ++port)
            chosen.insert((*box.open(rule, {kX1, port}, kY1))->seen_source().address);
        EXPECT_EQ(chosen.size(), 1U);
        const auto beyond = box.open(rule, {kX1, 10}, kY1);
        if (pooling == Pooling::paired) {
            ASSERT_FALSE(beyond);
            EXPECT_EQ(beyond.error(), NatRefusal::exhausted);
        } else {
            ASSERT_TRUE(beyond);
            EXPECT_FALSE(chosen.contains((*beyond)->seen_source().address));
        }
    }
}

// R4787-3, R5382-7: no two hosts share an external endpoint, not even towards different remotes.
TEST(Translator, PortsAreNotOverloaded) {
    BoxUnderTest box;
    std::set<uint16_t> ports;
    for (uint32_t number = 0; number < 200; ++number) {
        const IpAddress host = Ip4Address::from_host(0x0a000100 + number);
        const Endpoint remote{Ip4Address::from_host(0xc6336400 + number % 2), 80};
        ports.insert((*box.open(kMasquerade, {host, 5000}, remote, IpProtocol::tcp))->seen_source().port);
    }
    EXPECT_EQ(ports.size(), 200U);
}

// R4787-3a
TEST(Translator, PortsStayInTheirClass) {
    BoxUnderTest box;
    for (int number = 0; number < 100; ++number) {
        const IpAddress host = Ip4Address::from_host(0x0a000100 + static_cast<uint32_t>(number));
        EXPECT_LT((*box.open(kMasquerade, {host, 500}, kY1))->seen_source().port, 1024);
        EXPECT_GT((*box.open(kMasquerade, {host, 500}, kY1))->seen_source().port, 0);
        EXPECT_GE((*box.open(kMasquerade, {host, 40000}, kY1))->seen_source().port, 1024);
    }
}

// R4787-4, R7857-8
TEST(Translator, ParityIsKeptWhereAsked) {
    BoxUnderTest box;
    NatRule rule = kMasquerade;
    rule.parity = true;
    rule.random = true;
    for (uint16_t port = 2000; port < 2100; ++port)
        EXPECT_EQ((*box.open(rule, {kX1, port}, kY1))->seen_source().port % 2, port % 2);
}

// R7857-9: a port that must change is not the next one.
TEST(Translator, ReplacementPortsAreSpread) {
    BoxUnderTest box;
    std::array<int, 8> parts{};
    for (uint32_t number = 0; number <= 4000; ++number) {
        const IpAddress host = Ip4Address::from_host(0x0a000100 + number);
        const auto port = (*box.open(kMasquerade, {host, 1024}, kY1))->seen_source().port;
        if (number != 0)
            ++parts[(port - 1024U) / 8064];
    }
    for (const int part : parts) {
        EXPECT_GT(part, 400);
        EXPECT_LT(part, 600);
    }
}

TEST(Translator, RulesNamePorts) {
    BoxUnderTest box;
    auto rule = snat({target("203.0.113.9")});
    rule.targets[0].ports = PortRange{6000, 6001};
    std::set<uint16_t> ports;
    for (const auto port : std::to_array<uint16_t>({500, 40000}))
        ports.insert((*box.open(rule, {kX1, port}, kY1))->seen_source().port);
    EXPECT_EQ(ports, (std::set<uint16_t>{6000, 6001}));
    EXPECT_EQ(box.open(rule, {kX1, 6000}, kY1).error(), NatRefusal::exhausted);
}

// R4787-8, R4787-8a, R6888-7
TEST(Translator, FilteringLetsInWhoTheRuleSays) {
    const Endpoint y1_other{kY1.address, 9999};
    const struct {
        Dependence filtering;
        bool anybody;
        bool same_address;
    } cases[] = {{Dependence::endpoint_independent, true, true},
                 {Dependence::address_dependent, false, true},
                 {Dependence::address_and_port_dependent, false, false}};
    for (const auto& one : cases) {
        BoxUnderTest box;
        const auto external = (*box.open(filtered(one.filtering), {kX1, 5000}, kY1))->seen_source();
        const auto stranger = box.open_inbound(kY2, external);
        EXPECT_EQ(stranger.has_value(), one.anybody);
        const auto known = box.open_inbound(y1_other, external);
        EXPECT_EQ(known.has_value(), one.same_address);
        if (known) {
            EXPECT_EQ((*known)->reached(), (Endpoint{kX1, 5000}));
        } else {
            EXPECT_EQ(known.error(), NatRefusal::filtered);
        }
    }
}

TEST(Translator, TheFilterForgetsRemotesWithTheirFlows) {
    BoxUnderTest box;
    const auto rule = filtered(Dependence::address_dependent);
    const auto first = *box.open(rule, {kX1, 5000}, kY1);
    const auto external = first->seen_source();
    const auto second = *box.open(rule, {kX1, 5000}, kY1q);
    ASSERT_TRUE(box.open(rule, {kX1, 5000}, kY2));
    box.pass(seconds(1));
    box.close(first);
    EXPECT_TRUE(box.nat().inbound(BoxUnderTest::tuple_between(kY1, external, IpProtocol::udp), kWan));
    box.close(second);
    EXPECT_EQ(box.open_inbound(kY1, external).error(), NatRefusal::filtered);
    EXPECT_TRUE(box.open_inbound(kY2, external));
}

// R7857-5, R7857-6
TEST(Translator, MappingsAndFiltersArePerProtocol) {
    BoxUnderTest box;
    const auto rule = filtered(Dependence::endpoint_independent);
    const auto external = (*box.open(rule, {kX1, 5000}, kY1, IpProtocol::tcp))->seen_source();
    EXPECT_EQ(box.open_inbound(kY2, external, IpProtocol::udp).error(), NatRefusal::no_mapping);
    EXPECT_TRUE(box.open_inbound(kY2, external, IpProtocol::tcp));
    // Another host may have the same port of the other protocol.
    EXPECT_EQ((*box.open(rule, {kX2, 5000}, kY1, IpProtocol::udp))->seen_source(), external);
}

TEST(Translator, QueriesFromOutsideAreForTheBox) {
    BoxUnderTest box;
    const auto rule = filtered(Dependence::endpoint_independent);
    const auto external = (*box.open(rule, {kX1, 7}, kY1, IpProtocol::icmp))->seen_source();
    EXPECT_EQ(box.open_inbound(kY2, external, IpProtocol::icmp).error(), NatRefusal::no_mapping);
}

// R4787-9, R4787-9a, R5382-8, R5382-8a
TEST(Translator, InsideHostsMeetByTheirExternalEndpoints) {
    for (const auto protocol : {IpProtocol::udp, IpProtocol::tcp}) {
        BoxUnderTest box;
        const auto x1 = (*box.open(kMasquerade, {kX1, 5000}, kY1, protocol))->seen_source();
        const auto x2 = (*box.open(kMasquerade, {kX2, 5000}, kY1, protocol))->seen_source();
        const auto flow = *box.open_hairpin({kX1, 5000}, x2, protocol);
        EXPECT_EQ(flow->reached(), (Endpoint{kX2, 5000}));
        EXPECT_EQ(flow->seen_source(), x1);
        // A host that nobody outside knows yet is shown an external source too, and is known by it from then.
        const auto stranger = *box.open_hairpin({ip("10.0.0.13"), 6000}, x2, protocol);
        EXPECT_EQ(stranger->seen_source(), (Endpoint{kExternal, 6000}));
        EXPECT_EQ((*box.open(kMasquerade, {ip("10.0.0.13"), 6000}, kY2, protocol))->seen_source(),
                  (Endpoint{kExternal, 6000}));
        box.close_all();
        box.pass(seconds(1));
        EXPECT_EQ(box.nat().mappings().size(), 0U);
    }
}

TEST(Translator, HairpinCanBeOff) {
    BoxUnderTest box;
    NatRule rule = kMasquerade;
    rule.hairpin = false;
    const auto x2 = (*box.open(rule, {kX2, 5000}, kY1))->seen_source();
    EXPECT_EQ(box.open_hairpin({kX1, 5000}, x2).error(), NatRefusal::no_mapping);
}

// R6888-4
TEST(Translator, AHostHoldsNoMoreMappingsThanItMay) {
    BoxUnderTest box;
    NatRule rule = kMasquerade;
    rule.ports_per_host = 3;
    ASSERT_TRUE(box.open(rule, {kX1, 1000}, kY1));
    ASSERT_TRUE(box.open(rule, {kX1, 1001}, kY1, IpProtocol::tcp));
    const auto third = *box.open(rule, {kX1, 1002}, kY1);
    EXPECT_EQ(box.open(rule, {kX1, 1003}, kY1).error(), NatRefusal::host_limit);
    EXPECT_TRUE(box.open(rule, {kX1, 1000}, kY2));  // no new mapping
    EXPECT_TRUE(box.open(rule, {kX2, 1003}, kY1));  // another host
    box.pass(seconds(1));
    box.close(third);
    EXPECT_TRUE(box.open(rule, {kX1, 1003}, kY1));
}

// R6888-8: 120 s by default where anybody may have sent to the port.
TEST(Translator, FreedPortsAreHeldDown) {
    const auto port_of_next = [](BoxUnderTest& box, const NatRule& rule, IpProtocol protocol) {
        box.pass(seconds(1));
        box.close_all();
        return [&box, rule, protocol] {
            const auto flow = *box.open(rule, {kX2, 5000}, kY1, protocol);
            const auto port = flow->seen_source().port;
            box.pass(Duration(0));
            box.close(flow);
            return port;
        };
    };
    const auto open_to_all = filtered(Dependence::endpoint_independent);
    {
        BoxUnderTest box;
        ASSERT_TRUE(box.open(open_to_all, {kX1, 5000}, kY1));
        const auto next = port_of_next(box, open_to_all, IpProtocol::udp);
        EXPECT_NE(next(), 5000);
        box.pass(seconds(119));
        EXPECT_NE(next(), 5000);
        box.pass(seconds(1));
        EXPECT_EQ(next(), 5000);
    }
    {
        BoxUnderTest box;  // exception: the end of TCP connections is known
        ASSERT_TRUE(box.open(open_to_all, {kX1, 5000}, kY1, IpProtocol::tcp));
        EXPECT_EQ(port_of_next(box, open_to_all, IpProtocol::tcp)(), 5000);
    }
    {
        BoxUnderTest box;  // exception: the filter keeps the former remotes out
        ASSERT_TRUE(box.open(kMasquerade, {kX1, 5000}, kY1));
        EXPECT_EQ(port_of_next(box, kMasquerade, IpProtocol::udp)(), 5000);
    }
    {
        NatSettings settings;
        settings.hold_down = seconds(10);
        settings.hold_down_tcp = settings.hold_down_filtered = true;
        BoxUnderTest box(settings);
        ASSERT_TRUE(box.open(kMasquerade, {kX1, 5000}, kY1, IpProtocol::tcp));
        const auto next = port_of_next(box, kMasquerade, IpProtocol::tcp);
        EXPECT_NE(next(), 5000);
        box.pass(seconds(10));
        EXPECT_EQ(next(), 5000);
    }
}

// R6888-8: also after all state was lost.
TEST(Translator, PortsAreHeldDownAtStartWhereAsked) {
    NatSettings settings;
    settings.hold_down_at_start = true;
    BoxUnderTest box(settings);
    const auto open_to_all = filtered(Dependence::endpoint_independent);
    EXPECT_EQ(box.open(open_to_all, {kX1, 5000}, kY1).error(), NatRefusal::held_down);
    EXPECT_TRUE(box.open(open_to_all, {kX1, 5000}, kY1, IpProtocol::tcp));
    box.pass(seconds(120));
    EXPECT_TRUE(box.open(open_to_all, {kX1, 5000}, kY1));
}

// R4787-11, R6888-11: 60 000 mappings of one address behave like one; then new ones are refused, none is
// taken away, and all is well again after the hold-down.
TEST(Translator, AnExhaustedAddressRefusesAndRecovers) {
    BoxUnderTest box({}, 70000);
    auto rule = filtered(Dependence::endpoint_independent);
    rule.ports = PortRange{1024, 61023};
    for (uint32_t number = 0; number < 60000; ++number) {
        const IpAddress host = Ip4Address::from_host(0x0a000100 + number % 7);
        ASSERT_TRUE(box.open(rule, {host, static_cast<uint16_t>(1024 + number / 7)}, kY1)) << number;
        if (number % 1000 == 0)
            box.pass(Duration(1));
    }
    box.pass(Duration(1));
    EXPECT_EQ(box.ports_in_use(), 60000U);
    EXPECT_EQ(box.open(rule, {kX2, 9}, kY1).error(), NatRefusal::exhausted);
    const auto first = box.flows.front();
    EXPECT_EQ((*box.open(rule, endpoint_of(first.original, Manip::source), kY2))->seen_source(),
              first.seen_source());
    EXPECT_EQ(box.nat().mappings().size(), 60000U);
    box.pass(Duration(1));
    box.close_all();
    EXPECT_EQ(box.ports_in_use(), 0U);
    box.pass(seconds(119));
    EXPECT_EQ(box.open(rule, {kX2, 9}, kY1).error(), NatRefusal::exhausted);
    box.pass(seconds(1));
    EXPECT_TRUE(box.open(rule, {kX2, 9}, kY1));
}

TEST(Translator, AFullTableRefuses) {
    BoxUnderTest box({}, 2);
    ASSERT_TRUE(box.open(kMasquerade, {kX1, 1000}, kY1));
    ASSERT_TRUE(box.open(kMasquerade, {kX1, 1001}, kY1));
    EXPECT_EQ(box.open(kMasquerade, {kX1, 1002}, kY1).error(), NatRefusal::table_full);
    EXPECT_TRUE(box.open(kMasquerade, {kX1, 1001}, kY2));
}

TEST(Translator, AMappingThatNoFlowBeganWithEnds) {
    BoxUnderTest box;
    const auto tuple = BoxUnderTest::tuple_between({kX1, 5000}, kY1, IpProtocol::udp);
    const Leaving leaving{.tuple = tuple, .out = kWan, .out_addresses = box.addresses};
    ASSERT_TRUE(
        box.nat().choose_source(filtered(Dependence::endpoint_independent), leaving, box.probe(), box.now));
    EXPECT_EQ(box.nat().mappings().size(), 1U);
    box.pass(Duration(1));
    EXPECT_EQ(box.nat().mappings().size(), 0U);
    EXPECT_EQ(box.ports_in_use(), 0U);
    EXPECT_EQ(box.nat().port_spaces().held(), 0U);  // nobody has ever seen it
    EXPECT_EQ(box.nat().hosts().size(), 0U);
}

// As when a flow that has expired makes way for one with the same tuple.
TEST(Translator, AMappingStaysForTheFlowItWasChosenForThoughItsLastFlowEnds) {
    NatRule overlapping = kMasquerade;
    overlapping.mapping = Dependence::address_and_port_dependent;
    overlapping.port_overlap = true;
    NatRule overlapping_elsewhere = overlapping;
    overlapping_elsewhere.ports = PortRange{2000, 2063};
    for (const auto& rule : {kMasquerade, overlapping, overlapping_elsewhere}) {
        BoxUnderTest box;
        const auto before = *box.open(rule, {kX1, 5000}, kY1);
        const auto external = before->seen_source();
        box.pass(seconds(1));
        const auto tuple = BoxUnderTest::tuple_between({kX1, 5000}, kY2, IpProtocol::udp);
        const auto chosen = box.nat().choose_source(
            rule, {.tuple = tuple, .out = kWan, .out_addresses = box.addresses}, box.probe(), box.now);
        ASSERT_EQ(chosen, external);
        box.close(before);
        const auto reply = *conntrack::inverted(with_endpoint(tuple, Manip::source, *chosen));
        box.nat().flow_began(tuple, reply, {.source = true});
        box.pass(seconds(1));
        EXPECT_EQ(box.nat().mappings().size(), 1U);
        EXPECT_EQ(box.ports_in_use(), 1U);
        box.nat().flow_ended(tuple, reply, {.source = true}, box.now);
        EXPECT_EQ(box.nat().mappings().size(), 0U) << "nothing keeps it any more";
    }
}

TEST(Translator, MasqueradeFollowsTheAddressOfItsInterface) {
    BoxUnderTest box;
    const auto before = *box.open(kMasquerade, {kX1, 5000}, kY1);
    box.addresses = {ip("2001:db8::1"), ip("203.0.113.77"), ip("203.0.113.78")};
    EXPECT_EQ((*box.open(kMasquerade, {kX1, 5000}, kY2))->seen_source(),
              (Endpoint{ip("203.0.113.77"), 5000}));
    EXPECT_EQ(before->seen_source().address, kExternal);
    EXPECT_EQ((*box.open(kMasquerade, {ip("fd00::5"), 5000}, {ip("2001:db8:9::1"), 53}))->seen_source(),
              (Endpoint{ip("2001:db8::1"), 5000}));
    box.addresses = {ip("2001:db8::1")};
    EXPECT_EQ(box.open(kMasquerade, {kX1, 5000}, kY1).error(), NatRefusal::no_address);
}

TEST(Translator, TheBoxsOwnPortsAreItsOwn) {
    BoxUnderTest box;
    const auto rule = filtered(Dependence::endpoint_independent);
    const auto own = *box.open(rule, {kExternal, 5000}, kY1);
    EXPECT_EQ(own->seen_source(), (Endpoint{kExternal, 5000}));
    EXPECT_NE((*box.open(rule, {kX1, 5000}, kY2))->seen_source().port, 5000);
    EXPECT_EQ(box.open_inbound(kY2, {kExternal, 5000}).error(), NatRefusal::no_mapping);
    box.pass(Duration(1));
    box.close(own);
    EXPECT_EQ(box.nat().mappings().size(), 1U);
}

// Two destinations that were translated to one: the answers must be told apart.
TEST(Translator, AFlowThatAnotherHasTheTupleOfGetsASecondMapping) {
    BoxUnderTest box;
    const auto first = (*box.open(kMasquerade, {kX1, 5000}, kY1))->seen_source();
    const auto second = (*box.open(kMasquerade, {kX1, 5000}, kY1))->seen_source();
    EXPECT_NE(first, second);
    EXPECT_EQ((*box.open(kMasquerade, {kX1, 5000}, kY2))->seen_source(), first);
}

// Two queries with one identifier to what becomes the same destination: the second had to get another one.
TEST(Translator, AQueryWhoseIdentifierChangedOnItsWayInHasTheMappingOfItsHost) {
    NatRule overlapping = kMasquerade;
    overlapping.mapping = Dependence::address_and_port_dependent;
    overlapping.port_overlap = true;
    for (const auto& rule : {kMasquerade, overlapping}) {
        BoxUnderTest box;
        ASSERT_TRUE(box.open(rule, {kX1, 7}, kY1, IpProtocol::icmp));
        const auto original = BoxUnderTest::tuple_between({kX1, 7}, kY2, IpProtocol::icmp);
        const auto tuple = BoxUnderTest::tuple_between({kX1, 8}, kY1, IpProtocol::icmp);
        const auto chosen = box.nat().choose_source(
            rule, {.tuple = tuple, .out = kWan, .out_addresses = box.addresses, .identifier = 7}, box.probe(),
            box.now);
        ASSERT_TRUE(chosen);
        EXPECT_NE(chosen->port, 7);
        const auto reply = *conntrack::inverted(with_endpoint(tuple, Manip::source, *chosen));
        box.nat().flow_began(original, reply, {.source = true});
        box.pass(seconds(1));
        EXPECT_EQ(box.ports_in_use(), 2U);
        box.nat().flow_ended(original, reply, {.source = true}, box.now);
        EXPECT_EQ(box.ports_in_use(), 1U);
    }
}

TEST(Translator, PortsOfFlowsThatNatDidNotMakeArePassedOver) {
    BoxUnderTest box;
    box.occupy(BoxUnderTest::tuple_between({kExternal, 5000}, kY1, IpProtocol::udp));
    EXPECT_NE((*box.open(kMasquerade, {kX1, 5000}, kY1))->seen_source().port, 5000);
}

TEST(Translator, AWorkerGivesOutItsOwnPortsOnly) {
    const PortShare share{.worker = 2, .workers = 4};
    for (const auto profile : {conntrack::Profile::rfc, conntrack::Profile::linux}) {
        BoxUnderTest box(NatSettings::of(profile), 4096, share);
        int kept = 0;
        for (uint16_t port = 2000; port < 2400; ++port) {
            const auto flow = box.open(kMasquerade, {kX1, port}, kY1);
            ASSERT_TRUE(flow) << port;
            const auto external = (*flow)->seen_source().port;
            EXPECT_TRUE(share.owns(external));
            kept += external == port ? 1 : 0;
        }
        EXPECT_GT(kept, 50);  // of the 64 that are its own
    }
}

TEST(Translator, NewSettingsHoldFromTheNextMapping) {
    BoxUnderTest box;
    const auto pool = snat({target("203.0.113.16")});
    const auto before = *box.open(pool, {kX1, 5000}, kY1);
    box.nat().apply(NatSettings::of(conntrack::Profile::linux));
    const auto after = *box.open(pool, {kX2, 5000}, kY2);  // would overlap, but the port is another's alone
    EXPECT_NE(after->seen_source(), before->seen_source());
    const auto moved = *box.open(snat({target("203.0.113.17")}), {kX1, 5000}, kY2);
    EXPECT_EQ(moved->seen_source().address, ip("203.0.113.17"));
    box.pass(seconds(1));
    box.close_all();
    EXPECT_EQ(box.nat().mappings().size(), 0U);
    EXPECT_EQ(box.ports_in_use(), 0U);
}

// R6888-12: who, never to whom.
TEST(Translator, TellsWhoHadAPort) {
    BoxUnderTest box;
    const auto find = [&](uint16_t port, std::optional<Instant> at) {
        std::vector<WhoRecord> found;
        for (WhoCursor cursor; !cursor.done;)
            box.nat().who({kExternal, port}, IpProtocol::udp, at, cursor, 3,
                          [&](const WhoRecord& record) { found.push_back(record); });
        return found;
    };
    const Instant start = box.now;
    const auto first = *box.open(kMasquerade, {kX1, 5000}, kY1);
    box.pass(seconds(10));
    box.close(first);
    box.pass(seconds(10));
    ASSERT_TRUE(box.open(kMasquerade, {kX2, 5000}, kY1));
    box.pass(seconds(10));
    const WhoRecord x1{.external = {kExternal, 5000},
                       .inside = {kX1, 5000},
                       .protocol = IpProtocol::udp,
                       .began = start,
                       .ended = start + seconds(10)};
    const WhoRecord x2{.external = {kExternal, 5000},
                       .inside = {kX2, 5000},
                       .protocol = IpProtocol::udp,
                       .began = start + seconds(20),
                       .ended = {}};
    EXPECT_EQ(find(5000, std::nullopt), (std::vector{x2, x1}));
    EXPECT_EQ(find(5000, start + seconds(5)), std::vector{x1});
    EXPECT_TRUE(find(5000, start + seconds(15)).empty());
    EXPECT_EQ(find(5000, start + seconds(25)), std::vector{x2});
    EXPECT_TRUE(find(5001, std::nullopt).empty());
}

// A flow that a helper announced: its mapping lives as long as it, and is nobody else's.
TEST(Translator, ExpectedFlowsHaveMappings) {
    BoxUnderTest box;
    auto& translator = box.nat();
    const Endpoint inside{kX1, 1025};
    const conntrack::Tuple first(kY1.address, kExternal, IpProtocol::tcp, 20, 1025);
    EXPECT_TRUE(translator.may_expect({kExternal, 1025}, inside, IpProtocol::tcp));
    ASSERT_TRUE(translator.map_expected(first, inside, kWan, box.now));
    const conntrack::Tuple reply(kX1, kY1.address, IpProtocol::tcp, 1025, 20);
    translator.flow_began(first, reply, {.destination = true});
    box.pass({});
    EXPECT_EQ(translator.mappings().size(), 1U);
    EXPECT_TRUE(translator.may_expect({kExternal, 1025}, inside, IpProtocol::tcp));
    EXPECT_FALSE(translator.may_expect({kExternal, 1025}, {kX2, 1025}, IpProtocol::tcp));
    EXPECT_FALSE(translator.map_expected(first, {kX2, 1025}, kWan, box.now));
    translator.flow_ended(first, reply, {.destination = true}, box.now);
    EXPECT_EQ(translator.mappings().size(), 0U);
}

TEST(Translator, AnnouncedPortsAreKeptIfTheyCanBe) {
    BoxUnderTest box;
    EXPECT_EQ(box.nat().choose_announced_port(5000, [](uint16_t) { return true; }), 5000);
    const auto other = box.nat().choose_announced_port(5000, [](uint16_t port) { return port != 5000; });
    ASSERT_TRUE(other.has_value());
    EXPECT_GE(*other, 1024);
    EXPECT_FALSE(box.nat().choose_announced_port(5000, [](uint16_t) { return false; }).has_value());
}

// What is asked of memory ahead is of use only if it is what the flow will need.
TEST(Translator, GuessesTheAnswersOfAHostsNextFlow) {
    BoxUnderTest box;
    const auto short_of = [](const conntrack::Tuple& tuple) {
        return conntrack::Ip4PortsTuple{.addresses = uint64_t{tuple.destination().ip4().wire().wire()} << 32 |
                                                     tuple.source().ip4().wire().wire(),
                                        .ports = uint32_t{tuple.dport} << 16 | tuple.sport,
                                        .protocol = tuple.protocol()};
    };
    const auto rule = snat({target("203.0.113.1", "203.0.113.200")});
    ASSERT_TRUE(box.open(rule, {kX1, 2000}, kY1));
    const auto second = BoxUnderTest::tuple_between({kX1, 3000}, kY1, IpProtocol::udp);
    std::array<conntrack::Ip4PortsTuple, 1> answers;
    box.nat().prefetch_beginnings(std::array{short_of(second)}, answers);
    const auto flow = box.open(rule, second);
    ASSERT_TRUE(flow);
    EXPECT_EQ(answers[0].addresses, short_of((*flow)->reply).addresses);
    EXPECT_EQ(answers[0].ports, short_of((*flow)->reply).ports);
}

}  // namespace
}  // namespace sluice::nat
