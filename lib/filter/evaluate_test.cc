#include <gtest/gtest.h>

#include <algorithm>

#include "filter/rules_under_test.hh"

namespace sluice::filter::test {
namespace {

using conntrack::CtState;

TEST(Evaluate, without_a_chain_everything_is_accepted) {
    Rules rules("{}");
    const auto outcome = rules.forward(tcp4());
    EXPECT_EQ(outcome.conclusion, Conclusion::accept);
    EXPECT_EQ(outcome.rule, kNoRule);
}

TEST(Evaluate, the_policy_decides_what_no_rule_does) {
    Rules rules("filter: {forward: {policy: drop, rules: [{name: a, dport: 80, action: accept}]}}");
    const auto outcome = rules.forward(tcp4());
    EXPECT_EQ(outcome.conclusion, Conclusion::drop);
    EXPECT_EQ(rules.decided_by(outcome), "filter.forward/(policy)");
    EXPECT_EQ(rules.forward(tcp4(1, 80)).conclusion, Conclusion::accept);
    EXPECT_EQ(rules.count("filter.forward/(policy)").packets, 1U);
}

TEST(Evaluate, the_first_rule_with_an_action_ends_the_chain) {
    Rules rules(R"(filter: {forward: [
        {name: counts, proto: tcp},
        {name: drops, dport: 22, action: drop},
        {name: never, dport: 22, action: accept}]})");
    const auto outcome = rules.forward(tcp4());
    EXPECT_EQ(outcome.conclusion, Conclusion::drop);
    EXPECT_EQ(rules.decided_by(outcome), "filter.forward/drops");
    const auto counts = rules.count("filter.forward/counts");
    EXPECT_EQ(counts.packets, 1U);
    EXPECT_EQ(counts.bytes, 40U);
    EXPECT_EQ(counts.last_hit, at(100));
    EXPECT_EQ(rules.count("filter.forward/never").packets, 0U);
}

constexpr std::string_view kNested = R"(
filter:
  forward:
    policy: drop
    rules:
      - {name: jumps, action: {jump: one}}
      - {name: after, action: accept}
chains:
  one:
    - {name: returns, dport: 1, action: return}
    - {name: goes, dport: 2, action: {goto: two}}
    - {name: jumps, dport: 3, action: {jump: two}}
    - {name: drops, action: drop}
  two:
    - {name: returns, action: return}
)";

TEST(Evaluate, jump_goto_and_return) {
    Rules rules(kNested);
    EXPECT_EQ(rules.decided_by(rules.forward(tcp4(9, 1))), "filter.forward/after");  // return from one
    EXPECT_EQ(rules.decided_by(rules.forward(tcp4(9, 2))), "filter.forward/after");  // two returns past one
    EXPECT_EQ(rules.decided_by(rules.forward(tcp4(9, 3))), "chains.one/drops");      // two returns into one
    EXPECT_EQ(rules.decided_by(rules.forward(tcp4(9, 4))), "chains.one/drops");
    EXPECT_EQ(rules.count("chains.two/returns").packets, 2U);
}

TEST(Evaluate, return_and_goto_in_a_base_chain_lead_to_the_policy) {
    Rules rules(R"(
filter:
  forward: {policy: drop, rules: [{name: r, action: return}, {name: never, action: accept}]}
  input: {policy: drop, rules: [{name: g, action: {goto: empty}}, {name: never, action: accept}]}
chains: {empty: []})");
    EXPECT_EQ(rules.decided_by(rules.forward(tcp4())), "filter.forward/(policy)");
    EXPECT_EQ(rules.decided_by(rules.ask(Table::filter, Hook::input, tcp4())), "filter.input/(policy)");
}

TEST(Evaluate, rejects) {
    Rules rules(R"(filter: {forward: [
        {name: host, dport: 1, action: {reject: host-unreachable}},
        {name: any, dport: [2, 53], action: reject},
        {name: reset, action: {reject: tcp-reset}}]})");
    EXPECT_EQ(rules.forward(tcp4(9, 1)).reject, RejectKind::host_unreachable);
    EXPECT_EQ(rules.forward(tcp4(9, 2)).reject, RejectKind::tcp_reset);
    EXPECT_EQ(rules.forward(udp4()).reject, RejectKind::port_unreachable);
    EXPECT_EQ(rules.forward(tcp4()).conclusion, Conclusion::reject);
    EXPECT_EQ(rules.forward(udp4(9, 9)).conclusion, Conclusion::accept);  // a reset answers TCP alone
}

TEST(Evaluate, marks_are_seen_by_later_rules) {
    Rules rules(R"(
mangle: {prerouting: [{name: set, in: lan, mark: 7}, {name: flow, mark: '=7', ct_mark: 9}]}
filter: {forward: [{name: m, mark: 7, action: drop}]})");
    rules.ask(Table::mangle, Hook::prerouting, tcp4());
    EXPECT_EQ(rules.mark, 7U);
    EXPECT_EQ(rules.flow_mark, 9U);
    EXPECT_TRUE(rules.matches(tcp4(), {.mark = 7}));
    EXPECT_FALSE(rules.matches(tcp4()));
}

TEST(Evaluate, notrack) {
    Rules rules("raw: {prerouting: [{name: n, proto: udp, dport: 53, notrack: true}]}");
    EXPECT_TRUE(rules.ask(Table::raw, Hook::prerouting, udp4(), {.state = CtState::invalid}).notrack);
    EXPECT_FALSE(rules.ask(Table::raw, Hook::prerouting, tcp4(), {.state = CtState::invalid}).notrack);
}

TEST(Evaluate, mss_is_the_smallest_asked_for) {
    Rules rules(R"(mangle: {forward: [
        {name: a, proto: tcp, mss: 1400}, {name: b, proto: tcp, mss: 1200}, {name: c, proto: tcp, dport: 22, mss: clamp}]})");
    const auto outcome = rules.ask(Table::mangle, Hook::forward, tcp4());
    EXPECT_EQ(outcome.mss, 1200);
    EXPECT_TRUE(outcome.clamp_mss);
    EXPECT_FALSE(rules.ask(Table::mangle, Hook::forward, tcp4(1, 2)).clamp_mss);
}

TEST(Evaluate, mss_without_a_tcp_header_ends_the_rule) {
    Rules rules("mangle: {forward: [{name: a, proto: tcp, mss: 1400, action: drop}]}");
    const auto cut = ip4("192.0.2.1", "198.51.100.2", IpProtocol::tcp, Buffer(14));
    EXPECT_EQ(rules.ask(Table::mangle, Hook::forward, cut).conclusion, Conclusion::accept);
    EXPECT_EQ(rules.count("mangle.forward/a").packets, 1U);  // it matched and was counted before
    EXPECT_EQ(rules.ask(Table::mangle, Hook::forward, tcp4()).conclusion, Conclusion::drop);
}

TEST(Evaluate, adds_to_sets_and_ends_the_rule_when_one_is_full) {
    Rules rules("filter: {forward: [{name: a, add_to: '@seen', action: drop}]}");
    for (int host = 1; host <= 4; ++host) {
        const auto packet = ip4("10.0.0." + std::to_string(host), "10.1.0.1", IpProtocol::udp, udp(1, 2));
        EXPECT_EQ(rules.forward(packet).conclusion, Conclusion::drop);
    }
    EXPECT_TRUE(rules.set("seen").contains(sets::Fields(*Ip4Address::parse("10.0.0.1")), at(100)));
    EXPECT_EQ(rules.forward(tcp4()).conclusion, Conclusion::accept);  // no room for another
    EXPECT_EQ(rules.count("filter.forward/a").packets, 5U);
}

TEST(Evaluate, an_observing_rule_counts_and_does_nothing) {
    Rules rules(R"(filter: {forward: [
        {name: would, observe: true, set_mark: 3, add_to: '@seen', log: seen, action: drop}]})");
    EXPECT_EQ(rules.forward(tcp4()).conclusion, Conclusion::accept);
    EXPECT_EQ(rules.count("filter.forward/would").packets, 1U);
    EXPECT_EQ(rules.mark, 0U);
    EXPECT_EQ(rules.set("seen").element_count(), 0U);
    EXPECT_TRUE(rules.logs.pop().has_value());
}

TEST(Evaluate, an_expired_rule_does_not_count) {
    constexpr std::string_view kYaml = "filter: {forward: [{name: m, expires: 2026-06-15, action: drop}]}";
    using std::chrono::day, std::chrono::month, std::chrono::year;
    Rules last_day(kYaml, 1, Date{year(2026), month(6), day(15)});
    EXPECT_EQ(last_day.forward(tcp4()).conclusion, Conclusion::drop);
    ASSERT_TRUE(last_day.ruleset->next_expiry());
    EXPECT_EQ(*last_day.ruleset->next_expiry(), (Date{year(2026), month(6), day(16)}));
    Rules day_after(kYaml, 1, Date{year(2026), month(6), day(16)});
    EXPECT_EQ(day_after.forward(tcp4()).conclusion, Conclusion::accept);
    EXPECT_FALSE(day_after.ruleset->next_expiry());
    EXPECT_NE(day_after.directory.find("filter.forward/m"), kNoRule);  // its counters stay
}

TEST(Evaluate, early_rules) {
    Rules rules(R"(early: [
        {name: pass, saddr: 192.0.2.1, proto: tcp, action: accept},
        {name: frag, fragment: true, action: drop},
        {name: blocked, in: wan, saddr: '@hosts', action: drop}])");
    const auto ask = [&](const Buffer& bytes, InterfaceId in) {
        const auto ip = view(bytes);
        RulePacket packet(ip, at(100));
        packet.in = in;
        return evaluate_early(*rules.ruleset, *rules.state, packet).conclusion;
    };
    EXPECT_EQ(ask(tcp4(), kWan), Conclusion::accept);
    EXPECT_EQ(ask(udp4(), kWan), Conclusion::drop);
    EXPECT_EQ(ask(udp4(), kLan), Conclusion::accept);
    auto fragment = udp4();
    wire::write16(fragment.data() + 6, 1);
    EXPECT_EQ(ask(fragment, kLan), Conclusion::drop);
}

TEST(Trail, constant_matches_may_be_repeated_and_count_the_same) {
    Rules rules(R"(filter: {forward: [
        {name: counts, proto: tcp}, {name: m, ct: established, dport: 22, action: accept}]})");
    rules.forward(tcp4(), {.state = CtState::established});
    ASSERT_TRUE(rules.trail.cacheable());
    const PathId path = rules.state->intern(rules.trail);
    ASSERT_NE(path, kNoPath);
    EXPECT_EQ(rules.state->intern(rules.trail), path);
    rules.state->repeat(path, 1, 100, at(200));
    const RuleCounts expected{2, 140, at(200)};
    EXPECT_EQ(rules.count("filter.forward/counts"), expected);
    EXPECT_EQ(rules.count("filter.forward/m"), expected);
}

TEST(Trail, what_differs_from_packet_to_packet_is_not_repeated) {
    for (const char* keys : {"tcp_flags: syn", "length: '>2000'", "ttl: 1", "fragment: true", "exthdr: hbh",
                             "mac_saddr: 02:00:00:00:00:01", "limit: 1/second", "connlimit: {over: 5}",
                             "log: x", "ct_mark: 1", "add_to: '@seen'", "ct_status: assured"}) {
        auto rules = rule(keys);
        rules.forward(tcp4(), {.state = CtState::established});
        EXPECT_FALSE(rules.trail.cacheable()) << keys;
    }
    for (const char* keys :
         {"dport: 22", "ct: established", "ct_status: dnat", "mark: 1", "set_mark: 1", "in: lan"}) {
        auto rules = rule(keys);
        rules.forward(tcp4(), {.state = CtState::established});
        EXPECT_TRUE(rules.trail.cacheable()) << keys;
    }
}

TEST(Trail, a_match_that_was_not_reached_does_not_matter) {
    auto rules = rule("dport: 80, tcp_flags: syn");
    rules.forward(tcp4(), {.state = CtState::established});
    EXPECT_TRUE(rules.trail.cacheable());
}

TEST(Trail, sets_are_told) {
    auto rules = rule("saddr: '@hosts'");
    rules.forward(tcp4(), {.state = CtState::established});
    EXPECT_TRUE(rules.trail.cacheable());
    EXPECT_TRUE(rules.trail.reads_sets());
}

TEST(Trail, an_error_about_a_flow_is_not_like_its_packets) {
    auto rules = rule("in: lan");
    rules.forward(tcp4(), {.state = CtState::related});
    EXPECT_FALSE(rules.trail.cacheable());
}

TEST(PathPool, keeps_equal_lists_once_and_refuses_when_full) {
    PathPool pool(2);
    const std::vector<RuleId> one{1, 2};
    const std::vector<RuleId> other{1, 2, 3};
    const PathId first = pool.intern(one);
    const PathId second = pool.intern(other);
    EXPECT_NE(first, second);
    EXPECT_EQ(pool.intern(one), first);
    EXPECT_EQ(pool.intern(std::vector<RuleId>{4}), kNoPath);
    EXPECT_EQ(pool.size(), 2U);
}

TEST(PathPool, keeps_lists_of_one_rule_however_high_its_number) {
    PathPool pool(4);
    constexpr RuleId kHigh = PathPool::kOfOne + 7;
    const PathId low = pool.intern(std::vector<RuleId>{7});
    const PathId high = pool.intern(std::vector<RuleId>{kHigh});
    EXPECT_NE(low, high);
    EXPECT_TRUE(std::ranges::equal(pool.rules(low), std::vector<RuleId>{7}));
    EXPECT_TRUE(std::ranges::equal(pool.rules(high), std::vector<RuleId>{kHigh}));
    EXPECT_EQ(pool.intern(std::vector<RuleId>{7}), low);
    EXPECT_EQ(pool.intern(std::vector<RuleId>{kHigh}), high);
    EXPECT_EQ(pool.size(), 2U);
}

}  // namespace
}  // namespace sluice::filter::test
