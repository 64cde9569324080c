#include "telemetry/latency_histogram.hh"

#include <cmath>
#include <numeric>

namespace sluice::telemetry {

LatencyCounts& LatencyCounts::operator+=(const LatencyCounts& other) {
    for (size_t range = 0; range < counts.size(); ++range)
        counts[range] += other.counts[range];
    sum += other.sum;
    longest = std::max(longest, other.longest);
    return *this;
}

uint64_t LatencyCounts::total() const {
    return std::accumulate(counts.begin(), counts.end(), uint64_t{0});
}

uint64_t LatencyCounts::below(unsigned power) const {
    const size_t end = power >= latency::kMostBits ? counts.size() : latency::range_of(uint64_t{1} << power);
    return std::accumulate(counts.begin(), counts.begin() + static_cast<std::ptrdiff_t>(end), uint64_t{0});
}

uint64_t LatencyCounts::quantile(double share) const {
    const auto needed = std::max(std::ceil(share * static_cast<double>(total())), 1.0);
    uint64_t seen = 0;
    for (size_t range = 0; range < counts.size(); ++range) {
        seen += counts[range];
        // What is longer than the longest there was is not in the range.
        if (static_cast<double>(seen) >= needed)
            return range + 1 == counts.size() ? longest : std::min(latency::end_of(range) - 1, longest);
    }
    return 0;
}

LatencyCounts LatencyHistogram::read() const {
    LatencyCounts result;
    for (size_t range = 0; range < counts_.size(); ++range)
        result.counts[range] = counts_[range].read();
    result.sum = sum_.read();
    result.longest = longest_.read();
    return result;
}

}  // namespace sluice::telemetry
