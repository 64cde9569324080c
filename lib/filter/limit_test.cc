#include "filter/limit.hh"

#include <gtest/gtest.h>

#include "filter/connlimit.hh"
#include "filter/rules_under_test.hh"

namespace sluice::filter::test {
namespace {

Buffer from(int host, uint16_t port = 22) {
    return ip4("10.0.0." + std::to_string(host), "198.51.100.2", IpProtocol::tcp,
               tcp(40000, port, wire::kTcpSyn));
}

// How many of so many packets, a fixed time apart, a rule matches.
uint64_t matched(Rules& rules, int packets, double apart, int host = 1) {
    const auto before = rules.count("filter.forward/m").packets;
    for (int i = 0; i < packets; ++i)
        rules.forward(from(host), {.now = at(100 + i * apart)});
    return rules.count("filter.forward/m").packets - before;
}

TEST(Limit, lets_a_burst_of_five_and_then_the_rate_through) {
    auto rules = rule("limit: 10/second, action: accept");
    EXPECT_EQ(matched(rules, 20, 0), 5U);
    // A tenth of a second earns one packet, to the nanosecond.
    EXPECT_FALSE(rules.matches(from(1), {.now = at(100) + std::chrono::nanoseconds(99'999'999)}));
    EXPECT_TRUE(rules.matches(from(1), {.now = at(100) + std::chrono::nanoseconds(100'000'000)}));
    EXPECT_FALSE(rules.matches(from(1), {.now = at(100) + std::chrono::nanoseconds(100'000'000)}));
}

TEST(Limit, saves_no_more_than_the_burst) {
    auto rules = rule("limit: {rate: 1/minute, burst: 3}");
    EXPECT_EQ(matched(rules, 5, 0), 3U);
    for (int i = 0; i < 5; ++i)
        rules.forward(from(1), {.now = at(100000)});
    EXPECT_EQ(rules.count("filter.forward/m").packets, 6U);
}

TEST(Limit, over_matches_what_is_beyond) {
    auto rules = rule("limit: {over: 10/second, burst: 2}");
    EXPECT_EQ(matched(rules, 10, 0), 8U);
}

TEST(Limit, rounds_the_price_of_a_packet_down_as_the_kernel) {
    const LimitTerms terms = LimitTerms::of({.amount = 3, .period = std::chrono::seconds(1), .burst = 2}, 1);
    EXPECT_EQ(terms.cost, 333'333'333U);
    EXPECT_EQ(terms.capacity, 666'666'666U);
}

TEST(Limit, tokens_are_taken_by_packets_that_match_all_else) {
    auto rules = rule("dport: 22, limit: 10/second");
    for (int i = 0; i < 100; ++i)
        rules.forward(from(1, 23));
    EXPECT_EQ(matched(rules, 20, 0), 5U);
}

TEST(Limit, each_address_has_its_own) {
    auto rules = rule("limit: {over: 5/minute, per: saddr}, action: drop");
    EXPECT_EQ(matched(rules, 20, 0, 1), 15U);
    EXPECT_EQ(matched(rules, 20, 0, 2), 15U);
}

TEST(Limit, per_a_port_leaves_packets_without_one_alone) {
    auto rules = rule("limit: {over: 1/minute, burst: 1, per: dport}");
    const auto icmp = ip4("10.0.0.1", "10.0.0.2", IpProtocol::icmp, {8, 0, 0, 0, 0, 0, 0, 0});
    for (int i = 0; i < 5; ++i)
        EXPECT_FALSE(rules.matches(icmp));
}

TEST(Limit, workers_share_it) {
    Rules rules("filter: {forward: [{name: m, limit: {rate: 10/second, burst: 10}}]}", 2);
    EXPECT_EQ(matched(rules, 20, 0), 5U);
    EXPECT_EQ(matched(rules, 1, 0), 0U);
    EXPECT_FALSE(rules.matches(from(1), {.now = at(100.199)}));
    EXPECT_TRUE(rules.matches(from(1), {.now = at(100.2)}));
}

TEST(Limit, time_that_goes_back_stands_still) {
    const LimitTerms terms{.cost = 100, .capacity = 100};
    LimitBucket bucket(terms, at(10));
    EXPECT_TRUE(bucket.take(terms, at(10)));
    EXPECT_FALSE(bucket.take(terms, at(5)));
    EXPECT_FALSE(bucket.take(terms, at(10) + Duration(99)));
    EXPECT_TRUE(bucket.take(terms, at(10) + Duration(100)));
}

LimitKeyValue key(uint64_t number) {
    LimitKeyValue result;
    result.words[0] = number;
    result.kind = 4;
    return result;
}

TEST(KeyedLimit, a_full_table_answers_so_and_takes_places_that_mean_nothing_any_more) {
    const LimitTerms terms{.cost = 100, .capacity = 200};
    KeyedLimit limit(terms, 1, KeyedLimit::kWays);
    for (uint64_t i = 0; i < KeyedLimit::kWays; ++i)
        EXPECT_EQ(limit.take(key(i), at(0)), LimitAnswer::within);
    EXPECT_EQ(limit.take(key(99), at(0)), LimitAnswer::full);
    EXPECT_EQ(limit.full_count(), 1U);
    // After 100 ns all buckets are full again: as good as new.
    EXPECT_EQ(limit.take(key(99), at(0) + Duration(100)), LimitAnswer::within);
    EXPECT_EQ(limit.take(key(99), at(0) + Duration(100)), LimitAnswer::within);
    EXPECT_EQ(limit.take(key(99), at(0) + Duration(100)), LimitAnswer::beyond);
}

TEST(Connlimit, counts_live_flows_of_each_key) {
    auto rules = rule("connlimit: {over: 2, per: saddr}, action: drop");
    EXPECT_FALSE(rules.matches(from(1), {.flow = 1}));
    EXPECT_FALSE(rules.matches(from(1), {.flow = 2}));
    EXPECT_FALSE(rules.matches(from(1), {.flow = 2}));  // the same flow again
    EXPECT_TRUE(rules.matches(from(1), {.flow = 3}));
    EXPECT_FALSE(rules.matches(from(2), {.flow = 4}));
    rules.ended = {1, 2};
    EXPECT_FALSE(rules.matches(from(1), {.flow = 5}));
}

TEST(Connlimit, an_assured_flow_counts_if_it_was_seen_before) {
    auto rules = rule("connlimit: {over: 1, per: saddr}, action: drop");
    conntrack::Status begun;
    begun.set(conntrack::kConfirmed);
    conntrack::Status assured = begun;
    assured.set(conntrack::kAssured);
    EXPECT_FALSE(rules.matches(from(1), {.status = begun, .flow = 1}));
    EXPECT_FALSE(rules.matches(from(1), {.status = assured, .flow = 2}));
    EXPECT_FALSE(rules.matches(from(1), {.status = assured, .flow = 1}));
    EXPECT_TRUE(rules.matches(from(1), {.status = begun, .flow = 3}));
    EXPECT_TRUE(rules.matches(from(1), {.status = assured, .flow = 2}));
    rules.ended = {3};
    EXPECT_FALSE(rules.matches(from(1), {.status = assured, .flow = 2}));
}

TEST(Connlimit, a_full_table_does_not_match_until_flows_end) {
    struct World {
        bool alive = true;
    } world;
    const FlowProbe probe{
        [](const void* context, uint64_t) { return static_cast<const World*>(context)->alive; }, &world};
    ConnlimitTable table(1, 4);
    for (uint64_t flow = 1; flow <= 4; ++flow)
        EXPECT_EQ(table.add(key(flow), flow, probe), 1U);
    EXPECT_EQ(table.add(key(5), 5, probe), std::nullopt);
    EXPECT_EQ(table.full_count(), 1U);
    world.alive = false;
    EXPECT_EQ(table.add(key(5), 5, probe), 1U);
}

}  // namespace
}  // namespace sluice::filter::test
