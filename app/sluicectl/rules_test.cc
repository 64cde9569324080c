#include <gtest/gtest.h>

#include <boost/json.hpp>

#include "sluicectl/render.hh"

namespace sluice::sluicectl {
namespace {

namespace json = boost::json;

TEST(RenderRules, a_table_for_each_chain) {
    const auto list = json::parse(R"({"items": [
        {"chain": "filter.forward", "policy": "drop", "packets": 3, "bytes": 180, "rules": [
            {"name": "established", "rule": "{ct: established, action: accept}", "packets": 1234567, "bytes": 2048,
             "last_hit": 1000.5},
            {"name": "ssh", "rule": "{dport: 22, action: accept}", "packets": 0, "bytes": 0, "last_hit": null,
             "observe": true, "description": "for us", "owner": "net"}]},
        {"chain": "chains.guard", "rules": []}], "total": 2})");
    EXPECT_EQ(render_rules(list, 1012, {}),
              "filter.forward\n"
              "  RULE         PACKETS     BYTES  LAST HIT  OBSERVES  AS WRITTEN\n"
              "  established    1.23M  2.00 KiB    11.5 s            {ct: established, action: accept}\n"
              "  ssh                0       0 B            yes       {dport: 22, action: accept}  # for us  "
              "# owner net\n"
              "  policy drop        3     180 B                      \n"
              "\n"
              "chains.guard\n");
    EXPECT_NE(render_rules(list, 1012, {.colours = true}).find("\x1b[31m  policy drop"), std::string::npos);
}

TEST(RenderRules, none) {
    EXPECT_EQ(render_rules(json::parse(R"({"items": [], "total": 0})"), 0, {}),
              "there are no rules: everything is accepted\n");
}

}  // namespace
}  // namespace sluice::sluicectl
