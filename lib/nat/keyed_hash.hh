// The hashes of NAT's tables: those of tuples that are not made first.
#pragma once

#include <cstdint>

#include "conntrack/tuple.hh"
#include "conntrack/tuple_hash.hh"
#include "nat/endpoint.hh"

namespace sluice::nat {

// The hash of an IPv4 tuple that goes from one endpoint to another.
inline uint64_t hash_between(const conntrack::TupleHash& hash, const Ip4Endpoint& from, const Ip4Endpoint& to,
                             wire::IpProtocol protocol) {
    return hash.of_ip4(uint64_t{to.address} << 32 | from.address,
                       uint64_t{static_cast<uint8_t>(protocol)} << 32 | uint64_t{to.port} << 16 | from.port);
}

// What `hash` gives for a tuple between two addresses of one family and their ports.
inline uint64_t hash_between(const conntrack::TupleHash& hash, const IpAddress& from, uint16_t from_port,
                             const IpAddress& to, uint16_t to_port, wire::IpProtocol protocol) {
    if (from.is_ip4()) [[likely]]
        return hash_between(hash, Ip4Endpoint{from.ip4().wire().wire(), from_port},
                            Ip4Endpoint{to.ip4().wire().wire(), to_port}, protocol);
    return hash({from, to, protocol, from_port, to_port});
}

}  // namespace sluice::nat
