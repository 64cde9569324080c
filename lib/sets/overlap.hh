// Which of many intervals lie inside others, and which meet without that: nftables' rule for sets of
// intervals.
#pragma once

#include <algorithm>
#include <cstdint>
#include <vector>

namespace sluice::sets {

template <typename Number>
struct Interval {
    Number low;
    Number high;
    uint32_t place;  // what it is called in the answers
    bool timed;      // may expire before what it covers
};

// Calls covered(place) for each that lies inside an untimed other (of equal ones, all but one), and
// conflict(place, other) for each that begins inside another and ends behind it. Sorts the intervals.
template <typename Number, typename Covered, typename Conflict>
void resolve_overlaps(std::vector<Interval<Number>>& intervals, Covered&& covered, Conflict&& conflict) {
    std::sort(intervals.begin(), intervals.end(), [](const auto& a, const auto& b) {
        if (a.low != b.low)
            return a.low < b.low;
        if (a.high != b.high)
            return a.high > b.high;
        if (a.timed != b.timed)
            return b.timed;
        return a.place < b.place;
    });
    const Interval<Number>* reaching = nullptr;  // the farthest so far
    const Interval<Number>* keeping = nullptr;   // the farthest without a time
    for (const auto& interval : intervals) {
        if (keeping != nullptr && interval.high <= keeping->high) {
            covered(interval.place);
            continue;
        }
        if (reaching != nullptr && interval.low <= reaching->high && interval.high > reaching->high)
            conflict(interval.place, reaching->place);
        if (reaching == nullptr || interval.high > reaching->high)
            reaching = &interval;
        if (!interval.timed)
            keeping = &interval;
    }
}

}  // namespace sluice::sets
