#include "table/flow_index.hh"

#include <algorithm>

namespace sluice::table {

FlowIndex::FlowIndex(size_t entries)
    : count_(std::max((entries + kFill - 1) / kFill, size_t{4})), buckets_(count_, true) {}

bool FlowIndex::put_second(size_t at, uint16_t tag, uint32_t number) {
    auto& bucket = buckets_[at];
    const size_t slot = put(bucket, tag, number);
    if (slot == kSlots)
        return false;
    bucket.from_others = static_cast<uint16_t>(bucket.from_others | 1U << slot);
    ++buckets_[other(at, tag)].elsewhere;
    return true;
}

bool FlowIndex::take(size_t at, uint16_t tag, uint32_t number) {
    auto& bucket = buckets_[at];
    for (uint32_t hits = bucket.match(tag); hits != 0; hits &= hits - 1) {
        const size_t slot = Bucket::slot_of(hits);
        if (bucket.numbers[slot] != number)
            continue;
        bucket.tags[slot] = 0;
        if ((bucket.from_others >> slot & 1) != 0) {
            bucket.from_others = static_cast<uint16_t>(bucket.from_others & ~(1U << slot));
            --buckets_[other(at, tag)].elsewhere;
        }
        return true;
    }
    return false;
}

// The entry's other bucket has room.
void FlowIndex::move(size_t from, size_t slot) {
    auto& bucket = buckets_[from];
    const uint16_t tag = bucket.tags[slot];
    const uint32_t number = bucket.numbers[slot];
    const bool was_second = (bucket.from_others >> slot & 1) != 0;
    const size_t to = other(from, tag);
    take(from, tag, number);
    if (was_second)
        put(buckets_[to], tag, number);
    else
        put_second(to, tag, number);
}

// Moves one entry out of a full bucket, others before it if need be.
bool FlowIndex::make_room(size_t at, int depth) {
    for (size_t slot = 0; slot < kSlots; ++slot) {
        const size_t target = other(at, buckets_[at].tags[slot]);
        if (target != at && buckets_[target].match(0) != 0) {
            move(at, slot);
            return true;
        }
    }
    if (depth == 0)
        return false;
    for (size_t slot = 0; slot < kSlots; ++slot) {
        const size_t target = other(at, buckets_[at].tags[slot]);
        if (target == at || !make_room(target, depth - 1))
            continue;
        // Meanwhile this very bucket may have got room, or another entry in this slot.
        if (buckets_[at].match(0) != 0)
            return true;
        if (buckets_[other(at, buckets_[at].tags[slot])].match(0) != 0) {
            move(at, slot);
            return true;
        }
    }
    return false;
}

// The first bucket is full.
bool FlowIndex::insert_elsewhere(uint64_t hash, uint32_t number) {
    const uint16_t tag = tag_of(hash);
    const size_t home = first(hash);
    const size_t second = other(home, tag);
    bool done = second != home && put_second(second, tag, number);
    if (!done && make_room(home, 2))
        done = put(buckets_[home], tag, number) != kSlots;
    if (done)
        ++size_;
    return done;
}

bool FlowIndex::erase(uint64_t hash, uint32_t number) {
    const uint16_t tag = tag_of(hash);
    const size_t home = first(hash);
    const bool done = take(home, tag, number) || take(other(home, tag), tag, number);
    if (done)
        --size_;
    return done;
}

}  // namespace sluice::table
