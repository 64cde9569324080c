// The bounds of a worker's flow table and what happens at them.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

#include "base/interface_id.hh"

namespace sluice::conntrack {

enum class WhenFull : uint8_t {
    refuse_new,  // the packet that would begin a flow is dropped
    early_drop,  // flows nearby that are not assured make room, or else such as are closing, as in Linux
};

// Of one worker. What is per box in the configuration has been divided already.
struct Limits {
    size_t max = 0;      // flows, unconfirmed ones included
    size_t reserve = 0;  // of these only the box's own traffic may take
    WhenFull when_full = WhenFull::refuse_new;
    // Flows that are not assured time out sooner the fuller the table: above 70, 85 and 95 % within a half, a
    // quarter and an eighth of their time.
    bool pressure = false;
    // The most flows one source address may hold that begin at an interface; 0: any number.
    std::array<uint32_t, kMaxInterfaces> per_source{};
};

}  // namespace sluice::conntrack
