// The rate limit of the log: a token bucket for each cause.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "base/time.hh"

namespace sluice::telemetry {

// Not thread safe.
class CauseLimit {
  public:
    // Lines that were left out.
    struct Suppressed {
        std::string cause;
        uint64_t count = 0;
        bool operator==(const Suppressed&) const = default;
    };
    struct Admission {
        bool admitted = false;
        uint64_t suppressed = 0;  // of an admitted line: how many of its cause were left out since the last
    };

    // burst lines at once, then one for each refill. At most max_causes are told apart; the others share a
    // bucket named "other".
    CauseLimit(uint32_t burst, Duration refill, size_t max_causes)
        : tolerance_(refill * (burst - 1)), refill_(refill), max_causes_(max_causes) {}

    Admission admit(std::string_view cause, Instant now);
    // Causes that lost lines and would be admitted again now; they start anew.
    std::vector<Suppressed> quiet(Instant now);
    // Those and all others that lost lines.
    std::vector<Suppressed> all();
    [[nodiscard]] uint64_t total_suppressed() const { return total_; }

  private:
    // The bucket as the time at which it will be full again (the generic cell rate algorithm).
    struct Bucket {
        Instant full_at{};
        uint64_t suppressed = 0;
    };
    Bucket& bucket(std::string_view cause);

    std::map<std::string, Bucket, std::less<>> buckets_;
    Duration tolerance_;
    Duration refill_;
    size_t max_causes_;
    uint64_t total_ = 0;
};

}  // namespace sluice::telemetry
