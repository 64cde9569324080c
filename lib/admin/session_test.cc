#include "admin/session.hh"

#include <gtest/gtest.h>

#include <boost/json.hpp>
#include <optional>

namespace sluice::admin {
namespace {

class SessionTest : public testing::Test {
  protected:
    SessionTest() {
        limits.header_bytes = 1024;
        limits.body_bytes = 100;
        limits.all_body_bytes = 150;
        verbs.add("GET", "/hello", "", [](const Request& r) {
            return Response::text(kText, "hello " + r.query_value("n").value_or(""));
        });
        verbs.add("POST", "/echo", "", [](const Request& r) { return Response::text(kText, r.body); });
        verbs.add("GET", "/count", "", [this](const Request&) {
            return Response::stream(kJsonLines, [n = 0, this]() mutable -> std::optional<std::string> {
                ++pulls;
                return n < 3 ? std::optional(std::to_string(n++) + "\n") : std::nullopt;
            });
        });
        verbs.add("GET", "/feed", "", [this](const Request&) {
            feed = std::make_shared<Feed>(10);
            return Response::subscribe(kJsonLines, feed);
        });
        session.emplace(verbs, limits, counters, budget);
    }
    // All that is written in answer to the bytes.
    std::string ask(std::string_view bytes) {
        session->receive(bytes);
        return drain();
    }
    std::string drain() {
        std::string result;
        while (!session->output().empty()) {
            result += session->output();
            session->sent(session->output().size());
        }
        return result;
    }
    static std::string get(std::string_view target, std::string_view more = "") {
        return "GET " + std::string(target) + " HTTP/1.1\r\nHost: x\r\n" + std::string(more) + "\r\n";
    }
    static int status(std::string_view answer) {
        return answer.starts_with("HTTP/1.") ? std::stoi(std::string(answer.substr(9, 3))) : 0;
    }

    Verbs verbs;
    Limits limits;
    ServerCounters counters;
    BodyBudget budget;
    std::optional<Session> session;
    std::shared_ptr<Feed> feed;
    int pulls = 0;
};

TEST_F(SessionTest, answers_and_stays_open) {
    EXPECT_EQ(ask(get("/hello?n=1")),
              "HTTP/1.1 200 OK\r\nServer: sluice\r\nContent-Type: text/plain; "
              "charset=utf-8\r\nContent-Length: 7\r\n\r\n"
              "hello 1");
    EXPECT_FALSE(session->done());
    EXPECT_TRUE(session->wants_input());
    EXPECT_EQ(status(ask(get("/hello"))), 200);
}

TEST_F(SessionTest, takes_bytes_one_by_one) {
    std::string answer;
    for (const char byte :
         std::string("\r\nPOST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nabcde"))
        answer += ask({&byte, 1});
    EXPECT_TRUE(answer.ends_with("\r\n\r\nabcde")) << answer;
    EXPECT_EQ(status(ask(get("/hello"))), 200);
}

TEST_F(SessionTest, pipelined_requests_are_answered_in_order) {
    const std::string answer = ask(get("/hello?n=1") + get("/count") + get("/hello?n=2"));
    const size_t first = answer.find("hello 1");
    const size_t stream = answer.find("0\n");
    const size_t second = answer.find("hello 2");
    EXPECT_LT(first, stream);
    EXPECT_LT(stream, second);
    EXPECT_LT(second, std::string::npos);
    EXPECT_EQ(counters.requests, 3U);
}

TEST_F(SessionTest, closes_when_asked_to) {
    EXPECT_NE(ask(get("/hello", "Connection: close\r\n")).find("Connection: close\r\n"), std::string::npos);
    EXPECT_TRUE(session->done());
}

TEST_F(SessionTest, http10_closes_unless_asked_not_to) {
    EXPECT_EQ(status(ask("GET /hello HTTP/1.0\r\nConnection: keep-alive\r\n\r\n")), 200);
    EXPECT_FALSE(session->done());
    EXPECT_TRUE(ask("GET /hello HTTP/1.0\r\n\r\n").starts_with("HTTP/1.0 200 OK"));
    EXPECT_TRUE(session->done());
}

TEST_F(SessionTest, answers_what_was_asked_before_the_client_closed_its_side) {
    session->receive(get("/hello?n=1"));
    session->receive_end();
    EXPECT_TRUE(drain().ends_with("hello 1"));
    EXPECT_TRUE(session->done());
}

TEST_F(SessionTest, head_has_no_body) {
    const std::string answer = ask("HEAD /hello HTTP/1.1\r\nHost: x\r\n\r\n");
    EXPECT_NE(answer.find("Content-Length: 6\r\n"), std::string::npos);
    EXPECT_TRUE(answer.ends_with("\r\n\r\n"));
    EXPECT_TRUE(ask("HEAD /count HTTP/1.1\r\nHost: x\r\n\r\n").ends_with("\r\n\r\n"));
    EXPECT_EQ(pulls, 0);
    EXPECT_TRUE(ask(get("/hello")).ends_with("hello "));
}

TEST_F(SessionTest, streams_in_chunks_at_the_clients_pace) {
    session->receive(get("/count"));
    EXPECT_TRUE(session->output().ends_with("\r\nTransfer-Encoding: chunked\r\n\r\n")) << session->output();
    EXPECT_EQ(pulls, 0);
    session->sent(session->output().size());
    EXPECT_EQ(session->output(), "2\r\n0\n\r\n");
    EXPECT_EQ(pulls, 1);
    session->sent(3);
    EXPECT_EQ(session->output(), "0\n\r\n");
    EXPECT_EQ(pulls, 1);
    EXPECT_EQ(drain(), "0\n\r\n2\r\n1\n\r\n2\r\n2\n\r\n0\r\n\r\n");
    EXPECT_FALSE(session->done());
}

TEST_F(SessionTest, http10_streams_to_the_end_of_the_connection) {
    EXPECT_TRUE(ask("GET /count HTTP/1.0\r\nConnection: keep-alive\r\n\r\n").ends_with("\r\n\r\n0\n1\n2\n"));
    EXPECT_TRUE(session->done());
}

TEST_F(SessionTest, a_stream_that_has_nothing_yet_gets_another_turn) {
    int asked = 0;
    verbs.add("GET", "/late", "", [&](const Request&) {
        return Response::stream(kText, [&asked]() -> std::optional<std::string> {
            ++asked;
            if (asked > 2)
                return std::nullopt;
            return asked == 1 ? "" : "late";
        });
    });
    ask(get("/late"));
    EXPECT_EQ(asked, 1);
    EXPECT_FALSE(session->done());
    EXPECT_TRUE(session->wants_turn());
    EXPECT_EQ(asked, 1) << "what it has now would be sent only when something else happens";
    EXPECT_EQ(drain(), "4\r\nlate\r\n0\r\n\r\n");
}

TEST_F(SessionTest, a_stream_that_throws_is_cut_short) {
    verbs.add("GET", "/throw", "", [](const Request&) {
        return Response::stream(kText,
                                []() -> std::optional<std::string> { throw std::runtime_error("no"); });
    });
    EXPECT_FALSE(ask(get("/throw")).ends_with("0\r\n\r\n"));
    EXPECT_TRUE(session->done());
}

TEST_F(SessionTest, a_feed_is_sent_as_it_comes) {
    int wakes = 0;
    bool gone = false;
    session->on_wake([&] { ++wakes; });
    ask(get("/feed"));
    feed->on_gone([&] { gone = true; });
    EXPECT_TRUE(session->waits_for_feed());
    EXPECT_TRUE(feed->push("a\n"));
    EXPECT_EQ(wakes, 1);
    EXPECT_EQ(drain(), "2\r\na\n\r\n");
    feed->close();
    EXPECT_EQ(drain(), "0\r\n\r\n");
    EXPECT_FALSE(session->done());
    EXPECT_TRUE(gone);
    EXPECT_FALSE(feed->push("late"));
}

TEST_F(SessionTest, a_client_that_does_not_read_its_feed_is_cut_off) {
    ask(get("/feed"));
    EXPECT_TRUE(feed->push("12345"));
    EXPECT_TRUE(feed->push("12345"));
    EXPECT_FALSE(feed->push("1"));
    EXPECT_TRUE(feed->gone());
    EXPECT_EQ(drain(), "");
    EXPECT_TRUE(session->done());
    EXPECT_EQ(counters.slow_clients, 1U);
}

TEST_F(SessionTest, a_feed_learns_that_its_client_left) {
    ask(get("/feed"));
    session->receive_end();
    EXPECT_TRUE(feed->gone());
    session.emplace(verbs, limits, counters, budget);
    ask(get("/feed"));
    session.reset();
    EXPECT_TRUE(feed->gone());
}

TEST_F(SessionTest, says_when_the_answer_was_sent) {
    bool sent = false;
    verbs.add("POST", "/stop", "", [&](const Request&) {
        Response response = Response::json(true);
        response.sent = [&] { sent = true; };
        return response;
    });
    session->receive("POST /stop HTTP/1.1\r\nHost: x\r\n\r\n");
    EXPECT_FALSE(session->output().empty());
    EXPECT_FALSE(sent);
    drain();
    EXPECT_TRUE(sent);
}

TEST_F(SessionTest, continues_when_the_client_waits_for_it) {
    EXPECT_EQ(ask("POST /echo HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n"),
              "HTTP/1.1 100 Continue\r\n\r\n");
    EXPECT_TRUE(ask("ab").ends_with("\r\n\r\nab"));
    EXPECT_EQ(
        status(ask("POST /echo HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 200\r\n\r\n")),
        413);
}

TEST_F(SessionTest, refuses_what_is_not_http) {
    for (const std::string_view bytes :
         {"\x16\x03\x01\x02\r\n\r\n", "GET\r\n\r\n", "GET / HTTP/3.0\r\n\r\n", "GET / HTTP/1.1\r\n\r\n",
          "GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", "GET /%zz HTTP/1.1\r\nHost: x\r\n\r\n",
          "POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n",
          "POST /echo HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n"}) {
        session.emplace(verbs, limits, counters, budget);
        const std::string answer = ask(bytes);
        EXPECT_TRUE(status(answer) == 400 || status(answer) == 505) << bytes << "\n" << answer;
        const auto json = boost::json::parse(answer.substr(answer.find("\r\n\r\n") + 4));
        EXPECT_FALSE(json.at("error").at("message").as_string().empty());
    }
    EXPECT_EQ(counters.bad_requests, 8U);
}

// Wherever the bytes of a chunked request are cut, and whatever waits behind it.
TEST_F(SessionTest, chunked_request_cut_anywhere) {
    const std::string request =
        "POST /echo HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: "
        "chunked\r\n\r\n2\r\nab\r\n1;x=y\r\nc\r\n0\r\nT: "
        "u\r\n\r\n";
    const std::string empty = "POST /echo HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n";
    const std::string all = request + empty + request;
    for (size_t piece = 1; piece <= all.size(); ++piece) {
        for (size_t first = 0; first < piece; ++first) {
            session.emplace(verbs, limits, counters, budget);
            std::string answers = ask(std::string_view(all).substr(0, first));
            for (size_t at = first; at < all.size(); at += piece)
                answers += ask(std::string_view(all).substr(at, piece));
            size_t bodies = 0;
            for (size_t at = 0; (at = answers.find("Content-Length: 3\r\n\r\nabc", at)) != std::string::npos;
                 ++at)
                ++bodies;
            ASSERT_EQ(bodies, 2U) << piece << " " << first << "\n" << answers;
            ASSERT_NE(answers.find("Content-Length: 0\r\n"), std::string::npos) << answers;
        }
    }
}

TEST_F(SessionTest, header_bound) {
    EXPECT_EQ(status(ask(get("/hello", "X: " + std::string(2000, 'a') + "\r\n"))), 431);
    EXPECT_TRUE(session->done());
    session.emplace(verbs, limits, counters, budget);
    std::string answer;
    for (int i = 0; i < 2000 && answer.empty(); ++i)
        answer = ask("a");
    EXPECT_EQ(status(answer), 431);
}

TEST_F(SessionTest, body_bounds) {
    EXPECT_EQ(status(ask("POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 101\r\n\r\n")), 413);
    EXPECT_TRUE(session->done());
    session.emplace(verbs, limits, counters, budget);
    EXPECT_EQ(status(ask("POST /echo HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n65\r\n" +
                         std::string(101, 'a') + "\r\n0\r\n\r\n")),
              413);
}

TEST_F(SessionTest, all_bodies_share_a_bound) {
    Session other(verbs, limits, counters, budget);
    other.receive("POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n");
    EXPECT_EQ(budget.used, 100U);
    EXPECT_EQ(status(ask("POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 51\r\n\r\n")), 503);
    session.emplace(verbs, limits, counters, budget);
    other.receive(std::string(100, 'a'));
    EXPECT_EQ(budget.used, 0U);
    EXPECT_EQ(status(ask("POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\nab")), 200);
    EXPECT_EQ(budget.used, 0U);
}

}  // namespace
}  // namespace sluice::admin
