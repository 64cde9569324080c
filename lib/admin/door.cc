#include "admin/door.hh"

#include <fmt/core.h>

#include <algorithm>
#include <array>
#include <boost/asio/basic_socket_acceptor.hpp>
#include <boost/asio/buffer.hpp>
#include <boost/asio/generic/stream_protocol.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <chrono>
#include <string>
#include <unordered_set>
#include <utility>

#include "admin/session.hh"

namespace sluice::admin {
namespace {

using boost::system::error_code;
using Protocol = boost::asio::generic::stream_protocol;
using Socket = Protocol::socket;
using Acceptor = boost::asio::basic_socket_acceptor<Protocol>;
using Clock = std::chrono::steady_clock;

constexpr size_t kReadBytes = size_t{32} << 10;
constexpr Duration kLinger =
    std::chrono::seconds(2);  // for the client to take the answer before the socket closes
constexpr Duration kAcceptPause = std::chrono::milliseconds(100);  // when there are no descriptors left

class Connection;

// What the connections of one listener share. Lives until the last of them is gone.
struct Listener {
    Listener(ControlLoop& l, const Verbs& v, Limits b) : loop(l), verbs(v), limits(b) {}

    ControlLoop& loop;
    const Verbs& verbs;
    Limits limits;
    std::shared_ptr<ServerCounters> counters;
    BodyBudget budget;
    std::unordered_set<std::shared_ptr<Connection>> connections;
};

// A client. Reads and writes while the session wants it; all waits are bounded by sweep().
class Connection : public std::enable_shared_from_this<Connection> {
  public:
    Connection(std::shared_ptr<Listener> listener, Socket socket)
        : listener_(std::move(listener)),
          socket_(std::move(socket)),
          session_(std::make_unique<Session>(listener_->verbs, listener_->limits, *listener_->counters,
                                             listener_->budget)) {}

    void start() {
        session_->on_wake([weak = weak_from_this()] {
            if (const auto self = weak.lock())
                self->pump_soon();
        });
        pump();
    }

    // Ends the connection if it has kept the server waiting too long.
    void sweep(Clock::time_point now) {
        if (!session_ || (!writing_ && !lingering_ && session_->waits_for_feed()))
            return;
        const Duration allowed =
            lingering_ ? std::min(kLinger, listener_->limits.idle) : listener_->limits.idle;
        if (now - progress_ < allowed)
            return;
        if (writing_)
            ++listener_->counters->slow_clients;
        else if (!lingering_)
            ++listener_->counters->idle_closed;
        close();
    }

    void close() {
        if (!session_)
            return;
        session_->abort();
        error_code ignored;
        socket_.close(ignored);
        // Its own code, or a verb it called, may be what is closing it: it goes when that has returned.
        boost::asio::post(listener_->loop.context(),
                          [listener = listener_, session = std::shared_ptr<Session>(std::move(session_))] {});
        listener_->connections.erase(shared_from_this());
    }

  private:
    void pump_soon() {
        if (std::exchange(pump_queued_, true))
            return;
        boost::asio::post(listener_->loop.context(), [self = shared_from_this()] {
            self->pump_queued_ = false;
            self->pump();
        });
    }

    void pump() {
        if (session_ && !writing_ && !lingering_)
            write();
        if (session_ && !reading_ && (lingering_ || session_->wants_input()))
            read();
    }

    void write() {
        const std::string_view bytes = session_->output();
        if (!session_)
            return;
        if (bytes.empty()) {
            if (session_->done())
                linger();
            else if (session_->wants_turn())
                pump_soon();
            return;
        }
        writing_ = true;
        progress_ = Clock::now();
        socket_.async_write_some(boost::asio::buffer(bytes.data(), bytes.size()),
                                 [self = shared_from_this()](error_code error, size_t written) {
                                     self->writing_ = false;
                                     if (!self->session_)
                                         return;
                                     if (error)
                                         return self->close();
                                     self->session_->sent(written);
                                     self->progress_ = Clock::now();
                                     self->pump();
                                 });
    }

    // Closing with unread bytes would throw away the answer with them, so what comes is read until the client
    // has closed its side.
    void linger() {
        lingering_ = true;
        progress_ = Clock::now();
        error_code error;
        socket_.shutdown(Socket::shutdown_send, error);
        if (error || ended_)
            close();
    }

    void read() {
        reading_ = true;
        socket_.async_read_some(boost::asio::buffer(buffer_),
                                [self = shared_from_this()](error_code error, size_t bytes) {
                                    self->reading_ = false;
                                    if (self->session_)
                                        self->got(error, bytes);
                                });
    }

    void got(error_code error, size_t bytes) {
        if (error && (error != boost::asio::error::eof || lingering_))
            return close();
        if (error) {
            ended_ = true;
            session_->receive_end();
        } else if (!lingering_) {
            // The whole of a header has to come within the time, not each of its bytes.
            const bool was_in_header = session_->in_header();
            session_->receive({buffer_.data(), bytes});
            if (session_ && !(was_in_header && session_->in_header()))
                progress_ = Clock::now();
        }
        pump();
    }

    std::shared_ptr<Listener> listener_;
    Socket socket_;
    std::unique_ptr<Session> session_;  // null once closed
    std::array<char, kReadBytes> buffer_;
    Clock::time_point progress_ = Clock::now();
    bool reading_ = false;
    bool writing_ = false;
    bool lingering_ = false;
    bool ended_ = false;  // the client has closed its side
    bool pump_queued_ = false;
};

void turn_away(Socket socket) {
    const std::string body = Response::error(503, "too many connections at once", "try again").body;
    const std::string answer = fmt::format(
        "HTTP/1.1 503 {}\r\nContent-Type: {}\r\nConnection: close\r\nContent-Length: {}\r\n\r\n{}",
        reason_phrase(503), kJson, body.size(), body);
    error_code ignored;
    socket.non_blocking(true, ignored);
    socket.write_some(boost::asio::buffer(answer), ignored);
}

// Accepts on one descriptor.
class AcceptingDoor : public Door, public std::enable_shared_from_this<AcceptingDoor> {
  public:
    AcceptingDoor(std::shared_ptr<Listener> listener, int family, int fd)
        : listener_(std::move(listener)), acceptor_(listener_->loop.context(), Protocol(family, 0), fd) {}

    void accept() {
        acceptor_.async_accept([self = shared_from_this()](error_code error, Socket socket) {
            if (!error && !self->closed_)
                self->welcome(std::move(socket));
            if (!self->acceptor_.is_open())
                return;
            if (error) {
                self->pause_ = self->listener_->loop.after(kAcceptPause, [weak = self->weak_from_this()] {
                    if (const auto door = weak.lock())
                        door->accept();
                });
                return;
            }
            self->accept();
        });
    }

    void sweep() override {
        const auto now = Clock::now();
        const auto connections = listener_->connections;
        for (const auto& connection : connections)
            connection->sweep(now);
    }

    void stop_accepting() override {
        // Who has connected already and waits to be accepted is welcome still.
        error_code error;
        acceptor_.non_blocking(true, error);
        while (!error) {
            Socket socket(listener_->loop.context());
            acceptor_.accept(socket, error);
            if (!error)
                welcome(std::move(socket));
        }
        shut();
    }

    void close() override {
        closed_ = true;
        shut();
        const auto connections = listener_->connections;
        for (const auto& connection : connections)
            connection->close();
    }

    [[nodiscard]] size_t connections() const override { return listener_->connections.size(); }

  private:
    void shut() {
        error_code ignored;
        acceptor_.close(ignored);
        pause_.cancel();
    }

    void welcome(Socket socket) {
        if (listener_->connections.size() >= listener_->limits.connections) {
            ++listener_->counters->connections_refused;
            return turn_away(std::move(socket));
        }
        ++listener_->counters->connections;
        const auto connection = std::make_shared<Connection>(listener_, std::move(socket));
        listener_->connections.insert(connection);
        connection->start();
    }

    std::shared_ptr<Listener> listener_;
    Acceptor acceptor_;
    ControlLoop::Registration pause_;
    bool closed_ = false;
};

}  // namespace

std::shared_ptr<Door> Door::open(ControlLoop& loop, const Verbs& verbs, const Limits& limits,
                                 std::shared_ptr<ServerCounters> counters, int family, int fd) {
    const auto listener = std::make_shared<Listener>(loop, verbs, limits);
    listener->counters = std::move(counters);
    const auto door = std::make_shared<AcceptingDoor>(listener, family, fd);
    door->accept();
    return door;
}

}  // namespace sluice::admin
