#include "sluice/firewall.hh"

#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

#include "sluice/snapshot.hh"
#include "sluice/steering.hh"

namespace sluice {
namespace {

using std::chrono::day;
using std::chrono::month;
using std::chrono::year;

GatewayConfig config_of(std::string_view text) {
    auto read = config::read_text<GatewayConfig>("test.yaml", text, "");
    EXPECT_TRUE(read.has_value()) << (read ? "" : read.error().text());
    return read ? std::move(*read) : GatewayConfig();
}

constexpr std::string_view kExpiring = R"(
interfaces: {lan: {device: "net_null0"}}
conntrack: {max: 1024}
filter:
  forward:
    - {name: for-ever, dport: 22, proto: tcp, action: accept}
    - {name: until-june, dport: 80, proto: tcp, expires: 2026-06-15, action: accept}
)";

TEST(FirewallControl, tells_that_a_rule_in_force_has_expired) {
    filter::Date date{year(2026), month(6), day(15)};
    const GatewayConfig config = config_of(kExpiring);
    FirewallControl firewall(
        config, 1, {}, 7, [](const std::function<void()>& retired) { retired(); }, [&date] { return date; });
    const auto first = firewall.prepare(config, Instant{});
    ASSERT_TRUE(first && *first);
    EXPECT_EQ((*first)->ruleset->rules().rules.size(), 2U);
    EXPECT_FALSE(firewall.has_expired());
    firewall.adopt();
    EXPECT_FALSE(firewall.has_expired()) << "it counts on its last day";

    date = {year(2026), month(6), day(16)};
    EXPECT_TRUE(firewall.has_expired());
    const auto second = firewall.prepare(config, Instant{});
    ASSERT_TRUE(second && *second);
    EXPECT_EQ((*second)->ruleset->rules().rules.size(), 1U);
    EXPECT_TRUE(firewall.has_expired()) << "what is prepared is not in force yet";
    firewall.adopt();
    EXPECT_FALSE(firewall.has_expired());
}

TEST(FirewallControl, puts_in_force_again_what_was_read_once) {
    const auto file = std::filesystem::temp_directory_path() / ("firewall_test" + std::to_string(getpid()));
    std::ofstream(file) << "192.0.2.1\n";
    const GatewayConfig config =
        config_of("interfaces: {lan: {device: net_null0}}\nsets: {listed: {type: ip, file: " + file.string() +
                  "}}\nearly: [{name: one, saddr: \"@listed\", action: drop}]\n");
    FirewallControl firewall(config, 1, {}, 7, [](const std::function<void()>& retired) { retired(); });
    ASSERT_TRUE(firewall.prepare(config, Instant{}));
    firewall.adopt();
    std::filesystem::remove(file);
    EXPECT_FALSE(firewall.prepare(config, Instant{})) << "the file is gone";
    const auto files = firewall.files();
    ASSERT_TRUE(firewall.prepare(config, Instant{}, &files));
    firewall.adopt();
    EXPECT_TRUE(
        firewall.sets().find("listed")->contains(sets::Fields(*Ip4Address::parse("192.0.2.1")), Instant{}));
}

TEST(FirewallControl, knows_what_a_set_that_was_loaded_anew_began_with) {
    const auto file = std::filesystem::temp_directory_path() / ("firewall_test" + std::to_string(getpid()));
    const auto says = [&file](std::string_view address) { std::ofstream(file) << address << "\n"; };
    says("192.0.2.1");
    const GatewayConfig config =
        config_of("interfaces: {lan: {device: net_null0}}\nsets: {listed: {type: ip, file: " + file.string() +
                  "}}\nearly: [{name: one, saddr: \"@listed\", action: drop}]\n");
    FirewallControl firewall(config, 1, {}, 7, [](const std::function<void()>& retired) { retired(); });
    const auto has = [&firewall](std::string_view address) {
        return firewall.sets().find("listed")->contains(sets::Fields(*Ip4Address::parse(address)), Instant{});
    };
    const auto put_in_force = [&](const FirewallFiles* files) {
        ASSERT_TRUE(firewall.prepare(config, Instant{}, files));
        firewall.adopt();
    };
    put_in_force(nullptr);
    const auto first = firewall.files();
    says("192.0.2.2");
    config::Problems problems;
    ASSERT_TRUE(firewall.sets().reload("listed", Instant{}, problems));
    // A rule expires, or one goes back: the set is the same, with what it has now.
    const auto present = firewall.files();
    for (const auto* files : {&present, &first}) {
        put_in_force(files);
        EXPECT_TRUE(has("192.0.2.2"));
        ASSERT_TRUE(
            firewall.sets().find("listed")->add(sets::Fields(*Ip4Address::parse("192.0.2.9")), Instant{}, 0));
        put_in_force(nullptr);
        EXPECT_TRUE(has("192.0.2.9")) << "the file says what it did";
    }
    says("192.0.2.1");
    put_in_force(nullptr);
    EXPECT_TRUE(has("192.0.2.1") && !has("192.0.2.2")) << "the file says something else";
    std::filesystem::remove(file);
}

TEST(FirewallControl, has_nothing_to_expire_without_rules) {
    const GatewayConfig config = config_of("interfaces: {lan: {device: net_null0}}");
    FirewallControl firewall(config, 1, {}, 7, [](const std::function<void()>& retired) { retired(); });
    const auto tables = firewall.prepare(config, Instant{});
    ASSERT_TRUE(tables);
    EXPECT_EQ(*tables, nullptr);
    firewall.adopt();
    EXPECT_FALSE(firewall.has_expired());
}

struct Shares {
    std::vector<size_t> flows;     // that each of two workers may have
    std::vector<uint8_t> steered;  // places of the hash
};

// Where the first worker receives for both. `more` rules are added.
Shares shares_with(std::string_view more) {
    const GatewayConfig config = config_of(
        "interfaces: {lan: {device: net_null0}}\n"
        "conntrack: {max: 1280}\n" +
        std::string(more));
    FirewallControl firewall(config, 2, {38, 90}, 7, [](const std::function<void()>& retired) { retired(); });
    const auto tables = firewall.prepare(config, Instant{});
    if (!tables || !*tables) {
        ADD_FAILURE() << more;
        return {};
    }
    Shares shares;
    for (const auto& limits : (*tables)->limits)
        shares.flows.push_back(limits.max);
    shares.steered = plan_options(2, firewall.places(), tables->get(), make_interfaces(config, {})).places;
    // Either way there is space for as many.
    for (size_t i = 0; i < 2; ++i)
        EXPECT_GE(firewall.of(static_cast<WorkerId>(i)).tracker().table().capacity(), shares.flows[i]);
    return shares;
}

TEST(FirewallControl, divides_the_flow_table_as_flows_are_steered) {
    const auto plain = shares_with("filter: {forward: [{name: a, dport: 22, proto: tcp, action: accept}]}");
    EXPECT_EQ(plain.flows, (std::vector<size_t>{380, 900}));
    EXPECT_EQ(plain.steered, (std::vector<uint8_t>{38, 90}));
}

TEST(FirewallControl, divides_equally_with_what_is_divided_equally) {
    for (const auto* rules : {
             "filter: {forward: [{name: a, limit: 10/second, action: accept}]}",
             "filter: {forward: [{name: a, connlimit: {over: 5, per: saddr}, action: drop}]}",
             "nat: {postrouting: [{name: a, masquerade: true}]}",
             "nat: {postrouting: [{name: a, snat: 192.0.2.1}]}",
         }) {
        const auto even = shares_with(rules);
        EXPECT_EQ(even.flows, (std::vector<size_t>{640, 640})) << rules;
        EXPECT_TRUE(even.steered.empty()) << rules;
    }
}

}  // namespace
}  // namespace sluice
