#include "admin/client.hh"

#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <array>
#include <cstring>
#include <filesystem>
#include <string>
#include <thread>

namespace sluice::admin {
namespace {

// Takes one connection, reads a request, says what it is told to, and closes.
class OneAnswer {
  public:
    explicit OneAnswer(std::string answer) {
        std::string name = testing::TempDir() + "sluice_XXXXXX";
        directory_ = mkdtemp(name.data());
        listener_ = socket(AF_UNIX, SOCK_STREAM, 0);
        sockaddr_un address{};
        address.sun_family = AF_UNIX;
        std::strncpy(address.sun_path, path().c_str(), sizeof address.sun_path - 1);
        EXPECT_EQ(bind(listener_, reinterpret_cast<const sockaddr*>(&address), sizeof address), 0);
        EXPECT_EQ(listen(listener_, 1), 0);
        thread_ = std::thread([this, answer = std::move(answer)] {
            const int connection = accept(listener_, nullptr, nullptr);
            std::array<char, 4096> request;
            EXPECT_GT(recv(connection, request.data(), request.size(), 0), 0);
            EXPECT_EQ(send(connection, answer.data(), answer.size(), MSG_NOSIGNAL),
                      static_cast<ssize_t>(answer.size()));
            close(connection);
        });
    }
    OneAnswer(const OneAnswer&) = delete;
    OneAnswer& operator=(const OneAnswer&) = delete;
    ~OneAnswer() {
        thread_.join();
        close(listener_);
        std::filesystem::remove_all(directory_);
    }
    [[nodiscard]] std::string path() const { return directory_ + "/test.sock"; }

  private:
    std::string directory_;
    int listener_ = -1;
    std::thread thread_;
};

TEST(Client, TellsOfAConnectionThatIsClosedWithoutAnAnswer) {
    const OneAnswer server("");
    const auto reply = Client(server.path()).call("GET", "/v1/status");
    ASSERT_FALSE(reply);
    EXPECT_EQ(reply.error().message, "the connection was closed without an answer");
}

TEST(Client, TellsOfAnAnswerThatBreaksOff) {
    const OneAnswer server("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n{");
    const auto reply = Client(server.path()).call("GET", "/v1/status");
    ASSERT_FALSE(reply);
    EXPECT_EQ(reply.error().message, "the answer broke off");
}

TEST(Client, GivesAnAnswer) {
    const OneAnswer server("HTTP/1.1 404 Not Found\r\nContent-Length: 2\r\n\r\n{}");
    const auto reply = Client(server.path()).call("GET", "/v1/nothing");
    ASSERT_TRUE(reply);
    EXPECT_EQ(reply->status, 404);
    EXPECT_EQ(reply->body, "{}");
}

}  // namespace
}  // namespace sluice::admin
