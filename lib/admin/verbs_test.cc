#include "admin/verbs.hh"

#include <gtest/gtest.h>

#include <boost/json.hpp>

namespace sluice::admin {
namespace {

Request request(std::string_view method, std::string_view target) {
    Request result;
    result.method = method;
    const auto parsed = parse_target(target, result);
    EXPECT_TRUE(parsed) << parsed.error().text();
    return result;
}

boost::json::value body(const Response& response) {
    return boost::json::parse(response.body);
}

TEST(ParseTarget, decodes_path_and_query) {
    const Request one = request("GET", "/v1/sets/a%20b?saddr=10.0.0.0%2F8&text=x+y%2Bz&flag");
    EXPECT_EQ(one.path, "/v1/sets/a b");
    EXPECT_EQ(one.query_value("saddr"), "10.0.0.0/8");
    EXPECT_EQ(one.query_value("text"), "x y+z");
    EXPECT_EQ(one.query_value("flag"), "");
    EXPECT_EQ(one.query_value("other"), std::nullopt);
    EXPECT_EQ(request("GET", "http://sluice/v1/status").path, "/v1/status");
    EXPECT_EQ(request("GET", "http://sluice").path, "/");
}

TEST(ParseTarget, refuses_what_is_not_well_formed) {
    for (const std::string_view target :
         {"", "v1", "*", "/%", "/%2", "/%zz", "/%00", "/%0a", "/?a=1&a=2", "/?a=%ff%"}) {
        Request result;
        EXPECT_FALSE(parse_target(target, result)) << target;
    }
}

TEST(ParseTarget, escapes_are_undone) {
    std::string all;
    for (int byte = 0x20; byte < 0x100; ++byte)
        if (byte != 0x7f)
            all += static_cast<char>(byte);
    const Request back = request("GET", "/" + percent_encode(all) + "?q=" + percent_encode(all));
    EXPECT_EQ(back.path, "/" + all);
    EXPECT_EQ(back.query_value("q"), all);
}

TEST(Request, numbers_have_bounds_and_hints) {
    const Request one = request("GET", "/?n=12&bad=1x&minus=-1&big=18446744073709551616&s=1.5");
    EXPECT_EQ(one.query_number("n", 0, 100), 12U);
    EXPECT_EQ(one.query_number("none", 7, 100), 7U);
    EXPECT_FALSE(one.query_number("n", 0, 11));
    EXPECT_FALSE(one.query_number("bad", 0, 100));
    EXPECT_FALSE(one.query_number("minus", 0, 100));
    EXPECT_FALSE(one.query_number("big", 0, UINT64_MAX));
    EXPECT_EQ(one.query_number("bad", 0, 100).error().hint, "a whole number from 0 to 100");
    EXPECT_EQ(one.query_seconds("s", 0, 10), 1.5);
    EXPECT_FALSE(one.query_seconds("s", 0, 1));
    EXPECT_FALSE(one.query_seconds("minus", 0, 1));
}

TEST(Request, names_the_query_it_does_not_know) {
    const Request one = request("GET", "/?famly=ip4");
    EXPECT_TRUE(one.only({"famly"}));
    EXPECT_EQ(one.only({"family", "proto"}).error().text(),
              "?famly= is not known here (it takes family, proto)");
}

TEST(Request, json_bodies_are_bounded_in_depth) {
    Request one;
    one.body = R"({"a": [1, 2]})";
    EXPECT_TRUE(one.json());
    one.body = "{";
    EXPECT_FALSE(one.json());
    one.body = std::string(100000, '[');
    EXPECT_FALSE(one.json());
}

class VerbsTest : public testing::Test {
  protected:
    VerbsTest() {
        verbs.add("GET", "/v1/status", "how it is", [](const Request&) { return Response::json("status"); });
        verbs.add("GET", "/v1/sets/{name}", "a set",
                  [](const Request& r) { return Response::json(boost::json::string(r.param("name"))); });
        verbs.add("GET", "/v1/sets/all", "all sets",
                  [](const Request&) { return Response::json("every set"); });
        verbs.add("DELETE", "/v1/sets/{name}", "no more",
                  [](const Request&) { return Response::json(true); });
        verbs.add("POST", "/v1/fail", "throws",
                  [](const Request&) -> Response { throw std::runtime_error("broken inside"); });
    }
    Response call(std::string_view method, std::string_view target) {
        return verbs.handle(request(method, target));
    }

    Verbs verbs;
};

TEST_F(VerbsTest, finds_by_method_and_path) {
    EXPECT_EQ(body(call("GET", "/v1/status")), "status");
    EXPECT_EQ(body(call("HEAD", "/v1/status")), "status");
    EXPECT_EQ(body(call("GET", "/v1/sets/blocklist")), "blocklist");
    EXPECT_EQ(body(call("GET", "/v1/sets/all")), "every set");
    EXPECT_EQ(body(call("DELETE", "/v1/sets/all")), true);
}

TEST_F(VerbsTest, unknown_path_is_404) {
    for (const std::string_view target :
         {"/", "/v1", "/v1/statu", "/v1/status/", "/v1/sets/", "/v1/sets/a/b"}) {
        const Response response = call("GET", target);
        EXPECT_EQ(response.status, 404) << target;
        EXPECT_EQ(body(response).at("error").at("path").as_string(), target);
    }
}

TEST_F(VerbsTest, unknown_method_is_405_and_says_which_there_are) {
    const Response response = call("PUT", "/v1/sets/x");
    EXPECT_EQ(response.status, 405);
    EXPECT_EQ(response.allow, "GET, DELETE");
    EXPECT_EQ(body(response).at("error").at("hint"), "it takes GET, DELETE");
}

TEST_F(VerbsTest, exception_is_500) {
    const Response response = call("POST", "/v1/fail");
    EXPECT_EQ(response.status, 500);
    EXPECT_EQ(body(response).at("error").at("message"), "broken inside");
}

TEST_F(VerbsTest, same_verb_twice_is_refused) {
    EXPECT_THROW(verbs.add("GET", "/v1/status", "", [](const Request&) { return Response{}; }),
                 std::logic_error);
}

TEST_F(VerbsTest, lists_itself) {
    add_index(verbs);
    const auto list = body(call("GET", "/v1?limit=1"));
    EXPECT_EQ(list.at("total"), 6);
    EXPECT_EQ(list.at("items").as_array().size(), 1U);
    EXPECT_EQ(list.at("items").at(0).at("path"), "/v1");
}

TEST(Paged, cuts_a_page_out) {
    const auto page = [](std::string_view target) {
        return paged(request("GET", target), boost::json::array{0, 1, 2, 3, 4});
    };
    EXPECT_EQ(page("/").body, "{\"items\":[0,1,2,3,4],\"total\":5}\n");
    EXPECT_EQ(page("/?limit=2").body, "{\"items\":[0,1],\"total\":5}\n");
    EXPECT_EQ(page("/?limit=2&offset=4").body, "{\"items\":[4],\"total\":5}\n");
    EXPECT_EQ(page("/?offset=9").body, "{\"items\":[],\"total\":5}\n");
    EXPECT_EQ(page("/?limit=0").body, "{\"items\":[],\"total\":5}\n");
    EXPECT_EQ(page("/?limit=x").status, 400);
    EXPECT_EQ(page("/?offset=-1").status, 400);
}

}  // namespace
}  // namespace sluice::admin
