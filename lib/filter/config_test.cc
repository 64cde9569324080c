#include "filter/config.hh"

#include <gtest/gtest.h>

#include "config/print.hh"
#include "filter/rules_under_test.hh"

namespace sluice::filter::test {
namespace {

// Everything wrong with a text, reading and references together.
std::string problems_of(std::string_view yaml) {
    const auto read = config::read_text<RulesConfig>("f", yaml);
    if (!read)
        return read.error().text();
    config::Problems problems;
    check_rules(rulebook(*read), Rules::known(), problems);
    return problems.text();
}

std::string problems_of_rule(std::string_view keys, std::string_view chain = "filter: {forward: ") {
    return problems_of(std::string(chain) + "[{name: m, " + std::string(keys) + "}]}");
}

// Part of the message at this place.
void expect_problem(const std::string& text, std::string_view part) {
    EXPECT_NE(text.find(part), std::string::npos) << "expected " << part << " in:\n" << text;
}

TEST(RulesConfig, a_chain_is_a_list_or_has_a_policy) {
    const auto read = config::read_text<RulesConfig>(
        "f",
        "{filter: {input: [{name: a}], forward: {policy: drop}}, chains: {c: [{name: b, action: return}]}}");
    ASSERT_TRUE(read) << read.error().text();
    const Rulebook book = rulebook(*read);
    EXPECT_EQ(book.base.at({Table::filter, Hook::input}).policy, Policy::accept);
    EXPECT_EQ(book.base.at({Table::filter, Hook::forward}).policy, Policy::drop);
    ASSERT_EQ(book.chains.size(), 1U);
    EXPECT_EQ(book.chains[0].rules[0].action.kind, ActionKind::return_);
}

TEST(RulesConfig, keeps_a_rule_as_written) {
    const auto read =
        config::read_text<RulesConfig>("f", "early: [{name: a, saddr: '!@hosts', action: drop}]");
    ASSERT_TRUE(read);
    EXPECT_EQ(read->early[0].text, "{name: a, saddr: \"!@hosts\", action: drop}");
}

TEST(RulesConfig, what_is_printed_reads_the_same) {
    constexpr std::string_view kYaml = R"(
early: [{name: e, in: wan, limit: {over: 20000/second, burst: 4000, per: saddr}, action: drop}]
raw: {prerouting: [{name: n, notrack: true, mark: 3}]}
mangle: {forward: [{name: c, proto: tcp, tcp_flags: 'syn/syn,ack,rst', mss: clamp}, {name: d, proto: tcp, mss: 1400}]}
filter:
  forward:
    policy: drop
    rules:
      - {name: a, in: {not: [lan, wan]}, saddr: [10.0.0.0/8, 10.0.0.1-10.0.0.9, '@hosts'], dport: [80, 1000-2000], ct: '!invalid'}
      - {name: b, match: {'saddr . dport': '!@services'}, icmp_type: echo-request, mark: '=7', ct_status: [snat, dnat]}
      - {name: c, connlimit: {over: 5, per: saddr . dport}, add_to: '@seen', log: 'x y', expires: 2027-01-31, observe: true}
      - {name: d, ttl: '<5', length: '>100', exthdr: [hbh, frag], fragment: false, action: {goto: x}}
      - {name: f, proto: [tcp, 200], family: ip4, mac_saddr: '!02:00:00:00:00:01', set_mark: 1, action: {reject: admin-prohibited}}
chains: {x: []}
)";
    const auto read = config::read_text<RulesConfig>("f", kYaml);
    ASSERT_TRUE(read) << read.error().text();
    const std::string printed = config::to_yaml(*read);
    auto again = config::read_text<RulesConfig>("f", printed);
    ASSERT_TRUE(again) << again.error().text() << printed;
    EXPECT_EQ(config::to_yaml(*again), printed);
}

TEST(RulesConfig, a_plain_mark_means_what_its_place_says) {
    const auto read = config::read_text<RulesConfig>("f", R"(
mangle: {prerouting: [{name: a, mark: 5}, {name: b, mark: '=5', set_mark: 6}, {name: c, mark: [5]}]}
filter: {forward: [{name: a, mark: 5}]})");
    ASSERT_TRUE(read);
    const Rulebook book = rulebook(*read);
    const auto& mangle = book.base.at({Table::mangle, Hook::prerouting}).rules;
    EXPECT_EQ(mangle[0].set_mark, 5U);
    EXPECT_FALSE(mangle[0].mark);
    EXPECT_EQ(mangle[1].set_mark, 6U);
    EXPECT_TRUE(mangle[1].mark);
    EXPECT_TRUE(mangle[2].mark);
    EXPECT_TRUE(book.base.at({Table::filter, Hook::forward}).rules[0].mark);
    expect_problem(problems_of("chains: {c: [{name: a, mark: 5}]}"), "chains.c[0].mark");
}

TEST(RulesConfig, names_that_lead_nowhere) {
    expect_problem(problems_of_rule("in: lam"),
                   "f:1:34: filter.forward[0].in: there is no interface or zone 'lam'");
    expect_problem(problems_of_rule("in: lam"), "did you mean 'lan'?");
    expect_problem(problems_of_rule("saddr: '@host'"), "there is no set 'host'");
    expect_problem(problems_of_rule("action: {jump: nowhere}"), "there is no chain 'nowhere'");
    expect_problem(problems_of_rule("add_to: '@hots'"), "did you mean 'hosts'?");
}

TEST(RulesConfig, sets_of_another_type) {
    expect_problem(problems_of_rule("saddr: '@ports'"), "holds port");
    expect_problem(problems_of_rule("match: {'dport . saddr': '@services'}"),
                   "expected a set of type port,ip");
    EXPECT_EQ(problems_of_rule("match: {'saddr . dport': '@services'}"), "");
}

TEST(RulesConfig, names_are_unique_in_a_chain) {
    expect_problem(problems_of("filter: {input: [{name: a}, {name: a}]}"),
                   "filter.input[1].name: the name 'a' is used twice");
    EXPECT_EQ(problems_of("filter: {input: [{name: a}], output: [{name: a}]}"), "");
    expect_problem(problems_of("filter: {input: [{in: lan}]}"), "name");
}

TEST(RulesConfig, loops_and_depth) {
    expect_problem(
        problems_of("chains: {a: [{name: r, action: {jump: b}}], b: [{name: r, action: {goto: a}}]}"),
        "leads back to itself");
    expect_problem(problems_of("chains: {a: [{name: r, action: {jump: a}}]}"), "leads back to itself");
    const auto nested = [](int depth) {
        std::string yaml = "filter: {input: [{name: r, action: {jump: c1}}]}\nchains:\n";
        for (int i = 1; i < depth; ++i)
            yaml +=
                "  c" + std::to_string(i) + ": [{name: r, action: {jump: c" + std::to_string(i + 1) + "}}]\n";
        return yaml + "  c" + std::to_string(depth) + ": []\n";
    };
    EXPECT_EQ(problems_of(nested(15)), "");
    expect_problem(problems_of(nested(16)), "17 deep");
}

TEST(RulesConfig, keys_out_of_place) {
    expect_problem(problems_of_rule("out: wan", "filter: {input: "),
                   "filter.input[0].out: out has no place in filter.input");
    expect_problem(problems_of_rule("in: lan", "filter: {output: "), "in has no place");
    expect_problem(problems_of_rule("notrack: true"), "notrack has no place");
    EXPECT_EQ(problems_of_rule("notrack: true", "raw: {prerouting: "), "");
    expect_problem(problems_of_rule("ct: new", "raw: {prerouting: "), "ct has no place in raw.prerouting");
    expect_problem(problems_of_rule("action: reject", "mangle: {postrouting: "), "reject is for");
    expect_problem(problems_of_rule("proto: tcp, mss: clamp", "mangle: {prerouting: "), "mss has no place");
    expect_problem(problems_of_rule("mac_saddr: 02:00:00:00:00:01", "filter: {output: "),
                   "mac_saddr has no place");
    expect_problem(problems_of("early: [{name: a, ct: new, action: {jump: c}}]\nchains: {c: []}"),
                   "early rules accept or drop");
    expect_problem(problems_of(R"(
filter: {input: [{name: j, action: {jump: c}}]}
chains: {c: [{name: o, out: wan}]})"),
                   "chains.c[0].out: out has no place in filter.input, from which this chain is reached");
}

TEST(RulesConfig, contradictions) {
    expect_problem(problems_of_rule("family: ip6, saddr: 10.0.0.0/8"),
                   "filter.forward[0].saddr: this is of another family");
    expect_problem(problems_of_rule("saddr: 10.0.0.1, daddr: fd00::1"), "daddr: this is of another family");
    expect_problem(problems_of_rule("daddr: fd00::1, icmp_type: 8"), "icmp_type: this is of another family");
    expect_problem(problems_of_rule("proto: icmp, dport: 5"), "packets of this rule's proto");
    expect_problem(problems_of_rule("proto: udp, tcp_flags: syn"), "tcp_flags");
    expect_problem(problems_of_rule("mss: clamp"), "only TCP has an MSS");
    expect_problem(problems_of_rule("proto: udp, action: {reject: tcp-reset}"),
                   "only TCP is answered by a reset");
    EXPECT_EQ(problems_of_rule("proto: '!tcp', dport: 5"), "");
}

TEST(RulesConfig, values_that_are_none) {
    expect_problem(problems_of_rule("dport: 65536"), "at most 65535");
    expect_problem(problems_of_rule("dport: 20-10"), "ends before it begins");
    expect_problem(problems_of_rule("dport: []"), "empty list");
    expect_problem(problems_of_rule("dport: [1, '!2']"), "cannot be negated");
    expect_problem(problems_of_rule("dport: {not: '!2'}"), "negated twice");
    expect_problem(problems_of_rule("ttl: '<0'"), "nothing is less than 0");
    expect_problem(problems_of_rule("proto: tpc"), "did you mean 'tcp'?");
    expect_problem(problems_of_rule("ct: newest"), "is not a state");
    expect_problem(problems_of_rule("saddr: 10.0.0.1/8"), "filter.forward[0].saddr");
    expect_problem(problems_of_rule("saddr: 10.0.0.1-fd00::1"), "different families");
    expect_problem(problems_of_rule("tcp_flags: syn/ack"), "outside its mask");
    expect_problem(problems_of_rule("tcp_flags: sin"), "are no TCP flags");
    expect_problem(problems_of_rule("limit: {rate: 1/second, over: 2/second}"), "either a rate or");
    expect_problem(problems_of_rule("limit: 0/second"), "cannot be kept");
    expect_problem(problems_of_rule("limit: {rate: 1/day, burst: 4000000000}"), "burst");
    expect_problem(problems_of_rule("action: acept"), "is no action");
    expect_problem(problems_of_rule("action: {reject: rudely}"), "reject");
    expect_problem(problems_of_rule("expires: 2027-02-30"), "no day of the calendar");
    expect_problem(problems_of_rule("add_to: seen"), "this is no set");
    expect_problem(problems_of_rule("match: {'saddr . foo': '@services'}"), "no concatenation");
}

TEST(RulesConfig, uses_of_sets) {
    const auto read = config::read_text<RulesConfig>(
        "f", "{early: [{name: e, saddr: '@hosts'}], filter: {input: [{name: i, add_to: '@seen'}]}}");
    ASSERT_TRUE(read);
    const auto uses = set_uses(rulebook(*read));
    ASSERT_EQ(uses.size(), 2U);
    EXPECT_EQ(uses[0], (sets::SetUse{"hosts", "early: e", false}));
    EXPECT_EQ(uses[1], (sets::SetUse{"seen", "filter.input: i", true}));
}

}  // namespace
}  // namespace sluice::filter::test
