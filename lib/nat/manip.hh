// The two ends of a packet, of which NAT changes one at a time.
#pragma once

#include <cstdint>

#include "conntrack/tuple.hh"
#include "nat/endpoint.hh"

namespace sluice::nat {

// Destinations are changed at prerouting and output, sources at input and postrouting.
enum class Manip : uint8_t { source, destination };

constexpr Manip opposite(Manip manip) {
    return manip == Manip::source ? Manip::destination : Manip::source;
}

// What stands at one end of a packet with this tuple. Of ICMP the identifier, which belongs to both ends.
inline Endpoint endpoint_of(const conntrack::Tuple& tuple, Manip manip) {
    const bool source = manip == Manip::source;
    return {source ? tuple.source() : tuple.destination(),
            source || tuple.is_icmp() ? tuple.sport : tuple.dport};
}

}  // namespace sluice::nat
