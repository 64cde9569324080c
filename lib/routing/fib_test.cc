#include "routing/fib.hh"

#include <gtest/gtest.h>

#include <map>

namespace sluice::routing {
namespace {

constexpr InterfaceId kLan{0};
constexpr InterfaceId kWan{1};
constexpr InterfaceId kLink{2};

IpAddress ip(const char* text) {
    return *IpAddress::parse(text);
}
IpPrefix net(const char* text) {
    return *IpPrefix::parse(text);
}

class FibTest : public testing::Test {
  protected:
    FibTest() {
        add(kLan, "lan", 1500, {"192.168.1.1/24", "fd00:1::1/64"});
        add(kWan, "wan", 1400, {"203.0.113.2/24", "2001:db8::2/64", "fe80::1/64"});
        add(kLink, "link", 9000, {"10.9.0.0/31", "fd00:9::/127"});
    }
    void add(InterfaceId id, const char* name, uint16_t mtu, std::initializer_list<const char*> addresses) {
        FibInterface interface{.id = id, .name = name, .mtu = mtu, .addresses = {}};
        for (const auto* address : addresses)
            interface.addresses.push_back(*InterfaceAddress::parse(address));
        interfaces_.push_back(interface);
    }
    RouteConfig& route(const char* to) {
        RouteConfig& added = routes_.emplace_back();
        if (std::string_view(to) != "default")
            added.to.prefix = net(to);
        added.location.path = "routes[" + std::to_string(routes_.size() - 1) + "]";
        return added;
    }
    RouteConfig& via(const char* to, const char* gateway) {
        RouteConfig& added = route(to);
        added.via = ip(gateway);
        return added;
    }
    RouteRuleConfig& rule(const char* table) {
        RouteRuleConfig& added = rules_.emplace_back();
        added.table = table;
        added.location.path = "route_rules[" + std::to_string(rules_.size() - 1) + "]";
        return added;
    }
    const Fib& build() {
        FibInput input{.interfaces = interfaces_,
                       .routes = routes_,
                       .rules = rules_,
                       .interfaces_named =
                           [this](std::string_view name) {
                               std::vector<InterfaceId> found;
                               for (const auto& interface : interfaces_) {
                                   if (interface.name == name || name == "all")
                                       found.push_back(interface.id);
                               }
                               return found;
                           },
                       .pin_neighbour =
                           [this](InterfaceId out, const IpAddress& gateway) {
                               pins_.emplace_back(out, gateway);
                               return static_cast<NeighbourIndex>(pins_.size());
                           }};
        problems_ = {};
        fib_ = Fib::build(input, problems_);
        static const auto nothing = Fib::build({}, problems_);
        return fib_ ? *fib_ : *nothing;
    }
    [[nodiscard]] const NextHop& to(const char* address, TableId table = kMainTable) const {
        return fib_->next_hop(fib_->lookup(table, ip(address)));
    }
    [[nodiscard]] const NextHop& routed(const RouteKey& key) const {
        return fib_->next_hop(fib_->route(key));
    }
    // The text of the only problem.
    std::string problem() {
        build();
        EXPECT_EQ(fib_, nullptr);
        EXPECT_TRUE(pins_.empty()) << "a FIB that is refused pins nothing";
        EXPECT_EQ(problems_.size(), 1U) << problems_.text();
        return problems_.empty() ? "" : problems_.all().front().text();
    }

    std::vector<FibInterface> interfaces_;
    std::vector<RouteConfig> routes_;
    std::vector<RouteRuleConfig> rules_;
    std::vector<std::pair<InterfaceId, IpAddress>> pins_;
    config::Problems problems_;
    std::unique_ptr<const Fib> fib_;
};

TEST_F(FibTest, KnowsWhatTheInterfacesSay) {
    build();
    EXPECT_EQ(to("192.168.1.1").kind, NextHopKind::local);
    EXPECT_EQ(to("192.168.1.1").out, kLan);
    EXPECT_EQ(to("192.168.1.255").kind, NextHopKind::broadcast);
    EXPECT_EQ(to("192.168.1.0").kind, NextHopKind::connected);
    EXPECT_EQ(to("192.168.1.7").kind, NextHopKind::connected);
    EXPECT_EQ(to("203.0.113.9").out, kWan);
    EXPECT_EQ(to("203.0.113.9").mtu, 1400);
    EXPECT_EQ(to("fd00:1::1").kind, NextHopKind::local);
    EXPECT_FALSE(to("fd00:1::1").anycast);
    EXPECT_EQ(to("fd00:1::ffff").kind, NextHopKind::connected);
    EXPECT_EQ(to("8.8.8.8").kind, NextHopKind::none);
    EXPECT_EQ(to("2001:4860::1").kind, NextHopKind::none);
}

// R3021: both addresses of a /31 are hosts. RFC 6164: so they are of a /127.
TEST_F(FibTest, PointToPointNetworksHaveHostsOnly) {
    build();
    EXPECT_EQ(to("10.9.0.0").kind, NextHopKind::local);
    EXPECT_EQ(to("10.9.0.1").kind, NextHopKind::connected);
    EXPECT_EQ(to("fd00:9::").kind, NextHopKind::local);
    EXPECT_FALSE(to("fd00:9::").anycast);
    EXPECT_EQ(to("fd00:9::1").kind, NextHopKind::connected);
}

// RFC 4291 2.6.1
TEST_F(FibTest, AnswersForTheSubnetRouterAnycastAddress) {
    build();
    EXPECT_EQ(to("fd00:1::").kind, NextHopKind::local);
    EXPECT_TRUE(to("fd00:1::").anycast);
}

TEST_F(FibTest, LeavesLinkLocalToTheArrivalInterface) {
    build();
    EXPECT_EQ(to("fe80::1").kind, NextHopKind::none);
    EXPECT_EQ(to("fe80::2").kind, NextHopKind::none);
}

TEST_F(FibTest, SendsThroughGateways) {
    via("default", "203.0.113.1");
    via("10.0.0.0/8", "192.168.1.254");
    via("10.0.0.0/16", "192.168.1.254");
    via("2001:db8:5::/48", "fe80::5").interface = "lan";
    const Fib& fib = build();
    ASSERT_TRUE(problems_.empty()) << problems_.text();
    EXPECT_EQ(to("8.8.8.8").kind, NextHopKind::gateway);
    EXPECT_EQ(to("8.8.8.8").gateway, ip("203.0.113.1"));
    EXPECT_EQ(to("8.8.8.8").out, kWan);
    EXPECT_EQ(to("8.8.8.8").mtu, 1400);
    EXPECT_EQ(to("10.1.2.3").gateway, ip("192.168.1.254"));
    EXPECT_EQ(to("2001:db8:5::9").gateway, ip("fe80::5"));
    EXPECT_EQ(to("2001:db8:6::9").kind, NextHopKind::none) << "the default is of the family of its gateway";
    // Each gateway is pinned once, and named by its pin.
    EXPECT_EQ(pins_.size(), 3U);
    EXPECT_EQ(fib.pinned().size(), 3U);
    EXPECT_EQ(pins_[static_cast<size_t>(to("10.1.2.3").neighbour) - 1], std::pair(kLan, ip("192.168.1.254")));
    EXPECT_EQ(fib.lookup(kMainTable, ip("10.0.0.1")), fib.lookup(kMainTable, ip("10.1.0.1")));
}

TEST_F(FibTest, ADefaultWithoutGatewayIsForBothFamilies) {
    route("default").interface = "wan";
    build();
    EXPECT_EQ(to("8.8.8.8").kind, NextHopKind::connected);
    EXPECT_EQ(to("2001:4860::1").kind, NextHopKind::connected);
    EXPECT_EQ(to("2001:4860::1").out, kWan);
}

TEST_F(FibTest, TakesTheNarrowestNetworkForAGateway) {
    add(InterfaceId{3}, "wide", 1500, {"10.9.9.9/8"});
    via("172.16.0.0/12", "10.9.0.1");
    build();
    EXPECT_EQ(to("172.16.0.1").out, kLink);
}

TEST_F(FibTest, DiscardsInThreeWays) {
    route("10.0.0.0/8").type = RouteType::blackhole;
    route("11.0.0.0/8").type = RouteType::unreachable;
    route("12.0.0.0/8").type = RouteType::prohibit;
    route("default").type = RouteType::unreachable;
    build();
    EXPECT_EQ(to("10.0.0.1").kind, NextHopKind::blackhole);
    EXPECT_EQ(to("11.0.0.1").kind, NextHopKind::unreachable);
    EXPECT_EQ(to("12.0.0.1").kind, NextHopKind::prohibit);
    EXPECT_EQ(to("2001:4860::1").kind, NextHopKind::unreachable);
    EXPECT_EQ(to("10.9.0.1").kind, NextHopKind::connected) << "the longer match";
}

TEST_F(FibTest, TheLowestMetricWins) {
    via("default", "203.0.113.1").metric = 20;
    via("default", "192.168.1.254").metric = 10;
    via("192.168.1.0/24", "203.0.113.1").metric = 5;
    build();
    EXPECT_EQ(to("8.8.8.8").gateway, ip("192.168.1.254"));
    EXPECT_EQ(to("192.168.1.9").kind, NextHopKind::connected) << "connected networks have metric 0";
}

TEST_F(FibTest, OwnAddressesComeBeforeAnyRouteInEveryTable) {
    route("192.168.1.1/32").type = RouteType::blackhole;
    RouteConfig& backup = via("default", "192.168.1.254");
    backup.table = "backup";
    rule("backup");
    build();
    EXPECT_EQ(to("192.168.1.1").kind, NextHopKind::local);
    EXPECT_EQ(to("203.0.113.2", TableId{1}).kind, NextHopKind::local);
    EXPECT_EQ(to("203.0.113.255", TableId{1}).kind, NextHopKind::broadcast);
    EXPECT_EQ(to("203.0.113.9", TableId{1}).kind, NextHopKind::gateway)
        << "connected networks are in main only";
}

TEST_F(FibTest, RulesChooseTheTable) {
    via("default", "203.0.113.1");
    via("default", "192.168.1.254").table = "backup";
    via("default", "192.168.1.253").table = "web";
    rule("web").dport = {{80, 80}, {8000, 8999}};
    rules_.back().proto = ProtocolNumber{6};
    rules_.back().in = {"lan"};
    rule("backup").saddr = AddressMatch{{net("192.168.1.128/25")}, false};
    const Fib& fib = build();
    ASSERT_TRUE(problems_.empty()) << problems_.text();
    EXPECT_TRUE(fib.has_rules());
    const RouteKey web{.in = kLan,
                       .saddr = ip("192.168.1.5"),
                       .daddr = ip("8.8.8.8"),
                       .proto = 6,
                       .has_ports = true,
                       .sport = 1000,
                       .dport = 8080};
    EXPECT_EQ(routed(web).gateway, ip("192.168.1.253"));
    const auto changed = [&](auto change) {
        RouteKey key = web;
        change(key);
        return routed(key).gateway;
    };
    EXPECT_EQ(changed([](auto& key) { key.in = kWan; }), ip("203.0.113.1"));
    EXPECT_EQ(changed([](auto& key) { key.in = kNoInterface; }), ip("203.0.113.1"));
    EXPECT_EQ(changed([](auto& key) { key.proto = 17; }), ip("203.0.113.1"));
    EXPECT_EQ(changed([](auto& key) { key.dport = 81; }), ip("203.0.113.1"));
    EXPECT_EQ(changed([](auto& key) { key.has_ports = false; }), ip("203.0.113.1"));
    EXPECT_EQ(changed([](auto& key) { key.saddr = ip("192.168.1.200"), key.dport = 81; }),
              ip("192.168.1.254"));
    EXPECT_EQ(changed([](auto& key) { key.daddr = ip("192.168.1.1"); }), IpAddress());
}

TEST_F(FibTest, ATableWithoutARouteLeavesItToTheNextRuleAndThenToMain) {
    via("default", "203.0.113.1");
    via("10.0.0.0/8", "192.168.1.254").table = "narrow";
    via("11.0.0.0/8", "192.168.1.253").table = "other";
    rule("narrow");
    rule("other");
    build();
    const auto gateway_to = [&](const char* address) {
        return routed({.in = kLan, .saddr = ip("192.168.1.5"), .daddr = ip(address)}).gateway;
    };
    EXPECT_EQ(gateway_to("10.0.0.1"), ip("192.168.1.254"));
    EXPECT_EQ(gateway_to("11.0.0.1"), ip("192.168.1.253"));
    EXPECT_EQ(gateway_to("12.0.0.1"), ip("203.0.113.1"));
}

TEST_F(FibTest, ABlackholeInATableIsAnAnswer) {
    via("default", "203.0.113.1");
    route("default").type = RouteType::blackhole;
    routes_.back().table = "nowhere";
    rule("nowhere").in = {"all"};
    build();
    EXPECT_EQ(routed({.in = kLan, .saddr = ip("192.168.1.5"), .daddr = ip("8.8.8.8")}).kind,
              NextHopKind::blackhole);
}

TEST_F(FibTest, NegatedAddressesAreOfTheSameFamily) {
    via("default", "203.0.113.1");
    via("default", "192.168.1.254").table = "backup";
    via("default", "fd00:1::254").table = "backup";
    rule("backup").daddr = AddressMatch{{net("10.0.0.0/8"), net("11.0.0.0/8")}, true};
    build();
    EXPECT_EQ(routed({.daddr = ip("12.0.0.1")}).gateway, ip("192.168.1.254"));
    EXPECT_EQ(routed({.daddr = ip("11.0.0.1")}).gateway, ip("203.0.113.1"));
    EXPECT_EQ(routed({.saddr = ip("::1"), .daddr = ip("2001:4860::1")}).kind, NextHopKind::none);
}

TEST_F(FibTest, LooksUpBurstsOfBothFamilies) {
    via("default", "203.0.113.1");
    build();
    const uint32_t to4[] = {ip("8.8.8.8").ip4().host(), ip("192.168.1.1").ip4().host()};
    NextHopIndex found[2];
    fib_->lookup_burst(kMainTable, to4, found, 2);
    EXPECT_EQ(fib_->next_hop(found[0]).kind, NextHopKind::gateway);
    EXPECT_EQ(fib_->next_hop(found[1]).kind, NextHopKind::local);
    const auto own = ip("fd00:1::1").ip6();
    const auto far = ip("2001:4860::1").ip6();
    const uint8_t* to6[] = {own.bytes().data(), far.bytes().data()};
    fib_->lookup_burst(kMainTable, to6, found, 2);
    EXPECT_EQ(fib_->next_hop(found[0]).kind, NextHopKind::local);
    EXPECT_EQ(found[1], kNoNextHop);
}

TEST_F(FibTest, ListsAllRoutes) {
    via("default", "203.0.113.1").metric = 7;
    via("default", "192.168.1.254").metric = 9;
    const Fib& fib = build();
    std::map<RouteStatus::Source, size_t> by_source;
    for (size_t i = 0; i < fib.route_count(); ++i)
        ++by_source[fib.route_at(i).source];
    // lan: 192.168.1.1, .255, fd00:1::1, fd00:1::; wan the same; link: two addresses.
    EXPECT_EQ(by_source[RouteStatus::Source::local], 10U);
    EXPECT_EQ(by_source[RouteStatus::Source::connected], 6U);
    EXPECT_EQ(by_source[RouteStatus::Source::configured], 2U);
    const auto last = fib.route_at(fib.route_count() - 1);
    EXPECT_EQ(last.to, net("0.0.0.0/0"));
    EXPECT_EQ(last.metric, 9U);
    EXPECT_EQ(last.next_hop.gateway, ip("192.168.1.254"));
    EXPECT_EQ(fib.table_name(last.table), "main");
    EXPECT_EQ(to_string(last.source), "static");
}

TEST_F(FibTest, RefusesGatewaysThatAreNotOnALink) {
    via("default", "198.51.100.1");
    EXPECT_NE(problem().find("routes[0].via: the gateway 198.51.100.1 is in no network of an interface"),
              std::string::npos);
}

TEST_F(FibTest, RefusesGatewaysThatAreNotOnTheGivenLink) {
    via("default", "203.0.113.1").interface = "lan";
    EXPECT_NE(problem().find("is in no network of lan"), std::string::npos);
}

TEST_F(FibTest, RefusesItselfAsAGateway) {
    via("default", "203.0.113.2");
    EXPECT_NE(problem().find("is the box itself"), std::string::npos);
}

TEST_F(FibTest, RefusesABroadcastAddressAsAGateway) {
    via("default", "203.0.113.255");
    EXPECT_NE(problem().find("is the broadcast address"), std::string::npos);
}

TEST_F(FibTest, WantsTheInterfaceOfALinkLocalGateway) {
    via("::/0", "fe80::5");
    EXPECT_NE(problem().find("say on which with interface"), std::string::npos);
}

TEST_F(FibTest, RefusesUnknownInterfaces) {
    route("10.0.0.0/8").interface = "wann";
    const auto text = problem();
    EXPECT_NE(text.find("routes[0].interface: there is no interface 'wann'"), std::string::npos);
    EXPECT_NE(text.find("did you mean 'wan'?"), std::string::npos);
}

TEST_F(FibTest, RefusesTwoRoutesOfOneMetric) {
    via("10.0.0.0/8", "203.0.113.1");
    via("11.0.0.0/8", "203.0.113.1");
    via("10.0.0.0/8", "192.168.1.254");
    EXPECT_NE(problem().find("routes[2].to: there is another route to 10.0.0.0/8"), std::string::npos);
}

TEST_F(FibTest, RefusesARouteToAConnectedNetwork) {
    via("192.168.1.0/24", "203.0.113.1");
    EXPECT_NE(problem().find("is connected already"), std::string::npos);
}

TEST_F(FibTest, RefusesRulesThatDangle) {
    via("default", "192.168.1.254").table = "backup";
    rule("bakcup");
    rule("backup").in = {"lann"};
    build();
    ASSERT_EQ(problems_.size(), 2U) << problems_.text();
    EXPECT_NE(problems_.text().find("route_rules[0].table: no route is in table 'bakcup'"),
              std::string::npos);
    EXPECT_NE(problems_.text().find("did you mean 'backup'?"), std::string::npos);
    EXPECT_NE(problems_.text().find("route_rules[1].in: there is no interface or zone 'lann'"),
              std::string::npos);
}

TEST_F(FibTest, BoundsTheNumberOfTables) {
    for (size_t i = 1; i <= kMaxTables; ++i)
        via("default", "203.0.113.1").table = "table" + std::to_string(i);
    EXPECT_NE(problem().find("expected at most 256"), std::string::npos);
}

TEST_F(FibTest, WorksWithoutAnything) {
    FibInput input{};
    const auto fib = Fib::build(input, problems_);
    ASSERT_NE(fib, nullptr);
    EXPECT_FALSE(fib->has_rules());
    EXPECT_EQ(fib->lookup(kMainTable, ip("8.8.8.8")), kNoNextHop);
    EXPECT_EQ(fib->next_hop(kNoNextHop).kind, NextHopKind::none);
    EXPECT_EQ(fib->route_count(), 0U);
}

}  // namespace
}  // namespace sluice::routing
