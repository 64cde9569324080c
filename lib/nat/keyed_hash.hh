// The hashes of NAT's tables: those of tuples that are not made first.
#pragma once

#include <cstdint>

#include "conntrack/tuple.hh"
#include "nat/endpoint.hh"

namespace sluice::nat {

// What `hash` gives for a tuple between two endpoints of one family.
inline uint64_t hash_between(const conntrack::TupleHash& hash, const Endpoint& from, const Endpoint& to,
                             wire::IpProtocol protocol) {
    if (from.address.is_ip4()) [[likely]]
        return hash.of_ip4(
            uint64_t{to.address.ip4().wire().wire()} << 32 | from.address.ip4().wire().wire(),
            uint64_t{static_cast<uint8_t>(protocol)} << 32 | uint64_t{to.port} << 16 | from.port);
    return hash({from.address, to.address, protocol, from.port, to.port});
}

}  // namespace sluice::nat
