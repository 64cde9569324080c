// What NAT does to the packets of one direction of a flow, read from the flow's two tuples.
#pragma once

#include "conntrack/flow.hh"
#include "conntrack/state.hh"
#include "conntrack/tuple.hh"
#include "nat/endpoint.hh"
#include "nat/manip.hh"

namespace sluice::nat {

// Beside the bits of conntrack/state.hh: the source is an address of the interface by which the flow leaves,
// and the flow ends when the interface loses it.
inline constexpr conntrack::Status kMasqueraded{1U << 26};

struct FlowTranslation {
    conntrack::Status status;
    conntrack::Direction direction{};
    conntrack::Tuple other_way;  // the flow's tuple of the opposite direction

    static FlowTranslation of(const conntrack::Flow& flow, conntrack::Direction direction) {
        return {flow.status, direction, flow.tuple(opposite(direction))};
    }

    // Is this end of the packets changed? What changes the source of one direction changes the destination of
    // the other.
    [[nodiscard]] bool changes(Manip manip) const { return changes(status, direction, manip); }
    [[nodiscard]] static bool changes(conntrack::Status status, conntrack::Direction direction, Manip manip) {
        static_assert(conntrack::kDnat.bits() == conntrack::kSnat.bits() << 1);
        const uint32_t of_answers = static_cast<uint32_t>(direction) ^ (manip == Manip::source ? 0U : 1U);
        return (status.bits() >> of_answers & conntrack::kSnat.bits()) != 0;
    }
    // What stands there when they leave: the end from which the other direction comes, or to which it goes.
    [[nodiscard]] Endpoint target(Manip manip) const { return endpoint_of(other_way, opposite(manip)); }
};

}  // namespace sluice::nat
