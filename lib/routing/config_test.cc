#include "routing/config.hh"

#include <gtest/gtest.h>

#include "config/compound.hh"
#include "config/document.hh"
#include "routing/static_neighbours.hh"

namespace sluice {
namespace routing {

struct Sections {
    std::vector<NeighbourConfig> neighbours;
    std::vector<RouteConfig> routes;
    std::vector<RouteRuleConfig> route_rules;
    IcmpConfig icmp;
};

}  // namespace routing

template <>
struct config::Schema<routing::Sections> {
    static const Mapping<routing::Sections>& get() {
        using routing::Sections;
        static const auto mapping = Mapping<Sections>("sections")
                                        .optional("neighbours", &Sections::neighbours, "")
                                        .optional("routes", &Sections::routes, "")
                                        .optional("route_rules", &Sections::route_rules, "")
                                        .optional("icmp", &Sections::icmp, "");
        return mapping;
    }
};

namespace routing {
namespace {

Sections read(const char* text) {
    auto result = config::read_text<Sections>("test.yaml", text);
    EXPECT_TRUE(result) << result.error().text();
    return result.value_or(Sections{});
}

std::string refusal(const char* text) {
    const auto result = config::read_text<Sections>("test.yaml", text);
    EXPECT_FALSE(result) << text;
    return result ? "" : result.error().text();
}

TEST(RoutingConfig, ReadsRoutes) {
    const auto sections = read(
        "routes:\n"
        "  - {to: default, via: 203.0.113.1}\n"
        "  - {to: 10.0.0.0/8, type: blackhole}\n"
        "  - {to: \"2001:db8::/32\", via: \"fe80::1\", interface: lan, table: backup, metric: 10}\n");
    ASSERT_EQ(sections.routes.size(), 3U);
    EXPECT_FALSE(sections.routes[0].to.prefix);
    EXPECT_EQ(sections.routes[0].via->to_string(), "203.0.113.1");
    EXPECT_EQ(sections.routes[0].table, "main");
    EXPECT_EQ(sections.routes[1].type, RouteType::blackhole);
    EXPECT_EQ(sections.routes[1].to.prefix->to_string(), "10.0.0.0/8");
    EXPECT_EQ(sections.routes[2].interface, "lan");
    EXPECT_EQ(sections.routes[2].table, "backup");
    EXPECT_EQ(sections.routes[2].metric, 10U);
    EXPECT_EQ(sections.routes[2].location.path, "routes[2]");
    EXPECT_EQ(sections.routes[2].location.mark.line, 4U);
}

TEST(RoutingConfig, RefusesRoutesThatMakeNoSense) {
    const auto has = [](const char* route, const char* words) {
        const auto text = refusal((std::string("routes: [") + route + "]").c_str());
        EXPECT_NE(text.find(words), std::string::npos) << text;
    };
    has("{to: 10.0.0.0/8}", "neither via which gateway nor on which interface");
    has("{to: 10.0.0.0/8, type: blackhole, via: 10.0.0.1}",
        "routes[0].via: a route of type blackhole leads nowhere");
    has("{to: 10.0.0.0/8, type: prohibit, interface: lan}", "leads nowhere");
    has("{to: 10.0.0.0/8, via: \"fe80::1\", interface: lan}", "another family");
    has("{to: 10.0.0.1/8, via: 10.0.0.1}", "bits set behind its length");
    has("{to: 224.0.0.0/8, via: 10.0.0.1}", "multicast is not routed");
    has("{to: \"fe80::/64\", interface: lan}", "link-local addresses are not routed");
    has("{to: default, via: 0.0.0.0}", "cannot be a gateway");
    has("{to: default, via: 10.0.0.1, table: local}", "the box's own addresses");
    has("{to: default, via: 10.0.0.1, type: throw}", "'throw' is none of the known values");
    has("{via: 10.0.0.1}", "to");
    has("{to: dflt, via: 10.0.0.1}", "dflt");
}

TEST(RoutingConfig, ReadsRouteRules) {
    const auto sections = read(
        "route_rules:\n"
        "  - {saddr: 192.168.1.128/25, table: backup}\n"
        "  - {in: lan, daddr: [10.0.0.0/8, 11.0.0.1], proto: tcp, dport: [80, 8000-8999], table: web}\n"
        "  - {in: [lan, guests], saddr: \"!10.0.0.0/8\", proto: 89, sport: 53, table: web}\n"
        "  - {daddr: {not: [10.0.0.0/8, \"fd00::/8\"]}, table: web}\n");
    ASSERT_EQ(sections.route_rules.size(), 4U);
    const auto& rules = sections.route_rules;
    EXPECT_EQ(rules[0].saddr->prefixes[0].to_string(), "192.168.1.128/25");
    EXPECT_FALSE(rules[0].daddr);
    EXPECT_EQ(rules[1].in, std::vector<std::string>{"lan"});
    EXPECT_EQ(rules[1].daddr->prefixes.size(), 2U);
    EXPECT_EQ(rules[1].proto->number, 6);
    EXPECT_EQ(rules[1].dport[1].last, 8999);
    EXPECT_TRUE(rules[2].saddr->negated);
    EXPECT_EQ(rules[2].proto->number, 89);
    EXPECT_TRUE(rules[3].daddr->negated);
    EXPECT_EQ(rules[3].daddr->prefixes.size(), 2U);
}

TEST(RoutingConfig, RefusesRulesThatMakeNoSense) {
    for (const char* rule :
         {"{saddr: 10.0.0.0/8}", "{saddr: [], table: a}", "{saddr: {net: 10.0.0.0/8}, table: a}",
          "{proto: tpc, table: a}", "{proto: 256, table: a}", "{dport: 70000, table: a}",
          "{saddr: \"!10.0.0.1/8\", table: a}"})
        refusal((std::string("route_rules: [") + rule + "]").c_str());
}

TEST(RoutingConfig, PrintsWhatItReads) {
    const char* text =
        "neighbours: [{interface: wan, ip: 203.0.113.1, mac: 02:00:00:00:02:01}]\n"
        "routes: [{to: default, via: 203.0.113.1}, {to: default, interface: lan, table: t}]\n"
        "route_rules: [{saddr: {not: [10.0.0.0/8]}, proto: ah, dport: [1, 2-3], table: t}, {table: t}]\n"
        "icmp: {errors: unlimited}\n";
    const auto once = read(text);
    config::Problems problems;
    const auto printed = config::Schema<Sections>::get().print(&once);
    const config::Source source{std::make_shared<const std::string>("again"), ""};
    config::Context context(source, printed, problems);
    Sections twice;
    EXPECT_TRUE(config::Schema<Sections>::get().read(context, &twice)) << problems.text();
    EXPECT_EQ(once.neighbours, twice.neighbours);
    EXPECT_EQ(once.routes, twice.routes);
    EXPECT_EQ(once.route_rules, twice.route_rules);
    EXPECT_EQ(once.icmp, twice.icmp);
}

TEST(RoutingConfig, ReadsTheRateOfErrors) {
    EXPECT_EQ(read("{}").icmp.errors_per_second(), 1000U);
    EXPECT_EQ(read("icmp: {errors: 120/minute}").icmp.errors_per_second(), 2U);
    EXPECT_EQ(read("icmp: {errors: unlimited}").icmp.errors_per_second(), std::nullopt);
    EXPECT_NE(refusal("icmp: {errors: 10/minute}").find("at least 1/second"), std::string::npos);
}

TEST(RoutingConfig, ReadsStaticNeighbours) {
    const auto sections = read(
        "neighbours:\n"
        "  - {interface: wan, ip: 203.0.113.1, mac: 02:00:00:00:02:01}\n"
        "  - {interface: wan, ip: \"fe80::1\", mac: 02:00:00:00:02:02}\n"
        "  - {interface: wan, ip: 203.0.113.1, mac: 02:00:00:00:02:03}\n"
        "  - {interface: van, ip: 203.0.113.1, mac: 02:00:00:00:02:03}\n");
    config::Problems problems;
    const auto id_of = [](std::string_view name) { return name == "wan" ? InterfaceId{4} : kNoInterface; };
    const auto neighbours = static_neighbours(sections.neighbours, id_of, problems);
    ASSERT_EQ(neighbours.size(), 2U);
    EXPECT_EQ(neighbours[0].key.interface, InterfaceId{4});
    EXPECT_EQ(neighbours[1].mac.to_string(), "02:00:00:00:02:02");
    ASSERT_EQ(problems.size(), 2U) << problems.text();
    EXPECT_NE(problems.text().find("neighbours[2].ip: 203.0.113.1 on wan was given before"),
              std::string::npos);
    EXPECT_NE(problems.text().find("neighbours[3].interface: there is no interface 'van'"),
              std::string::npos);
}

TEST(RoutingConfig, BoundsTheStaticNeighbours) {
    std::vector<NeighbourConfig> many(kMaxStaticNeighbours + 10);
    for (uint32_t i = 0; i < many.size(); ++i)
        many[i].ip = Ip4Address::from_host(0x0a000001 + i);
    config::Problems problems;
    const auto kept = static_neighbours(many, [](std::string_view) { return InterfaceId{0}; }, problems);
    EXPECT_EQ(kept.size(), kMaxStaticNeighbours);
    ASSERT_EQ(problems.size(), 1U);
    EXPECT_NE(problems.text().find("expected at most 2048"), std::string::npos);
}

TEST(RoutingConfig, RefusesNeighboursThatMakeNoSense) {
    refusal("neighbours: [{interface: wan, ip: 224.0.0.1, mac: 02:00:00:00:02:01}]");
    refusal("neighbours: [{interface: wan, ip: 10.0.0.1, mac: 03:00:00:00:02:01}]");
    refusal("neighbours: [{interface: wan, ip: 10.0.0.1}]");
}

}  // namespace
}  // namespace routing
}  // namespace sluice
