// Bounds of the admin server and what it counts.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>

#include "base/time.hh"

namespace sluice::admin {

struct Limits {
    size_t connections = 64;                        // per listener; more get a 503
    uint32_t header_bytes = 16 * 1024;              // request line and headers together; more is a 431
    uint64_t body_bytes = uint64_t{64} << 20;       // of one request; more is a 413
    uint64_t all_body_bytes = uint64_t{192} << 20;  // of all requests being received; more is a 503
    Duration idle = std::chrono::seconds(30);       // without a byte read or written while one is due; for a
                                                    // request's header to be complete
};

// Written by the control thread.
struct ServerCounters {
    uint64_t connections = 0;          // accepted
    uint64_t connections_refused = 0;  // over the bound
    uint64_t requests = 0;             // answered, errors included
    uint64_t bad_requests = 0;         // not HTTP, or over a bound
    uint64_t idle_closed = 0;          // kept open without a request, or one that did not come to its end
    uint64_t slow_clients = 0;         // cut off for not reading their answer
};

}  // namespace sluice::admin
