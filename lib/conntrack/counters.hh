// What connection tracking counts, by worker.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

#include "conntrack/invalid_reason.hh"
#include "telemetry/counter.hh"

namespace sluice::conntrack {

enum class Count : uint8_t {
#define SLUICE_CONNTRACK_COUNTER(name, help) name,
#include "conntrack/counters.def"
#undef SLUICE_CONNTRACK_COUNTER
};

inline constexpr size_t kCounts = 0
#define SLUICE_CONNTRACK_COUNTER(name, help) +1
#include "conntrack/counters.def"
#undef SLUICE_CONNTRACK_COUNTER
    ;

struct CountInfo {
    std::string_view name;
    std::string_view help;
};

// In the order of the enumeration.
std::span<const CountInfo> count_catalog();

// Written by one worker, read by anybody.
class Counters {
  public:
    void add(Count count, uint64_t amount = 1) { counts_[static_cast<size_t>(count)].add(amount); }
    [[nodiscard]] uint64_t read(Count count) const { return counts_[static_cast<size_t>(count)].read(); }
    [[nodiscard]] uint64_t read(size_t place) const { return counts_[place].read(); }

    void add(InvalidReason reason) { reasons_[index(reason)].add(1); }
    [[nodiscard]] uint64_t read(InvalidReason reason) const { return reasons_[index(reason)].read(); }

    // Gauges: flows in the table, unconfirmed ones included, how many it may hold, and how far timeouts are
    // shortened (0 to 3).
    telemetry::Counter flows;
    telemetry::Counter max;
    telemetry::Counter pressure;

  private:
    std::array<telemetry::Counter, kCounts> counts_;
    std::array<telemetry::Counter, kInvalidReasons> reasons_;
};

}  // namespace sluice::conntrack
