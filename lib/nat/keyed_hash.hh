// The hashes of NAT's tables: those of tuples that are not made first.
#pragma once

#include <cstdint>

#include "conntrack/tuple.hh"

namespace sluice::nat {

// What `hash` gives for a tuple between two addresses of one family and their ports.
inline uint64_t hash_between(const conntrack::TupleHash& hash, const IpAddress& from, uint16_t from_port,
                             const IpAddress& to, uint16_t to_port, wire::IpProtocol protocol) {
    if (from.is_ip4()) [[likely]]
        return hash.of_ip4(
            uint64_t{to.ip4().wire().wire()} << 32 | from.ip4().wire().wire(),
            uint64_t{static_cast<uint8_t>(protocol)} << 32 | uint64_t{to_port} << 16 | from_port);
    return hash({from, to, protocol, from_port, to_port});
}

}  // namespace sluice::nat
