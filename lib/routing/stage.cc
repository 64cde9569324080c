#include "routing/stage.hh"

#include "pipeline/drops.hh"
#include "routing/drops.hh"
#include "routing/large.hh"
#include "routing/local.hh"
#include "routing/row.hh"
#include "routing/send.hh"
#include "routing/slow.hh"
#include "wire/bytes.hh"

namespace sluice::routing {
namespace {

using pipeline::Burst;
using pipeline::PacketMeta;
using pipeline::Path;
using pipeline::Verdict;
using telemetry::Protocol;

const uint8_t* ip_header(const Burst& burst, size_t i) {
    return dpdk::data(burst.packets[i]) + burst.meta[i].l3;
}

// The places in the burst that are on one of the fast paths, and the answers for them.
struct Gathered {
    uint16_t count = 0;
    std::array<uint8_t, pipeline::kMaxBurst> places;
    std::array<NextHopIndex, pipeline::kMaxBurst> found;
};

void route_ip4(const Fib& fib, const Burst& burst, Gathered& gathered) {
    std::array<uint32_t, pipeline::kMaxBurst> to;
    for (uint16_t i = 0; i < burst.count; ++i) {
        if (burst.meta[i].path == Path::ip4_fast) {
            to[gathered.count] = Ip4Address::load(ip_header(burst, i) + 16).host();
            gathered.places[gathered.count++] = static_cast<uint8_t>(i);
        }
    }
    if (gathered.count != 0)
        fib.lookup_burst(kMainTable, to.data(), gathered.found.data(), gathered.count);
}

void route_ip6(const Fib& fib, const Burst& burst, Gathered& gathered) {
    std::array<const uint8_t*, pipeline::kMaxBurst> to;
    for (uint16_t i = 0; i < burst.count; ++i) {
        if (burst.meta[i].path == Path::ip6_fast) {
            to[gathered.count] = ip_header(burst, i) + 24;
            gathered.places[gathered.count++] = static_cast<uint8_t>(i);
        }
    }
    if (gathered.count != 0)
        fib.lookup_burst(kMainTable, to.data(), gathered.found.data(), gathered.count);
}

void keep(const Fib& fib, const Gathered& gathered, BurstRoutes& routes) {
    for (uint16_t g = 0; g < gathered.count; ++g) {
        routes[gathered.places[g]] = gathered.found[g];
        fib.prefetch(gathered.found[g]);
    }
}

// What a burst adds to the protocol counters.
struct Tally {
    uint64_t received4 = 0;
    uint64_t received6 = 0;
    uint64_t forwarded4 = 0;
    uint64_t forwarded6 = 0;
};

// True if the packet was sent.
[[gnu::always_inline]] inline bool send_ip4(Context& context, dpdk::Packet* packet, const PacketMeta& meta,
                                            const NextHop& hop) {
    const auto& tables = context.tables;
    const auto header = wire::Ipv4View::unchecked(dpdk::data(packet) + meta.l3);
    const auto neighbour = neighbour_of(tables.neighbours, hop, header.destination());
    if (!neighbour.link.usable() || meta.l3_length > hop.mtu) [[unlikely]]
        return false;
    send_to(context, packet, meta, hop, neighbour, Family::ip4);
    return true;
}

[[gnu::always_inline]] inline Verdict forward_ip4(Context& context, dpdk::Packet* packet,
                                                  const PacketMeta& meta, const NextHop& hop, Tally& tally) {
    const auto& tables = context.tables;
    const auto view = wire::Ipv4View::unchecked(dpdk::data(packet) + meta.l3);
    if (tables.source_filter.contains(view.source())) [[unlikely]]
        return slow_ip4(context, packet, meta);
    if (tables.interfaces[meta.in].rp_filter != pipeline::RpFilter::off) [[unlikely]] {
        const bool sends = hop.kind == NextHopKind::connected || hop.kind == NextHopKind::gateway;
        if (sends && !source_is_reachable(context, view.source(), view.destination(), meta.in))
            return Verdict::drop(drops::rp_filter);
    }
    if (!send_ip4(context, packet, meta, hop)) [[unlikely]]
        return slow_ip4(context, packet, meta);
    ++tally.forwarded4;
    return Verdict::sent();
}

// True if the packet was sent.
[[gnu::always_inline]] inline bool send_ip6(Context& context, dpdk::Packet* packet, const PacketMeta& meta,
                                            const NextHop& hop) {
    const auto& tables = context.tables;
    const auto header = wire::Ipv6View::unchecked(dpdk::data(packet) + meta.l3);
    const auto neighbour = neighbour_of(tables.neighbours, hop, header.destination());
    if (!neighbour.link.usable() || meta.l3_length > hop.mtu) [[unlikely]]
        return false;
    send_to(context, packet, meta, hop, neighbour, Family::ip6);
    return true;
}

[[gnu::always_inline]] inline Verdict forward_ip6(Context& context, dpdk::Packet* packet,
                                                  const PacketMeta& meta, const NextHop& hop, Tally& tally) {
    const auto& tables = context.tables;
    const auto view = wire::Ipv6View::unchecked(dpdk::data(packet) + meta.l3);
    if (tables.source_filter.contains(view.source())) [[unlikely]]
        return slow_ip6(context, packet, meta);
    if (tables.interfaces[meta.in].rp_filter != pipeline::RpFilter::off) [[unlikely]] {
        const bool sends = hop.kind == NextHopKind::connected || hop.kind == NextHopKind::gateway;
        if (sends && !source_is_reachable(context, view.source(), view.destination(), meta.in))
            return Verdict::drop(drops::rp_filter);
    }
    if (!send_ip6(context, packet, meta, hop)) [[unlikely]]
        return slow_ip6(context, packet, meta);
    ++tally.forwarded6;
    return Verdict::sent();
}

void give_up(Context& context, dpdk::Packet* packet) {
    const auto note = dpdk::note(packet);
    uint8_t* header = dpdk::data(packet);
    Passage passage{.packet = dpdk::bytes(packet), .in = note.arrival, .out = note.interface};
    Offence how{.in = note.arrival, .link_group = note.link_multicast};
    if (note.forwarded && context.hooks != nullptr) {
        context.hooks->turn_back(context, passage);
        how.tracked = &passage.tracked;
    }
    // The error quotes the packet as it came (R1812-4.3.2.3), and the box needs none about its own packets.
    if (note.forwarded && header[0] >> 4 == 4) {
        auto view = wire::MutableIpv4View::unchecked(header);
        view.set_ttl(static_cast<uint8_t>(view.ttl() + 1));
        send_error(context, Icmp4Error{.kind = Icmp4ErrorKind::host_unreachable}, view,
                   how);  // R1812-4.3.3.1
    } else if (note.forwarded) {
        auto view = wire::MutableIpv6View::unchecked(header);
        view.set_hop_limit(static_cast<uint8_t>(view.hop_limit() + 1));
        send_error(context, Icmp6Error{.kind = Icmp6ErrorKind::address_unreachable}, view, how);  // R4443-3.1
    }
    pipeline::finish(context.worker, packet, note.interface, Verdict::drop(drops::neighbour_unresolved));
}

}  // namespace

void route(Context& context, const Burst& burst, BurstRoutes& routes) {
    const auto& fib = *context.tables.fib;
    if (fib.has_rules()) [[unlikely]]
        return;
    Gathered ip4;
    Gathered ip6;
    route_ip4(fib, burst, ip4);
    route_ip6(fib, burst, ip6);
    keep(fib, ip4, routes);
    keep(fib, ip6, routes);
    for (uint16_t g = 0; g < ip4.count; ++g) {
        const auto& hop = fib.next_hop(ip4.found[g]);
        if (hop.kind == NextHopKind::connected)
            context.tables.neighbours.prefetch(hop.out,
                                               Ip4Address::load(ip_header(burst, ip4.places[g]) + 16));
    }
    for (uint16_t g = 0; g < ip6.count; ++g) {
        const auto& hop = fib.next_hop(ip6.found[g]);
        if (hop.kind == NextHopKind::connected)
            context.tables.neighbours.prefetch(hop.out,
                                               Ip6Address::load(ip_header(burst, ip6.places[g]) + 24));
    }
}

void forward(Context& context, Burst& burst, const BurstRoutes& routes) {
    const auto& fib = *context.tables.fib;
    const bool has_rules = fib.has_rules();
    Tally tally;
    Rows rows(context, burst, routes);
    for (size_t i = 0; i < burst.count; ++i) {
        if (!has_rules) [[likely]] {
            i = rows.send(i);
            if (i == burst.count)
                break;
        }
        dpdk::Packet* packet = burst.packets[i];
        const PacketMeta& meta = burst.meta[i];
        auto verdict = Verdict::sent();
        switch (meta.path) {
            case Path::ip4_fast: {
                ++tally.received4;
                const auto& hop =
                    has_rules ? route_of(context, wire::Ipv4View::unchecked(ip_header(burst, i)), meta.in)
                              : fib.next_hop(routes[i]);
                verdict = forward_ip4(context, packet, meta, hop, tally);
                break;
            }
            case Path::ip6_fast: {
                ++tally.received6;
                const auto& hop =
                    has_rules ? route_of(context, wire::Ipv6View::unchecked(ip_header(burst, i)), meta.in)
                              : fib.next_hop(routes[i]);
                verdict = forward_ip6(context, packet, meta, hop, tally);
                break;
            }
            default:
                verdict = forward_slowly(context, packet, meta);
        }
        if (verdict != Verdict::sent()) [[unlikely]]
            pipeline::finish(context.worker, packet, meta.in, verdict);
    }
    auto& counters = context.worker.counters.protocol;
    counters.add(Protocol::IpInReceives, tally.received4 + rows.sent(Family::ip4));
    counters.add(Protocol::Ip6InReceives, tally.received6 + rows.sent(Family::ip6));
    counters.add(Protocol::IpForwDatagrams, tally.forwarded4 + rows.sent(Family::ip4));
    counters.add(Protocol::Ip6OutForwDatagrams, tally.forwarded6 + rows.sent(Family::ip6));
}

Verdict forward_slowly(Context& context, dpdk::Packet* packet, const PacketMeta& meta) {
    auto& counters = context.worker.counters.protocol;
    switch (meta.path) {
        case Path::ip4_fast:
        case Path::ip4_slow:
            counters.add(Protocol::IpInReceives);
            return slow_ip4(context, packet, meta);
        case Path::ip6_fast:
        case Path::ip6_slow:
            counters.add(Protocol::Ip6InReceives);
            return slow_ip6(context, packet, meta);
        case Path::ip4_large:
        case Path::ip6_large:
            if (context.hooks == nullptr && forward_large(context, packet, meta))
                return Verdict::sent();
            [[fallthrough]];
        case Path::large_slow:
            forward_in_segments(context, packet, meta);
            return Verdict::sent();
        case Path::neighbour:
            send_to_resolver(context, packet, meta);
            return Verdict::held();
        case Path::done:
            break;
    }
    return Verdict::sent();
}

void send_to_resolver(Context& context, dpdk::Packet* frame, const PacketMeta& meta) {
    dpdk::note(frame) = {.errand = dpdk::Errand::neighbour_input,
                         .forwarded = false,
                         .link_multicast = meta.link_multicast,
                         .worker = context.worker.id,
                         .interface = meta.in,
                         .arrival = meta.in,
                         .next_hop = {}};
    // The resolver knows no VLAN tags: the MAC addresses take the tag's place.
    if (const int tag = meta.l3 - pipeline::kEthernetHeader; tag != 0) {
        std::memmove(dpdk::data(frame) + tag, dpdk::data(frame), 12);
        dpdk::move_start(frame, tag);
    }
    pipeline::send_to_control(context.worker, frame, meta.in);
}

void handle_errand(Context& context, dpdk::Packet* packet) {
    context.worker.counters.held_out.add(1);
    const auto note = dpdk::note(packet);
    if (note.errand == dpdk::Errand::unresolved) {
        give_up(context, packet);
        return;
    }
    const auto& interfaces = context.tables.interfaces;
    if (interfaces.has(note.interface))
        pipeline::transmit(context.worker, interfaces[note.interface].port, note.interface, packet);
    else
        pipeline::finish(context.worker, packet, note.interface, Verdict::drop(drops::link_down));
}

}  // namespace sluice::routing
