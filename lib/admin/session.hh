// One connection's HTTP/1.1 without its socket: bytes in, bytes out (RFC 9112). Keep-alive, pipelining
// (answers in order, one at a time), chunked streams, and every bound of Limits that does not need a clock.
#pragma once

#include <cstddef>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "admin/limits.hh"
#include "admin/verbs.hh"

namespace sluice::admin {

// Memory for bodies shared by all sessions of a server.
struct BodyBudget {
    uint64_t used = 0;
};

class Session {
  public:
    // All references must outlive the session.
    Session(const Verbs& verbs, const Limits& limits, ServerCounters& counters, BodyBudget& budget);
    ~Session();
    Session(const Session&) = delete;
    Session& operator=(const Session&) = delete;

    // Bytes from the peer. Answers a request when it is complete.
    void receive(std::string_view bytes);
    // The peer will send no more. What was asked is still answered, except that a
    // subscription ends.
    void receive_end();
    // What to write now; empty if nothing. Stays where it is until sent() or abort().
    [[nodiscard]] std::string_view output();
    // So many bytes of output() were written.
    void sent(size_t bytes);
    // The connection is gone: tells whoever feeds an answer.
    void abort();

    [[nodiscard]] bool wants_input() const;     // false while an answer is being sent and enough is buffered
    [[nodiscard]] bool done();                  // nothing more to send or to expect: close
    [[nodiscard]] bool in_header() const;       // a request has begun and its header is not complete
    [[nodiscard]] bool waits_for_feed() const;  // a subscription with nothing to send at the moment
    [[nodiscard]] bool wants_turn()
        const;  // a producer gave an empty piece: call output() again after others
    // Called when output() or done() may have changed through a feed; must not destroy the session.
    void on_wake(std::function<void()> fn);

  private:
    struct Impl;
    std::unique_ptr<Impl> impl_;
};

}  // namespace sluice::admin
