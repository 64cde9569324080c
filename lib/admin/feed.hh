// A bounded queue between somebody who pushes (captured packets, connection events) and one client who reads
// them. Control thread only. A client that lets the queue fill is cut off; pushing never waits.
#pragma once

#include <cstddef>
#include <deque>
#include <functional>
#include <optional>
#include <string>

namespace sluice::admin {

class Feed {
  public:
    static constexpr size_t kDefaultBound = size_t{1} << 20;

    explicit Feed(size_t bound_bytes = kDefaultBound) : bound_(bound_bytes) {}

    // Queues a piece for the client. False once the client is gone or was cut off: stop pushing and drop the
    // feed.
    bool push(std::string piece);
    // No more will come; the client gets what is queued and then the end of the answer.
    void close();
    // The client went away or was cut off.
    [[nodiscard]] bool gone() const { return state_ == State::gone || state_ == State::overrun; }
    // Called once when gone() becomes true, for instance to take a capture off the workers.
    void on_gone(std::function<void()> fn) { on_gone_ = std::move(fn); }

    // The server's side.
    [[nodiscard]] std::optional<std::string> pop();  // all that is queued, up to about 64 KiB
    [[nodiscard]] bool finished() const { return state_ != State::open && pieces_.empty(); }
    [[nodiscard]] bool overrun() const { return state_ == State::overrun; }
    // Called when there is something to pop() or the feed came to its end; must not destroy the feed's
    // reader.
    void on_push(std::function<void()> fn) { on_push_ = std::move(fn); }
    void client_gone();

  private:
    enum class State { open, closed, gone, overrun };
    void end(State state);

    std::deque<std::string> pieces_;
    size_t bytes_ = 0;
    size_t bound_;
    State state_ = State::open;
    std::function<void()> on_push_;
    std::function<void()> on_gone_;
};

}  // namespace sluice::admin
