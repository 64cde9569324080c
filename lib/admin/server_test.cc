#include "admin/server.hh"

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <atomic>
#include <filesystem>
#include <future>
#include <latch>
#include <thread>
#include <vector>

#include "admin/client.hh"

namespace sluice::admin {
namespace {

using std::chrono::milliseconds;

const Ip4Address kLoopback = Ip4Address::from_host(0x7f000001);

// A bare connection, for what a well-behaved client does not do.
class RawClient {
  public:
    explicit RawClient(const std::string& path) : fd_(socket(AF_UNIX, SOCK_STREAM, 0)) {
        sockaddr_un address{};
        address.sun_family = AF_UNIX;
        path.copy(address.sun_path, path.size());
        connected_ = connect(fd_, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0;
    }
    explicit RawClient(uint16_t port) : fd_(socket(AF_INET, SOCK_STREAM, 0)) {
        sockaddr_in address{};
        address.sin_family = AF_INET;
        address.sin_port = htons(port);
        address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        connected_ = connect(fd_, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0;
    }
    RawClient(RawClient&& other) noexcept : fd_(std::exchange(other.fd_, -1)), connected_(other.connected_) {}
    RawClient(const RawClient&) = delete;
    RawClient& operator=(const RawClient&) = delete;
    RawClient& operator=(RawClient&&) = delete;
    ~RawClient() {
        if (fd_ >= 0)
            close(fd_);
    }
    void send(std::string_view bytes) const { ::send(fd_, bytes.data(), bytes.size(), MSG_NOSIGNAL); }
    // All until the server closes.
    [[nodiscard]] std::string read_to_end() const {
        std::string result;
        char buffer[4096];
        ssize_t got = 0;
        while ((got = recv(fd_, buffer, sizeof buffer, 0)) > 0)
            result.append(buffer, static_cast<size_t>(got));
        return result;
    }
    void end() const { shutdown(fd_, SHUT_WR); }
    [[nodiscard]] bool connected() const { return connected_; }

  private:
    int fd_;
    bool connected_ = false;
};

class ServerTest : public testing::Test {
  protected:
    ServerTest() {
        std::string name = testing::TempDir() + "sluice_XXXXXX";
        directory = mkdtemp(name.data());
        path = directory + "/test.sock";
        add_index(verbs);
        verbs.add("GET", "/v1/hello", "", [](const Request&) { return Response::text(kText, "hello"); });
        verbs.add("POST", "/v1/size", "",
                  [](const Request& r) { return Response::text(kText, std::to_string(r.body.size())); });
        verbs.add("GET", "/v1/endless", "", [](const Request&) {
            return Response::stream(kText, [] { return std::optional(std::string(60000, 'x')); });
        });
        verbs.add("GET", "/v1/big", "",
                  [](const Request&) { return Response::text(kText, std::string(size_t{32} << 20, 'y')); });
        verbs.add("GET", "/v1/feed", "", [this](const Request&) {
            auto feed = std::make_shared<Feed>();
            feeds.push_back(feed);
            return Response::subscribe(kJsonLines, feed);
        });
        verbs.add("GET", "/metrics", "",
                  [](const Request&) { return Response::text(kMetricsText, "sluice_up 1\n"); });
    }
    ~ServerTest() override {
        stop();
        std::filesystem::remove_all(directory);
    }
    void start(Limits limits = {}) {
        server = std::make_unique<Server>(loop, verbs, limits);
        const auto listening = server->listen({.path = path});
        ASSERT_TRUE(listening) << listening.error().text();
        thread = std::thread([this] { loop.run(); });
    }
    void stop() {
        if (thread.joinable()) {
            loop.stop();
            thread.join();
        }
        server.reset();
    }
    // Runs fn on the loop's thread.
    template <typename Fn>
    auto on_loop(Fn fn) {
        std::promise<decltype(fn())> promise;
        loop.post([&] { promise.set_value(fn()); });
        return promise.get_future().get();
    }
    void wait_until(const std::function<bool()>& condition) {
        while (!on_loop(condition))
            std::this_thread::yield();
    }
    static std::string get(std::string_view target) {
        return "GET " + std::string(target) + " HTTP/1.1\r\nHost: x\r\n\r\n";
    }

    std::string directory;
    std::string path;
    Verbs verbs;
    ControlLoop loop{
        [](std::string_view where, std::string_view what) { ADD_FAILURE() << where << ": " << what; }};
    std::unique_ptr<Server> server;
    std::thread thread;
    std::vector<std::shared_ptr<Feed>> feeds;
};

TEST_F(ServerTest, serves_a_client) {
    start();
    const Client client(path);
    const auto reply = client.call("GET", "/v1/hello");
    ASSERT_TRUE(reply) << reply.error().text();
    EXPECT_EQ(reply->status, 200);
    EXPECT_EQ(reply->body, "hello");
    EXPECT_EQ(reply->content_type, kText);
    EXPECT_EQ(client.call("GET", "/v1/none")->status, 404);
    EXPECT_EQ(client.call("PUT", "/v1/hello")->status, 405);
    EXPECT_EQ(client.call("GET", "/v1/big")->body.size(), size_t{32} << 20);
}

TEST_F(ServerTest, takes_large_bodies_up_to_the_bound) {
    start();
    const Client client(path);
    EXPECT_EQ(client.call("POST", "/v1/size", std::string(size_t{64} << 20, 'x'))->body, "67108864");
    const auto refused = client.call("POST", "/v1/size", std::string((size_t{64} << 20) + 1, 'x'));
    ASSERT_TRUE(refused) << refused.error().text();
    EXPECT_EQ(refused->status, 413);
}

TEST_F(ServerTest, fifty_clients_at_once) {
    start();
    constexpr int kClients = 50;
    std::atomic<int> good = 0;
    std::latch all_connected(kClients);
    std::vector<std::thread> clients;
    for (int i = 0; i < kClients; ++i) {
        clients.emplace_back([&] {
            const RawClient client(path);
            all_connected.arrive_and_wait();
            std::string requests;
            for (int n = 0; n < 20; ++n)
                requests += get("/v1/hello");
            client.send(requests);
            client.end();
            const std::string answers = client.read_to_end();
            size_t count = 0;
            for (size_t at = 0; (at = answers.find("\r\n\r\nhello", at)) != std::string::npos; ++at)
                ++count;
            good += count == 20;
        });
    }
    for (auto& client : clients)
        client.join();
    EXPECT_EQ(good, kClients);
    EXPECT_EQ(on_loop([this] { return server->counters().requests; }), 20U * kClients);
    wait_until([this] { return server->open_connections() == 0; });
}

TEST_F(ServerTest, slow_clients_hold_nobody_up_and_are_cut_off) {
    Limits limits;
    limits.idle = milliseconds(300);
    start(limits);
    std::vector<RawClient> slow;
    for (const std::string_view target : {"/v1/endless", "/v1/big", "/v1/endless"}) {
        slow.emplace_back(path);
        slow.back().send(get(target));
    }
    wait_until([this] { return server->counters().requests == 3; });
    const Client client(path);
    for (int i = 0; i < 20; ++i)
        EXPECT_EQ(client.call("GET", "/v1/hello")->body, "hello");
    EXPECT_EQ(on_loop([this] { return server->open_connections(); }) >= 3, true);
    wait_until([this] { return server->open_connections() == 0; });
    EXPECT_EQ(on_loop([this] { return server->counters().slow_clients; }), 3U);
}

TEST_F(ServerTest, a_subscriber_that_does_not_read_is_cut_off) {
    start();
    const RawClient subscriber(path);
    subscriber.send(get("/v1/feed"));
    wait_until([this] { return feeds.size() == 1; });
    wait_until([this] { return !feeds[0]->push(std::string(10000, 'x')); });
    wait_until([this] { return server->counters().slow_clients == 1 || feeds[0]->overrun(); });
    EXPECT_EQ(Client(path).call("GET", "/v1/hello")->body, "hello");
}

TEST_F(ServerTest, a_subscriber_may_wait_longer_than_others) {
    Limits limits;
    limits.idle = milliseconds(50);
    start(limits);
    std::thread reader([this] {
        std::string got;
        const auto reply = Client(path).call("GET", "/v1/feed", "", [&](std::string_view piece) {
            got += piece;
            return got != "onetwo";
        });
        EXPECT_TRUE(reply) << reply.error().text();
        EXPECT_EQ(got, "onetwo");
    });
    wait_until([this] { return feeds.size() == 1; });
    const RawClient idle(
        path);  // is closed for being idle, which takes as long as the subscriber is to survive
    EXPECT_EQ(idle.read_to_end(), "");
    on_loop([this] { return feeds[0]->push("one"); });
    const RawClient again(path);
    EXPECT_EQ(again.read_to_end(), "");
    on_loop([this] { return feeds[0]->push("two"); });
    reader.join();
    wait_until([this] { return feeds[0]->gone(); });
    EXPECT_EQ(on_loop([this] { return server->counters().idle_closed; }), 2U);
}

TEST_F(ServerTest, a_header_that_trickles_in_is_not_waited_for) {
    Limits limits;
    limits.idle = milliseconds(100);
    start(limits);
    const RawClient client(path);
    std::atomic<bool> closed = false;
    std::thread reader([&] {
        EXPECT_EQ(client.read_to_end(), "");
        closed = true;
    });
    client.send("GET / HTTP/1.1\r\nX: ");
    while (!closed) {
        client.send("x");
        std::this_thread::sleep_for(milliseconds(5));  // the pace of the trickle
    }
    reader.join();
    EXPECT_EQ(on_loop([this] { return server->counters().idle_closed; }), 1U);
}

TEST_F(ServerTest, connections_are_bounded) {
    Limits limits;
    limits.connections = 2;
    start(limits);
    {
        const RawClient first(path);
        const RawClient second(path);
        wait_until([this] { return server->open_connections() == 2; });
        const RawClient third(path);
        EXPECT_TRUE(third.read_to_end().starts_with("HTTP/1.1 503 "));
    }
    wait_until([this] { return server->open_connections() == 0; });
    EXPECT_EQ(Client(path).call("GET", "/v1/hello")->body, "hello");
}

TEST_F(ServerTest, metrics_listener_serves_metrics_only) {
    start();
    ASSERT_TRUE(on_loop([this] { return server->listen_metrics({kLoopback, 0}); }));
    const uint16_t port = on_loop([this] { return server->metrics_port(); });
    const auto ask = [port](const std::string& request) {
        const RawClient client(port);
        EXPECT_TRUE(client.connected());
        client.send(request);
        client.end();
        return client.read_to_end();
    };
    EXPECT_TRUE(ask(get("/metrics")).ends_with("\r\n\r\nsluice_up 1\n"));
    EXPECT_TRUE(ask(get("/v1/hello")).starts_with("HTTP/1.1 404 "));
    EXPECT_TRUE(
        ask("POST /metrics HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n").starts_with("HTTP/1.1 405 "));
    EXPECT_TRUE(
        ask("POST /v1/size HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\n\r\nx").starts_with("HTTP/1.1 413 "));
    const int other = socket(AF_INET, SOCK_STREAM, 0);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof address;
    ASSERT_EQ(bind(other, reinterpret_cast<const sockaddr*>(&address), size), 0);
    ASSERT_EQ(listen(other, 1), 0);
    ASSERT_EQ(getsockname(other, reinterpret_cast<sockaddr*>(&address), &size), 0);
    const auto taken = on_loop([&] { return server->listen_metrics({kLoopback, ntohs(address.sin_port)}); });
    close(other);
    ASSERT_FALSE(taken);
    EXPECT_NE(taken.error().hint.find("another program"), std::string::npos);
    EXPECT_EQ(on_loop([this] { return server->metrics_port(); }) != 0, true) << "the former listener is back";
    EXPECT_FALSE(on_loop([this] { return server->listen_metrics({Ip4Address::from_host(0xc0000201), 0}); }));
}

TEST_F(ServerTest, follows_a_changed_configuration) {
    start();
    const RawClient old_connection(path);
    const std::string other = directory + "/other.sock";
    ControlConfig control;
    control.socket = {other, {}};
    control.metrics = config::Endpoint{kLoopback, 0};
    ASSERT_TRUE(on_loop([&] { return server->apply(control); }));
    EXPECT_FALSE(std::filesystem::exists(path));
    EXPECT_EQ(Client(other).call("GET", "/v1/hello")->body, "hello");
    old_connection.send(get("/v1/hello"));
    old_connection.end();
    EXPECT_TRUE(old_connection.read_to_end().ends_with("hello")) << "connections go on";
    const uint16_t port = on_loop([this] { return server->metrics_port(); });
    EXPECT_TRUE(RawClient(port).connected());

    control.socket_mode = {0600};
    ASSERT_TRUE(on_loop([&] { return server->apply(control); }));
    EXPECT_EQ(std::filesystem::status(other).permissions(), std::filesystem::perms(0600));
    EXPECT_EQ(on_loop([this] { return server->metrics_port(); }), port) << "what did not change stays";

    ControlConfig wrong = control;
    wrong.socket = {directory + "/third.sock", {}};
    wrong.metrics = config::Endpoint{Ip4Address::from_host(0xc0000201), 1};
    EXPECT_FALSE(on_loop([&] { return server->apply(wrong); }));
    EXPECT_EQ(Client(other).call("GET", "/v1/hello")->body, "hello");
    EXPECT_FALSE(std::filesystem::exists(wrong.socket.written));
    EXPECT_TRUE(RawClient(on_loop([this] { return server->metrics_port(); })).connected());

    control.metrics.reset();
    ASSERT_TRUE(on_loop([&] { return server->apply(control); }));
    EXPECT_FALSE(RawClient(port).connected());
}

TEST_F(ServerTest, a_verb_may_close_the_server) {
    verbs.add("POST", "/v1/stop", "", [this](const Request&) {
        Response response = Response::text(kText, "bye");
        response.sent = [this] { server->close(); };
        return response;
    });
    start();
    EXPECT_EQ(Client(path).call("POST", "/v1/stop")->body, "bye");
    wait_until([this] { return server->open_connections() == 0; });
    EXPECT_FALSE(std::filesystem::exists(path));
    const auto reply = Client(path).call("GET", "/v1/hello");
    ASSERT_FALSE(reply);
    EXPECT_NE(reply.error().hint.find("is sluice running?"), std::string::npos);
}

TEST_F(ServerTest, the_client_gives_up_after_its_timeout) {
    start();
    const auto reply = Client(path, milliseconds(50)).call("GET", "/v1/feed");
    ASSERT_FALSE(reply);
    EXPECT_NE(reply.error().message.find("no answer"), std::string::npos);
}

TEST_F(ServerTest, the_client_says_that_an_answer_broke_off) {
    start();
    std::thread breaker([this] {
        wait_until([this] { return feeds.size() == 1; });
        on_loop([this] {
            server->close();
            return true;
        });
    });
    const auto reply = Client(path).call("GET", "/v1/feed");
    breaker.join();
    ASSERT_FALSE(reply);
    EXPECT_NE(reply.error().message.find("broke off"), std::string::npos) << reply.error().text();
}

}  // namespace
}  // namespace sluice::admin
