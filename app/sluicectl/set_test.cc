#include <gtest/gtest.h>

#include <boost/json.hpp>

#include "sluicectl/render.hh"

namespace sluice::sluicectl {
namespace {

namespace json = boost::json;

TEST(RenderSets, a_line_for_each_set) {
    const auto list = json::parse(R"({"items": [{"name": "web", "type": "net", "count": 2, "size": 65536,
        "memory": 2048, "timeout": 600, "full": 0, "references": ["filter.forward.published"]}], "total": 1})");
    EXPECT_EQ(render_sets(list, {}),
              "NAME  TYPE  ELEMENTS   SIZE    MEMORY  TIMEOUT  REFERENCES\n"
              "web   net          2  65536  2.00 KiB   10m 0s  filter.forward.published\n");
}

TEST(RenderElement, is_a_line_that_can_be_loaded) {
    EXPECT_EQ(render_element(json::parse(R"({"value": "10.0.0.0/8"})")), "10.0.0.0/8\n");
    EXPECT_EQ(
        render_element(json::parse(R"({"value": "10.0.0.0/8", "timeout": 60, "expires": 5.5, "packets": 2,
        "bytes": 120, "comment": "lab"})")),
        "10.0.0.0/8 timeout 60s comment \"lab\"  # expires in 5.5 s packets 2 bytes 120\n");
    EXPECT_EQ(render_element(json::parse(R"({"value": "::1", "timeout": 0.5})")), "::1 timeout 500ms\n");
}

TEST(RenderSetChange, says_what_changed) {
    EXPECT_EQ(render_set_change(json::parse(R"({"added": 2, "removed": 0, "unchanged": 1})")),
              "2 added, 1 unchanged\n");
    EXPECT_EQ(render_set_change(json::parse(R"({"added": 0})")), "nothing changed\n");
}

TEST(RenderSetTest, names_the_element_it_is_in) {
    EXPECT_EQ(
        render_set_test(
            json::parse(R"({"element": "10.1.1.1", "match": true, "by": {"value": "10.0.0.0/8"}})"), "web"),
        "10.1.1.1 is in web: 10.0.0.0/8\n");
    EXPECT_EQ(render_set_test(json::parse(R"({"element": "1.1.1.1", "match": false})"), "web"),
              "1.1.1.1 is not in web\n");
}

}  // namespace
}  // namespace sluice::sluicectl
