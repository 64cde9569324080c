// What a protocol's tracker is told about the flow of a packet, and what it says. Trackers own no flows: they
// read and write the protocol's part of one and leave table, timers and status to the caller.
#pragma once

#include <cstdint>

#include "base/time.hh"
#include "conntrack/invalid_reason.hh"
#include "conntrack/state.hh"

namespace sluice::conntrack {

struct FlowFacts {
    Direction direction = Direction::original;  // of the packet
    // Before the packet: kSeenReply is set after the tracker has accepted the first reply. Without kConfirmed
    // the packet is the first of its flow, and the tracker initialises its state.
    Status status;
    Duration remaining{};  // until the flow expires; of confirmed flows
};

enum class TrackVerdict : uint8_t {
    accept,   // the packet belongs to the flow
    invalid,  // it does not: `ct state invalid`. A flow that it would have begun is not begun
    restart,  // the flow is over and the packet begins a new one: erase it and look the packet up again
};

struct TrackResult {
    TrackVerdict verdict = TrackVerdict::accept;
    InvalidReason reason = InvalidReason::none;  // of invalid
    // The flow is to live for `timeout` from now, unless it has kFixedTimeout. An invalid segment can shorten
    // the life of a flow as well.
    bool refresh = false;
    bool assured = false;        // the flow gets kAssured, whatever the verdict
    bool state_changed = false;  // worth an event
    bool ended = false;          // the packet goes on, but the flow is to be erased at once
    Duration timeout{};          // positive if refresh is set

    static constexpr TrackResult keep() { return {}; }  // accepted, nothing changes
    static constexpr TrackResult live(Duration timeout) { return {.refresh = true, .timeout = timeout}; }
    static constexpr TrackResult invalid(InvalidReason reason) {
        return {.verdict = TrackVerdict::invalid, .reason = reason};
    }
    static constexpr TrackResult restart() { return {.verdict = TrackVerdict::restart}; }
    constexpr bool operator==(const TrackResult&) const = default;
};

}  // namespace sluice::conntrack
