#include "routing/exit.hh"

#include <array>

namespace sluice::routing {

void Exit::turn_to(Context& context, NextHopIndex next_hop) {
    const auto& tables = context.tables;
    const auto& hop = tables.fib->next_hop(next_hop);
    next_hop_ = next_hop;
    mtu_ = 0;
    if (hop.kind != NextHopKind::gateway)
        return;
    const auto link = tables.neighbours.link(hop.neighbour);
    const auto& out = tables.interfaces[hop.out];
    if (!link.usable() || out.vlan != pipeline::kNoVlan)
        return;
    tables.neighbours.mark_used(hop.neighbour);
    std::array<uint8_t, 12> addresses;
    link.mac().store(addresses.data());
    out.mac.store(addresses.data() + 6);
    std::memcpy(&addresses_low_, addresses.data(), sizeof addresses_low_);
    std::memcpy(&addresses_high_, addresses.data() + sizeof addresses_low_, sizeof addresses_high_);
    out_ = out.id;
    queue_ = &context.worker.egress[index(out.port)];
    mtu_ = hop.mtu;
}

}  // namespace sluice::routing
