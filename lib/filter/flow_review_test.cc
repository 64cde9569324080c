#include "filter/flow_review.hh"

#include <gtest/gtest.h>

#include "conntrack/flow_table.hh"
#include "filter/rules_under_test.hh"

namespace sluice::filter::test {
namespace {

using conntrack::Tuple;

class FlowReviewTest : public testing::Test {
  protected:
    // Whether these rules let a flow begin that came in by `in`.
    bool lets_begin(std::string_view yaml, const Tuple& original, InterfaceId in = kLan,
                    conntrack::Status status = {}) {
        Rules rules(yaml);
        conntrack::Flow& flow = *table_.create(original, *conntrack::inverted(original), in);
        flow.status.set(status);
        const FlowReview review(rules.ruleset, [this](InterfaceId, const Tuple& tuple) {
            asked_ = tuple;
            return route_;
        });
        const bool result = review.lets_begin(flow, at(100));
        table_.discard(flow);
        return result;
    }
    static Tuple tuple(std::string_view from, std::string_view to, IpProtocol protocol,
                       uint16_t sport = 40000, uint16_t dport = 22) {
        return {*IpAddress::parse(from), *IpAddress::parse(to), protocol, sport, dport};
    }

    conntrack::FlowTable table_{16, conntrack::TupleHash{{1, 2, 3, 4}}};
    FlowRoute route_{FlowRoute::To::link, kWan};
    Tuple asked_;
    const Tuple ssh_ = tuple("192.0.2.1", "198.51.100.2", IpProtocol::tcp);
};

TEST_F(FlowReviewTest, what_established_keeps_alive_may_not_begin_all_the_same) {
    EXPECT_TRUE(lets_begin("{}", ssh_));
    EXPECT_FALSE(lets_begin(
        "filter: {forward: {policy: drop, rules: [{name: e, ct: [established, related], action: accept}]}}",
        ssh_));
    EXPECT_TRUE(
        lets_begin("filter: {forward: {policy: drop, rules: [{name: ssh, in: lan, out: wan, saddr: "
                   "192.0.2.0/24, daddr: 198.51.100.2, proto: tcp, sport: 40000, dport: 22, ct: new, "
                   "ct_direction: original, tcp_flags: 'syn/syn,ack,rst', action: accept}]}}",
                   ssh_));
    EXPECT_FALSE(lets_begin("filter: {forward: [{name: no, proto: tcp, action: reject}]}", ssh_));
    EXPECT_TRUE(lets_begin("filter: {forward: [{name: no, proto: tcp, observe: true, action: drop}]}", ssh_));
}

TEST_F(FlowReviewTest, every_chain_on_the_way_is_asked) {
    for (const std::string_view section :
         {"early: [{name: no, dport: 22, action: drop}]",
          "raw: {prerouting: [{name: no, dport: 22, action: drop}]}",
          "mangle: {prerouting: [{name: no, dport: 22, action: drop}]}",
          "mangle: {forward: [{name: no, out: wan, dport: 22, action: drop}]}",
          "mangle: {postrouting: [{name: no, out: wan, dport: 22, action: drop}]}"})
        EXPECT_FALSE(lets_begin(section, ssh_)) << section;
    const auto* const input = "filter: {input: [{name: no, in: lan, dport: 22, action: drop}]}";
    const auto* const output = "filter: {output: [{name: no, out: wan, dport: 22, action: drop}]}";
    EXPECT_TRUE(lets_begin(input, ssh_));
    EXPECT_TRUE(lets_begin(output, ssh_));
    EXPECT_FALSE(lets_begin(output, ssh_, kNoInterface));
    route_ = {FlowRoute::To::box, kNoInterface};
    EXPECT_FALSE(lets_begin(input, ssh_));
    route_ = {};
    EXPECT_TRUE(lets_begin("filter: {forward: {policy: drop}}", ssh_)) << "no route: nothing to say about it";
}

TEST_F(FlowReviewTest, marks_and_notrack_go_from_chain_to_chain) {
    EXPECT_FALSE(
        lets_begin("{mangle: {prerouting: [{name: m, set_mark: 7}]}, "
                   "filter: {forward: [{name: no, mark: 7, action: drop}]}}",
                   ssh_));
    EXPECT_FALSE(
        lets_begin("{raw: {prerouting: [{name: n, notrack: true}]}, "
                   "filter: {forward: [{name: no, ct: untracked, action: drop}]}}",
                   ssh_));
}

TEST_F(FlowReviewTest, an_expected_flow_is_related) {
    const auto* const rules =
        "filter: {forward: {policy: drop, rules: [{name: r, ct: related, action: accept}]}}";
    EXPECT_TRUE(lets_begin(rules, ssh_, kLan, conntrack::kExpected));
    EXPECT_FALSE(lets_begin(rules, ssh_));
}

TEST_F(FlowReviewTest, other_protocols_and_ipv6) {
    EXPECT_FALSE(lets_begin("filter: {forward: [{name: no, icmp_type: echo-request, action: drop}]}",
                            tuple("192.0.2.1", "198.51.100.2", IpProtocol::icmp, 77, 8 << 8)));
    EXPECT_FALSE(
        lets_begin("filter: {forward: [{name: no, family: ip6, proto: udp, dport: 53, action: drop}]}",
                   tuple("2001:db8::1", "2001:db8:1::2", IpProtocol::udp, 40000, 53)));
    EXPECT_FALSE(lets_begin("filter: {forward: [{name: no, proto: sctp, sport: 5, action: drop}]}",
                            tuple("192.0.2.1", "198.51.100.2", IpProtocol::sctp, 5, 6)));
    EXPECT_FALSE(lets_begin("filter: {forward: [{name: no, proto: gre, action: drop}]}",
                            tuple("192.0.2.1", "198.51.100.2", IpProtocol::gre, 0, 0)));
}

TEST_F(FlowReviewTest, limits_have_not_been_used_up_and_nothing_is_counted) {
    EXPECT_TRUE(lets_begin(
        "filter: {forward: {policy: drop, rules: [{name: l, limit: 1/day, action: accept}]}}", ssh_));
    EXPECT_TRUE(lets_begin("filter: {forward: [{name: l, limit: {over: 1/day}, action: drop}]}", ssh_));
    EXPECT_TRUE(lets_begin("filter: {forward: [{name: l, connlimit: {over: 0}, action: drop}]}", ssh_));
}

}  // namespace
}  // namespace sluice::filter::test
