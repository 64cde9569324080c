// A worker's idea of now.
#pragma once

#include <algorithm>
#include <chrono>
#include <cstdint>

#include "base/time.hh"
#include "dpdk/eal.hh"

namespace sluice::pipeline {

inline Instant read_clock() {
    return Instant(std::chrono::steady_clock::now().time_since_epoch());
}

// The system's clock, carried on by the time stamp counter, which is cheap to ask: every burst has its own
// time. Never goes back. One thread's own.
class WorkerClock {
  public:
    // How long it is carried on: the two differ by some parts in a thousand at most, as the counter's
    // frequency is known that well.
    static constexpr Duration kCarriedOn = std::chrono::milliseconds(1);

    explicit WorkerClock(uint64_t cycles_per_second = dpdk::cycles_per_second())
        : length_(cycles_per_second),
          most_(cycles_per_second / 1000 * static_cast<uint64_t>(kCarriedOn / std::chrono::milliseconds(1))) {
    }

    // `cycles`: dpdk::cycles() a while ago, at most. Older than the last asking, it is asked again.
    Instant at(uint64_t cycles) {
        const uint64_t since = cycles - asked_at_;
        if (since >= most_) [[unlikely]]
            return read();
        now_ = std::max(now_, asked_ + std::chrono::nanoseconds(length_.nanoseconds(since)));
        return now_;
    }
    // As right as can be.
    [[gnu::noinline]] Instant read() {
        // Together, or whoever was interrupted since he read the counter would be ahead.
        asked_at_ = dpdk::cycles();
        asked_ = read_clock();
        now_ = std::max(now_, asked_);
        return now_;
    }

  private:
    dpdk::TickLength length_;
    uint64_t most_;
    uint64_t asked_at_ = 0;
    Instant asked_{};
    Instant now_{};
};

}  // namespace sluice::pipeline
