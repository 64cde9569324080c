#include "admin/client.hh"

#include <fmt/core.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <array>
#include <boost/asio/buffer.hpp>
#include <boost/beast/http/parser.hpp>
#include <boost/beast/http/string_body.hpp>
#include <cerrno>
#include <cstring>
#include <limits>
#include <utility>

namespace sluice::admin {
namespace {

namespace http = boost::beast::http;

constexpr size_t kReadBytes = size_t{64} << 10;

std::string reason(int error) {
    return std::generic_category().message(error);
}

class Descriptor {
  public:
    explicit Descriptor(int fd) : fd_(fd) {}
    Descriptor(Descriptor&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
    Descriptor& operator=(Descriptor&&) = delete;
    Descriptor(const Descriptor&) = delete;
    Descriptor& operator=(const Descriptor&) = delete;
    ~Descriptor() {
        if (fd_ >= 0)
            ::close(fd_);
    }
    [[nodiscard]] int get() const { return fd_; }

  private:
    int fd_;
};

Expected<Descriptor> connect_to(const std::string& path) {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    if (path.empty() || path.size() >= sizeof address.sun_path)
        return fail("the socket's path is empty or too long: " + path);
    std::memcpy(address.sun_path, path.data(), path.size());
    Descriptor socket(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
    if (socket.get() < 0)
        return fail("no socket: " + reason(errno));
    if (connect(socket.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0)
        return socket;
    const int error = errno;
    std::string hint = "is sluice running? -s SOCKET or SLUICE_SOCKET names another socket";
    if (error == EACCES || error == EPERM)
        hint = "run it as root or as a member of the socket's group (control.socket_group)";
    return fail("cannot reach " + path + ": " + reason(error), std::move(hint));
}

// Waits until the socket can be read or written.
Expected<void> wait_for(int fd, int16_t events, Duration timeout) {
    pollfd one{fd, events, 0};
    const int milliseconds =
        timeout == Duration::max()
            ? -1
            : static_cast<int>(std::chrono::duration_cast<std::chrono::milliseconds>(timeout).count());
    while (true) {
        const int ready = poll(&one, 1, milliseconds);
        if (ready > 0)
            return {};
        if (ready == 0)
            return fail("no answer within " + std::to_string(milliseconds / 1000) + " s",
                        "the box may be busy; try again");
        if (errno != EINTR)
            return fail("waiting for the answer failed: " + reason(errno));
    }
}

// A server that refuses early may close before all is written; its answer is there to be read, so that is no
// error.
Expected<void> send_all(int fd, std::string_view bytes, Duration timeout) {
    while (!bytes.empty()) {
        if (auto ready = wait_for(fd, POLLOUT, timeout); !ready)
            return ready;
        const ssize_t sent = send(fd, bytes.data(), bytes.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
        if (sent >= 0)
            bytes.remove_prefix(static_cast<size_t>(sent));
        else if (errno == EPIPE || errno == ECONNRESET)
            return {};
        else if (errno != EAGAIN && errno != EINTR)
            return fail("sending the request failed: " + reason(errno));
    }
    return {};
}

// Reads one answer.
class Answer {
  public:
    Answer(int fd, Duration timeout, const Client::OnPiece& on_piece)
        : fd_(fd), timeout_(timeout), on_piece_(on_piece) {
        parser_.eager(true);
        parser_.header_limit(64 * 1024);
        parser_.body_limit(std::numeric_limits<uint64_t>::max());
    }

    Expected<Client::Reply> read() {
        std::array<char, kReadBytes> buffer{};
        while (!parser_.is_done() && !stopped_) {
            if (auto ready = wait_for(fd_, POLLIN, streaming() ? Duration::max() : timeout_); !ready)
                return std::unexpected(std::move(ready.error()));
            const ssize_t got = recv(fd_, buffer.data(), buffer.size(), MSG_DONTWAIT);
            if (got < 0 && (errno == EAGAIN || errno == EINTR))
                continue;
            if (got < 0)
                return fail("the connection broke: " + reason(errno));
            if (auto parsed = got == 0 ? end() : take({buffer.data(), static_cast<size_t>(got)}); !parsed)
                return std::unexpected(std::move(parsed.error()));
        }
        return reply();
    }

  private:
    [[nodiscard]] bool streaming() const {
        const auto status = parser_.is_header_done() ? parser_.get().result_int() : 0;
        return on_piece_ && status >= 200 && status < 300;
    }

    Expected<void> end() {
        if (!parser_.got_some())
            return fail("the connection was closed without an answer",
                        "the box has probably stopped: see its log");
        boost::beast::error_code error;
        parser_.put_eof(error);
        if (error || !parser_.is_done())
            return fail("the answer broke off", "the box has stopped, or cut off a reader that was too slow");
        hand_over();
        return {};
    }

    Expected<void> take(std::string_view bytes) {
        input_ += bytes;
        while (!input_.empty() && !parser_.is_done()) {
            boost::beast::error_code error;
            const size_t used = parser_.put(boost::asio::const_buffer(input_.data(), input_.size()), error);
            input_.erase(0, used);
            hand_over();
            if (error == http::error::need_more || (!error && used == 0))
                return {};
            if (error)
                return fail("the answer is no HTTP: " + error.message());
        }
        return {};
    }

    // Gives what has come of the body to the callback.
    void hand_over() {
        if (!streaming() || stopped_ || parser_.get().body().empty())
            return;
        const std::string piece = std::exchange(parser_.get().body(), {});
        stopped_ = !on_piece_(piece);
    }

    Client::Reply reply() {
        Client::Reply result;
        result.status = static_cast<int>(parser_.get().result_int());
        result.content_type = std::string(parser_.get()[http::field::content_type]);
        result.body = std::move(parser_.get().body());
        return result;
    }

    int fd_;
    Duration timeout_;
    const Client::OnPiece& on_piece_;
    http::response_parser<http::string_body> parser_;
    std::string input_;     // not parsed yet
    bool stopped_ = false;  // by the callback
};

}  // namespace

Expected<Client::Reply> Client::call(std::string_view method, std::string_view target, std::string_view body,
                                     const OnPiece& on_piece) const {
    const auto socket = connect_to(socket_);
    if (!socket)
        return std::unexpected(socket.error());
    std::string request = fmt::format(
        "{} {} HTTP/1.1\r\nHost: sluice\r\nUser-Agent: sluicectl\r\nConnection: close\r\nContent-Length: "
        "{}\r\n\r\n",
        method, target, body.size());
    request += body;
    if (auto sent = send_all(socket->get(), request, timeout_); !sent)
        return std::unexpected(std::move(sent.error()));
    return Answer(socket->get(), timeout_, on_piece).read();
}

}  // namespace sluice::admin
