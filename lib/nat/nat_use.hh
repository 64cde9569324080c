// How much of NAT is in use: ports by external address and protocol, mappings, and who holds most of them.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "base/address.hh"
#include "nat/inside_hosts.hh"
#include "nat/port_space.hh"
#include "wire/protocol.hh"

namespace sluice::nat {

// The ports of an external address and protocol.
struct PortUse {
    IpAddress address;
    wire::IpProtocol protocol{};
    uint32_t in_use = 0;
    uint32_t held_down = 0;
    uint32_t limit = 0;    // how many may be given out
    uint64_t refused = 0;  // times none was left, so far
    bool overlap = false;  // mappings share ports: one in use is not lost to others

    static PortUse of(const IpAddress& address, wire::IpProtocol protocol, const PortSpace& space);
    // Of the limit, 0 to 1. Ports outside of the range they are given out from are neither here nor there.
    [[nodiscard]] double share() const;
    [[nodiscard]] uint32_t free() const;
    bool operator==(const PortUse&) const = default;
};

// Of one worker, or of several. Any thread's once it is made.
struct NatUse {
    static constexpr size_t kTopHosts = 10;

    std::vector<PortUse> ports;
    std::vector<InsideHost> hosts;  // those with most mappings, most first
    uint64_t mappings = 0;
    uint64_t max = 0;
    uint64_t made = 0;  // so far
    uint64_t ended = 0;

    // What another worker has: an inside host belongs to one worker, an address to all.
    void add(const NatUse& other);
    void add_ports(std::span<const PortUse> more);
    // Keeps it if it is among the kTopHosts. Allocates nothing where there is room for one more.
    void add_host(const InsideHost& host);
};

}  // namespace sluice::nat
