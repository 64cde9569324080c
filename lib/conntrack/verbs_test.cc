// The admin API's answers, with a worker that runs its jobs at once.
#include "conntrack/verbs.hh"

#include <algorithm>
#include <boost/json.hpp>

#include "conntrack/tracker_fixture.hh"

namespace sluice::conntrack {
namespace {

namespace json = boost::json;

class ConntrackVerbsTest : public TrackerTest {
  protected:
    ConntrackVerbsTest() : feeds([this] { return std::vector{&tracker->events()}; }, {}) {
        make(5000);
        add_verbs(verbs,
                  {.workers = [] { return size_t{1}; },
                   .hand_over =
                       [this](size_t, const std::shared_ptr<FlowJob>& job) {
                           while (!job->run(*tracker, now, 64)) {
                           }
                       },
                   .counters = [this](size_t) -> const Counters& { return counters; },
                   .names = {.rule = [](uint32_t rule) { return rule == 0 ? "" : "out"; },
                             .interface = [](InterfaceId) { return "lan"; }}},
                  feeds);
    }
    json::value ask(const std::string& method, const std::string& target, int status = 200) {
        admin::Request request;
        request.method = method;
        EXPECT_TRUE(admin::parse_target(target, request));
        auto response = verbs.handle(request);
        EXPECT_EQ(response.status, status) << response.body;
        if (response.producer)
            while (const auto piece = response.producer())
                response.body += *piece;
        feed = response.feed;
        return response.body.empty() ? json::value() : json::parse(response.body);
    }

    admin::Verbs verbs;
    EventFeeds feeds;
    std::shared_ptr<admin::Feed> feed;
};

TEST_F(ConntrackVerbsTest, ListsFlowsAsTheContractSays) {
    auto tracked = track(tcp(a, 3000, b, 80, wire::kTcpSyn, 1, 0));
    tracked.flow->rule = 3;
    ASSERT_TRUE(tracker->confirm(tracked, view(tcp(a, 3000, b, 80, wire::kTcpSyn, 1, 0)), now));
    pass(icmp(a, b, 8, 0, 0x00070001));
    const auto list = ask("GET", "/v1/conntrack?proto=tcp");
    EXPECT_EQ(list.at("total"), 1);
    const auto& flow = list.at("items").at(0);
    EXPECT_EQ(flow.at("family"), "ip4");
    EXPECT_EQ(flow.at("proto"), "tcp");
    EXPECT_EQ(flow.at("state"), "SYN_SENT");
    EXPECT_NEAR(flow.at("timeout").to_number<double>(), 120, 0.01);
    EXPECT_EQ(flow.at("status"), json::array{"confirmed"});
    EXPECT_EQ(flow.at("original"), json::parse(R"({"src": "10.0.0.1", "dst": "192.0.2.2", "sport": 3000,
        "dport": 80, "packets": 1, "bytes": 40})"));
    EXPECT_EQ(flow.at("reply").at("sport"), 80);
    EXPECT_EQ(flow.at("worker"), 0);
    EXPECT_EQ(flow.at("rule"), "out");
    EXPECT_EQ(flow.at("in"), "lan");
    const auto echo = ask("GET", "/v1/conntrack?proto=icmp").at("items").at(0);
    EXPECT_EQ(echo.at("original").at("type"), 8);
    EXPECT_EQ(echo.at("original").at("id"), 7);
    EXPECT_EQ(echo.at("rule"), nullptr);
}

TEST_F(ConntrackVerbsTest, PagesCountsAndDeletes) {
    for (uint16_t port = 1; port <= 2000; ++port)
        pass(udp(a, port, b, 53));
    const auto page = ask("GET", "/v1/conntrack?limit=10&offset=1995");
    EXPECT_EQ(page.at("items").as_array().size(), 5U);
    EXPECT_EQ(page.at("total"), 2000);
    EXPECT_EQ(ask("GET", "/v1/conntrack/count?sport=7").at("count"), 1);
    tracker->expire(now, 1);  // what keeps the gauges
    EXPECT_EQ(ask("GET", "/v1/conntrack/count").at("count"), 2000);
    EXPECT_EQ(ask("DELETE", "/v1/conntrack?sport=7").at("deleted"), 1);
    EXPECT_EQ(ask("DELETE", "/v1/conntrack").at("deleted"), 1999);
    EXPECT_EQ(flows(), 0U);
}

TEST_F(ConntrackVerbsTest, RefusesWhatItDoesNotUnderstand) {
    pass(udp(a, 1, b, 53));
    ask("GET", "/v1/conntrack?colour=red", 400);
    ask("DELETE", "/v1/conntrack?src=nowhere", 400);
    ask("GET", "/v1/conntrack/events?state=odd", 400);
    EXPECT_EQ(flows(), 1U);
}

TEST_F(ConntrackVerbsTest, CountersByWorkerWithReasons) {
    auto bad = udp(a, 1, b, 2);
    bad.back() ^= 1;
    track(bad);
    const auto stats = ask("GET", "/v1/conntrack/stats").at("items").at(0);
    EXPECT_EQ(stats.at("invalid"), 1);
    EXPECT_EQ(stats.at("invalid_reasons").at("bad_checksum"), 1);
    for (const auto* name : {"found", "insert", "insert_failed", "drop", "early_drop", "error",
                             "search_restart", "clash_resolve", "chaintoolong"})
        EXPECT_EQ(stats.at(name), 0) << name;
}

TEST_F(ConntrackVerbsTest, EventsGoToThoseWhoListen) {
    ask("GET", "/v1/conntrack/events?dport=53");
    const auto listener = feed;
    ASSERT_NE(listener, nullptr);
    pass(udp(a, 1, b, 53));
    pass(udp(a, 1, b, 54));
    advance(31s);
    feeds.pump();
    std::string text;
    while (const auto piece = listener->pop())
        text += *piece;
    EXPECT_EQ(std::ranges::count(text, '\n'), 2);
    EXPECT_TRUE(text.starts_with("{\"event\":\"new\""));
    EXPECT_NE(text.find("\"event\":\"destroy\""), std::string::npos);
    listener->client_gone();
    feeds.pump();
    EXPECT_FALSE(feeds.anybody());
    EXPECT_FALSE(tracker->events().wanted());
}

}  // namespace
}  // namespace sluice::conntrack
