#include <gtest/gtest.h>

#include <boost/json.hpp>
#include <string>
#include <vector>

#include "sluicectl/json_items.hh"
#include "sluicectl/render.hh"

namespace sluice::sluicectl {
namespace {

namespace json = boost::json;

constexpr const char* kTcp =
    R"({"family": "ip4", "proto": "tcp", "state": "ESTABLISHED", "timeout": 431999.75,
    "status": ["seen_reply", "assured", "confirmed"], "mark": 0, "worker": 0, "rule": null, "id": 7,
    "original": {"src": "10.0.0.1", "dst": "192.0.2.2", "sport": 3000, "dport": 80, "packets": 2, "bytes": 92},
    "reply": {"src": "192.0.2.2", "dst": "10.0.0.1", "sport": 80, "dport": 3000, "packets": 1, "bytes": 52}})";

TEST(RenderFlow, a_connection) {
    EXPECT_EQ(
        render_flow(json::parse(kTcp), true),
        "tcp      6 431999 ESTABLISHED src=10.0.0.1 dst=192.0.2.2 sport=3000 dport=80 packets=2 bytes=92 "
        "src=192.0.2.2 dst=10.0.0.1 sport=80 dport=3000 packets=1 bytes=52 [ASSURED] mark=0 use=1\n");
}

TEST(RenderFlow, a_question_without_an_answer) {
    const auto flow =
        json::parse(R"({"proto": "icmp", "state": null, "timeout": 29.9, "status": ["confirmed"],
        "mark": 3, "original": {"src": "10.0.0.1", "dst": "192.0.2.2", "type": 8, "code": 0, "id": 7, "packets": 1,
        "bytes": 84}, "reply": {"src": "192.0.2.2", "dst": "10.0.0.1", "type": 0, "code": 0, "id": 7, "packets": 0,
        "bytes": 0}})");
    EXPECT_EQ(render_flow(flow, true),
              "icmp     1 29 src=10.0.0.1 dst=192.0.2.2 type=8 code=0 id=7 packets=1 bytes=84 [UNREPLIED] "
              "src=192.0.2.2 dst=10.0.0.1 type=0 code=0 id=7 packets=0 bytes=0 mark=3 use=1\n");
}

TEST(RenderFlow, an_event) {
    auto event = json::parse(kTcp);
    event.as_object()["event"] = "new";
    EXPECT_TRUE(render_flow_event(event).starts_with("    [NEW] tcp      6 431999 ESTABLISHED src="));
    event.as_object()["event"] = "destroy";
    EXPECT_TRUE(render_flow_event(event).starts_with("[DESTROY] tcp      6 ESTABLISHED src="));
}

TEST(RenderConntrackStats, a_line_for_each_worker) {
    const auto stats = json::parse(R"({"items": [{"worker": 0, "found": 5, "invalid": 2,
        "invalid_reasons": {"truncated": 0, "bad_checksum": 2}}], "total": 1})");
    EXPECT_EQ(render_conntrack_stats(stats), "worker=0        found=5 invalid=2 invalid_bad_checksum=2\n");
}

TEST(JsonItems, cuts_items_wherever_the_pieces_end) {
    const std::string list = R"({"items":[{"a":"}{\"]"},{"b":[{"c":1}]}],"total":2})";
    for (size_t length = 1; length <= list.size(); ++length) {
        JsonItems cutter(2);
        std::vector<std::string> seen;
        for (size_t at = 0; at < list.size(); at += length)
            cutter.add(std::string_view(list).substr(at, length),
                       [&](std::string_view item) { seen.emplace_back(item); });
        EXPECT_EQ(seen, (std::vector<std::string>{R"({"a":"}{\"]"})", R"({"b":[{"c":1}]})"}));
    }
    JsonItems lines(0);
    std::vector<std::string> seen;
    lines.add("{\"a\":1}\n{\"b\":{}}\n{", [&](std::string_view item) { seen.emplace_back(item); });
    EXPECT_EQ(seen, (std::vector<std::string>{"{\"a\":1}", "{\"b\":{}}"}));
}

}  // namespace
}  // namespace sluice::sluicectl
