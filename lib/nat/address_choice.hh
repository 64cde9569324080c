// Which of a rule's addresses a flow gets.
#pragma once

#include <cstdint>
#include <optional>
#include <span>

#include "base/address.hh"
#include "nat/endpoint.hh"
#include "nat/rule.hh"

namespace sluice::nat {

// Addresses and ports to choose from, as a rule has them or an interface gives them.
struct Pool {
    std::span<const NatTarget> targets;
    std::optional<PortRange> ports;  // for targets without their own

    [[nodiscard]] const std::optional<PortRange>& ports_of(const NatTarget& target) const {
        return target.ports ? target.ports : ports;
    }
    // The target that an address is of; none if it is of none.
    [[nodiscard]] const NatTarget* target_of(const IpAddress& address) const;
    // Whether an endpoint is one of the pool's. Protocols without ports have any.
    [[nodiscard]] bool contains(const Endpoint& endpoint, bool has_port) const;
};

// Jenkins' lookup3 over the four words of an address (IPv4: one and zeros) as the kernel's jhash2 applies it
// to them, so that of equal pools both choose the same address.
uint32_t address_hash(const IpAddress& address, uint32_t seed);

// The address of the pool that a flow between two hosts gets. By the client alone: the same whatever it
// speaks to. One range is used as find_best_ips_proto() does. Nothing if none is of the client's family.
std::optional<IpAddress> choose_address(const Pool& pool, const IpAddress& client, const IpAddress& remote,
                                        bool by_client_alone);

// The one behind it, of the pool and of its family; after the last comes the first.
IpAddress next_address(const Pool& pool, const IpAddress& address);

}  // namespace sluice::nat
