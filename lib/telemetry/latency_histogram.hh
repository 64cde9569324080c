// How long things took: counts by log-linear ranges of nanoseconds. A range is an eighth as wide as what it
// begins with, so a quantile is right to one part in eight; below 8 ns ranges are exact. Durations are
// rounded down.
#pragma once

#include <algorithm>
#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>

#include "telemetry/counter.hh"

namespace sluice::telemetry {

namespace latency {

inline constexpr unsigned kStepBits = 3;
inline constexpr size_t kSteps = size_t{1} << kStepBits;  // ranges from one power of two to the next
inline constexpr unsigned kMostBits = 36;                 // the last range takes what is longer than 68 s too
inline constexpr uint64_t kLongest = (uint64_t{1} << kMostBits) - 1;
inline constexpr size_t kRanges = (kMostBits - kStepBits + 1) * kSteps;

// The range a duration belongs to.
constexpr size_t range_of(uint64_t nanoseconds) {
    const uint64_t value = std::min(nanoseconds, kLongest);
    if (value < kSteps)
        return value;
    const auto above = static_cast<unsigned>(std::bit_width(value)) - kStepBits - 1;
    return above * kSteps + static_cast<size_t>(value >> above);
}

// The first duration beyond a range.
constexpr uint64_t end_of(size_t range) {
    if (range < kSteps)
        return range + 1;
    return (kSteps + range % kSteps + 1) << (range / kSteps - 1);
}

}  // namespace latency

// What was counted up to a moment, of one thread or, added up, of several.
struct LatencyCounts {
    std::array<uint64_t, latency::kRanges> counts{};
    uint64_t sum = 0;      // nanoseconds
    uint64_t longest = 0;  // nanoseconds

    LatencyCounts& operator+=(const LatencyCounts& other);
    [[nodiscard]] uint64_t total() const;
    // How many took less than a power of two of nanoseconds.
    [[nodiscard]] uint64_t below(unsigned power) const;
    // Nanoseconds that a share of all, from 0 to 1, does not exceed: the last of the range where the share is
    // reached. 0 where nothing was counted.
    [[nodiscard]] uint64_t quantile(double share) const;
};

// Written by one thread, read by any; an addition costs a bit scan and three plain stores.
class LatencyHistogram {
  public:
    // Something took so long, `count` times.
    void add(uint64_t nanoseconds, uint64_t count) {
        counts_[latency::range_of(nanoseconds)].add(count);
        sum_.add(nanoseconds * count);
        if (nanoseconds > longest_.read())
            longest_.set(nanoseconds);
    }
    [[nodiscard]] LatencyCounts read() const;

  private:
    std::array<Counter, latency::kRanges> counts_;
    Counter sum_;
    Counter longest_;
};

}  // namespace sluice::telemetry
