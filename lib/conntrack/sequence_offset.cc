#include "conntrack/sequence_offset.hh"

namespace sluice::conntrack {
namespace {

constexpr uint32_t kNone = table::FlowIndex::kNone;

uint64_t hash_of(uint32_t flow) {
    return (uint64_t{flow} + 1) * 0x9e3779b97f4a7c15U;  // ids count up: nobody chooses them
}

}  // namespace

void SequenceTable::prepare() {
    if (!entries_.empty())
        return;
    entries_.resize(kCapacity);
    index_ = table::FlowIndex(kCapacity);
    for (uint32_t place = 0; place < kCapacity; ++place)
        entries_[place].next = place + 1 < kCapacity ? place + 1 : kNone;
    free_ = 0;
}

uint32_t SequenceTable::place_of(uint32_t flow) const {
    return index_.find(hash_of(flow), [&](uint32_t place) { return entries_[place].flow == flow; });
}

SequenceOffsets* SequenceTable::find(uint32_t flow) {
    const uint32_t place = place_of(flow);
    return place == kNone ? nullptr : &entries_[place].offsets;
}

const SequenceOffsets* SequenceTable::find(uint32_t flow) const {
    const uint32_t place = place_of(flow);
    return place == kNone ? nullptr : &entries_[place].offsets;
}

SequenceOffsets* SequenceTable::open(uint32_t flow) {
    if (auto* const found = find(flow))
        return found;
    if (free_ == kNone || !index_.insert(hash_of(flow), free_))
        return nullptr;
    auto& entry = entries_[free_];
    free_ = entry.next;
    entry = {.offsets = {}, .flow = flow};
    ++size_;
    return &entry.offsets;
}

void SequenceTable::remove(uint32_t flow) {
    const uint32_t place = place_of(flow);
    if (place == kNone)
        return;
    index_.erase(hash_of(flow), place);
    entries_[place].flow = 0;
    entries_[place].next = free_;
    free_ = place;
    --size_;
}

}  // namespace sluice::conntrack
