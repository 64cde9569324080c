// The choices of nf_nat: mappings that overlap, destinations, pools by hash.
#include <gtest/gtest.h>

#include <array>
#include <map>
#include <set>

#include "nat/address_choice.hh"
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
const Endpoint kY2{ip("198.51.100.2"), 53};

BoxUnderTest linux_box() {
    return BoxUnderTest(NatSettings::of(conntrack::Profile::linux));
}

// As measured: the first order looks endpoint independent, the second is not.
TEST(LinuxChoice, PortsAreSharedBetweenRemotes) {
    {
        auto box = linux_box();
        EXPECT_EQ((*box.open(kMasquerade, {kX1, 5000}, kY1))->seen_source().port, 5000);
        const auto x2 = (*box.open(kMasquerade, {kX2, 5000}, kY1))->seen_source().port;
        EXPECT_NE(x2, 5000);
        EXPECT_EQ((*box.open(kMasquerade, {kX2, 5000}, kY2))->seen_source().port, x2);
        EXPECT_EQ((*box.open(kMasquerade, {kX1, 5000}, kY2))->seen_source().port, 5000);
    }
    {
        auto box = linux_box();
        EXPECT_EQ((*box.open(kMasquerade, {kX1, 5000}, kY1))->seen_source().port, 5000);
        EXPECT_EQ((*box.open(kMasquerade, {kX2, 5000}, kY2))->seen_source().port, 5000);
        EXPECT_EQ(box.ports_in_use(), 1U);
        EXPECT_NE((*box.open(kMasquerade, {kX2, 5000}, kY1))->seen_source().port, 5000);
        EXPECT_NE((*box.open(kMasquerade, {kX1, 5000}, kY2))->seen_source().port, 5000);
    }
}

TEST(LinuxChoice, RandomGivesEveryRemoteAnotherPort) {
    auto box = linux_box();
    NatRule rule = kMasquerade;
    rule.random = true;
    std::set<uint16_t> ports;
    for (uint32_t number = 0; number < 50; ++number)
        ports.insert((*box.open(rule, {kX1, 5000}, {Ip4Address::from_host(0xc6336400 + number), 53}))
                         ->seen_source()
                         .port);
    EXPECT_GT(ports.size(), 45U);
}

TEST(LinuxChoice, ReplacementPortsKeepTheKernelsClasses) {
    auto box = linux_box();
    static constexpr struct {
        uint16_t port;
        uint16_t first;
        uint16_t last;
    } kCases[] = {{400, 1, 511}, {511, 1, 511}, {512, 600, 1023}, {1023, 600, 1023}, {1024, 1024, 65535}};
    for (const auto& one : kCases) {
        ASSERT_TRUE(box.open(kMasquerade, {kX1, one.port}, kY1));
        for (uint32_t number = 0; number < 20; ++number) {
            const Endpoint inside{Ip4Address::from_host(0x0a000100 + number), one.port};
            const auto port = (*box.open(kMasquerade, inside, kY1))->seen_source().port;
            EXPECT_GE(port, one.first);
            EXPECT_LE(port, one.last);
        }
    }
}

TEST(LinuxChoice, WithoutAFreeTupleTheFlowIsRefused) {
    auto box = linux_box();
    auto rule = snat({target("203.0.113.9")});
    rule.ports = PortRange{6000, 6003};
    for (uint16_t port = 1; port <= 4; ++port)
        ASSERT_TRUE(box.open(rule, {kX1, port}, kY1));
    EXPECT_EQ(box.open(rule, {kX1, 5}, kY1).error(), NatRefusal::exhausted);
    EXPECT_TRUE(box.open(rule, {kX1, 5}, kY2));
}

TEST(LinuxChoice, ProtocolsWithoutPortsHaveTheirAddressTranslatedAlone) {
    for (const auto profile : {conntrack::Profile::rfc, conntrack::Profile::linux}) {
        BoxUnderTest box(NatSettings::of(profile));
        const Endpoint y1{kY1.address, 0};
        EXPECT_EQ((*box.open(kMasquerade, {kX1, 0}, y1, IpProtocol::esp))->seen_source(),
                  (Endpoint{kExternal, 0}));
        EXPECT_EQ(box.open(kMasquerade, {kX2, 0}, y1, IpProtocol::esp).error(), NatRefusal::exhausted);
        EXPECT_TRUE(box.open(kMasquerade, {kX2, 0}, {kY2.address, 0}, IpProtocol::esp));
        EXPECT_EQ(box.nat().mappings().size(), 2U);
        EXPECT_EQ(box.ports_in_use(), 0U);
        box.pass(seconds(1));
        box.close_all();
        EXPECT_EQ(box.nat().mappings().size(), 0U);
    }
}

// Made with jhash2() of the four words of 10.0.0.5 and of 2001:db8::5, and 99 as its start.
TEST(LinuxChoice, TheHashIsJenkins) {
    EXPECT_EQ(address_hash(ip("10.0.0.5"), 99), 159520978U);
    EXPECT_EQ(address_hash(ip("2001:db8::5"), 99), 2726967612U);
}

TEST(LinuxChoice, PoolsAreUsedEvenlyAndByRemoteUnlessPersistent) {
    auto box = linux_box();
    auto rule = snat({target("203.0.113.16", "203.0.113.19")});
    std::map<IpAddress, int> uses;
    for (uint32_t number = 0; number < 400; ++number)
        ++uses[(*box.open(rule, {Ip4Address::from_host(0x0a010000 + number), 5000}, kY1))
                   ->seen_source()
                   .address];
    ASSERT_EQ(uses.size(), 4U);
    for (const auto& [address, count] : uses)
        EXPECT_GT(count, 60) << address.to_string();

    for (const bool persistent : {false, true}) {
        rule.persistent = persistent;
        std::set<IpAddress> chosen;
        for (uint32_t number = 0; number < 50; ++number)
            chosen.insert((*box.open(rule, {kX1, static_cast<uint16_t>(2000 + number)},
                                     {Ip4Address::from_host(0xc6120000 + number), 53}))
                              ->seen_source()
                              .address);
        EXPECT_EQ(chosen.size() == 1, persistent);
    }
}

TEST(LinuxChoice, Ip6PoolsAreStayedIn) {
    const NatTarget range = target("2001:db8::1:0", "2001:db8::2:ffff");
    const Pool pool{{&range, 1}, {}};
    std::set<IpAddress> chosen;
    for (uint16_t number = 0; number < 200; ++number) {
        std::array<uint8_t, 16> bytes{0xfd};
        bytes[15] = static_cast<uint8_t>(number);
        const auto address = *choose_address(pool, Ip6Address(bytes), ip("2001:db8:9::1"), false);
        EXPECT_TRUE(range.contains(address)) << address.to_string();
        chosen.insert(address);
    }
    EXPECT_GT(chosen.size(), 190U);
    EXPECT_EQ(choose_address(pool, kX1, kY1.address, false), std::nullopt);
}

TEST(LinuxChoice, APoolIsGoneThroughAddressByAddress) {
    const std::array targets{target("203.0.113.254", "203.0.114.0"), target("2001:db8::1"),
                             target("10.9.9.9")};
    const Pool pool{targets, {}};
    IpAddress address = ip("203.0.113.254");
    for (const auto* next : {"203.0.113.255", "203.0.114.0", "10.9.9.9", "203.0.113.254"}) {
        address = next_address(pool, address);
        EXPECT_EQ(address, ip(next));
    }
    EXPECT_EQ(next_address(pool, ip("2001:db8::1")), ip("2001:db8::1"));
}

Endpoint destination_of(BoxUnderTest& box, const NatRule& rule, const Endpoint& client, const Endpoint& to,
                        IpProtocol protocol = IpProtocol::tcp) {
    const std::array own{ip("192.0.2.1"), ip("192.0.2.2")};
    return *box.nat().choose_destination(rule, BoxUnderTest::tuple_between(client, to, protocol), own,
                                         box.probe());
}

TEST(LinuxChoice, DestinationsAreWhatTheRuleSays) {
    auto box = linux_box();
    const Endpoint service{kExternal, 8080};
    NatRule rule{.kind = NatKind::dnat, .targets = {target("10.0.0.20")}};
    EXPECT_EQ(destination_of(box, rule, kY1, service), (Endpoint{ip("10.0.0.20"), 8080}));
    rule.ports = PortRange{80, 80};
    EXPECT_EQ(destination_of(box, rule, kY1, service), (Endpoint{ip("10.0.0.20"), 80}));
    rule.targets[0].ports = PortRange{8000, 8010};
    EXPECT_EQ(destination_of(box, rule, kY1, service), (Endpoint{ip("10.0.0.20"), 8000}));
    EXPECT_EQ(destination_of(box, rule, kY1, {kExternal, 8005}), (Endpoint{ip("10.0.0.20"), 8005}));
    box.occupy(BoxUnderTest::tuple_between(kY1, {ip("10.0.0.20"), 8000}, IpProtocol::tcp));
    EXPECT_EQ(destination_of(box, rule, kY1, service), (Endpoint{ip("10.0.0.20"), 8001}));

    const NatRule redirect{.kind = NatKind::redirect, .ports = PortRange{3128, 3128}};
    EXPECT_EQ(destination_of(box, redirect, {kX1, 1}, kY1), (Endpoint{ip("192.0.2.1"), 3128}));
    const auto no_family =
        box.nat().choose_destination(redirect, {ip("fd00::1"), ip("fd00::2"), IpProtocol::tcp, 1, 2},
                                     std::array{ip("192.0.2.1")}, box.probe());
    EXPECT_EQ(no_family.error(), NatRefusal::no_address);
}

TEST(LinuxChoice, SeveralTargetsShareTheClients) {
    auto box = linux_box();
    NatRule rule{.kind = NatKind::dnat,
                 .targets = {target("10.0.0.20"), target("10.0.0.30"), target("10.0.0.40")}};
    rule.targets[1].ports = PortRange{81, 81};
    std::map<Endpoint, int,
             decltype([](const Endpoint& a, const Endpoint& b) { return a.address < b.address; })>
        uses;
    for (uint32_t number = 0; number < 300; ++number) {
        const Endpoint client{Ip4Address::from_host(0xc6120000 + number * 7), 1000};
        const auto chosen = destination_of(box, rule, client, {kExternal, 80});
        EXPECT_EQ(destination_of(box, rule, client, {kExternal, 80}), chosen);
        EXPECT_EQ(chosen.port, chosen.address == ip("10.0.0.30") ? 81 : 80);
        ++uses[chosen];
    }
    ASSERT_EQ(uses.size(), 3U);
    for (const auto& [endpoint, count] : uses)
        EXPECT_GT(count, 60);
}

TEST(LinuxChoice, ASourceIsKeptUnlessAnotherFlowHasTheTuple) {
    auto box = linux_box();
    const auto tuple = BoxUnderTest::tuple_between({kX1, 5000}, {ip("10.0.0.20"), 80}, IpProtocol::tcp);
    const Leaving leaving{.tuple = tuple, .out = kLan, .out_addresses = {}};
    EXPECT_EQ(*box.nat().keep_source(leaving, box.probe()), (Endpoint{kX1, 5000}));
    box.occupy(tuple);
    const auto other = *box.nat().keep_source(leaving, box.probe());
    EXPECT_EQ(other.address, kX1);
    EXPECT_GE(other.port, 1024);
    EXPECT_NE(other.port, 5000);
    EXPECT_EQ(box.nat().mappings().size(), 0U);
}

}  // namespace
}  // namespace sluice::nat
