// The last step of a packet that is forwarded: its hop counted, the link header written, the frame queued.
// Inlined into the loops over bursts.
#pragma once

#include "pipeline/burst.hh"
#include "pipeline/worker.hh"
#include "routing/context.hh"
#include "wire/bytes.hh"
#include "wire/ipv4.hh"
#include "wire/ipv6.hh"

namespace sluice::routing {

// Where a packet may go without a second look: the neighbour's link, not usable if it needs one.
template <typename Address>
[[gnu::always_inline]] inline NeighbourTable::Found neighbour_of(const NeighbourTable& neighbours,
                                                                 const NextHop& hop, const Address& to) {
    if (hop.kind == NextHopKind::gateway)
        return {hop.neighbour, neighbours.link(hop.neighbour)};
    if (hop.kind == NextHopKind::connected)
        return neighbours.find(hop.out, to);
    return {};
}

// Writes the link header in front of the IP header at l3. The EtherType of an untagged frame that stays
// untagged is there already.
[[gnu::always_inline]] inline void write_link_header(dpdk::Packet* packet, const pipeline::PacketMeta& meta,
                                                     const pipeline::Interface& out, NeighbourLink link,
                                                     uint16_t ether_type) {
    const uint16_t header = out.link_header();
    if (meta.l3 != header)
        dpdk::move_start(packet, static_cast<int>(meta.l3) - static_cast<int>(header));
    uint8_t* frame = dpdk::data(packet);
    link.store_mac_before(frame);
    out.mac.store(frame + 6);
    if (out.vlan != pipeline::kNoVlan) [[unlikely]] {
        wire::write16(frame + 12, 0x8100);
        wire::write16(frame + 14, out.vlan);
        wire::write16(frame + 16, ether_type);
    } else if (meta.l3 != header) [[unlikely]] {
        wire::write16(frame + 12, ether_type);
    }
}

// The same, and queues the frame.
[[gnu::always_inline]] inline void send_frame(Context& context, dpdk::Packet* packet,
                                              const pipeline::PacketMeta& meta,
                                              const pipeline::Interface& out, NeighbourLink link,
                                              uint16_t ether_type) {
    write_link_header(packet, meta, out, link, ether_type);
    pipeline::transmit(context.worker, out.port, out.id, packet);
}

// Sends a whole packet that fits the way out, and whose hop is counted, over a link that is usable.
[[gnu::always_inline]] inline void send_counted(Context& context, dpdk::Packet* packet,
                                                const pipeline::PacketMeta& meta, const NextHop& hop,
                                                const NeighbourTable::Found& neighbour, Family family) {
    const auto& tables = context.tables;
    tables.neighbours.mark_used(neighbour.index);
    send_frame(context, packet, meta, tables.interfaces[hop.out], neighbour.link,
               family == Family::ip4 ? 0x0800 : 0x86dd);
}

// Before a packet is sent on.
[[gnu::always_inline]] inline void count_hop(uint8_t* header, Family family) {
    if (family == Family::ip4)
        wire::MutableIpv4View::unchecked(header).decrement_ttl();
    else
        wire::MutableIpv6View::unchecked(header).decrement_hop_limit();
}

// The same, its hop counted now.
[[gnu::always_inline]] inline void send_to(Context& context, dpdk::Packet* packet,
                                           const pipeline::PacketMeta& meta, const NextHop& hop,
                                           const NeighbourTable::Found& neighbour, Family family) {
    count_hop(dpdk::data(packet) + meta.l3, family);
    send_counted(context, packet, meta, hop, neighbour, family);
}

}  // namespace sluice::routing
