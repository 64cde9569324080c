// How long an idle worker goes on asking its queues before it sleeps.
#pragma once

#include <chrono>
#include <cstdint>

#include "base/time.hh"

namespace sluice::dpdk {

// To be woken takes tens of microseconds, in a nap's time more, and packets wait meanwhile. So a worker whose
// sleeps are over soon, as between the packets of a round trip, waits awake for the next ones; one that has
// little to do, or whose CPU others want, does not. By how the last pauses ended, as Linux' KVM decides how
// long to poll before a virtual CPU halts (Documentation/virt/kvm/halt-polling.rst). One thread's own; times
// in cycles of the time stamp counter.
class Patience {
  public:
    // Pauses that are worth to be waited through.
    static constexpr Duration kShortPause = std::chrono::microseconds(300);
    // Doubled with every sleep that such a pause had, up to the most; when that was not enough, none again.
    static constexpr Duration kFirstWait = std::chrono::microseconds(25);
    static constexpr Duration kMostWait = std::chrono::microseconds(200);

    explicit Patience(uint64_t cycles_per_second)
        : short_pause_(in_cycles(kShortPause, cycles_per_second)),
          first_wait_(in_cycles(kFirstWait, cycles_per_second)),
          most_wait_(in_cycles(kMostWait, cycles_per_second)) {}

    // Whether it may sleep so long after it had something to do.
    [[nodiscard]] bool is_over(uint64_t idle) const { return idle >= wait_; }
    void sleeps() { slept_ = true; }
    // Since it had something to do.
    [[nodiscard]] bool slept() const { return slept_; }
    // It slept, and has something to do again. `preemptions` so far: more than the last time, and others want
    // the CPU.
    void pause_ended(uint64_t length, uint64_t preemptions) {
        const bool is_alone = preemptions == preemptions_;
        if (!is_alone || length > short_pause_ || wait_ == most_wait_)
            wait_ = 0;
        else
            wait_ = wait_ == 0 ? first_wait_ : 2 * wait_;
        preemptions_ = preemptions;
        slept_ = false;
    }

  private:
    static uint64_t in_cycles(Duration duration, uint64_t cycles_per_second) {
        return static_cast<uint64_t>(duration / std::chrono::microseconds(1)) *
               (cycles_per_second / 1'000'000);
    }

    uint64_t short_pause_;
    uint64_t first_wait_;
    uint64_t most_wait_;
    uint64_t wait_ = 0;
    uint64_t preemptions_ = 0;
    bool slept_ = false;
};
static_assert(Patience::kMostWait == 8 * Patience::kFirstWait);

// How often the thread lost its CPU to another that wanted it. A system call.
[[nodiscard]] uint64_t preemptions();

}  // namespace sluice::dpdk
