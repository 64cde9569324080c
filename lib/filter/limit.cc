#include "filter/limit.hh"

#include <algorithm>
#include <bit>
#include <limits>

namespace sluice::filter {

uint64_t largest_burst(uint64_t amount, Duration period) {
    // Tokens are nanoseconds in 63 bits; workers share them in parts that are not rounded down to nothing.
    constexpr uint64_t kMaxTokens = static_cast<uint64_t>(std::numeric_limits<int64_t>::max()) / kMaxWorkers;
    const auto cost = static_cast<uint64_t>(period.count()) / amount;
    return cost == 0 ? std::numeric_limits<uint64_t>::max() : kMaxTokens / cost;
}

LimitTerms LimitTerms::of(const Limit& limit, size_t workers) {
    const auto period = static_cast<uint64_t>(limit.period.count());
    const uint64_t cost = period / limit.amount;
    const uint64_t share = std::max<uint64_t>(limit.burst / workers, 1);
    return {.cost = cost * workers, .capacity = cost * workers * share};
}

KeyedLimit::KeyedLimit(const LimitTerms& terms, uint64_t seed, size_t keys)
    : terms_(terms),
      seed_(seed),
      mask_(std::bit_ceil(std::max<size_t>(keys / kWays, 1)) - 1),
      entries_(std::make_unique<Entry[]>((mask_ + 1) * kWays)) {}

LimitAnswer KeyedLimit::take(const LimitKeyValue& key, Instant now) {
    Entry* const group = entries_.get() + (key.hash(seed_) & mask_) * kWays;
    Entry* place = nullptr;
    for (size_t way = 0; way < kWays; ++way) {
        Entry& entry = group[way];
        if (entry.key == key)
            return entry.bucket.take(terms_, now) ? LimitAnswer::within : LimitAnswer::beyond;
        const bool is_free = entry.key.kind == 0 || entry.bucket.is_full(terms_, now);
        if (place == nullptr && is_free)
            place = &entry;
    }
    if (place == nullptr) {
        ++full_;
        return LimitAnswer::full;
    }
    *place = {key, LimitBucket(terms_, now)};
    return place->bucket.take(terms_, now) ? LimitAnswer::within : LimitAnswer::beyond;
}

}  // namespace sluice::filter
