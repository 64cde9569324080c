// The words for states and reasons, and the MACs made up in replay.
#include "routing/neighbour_resolver.hh"

namespace sluice::routing {

std::string_view to_string(NeighbourState state) {
    switch (state) {
        case NeighbourState::none:
            return "none";
        case NeighbourState::incomplete:
            return "incomplete";
        case NeighbourState::reachable:
            return "reachable";
        case NeighbourState::stale:
            return "stale";
        case NeighbourState::delay:
            return "delay";
        case NeighbourState::probe:
            return "probe";
        case NeighbourState::failed:
            return "failed";
        case NeighbourState::permanent:
            return "permanent";
    }
    return "none";
}

std::string_view to_string(NeighbourDropReason reason) {
    switch (reason) {
        case NeighbourDropReason::unresolved:
            return "unresolved";
        case NeighbourDropReason::queue_full:
            return "queue_full";
        case NeighbourDropReason::evicted:
            return "evicted";
        case NeighbourDropReason::rate_limited:
            return "rate_limited";
        case NeighbourDropReason::table_full:
            return "table_full";
        case NeighbourDropReason::interface_down:
            return "interface_down";
    }
    return "unresolved";
}

MacAddress derived_mac(const IpAddress& address) {
    MacAddress result{{0x02, 0x04, 0, 0, 0, 0}};
    if (address.is_ip4()) {
        address.ip4().store(result.bytes.data() + 2);
        return result;
    }
    uint32_t hash = 2166136261U;
    for (const uint8_t byte : address.ip6().bytes())
        hash = (hash ^ byte) * 16777619U;
    result.bytes[1] = 0x06;
    Be32::from_host(hash).store(result.bytes.data() + 2);
    return result;
}

}  // namespace sluice::routing
