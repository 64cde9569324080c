// Sequence numbers of TCP connections in which a helper changed the length of the payload: what was sent
// behind the change is counted differently on either side. What nf_conntrack_seqadj keeps.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

#include "conntrack/flow_side_table.hh"
#include "conntrack/state.hh"

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

// Of one worker's flows that have kSeqAdjust. A change that finds no place must not be made.
using SequenceTable = FlowSideTable<SequenceOffsets>;

}  // namespace sluice::conntrack
