// Both ends of the packets of a translated flow as they leave, for rewrite_ports.hh.
#pragma once

#include <bit>
#include <cstdint>

#include "conntrack/flow.hh"
#include "conntrack/state.hh"
#include "nat/rewrite_ports.hh"

namespace sluice::nat {

inline bool is_translated(const conntrack::Flow& flow) {
    return flow.status.has_any(conntrack::kSnat | conntrack::kDnat);
}

// Of the packets of a direction, which leave as an answer comes, turned around.
inline Ip4Ends ip4_ends_after(const conntrack::FlowHalf& answer) {
    return {.addresses = std::rotr(std::bit_cast<uint64_t>(answer.addresses), 32),
            .ports = std::rotr(std::bit_cast<uint32_t>(answer.ports), 16)};
}
inline Ip4Ends ip4_ends_after(const conntrack::Flow& flow, conntrack::Direction direction) {
    return ip4_ends_after(flow.half(opposite(direction)));
}
// The same of an IPv6 flow, which outlives what this gives.
inline Ip6Ends ip6_ends_after(const conntrack::Flow& flow, conntrack::Direction direction) {
    const auto answer = opposite(direction);
    return {.answer = static_cast<const conntrack::Flow6&>(flow).addresses(answer),
            .ports = std::rotr(std::bit_cast<uint32_t>(flow.half(answer).ports), 16)};
}

}  // namespace sluice::nat
