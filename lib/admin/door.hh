// One listening socket and the connections that came through it.
#pragma once

#include <cstddef>
#include <memory>

#include "admin/control_loop.hh"
#include "admin/limits.hh"
#include "admin/verbs.hh"

namespace sluice::admin {

class Door {
  public:
    // Accepts on fd, which it owns from now on, and serves verbs, which must outlive it. family is AF_UNIX,
    // AF_INET or AF_INET6.
    static std::shared_ptr<Door> open(ControlLoop& loop, const Verbs& verbs, const Limits& limits,
                                      std::shared_ptr<ServerCounters> counters, int family, int fd);
    virtual ~Door() = default;

    // Closes connections that have kept the server waiting too long; call it several times within
    // Limits::idle.
    virtual void sweep() = 0;
    // Connections go on.
    virtual void stop_accepting() = 0;
    // Stops accepting and ends all connections. Must be called before the last reference is dropped.
    virtual void close() = 0;
    [[nodiscard]] virtual size_t connections() const = 0;
};

}  // namespace sluice::admin
