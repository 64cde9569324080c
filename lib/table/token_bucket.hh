// A token bucket in integers: take() neither divides nor reads a clock (R1812-4.3.2.8, R4443-2.4f).
#pragma once

#include <algorithm>
#include <cstdint>

#include "base/time.hh"

namespace sluice::table {

// Starts full. One owner, no synchronisation.
class TokenBucket {
  public:
    static constexpr uint64_t kMaxRate = 1'000'000'000;
    static constexpr uint64_t kMaxBurst = 4'000'000'000;

    // `rate` tokens a second are gained, up to `burst`; larger values than the bounds above are cut to them.
    // A rate of 0 gives out one burst and then nothing.
    TokenBucket(uint64_t rate, uint64_t burst)
        : rate_(std::min(rate, kMaxRate)),
          capacity_(std::min(burst, kMaxBurst) * kUnit),
          fill_time_(rate_ == 0 ? INT64_MAX : static_cast<int64_t>(capacity_ / rate_)),
          credit_(capacity_) {}
    // A bucket that never refuses.
    static TokenBucket unlimited() {
        TokenBucket result(0, 0);
        result.unlimited_ = true;
        return result;
    }

    // Takes the tokens if all of them are there. A `now` before the last one counts as the last one.
    bool take(Instant now, uint32_t tokens = 1) {
        if (unlimited_) {
            return true;
        }
        const int64_t elapsed = (now - last_).count();
        if (elapsed > 0) {
            last_ = now;
            // Below fill_time_ the product is at most the capacity, so that nothing overflows.
            credit_ = elapsed > fill_time_
                          ? capacity_
                          : std::min(capacity_, credit_ + static_cast<uint64_t>(elapsed) * rate_);
        }
        const uint64_t price = tokens * kUnit;
        if (credit_ < price) {
            return false;
        }
        credit_ -= price;
        return true;
    }
    [[nodiscard]] bool is_unlimited() const { return unlimited_; }

  private:
    // A token is this many units, so that `rate` units are gained in a nanosecond.
    static constexpr uint64_t kUnit = 1'000'000'000;

    uint64_t rate_;
    uint64_t capacity_;  // units
    int64_t fill_time_;  // nanoseconds from empty to full
    uint64_t credit_;    // units
    Instant last_{};
    bool unlimited_ = false;
};

}  // namespace sluice::table
