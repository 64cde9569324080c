// Time is an argument: nothing below the worker loop reads a clock. The loop reads it once per burst, replay
// takes it from captures, tests make it up.
#pragma once

#include <chrono>
#include <cstdint>

namespace sluice {

using Duration = std::chrono::nanoseconds;

// The clock of the packet path: monotonic nanoseconds. In replay its epoch is that of the captures.
struct PacketClock {
    using duration = Duration;
    using rep = duration::rep;
    using period = duration::period;
    using time_point = std::chrono::time_point<PacketClock>;
    static constexpr bool is_steady = true;
};

using Instant = PacketClock::time_point;

constexpr double seconds(Duration duration) {
    return std::chrono::duration<double>(duration).count();
}

}  // namespace sluice
