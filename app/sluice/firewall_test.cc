#include "sluice/firewall.hh"

#include <gtest/gtest.h>

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
        config, 1, 7, [](const std::function<void()>& retired) { retired(); }, [&date] { return date; });
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

TEST(FirewallControl, has_nothing_to_expire_without_rules) {
    const GatewayConfig config = config_of("interfaces: {lan: {device: net_null0}}");
    FirewallControl firewall(config, 1, 7, [](const std::function<void()>& retired) { retired(); });
    const auto tables = firewall.prepare(config, Instant{});
    ASSERT_TRUE(tables);
    EXPECT_EQ(*tables, nullptr);
    firewall.adopt();
    EXPECT_FALSE(firewall.has_expired());
}

}  // namespace
}  // namespace sluice
