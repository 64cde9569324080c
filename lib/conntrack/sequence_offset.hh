// Sequence numbers of TCP connections in which a helper changed the length of the payload: what was sent
// behind the change is counted differently on either side. What nf_conntrack_seqadj keeps.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "conntrack/state.hh"
#include "table/flow_index.hh"

namespace sluice::conntrack {

// How the numbers of one direction grow on their way. Of several changes the last two steps are kept, so that
// repeated segments from before the last change still get the numbers they had.
struct SequenceOffset {
    uint32_t position = 0;  // of the segment last changed, as its sender counts
    int32_t before = 0;     // for numbers up to there
    int32_t after = 0;      // for those behind it

    // For a number as the sender counts.
    [[nodiscard]] int32_t at(uint32_t sequence) const { return is_behind(sequence) ? after : before; }
    // For a number as the receiver counts.
    [[nodiscard]] int32_t at_receiver(uint32_t sequence) const {
        return is_behind(sequence - static_cast<uint32_t>(before)) ? after : before;
    }
    // The payload of the segment with this number became so much longer; 0 and segments that were changed
    // before change nothing.
    void change(uint32_t sequence, int32_t by) {
        if (by == 0 || (before != after && !is_behind(sequence)))
            return;
        position = sequence;
        before = after;
        after += by;
    }
    bool operator==(const SequenceOffset&) const = default;

  private:
    [[nodiscard]] bool is_behind(uint32_t sequence) const {
        return static_cast<int32_t>(sequence - position) > 0;
    }
};

// Both directions of a flow that has kSeqAdjust.
struct SequenceOffsets {
    std::array<SequenceOffset, 2> by_direction;

    [[nodiscard]] SequenceOffset& of(Direction direction) {
        return by_direction[static_cast<size_t>(direction)];
    }
    [[nodiscard]] const SequenceOffset& of(Direction direction) const {
        return by_direction[static_cast<size_t>(direction)];
    }
    bool operator==(const SequenceOffsets&) const = default;
};

// The offsets of one worker's flows that have kSeqAdjust, by the flow's id. Bounded: a change that finds no
// place must not be made.
class SequenceTable {
  public:
    static constexpr size_t kCapacity = 16384;

    // Control plane: takes the memory, once.
    void prepare();
    // Null without a place.
    [[nodiscard]] SequenceOffsets* find(uint32_t flow);
    [[nodiscard]] const SequenceOffsets* find(uint32_t flow) const;
    // The flow's place, made if there is none; null if there is no room.
    [[nodiscard]] SequenceOffsets* open(uint32_t flow);
    void remove(uint32_t flow);

    [[nodiscard]] size_t size() const { return size_; }

  private:
    struct Entry {
        SequenceOffsets offsets;
        uint32_t flow = 0;  // id
        uint32_t next = 0;  // of a free entry
    };
    [[nodiscard]] uint32_t place_of(uint32_t flow) const;

    std::vector<Entry> entries_;
    table::FlowIndex index_{0};
    uint32_t free_ = table::FlowIndex::kNone;
    size_t size_ = 0;
};

}  // namespace sluice::conntrack
