#include "table/growing_index.hh"

#include <algorithm>

namespace sluice::table {

GrowingIndex::GrowingIndex(size_t entries) {
    // From the largest down, so that none is nearly as large as the next.
    size_t first = entries;
    while (first / kGrowth >= kFirst)
        first /= kGrowth;
    for (; first < entries && entries / first >= kGrowth; first *= kGrowth)
        sizes_.emplace_back(first);
    sizes_.emplace_back(entries);
    now_ = sizes_.data();
}

size_t GrowingIndex::memory() const {
    return now_->memory() + (is_moving() ? before().memory() : 0);
}

}  // namespace sluice::table
