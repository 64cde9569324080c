#include "routing/exit.hh"

#include <bit>
#include <span>

#include "pipeline/places.hh"

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
    neighbour_ = hop.neighbour;
    link_ = link;
    addresses_ = {link.mac(), out.mac};
    out_ = out.id;
    queue_ = &context.worker.egress[index(out.port)];
    mtu_ = hop.mtu;
}

uint64_t Exit::send(const pipeline::Burst& burst, uint64_t places) const {
    constexpr size_t kMany = 8;
    const auto length_of = [](const pipeline::PacketMeta& meta) {
        return static_cast<uint16_t>(meta.l3_length + pipeline::kEthernetHeader);
    };
    const auto count = static_cast<size_t>(std::popcount(places));
    uint64_t bytes = 0;
    if (pipeline::are_in_a_row(places) && count >= kMany) [[likely]] {
        const auto first = static_cast<size_t>(std::countr_zero(places));
        const auto* const metas = burst.meta.data() + first;
        bytes = queue_->append(std::span(burst.packets).subspan(first, count), out_,
                               [&](size_t i) { return length_of(metas[i]); });
    } else {
        auto tail = this->tail();
        pipeline::for_each_place(places, [&](size_t place) {
            const uint16_t length = length_of(burst.meta[place]);
            tail.push(burst.packets[place], length);
            bytes += length;
        });
        tail.commit(bytes);
    }
    return bytes - count * pipeline::kEthernetHeader;
}

}  // namespace sluice::routing
