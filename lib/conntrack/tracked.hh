// What a packet carries from tracking on.
#pragma once

#include <cstdint>
#include <optional>

#include "conntrack/invalid_reason.hh"
#include "conntrack/state.hh"

namespace sluice::conntrack {

class Flow;

// Why conntrack itself ends a packet.
enum class Refusal : uint8_t {
    none,
    table_full,     // no room for another flow
    source_limit,   // its source holds as many flows as it may
    insert_failed,  // another flow took one of its tuples while the packet was on its way
    protocol,       // the protocol's tracker refuses it (a TCP SYN the state has no place for)
};

// What conntrack says about a packet. Good until the packet has been confirmed or released.
struct Tracked {
    Flow* flow = nullptr;  // of established, new and related packets
    CtState state = CtState::untracked;
    Direction direction = Direction::original;
    InvalidReason reason{};           // why it is invalid
    Refusal refusal = Refusal::none;  // unless none the packet must be dropped
    // Of its flow, in ticks, before this packet prolonged it; errors and the packet that begins a flow do
    // not.
    std::optional<uint32_t> deadline = std::nullopt;
};

}  // namespace sluice::conntrack
