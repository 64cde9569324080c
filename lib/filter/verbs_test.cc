#include "filter/verbs.hh"

#include <gtest/gtest.h>

#include <boost/json.hpp>

#include "filter/rules_under_test.hh"

namespace sluice::filter::test {
namespace {

namespace json = boost::json;

TEST(RulesVerbs, list_chains_with_counts_and_reset_them) {
    Rules rules(
        "filter: {forward: {policy: drop, rules: [{name: ssh, dport: 22, owner: net, action: accept}]}}");
    rules.forward(tcp4());
    rules.forward(tcp4(1, 2));
    admin::Verbs verbs;
    add_verbs(verbs, [&] {
        return RulesView{.ruleset = rules.ruleset.get(),
                         .directory = &rules.directory,
                         .workers = {&rules.counters},
                         .wall_clock = [](Instant at) { return seconds(at.time_since_epoch()); }};
    });
    const auto ask = [&](const char* method, const char* path) {
        admin::Request request;
        request.method = method;
        request.path = path;
        return verbs.handle(request);
    };
    const auto chain = json::parse(ask("GET", "/v1/rules").body).at("items").at(0);
    EXPECT_EQ(chain.at("chain"), "filter.forward");
    EXPECT_EQ(chain.at("policy"), "drop");
    EXPECT_EQ(chain.at("packets"), 1);
    const auto rule = chain.at("rules").at(0);
    EXPECT_EQ(rule.at("rule"), "{name: ssh, dport: 22, owner: net, action: accept}");
    EXPECT_EQ(rule.at("packets"), 1);
    EXPECT_EQ(rule.at("bytes"), 40);
    EXPECT_EQ(rule.at("last_hit"), 100.0);
    EXPECT_EQ(rule.at("owner"), "net");
    EXPECT_EQ(ask("POST", "/v1/rules/reset").status, 200);
    const auto after = json::parse(ask("GET", "/v1/rules").body).at("items").at(0).at("rules").at(0);
    EXPECT_EQ(after.at("packets"), 0);
    EXPECT_TRUE(after.at("last_hit").is_null());
}

}  // namespace
}  // namespace sluice::filter::test
