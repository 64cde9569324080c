#include "sets/verbs.hh"

#include <gtest/gtest.h>

#include <boost/json.hpp>

#include "sets/set_test_support.hh"

namespace sluice::sets {
namespace {

namespace json = boost::json;

class SetVerbsTest : public testing::Test {
  protected:
    void SetUp() override {
        SetDeclaration web;
        web.name = "web";
        web.options.type = type_of("net");
        web.options.counters = true;
        web.description = "hosts";
        web.elements = {{"192.0.2.1", std::nullopt, "one", {}},
                        {"10.0.0.0/8", Duration(std::chrono::seconds(60)), "", {}}};
        SetDeclaration spare = web;
        spare.name = "spare";
        spare.elements = {{"198.51.100.0/24", std::nullopt, "", {}}};
        config::Problems problems;
        registry.adopt(
            registry.prepare({web, spare}, {{"web", "filter.forward.published", false}}, at(0), problems));
        add_verbs(verbs, registry, [] { return at(10); });
    }
    // Status and body, which is JSON.
    std::pair<int, json::value> call(std::string method, std::string_view target, std::string body = {}) {
        admin::Request request;
        request.method = std::move(method);
        request.body = std::move(body);
        EXPECT_TRUE(admin::parse_target(target, request));
        auto response = verbs.handle(std::move(request));
        if (response.producer)
            while (auto piece = response.producer())
                response.body += *piece;
        return {response.status, json::parse(response.body)};
    }
    std::string values(std::string_view name, std::string_view query = "") {
        const auto [status, answer] = call("GET", "/v1/sets/" + std::string(name) + std::string(query));
        std::string result;
        for (const auto& item : answer.at("items").as_array())
            result +=
                (result.empty() ? "" : " ") + std::string(std::string_view(item.at("value").as_string()));
        return result;
    }

    Grace grace;
    SetRegistry registry{1, grace.retire()};
    admin::Verbs verbs;
};

TEST_F(SetVerbsTest, ListsSetsAndWhoRefersToThem) {
    const auto [status, answer] = call("GET", "/v1/sets");
    EXPECT_EQ(status, 200);
    EXPECT_EQ(answer.at("total"), 2);
    const auto& web = answer.at("items").at(1);
    EXPECT_EQ(web.at("name"), "web");
    EXPECT_EQ(web.at("type"), "net");
    EXPECT_EQ(web.at("count"), 2);
    EXPECT_EQ(web.at("description"), "hosts");
    EXPECT_EQ(web.at("references").at(0), "filter.forward.published");
}

TEST_F(SetVerbsTest, ShowsElements) {
    const auto [status, answer] = call("GET", "/v1/sets/web");
    EXPECT_EQ(status, 200);
    EXPECT_EQ(answer.at("total"), 2);
    EXPECT_EQ(answer.at("items").at(0).at("comment"), "one");
    EXPECT_EQ(answer.at("items").at(1).at("timeout").to_number<double>(), 60);
    EXPECT_EQ(answer.at("items").at(1).at("expires").to_number<double>(), 50);
    EXPECT_EQ(values("web", "?offset=1&limit=5"), "10.0.0.0/8");
    EXPECT_EQ(values("web", "?limit=0"), "");
    EXPECT_EQ(call("GET", "/v1/sets/none").first, 404);
    EXPECT_EQ(call("GET", "/v1/sets/web?page=1").first, 400);
}

TEST_F(SetVerbsTest, AddsAndRemovesInBulk) {
    auto [status, answer] =
        call("POST", "/v1/sets/web/elements",
             R"(["172.16.0.0/12", {"value": "203.0.113.7", "timeout": 5, "comment": "x"}])");
    EXPECT_EQ(status, 200);
    EXPECT_EQ(answer.at("added"), 2);
    std::tie(status, answer) =
        call("POST", "/v1/sets/web/elements", "# more\n203.0.113.8 timeout 5m\n203.0.113.7\n");
    EXPECT_EQ(answer.at("added"), 1);
    EXPECT_EQ(answer.at("unchanged"), 1);
    EXPECT_EQ(values("web"), "192.0.2.1 10.0.0.0/8 172.16.0.0/12 203.0.113.7 203.0.113.8");
    std::tie(status, answer) = call("DELETE", "/v1/sets/web/elements", "10.0.0.0/8\n203.0.113.7\n");
    EXPECT_EQ(answer.at("removed"), 2);
    EXPECT_EQ(values("web"), "192.0.2.1 172.16.0.0/12 203.0.113.8");
}

TEST_F(SetVerbsTest, RefusesWholeBodiesAndSaysWhere) {
    auto [status, answer] =
        call("POST", "/v1/sets/web/elements?file=list.txt", "1.1.1.1\nnonsense\n2.2.2.2/8\n");
    EXPECT_EQ(status, 422);
    const auto& problems = answer.at("error").at("problems").as_array();
    ASSERT_EQ(problems.size(), 2U);
    EXPECT_EQ(problems[0].at("file"), "list.txt");
    EXPECT_EQ(problems[0].at("line"), 2);
    EXPECT_EQ(problems[1].at("line"), 3);
    std::tie(status, answer) =
        call("POST", "/v1/sets/web/elements", R"(["1.1.1.1", 7, {"values": "2.2.2.2"}])");
    EXPECT_EQ(status, 422);
    EXPECT_EQ(answer.at("error").at("problems").at(0).at("path"), "elements[1]");
    std::tie(status, answer) = call("POST", "/v1/sets/web/elements", "1.1.1.1\n10.1.0.0/16\n");
    EXPECT_EQ(status, 409);
    EXPECT_EQ(answer.at("error").at("problems").at(0).at("line"), 2);
    EXPECT_EQ(call("DELETE", "/v1/sets/web/elements", "192.0.2.1\n1.1.1.1\n").first, 409);
    EXPECT_EQ(call("POST", "/v1/sets/web/elements", "[\"1.1.1.1\"").first, 422);
    EXPECT_EQ(values("web"), "192.0.2.1 10.0.0.0/8");
}

TEST_F(SetVerbsTest, TestsOneElement) {
    auto [status, answer] = call("GET", "/v1/sets/web/test?element=10.9.9.9");
    EXPECT_EQ(answer.at("match"), true);
    EXPECT_EQ(answer.at("by").at("value"), "10.0.0.0/8");
    EXPECT_EQ(answer.at("by").at("packets"), 0);
    std::tie(status, answer) = call("GET", "/v1/sets/web/test?element=11.9.9.9");
    EXPECT_EQ(answer.at("match"), false);
    std::tie(status, answer) = call("GET", "/v1/sets/web/test?element=10.0.0.0%2F8");
    EXPECT_EQ(answer.at("match"), true);
    std::tie(status, answer) = call("GET", "/v1/sets/web/test?element=10.0.0.0%2F9");
    EXPECT_EQ(answer.at("match"), false);
    EXPECT_EQ(call("GET", "/v1/sets/web/test").first, 400);
    EXPECT_EQ(call("GET", "/v1/sets/web/test?element=x").first, 400);
}

TEST_F(SetVerbsTest, FlushesLoadsAndSwaps) {
    auto [status, answer] = call("POST", "/v1/sets/web/flush");
    EXPECT_EQ(answer.at("removed"), 2);
    EXPECT_EQ(values("web"), "");
    std::tie(status, answer) = call("POST", "/v1/sets/web/load");
    EXPECT_EQ(answer.at("added"), 2);
    EXPECT_EQ(values("web"), "192.0.2.1 10.0.0.0/8");
    std::tie(status, answer) = call("POST", "/v1/sets/web/load", "1.1.1.1\n1.0.0.0/8\n2001:db8::1\n");
    EXPECT_EQ(answer.at("added"), 2);
    EXPECT_EQ(answer.at("unchanged"), 1);
    EXPECT_EQ(values("web"), "1.0.0.0/8 2001:db8::1");
    EXPECT_EQ(call("POST", "/v1/sets/web/load", "1.1.1.1-1.1.1.5\n1.1.1.4-1.1.1.9\n").first, 422);
    EXPECT_EQ(values("web"), "1.0.0.0/8 2001:db8::1");
    std::tie(status, answer) = call("POST", "/v1/sets/web/load?file=empty.txt", "");
    EXPECT_EQ(values("web"), "");
    std::tie(status, answer) = call("POST", "/v1/sets/web/load", "1.0.0.0/8\n2001:db8::1\n");
    std::tie(status, answer) = call("POST", "/v1/sets/web/swap?with=spare");
    EXPECT_EQ(status, 200);
    EXPECT_EQ(values("web"), "198.51.100.0/24");
    EXPECT_EQ(values("spare"), "1.0.0.0/8 2001:db8::1");
    EXPECT_EQ(call("POST", "/v1/sets/web/swap?with=none").first, 404);
    EXPECT_EQ(call("POST", "/v1/sets/web/swap").first, 400);
}

}  // namespace
}  // namespace sluice::sets
