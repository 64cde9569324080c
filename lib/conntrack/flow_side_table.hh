// Values for a few of a worker's flows, by the flow's id: what would be too much to keep in every flow.
// Bounded; memory is taken once.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "table/flow_index.hh"

namespace sluice::conntrack {

// One owner. Value is made anew for each flow. Pointers are good until the flow's remove().
template <typename Value>
class FlowSideTable {
  public:
    // Takes memory for so many flows, once; before that there is room for none.
    void prepare(size_t capacity) {
        if (!entries_.empty())
            return;
        entries_.resize(capacity);
        index_ = table::FlowIndex(capacity);
        for (uint32_t place = 0; place < capacity; ++place)
            entries_[place].next = place + 1 < capacity ? place + 1 : kNone;
        free_ = 0;
    }
    // Null without a value.
    [[nodiscard]] Value* find(uint32_t flow) {
        const uint32_t place = place_of(flow);
        return place == kNone ? nullptr : &entries_[place].value;
    }
    [[nodiscard]] const Value* find(uint32_t flow) const {
        const uint32_t place = place_of(flow);
        return place == kNone ? nullptr : &entries_[place].value;
    }
    // The flow's value, made if there is none; null if there is no room.
    [[nodiscard]] Value* open(uint32_t flow) {
        if (auto* const found = find(flow))
            return found;
        if (free_ == kNone || !index_.insert(hash_of(flow), free_))
            return nullptr;
        auto& entry = entries_[free_];
        free_ = entry.next;
        entry = {.value = {}, .flow = flow};
        return &entry.value;
    }
    void remove(uint32_t flow) {
        const uint32_t place = place_of(flow);
        if (place == kNone)
            return;
        index_.erase(hash_of(flow), place);
        entries_[place].flow = 0;
        entries_[place].next = free_;
        free_ = place;
    }
    [[nodiscard]] size_t size() const { return index_.size(); }

  private:
    static constexpr uint32_t kNone = table::FlowIndex::kNone;
    struct Entry {
        Value value;
        uint32_t flow = 0;
        uint32_t next = kNone;  // of a free entry
    };
    // Ids count up: nobody chooses them.
    [[nodiscard]] static uint64_t hash_of(uint32_t flow) {
        return (uint64_t{flow} + 1) * 0x9e3779b97f4a7c15U;
    }
    [[nodiscard]] uint32_t place_of(uint32_t flow) const {
        return index_.find(hash_of(flow), [&](uint32_t place) { return entries_[place].flow == flow; });
    }

    std::vector<Entry> entries_;
    table::FlowIndex index_{0};
    uint32_t free_ = kNone;
};

}  // namespace sluice::conntrack
