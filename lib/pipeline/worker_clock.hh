// A worker's idea of now.
#pragma once

#include <chrono>
#include <cstdint>

#include "base/time.hh"
#include "dpdk/eal.hh"

namespace sluice::pipeline {

inline Instant read_clock() {
    return Instant(std::chrono::steady_clock::now().time_since_epoch());
}

// The time stamp counter, which is cheap to ask, tells whether so much has passed that the system's clock has
// to be asked again. Never goes back. One thread's own.
class WorkerClock {
  public:
    // What it may be behind; timers count milliseconds.
    static constexpr uint64_t kBehind = 10'000;  // nanoseconds

    explicit WorkerClock(uint64_t cycles_per_second = dpdk::cycles_per_second())
        : step_(cycles_per_second * kBehind / 1'000'000'000) {}

    // `cycles`: dpdk::cycles() just now.
    Instant at(uint64_t cycles) {
        if (cycles - asked_at_ >= step_) [[unlikely]] {
            now_ = read_clock();
            asked_at_ = cycles;
        }
        return now_;
    }
    // As right as can be.
    Instant read() {
        now_ = read_clock();
        asked_at_ = dpdk::cycles();
        return now_;
    }

  private:
    uint64_t step_;
    uint64_t asked_at_ = 0;
    Instant now_{};
};

}  // namespace sluice::pipeline
