#include <algorithm>

#include "pipeline/drops.hh"
#include "routing/drops.hh"
#include "routing/local.hh"
#include "routing/slow.hh"
#include "wire/ipv6_extensions.hh"

namespace sluice::routing {
namespace {

using pipeline::Interface;
using pipeline::Verdict;
using telemetry::Protocol;

constexpr Ip6Address kAllNodes({0xff, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1});
constexpr Ip6Address kAllRouters({0xff, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2});

// One IPv6 packet and what is known of it.
struct Transit {
    Context& context;
    dpdk::Packet* packet;  // of a packet that was put together: its last fragment
    const pipeline::PacketMeta& meta;
    Passage& passage;
    const Fragmented& came;
    wire::Ipv6View view;
    const Interface& in;
    Offence how;

    [[nodiscard]] telemetry::ProtocolCounters& counters() const { return context.worker.counters.protocol; }
};

Verdict refuse(const Transit& transit, const Icmp6Error& error, telemetry::DropReason reason) {
    send_error(transit.context, error, transit.view, transit.how);
    return Verdict::drop(reason);
}

// RFC 4291 2.5.2, 2.5.3, 2.7
Verdict check_source(const Transit& transit) {
    const Ip6Address source = transit.view.source();
    if (source.is_multicast() || source.is_loopback() || source.is_v4_mapped())
        return Verdict::drop(drops::martian_source);
    if (source.is_unspecified() && !transit.view.destination().is_multicast())
        return Verdict::drop(drops::martian_source);
    if (transit.context.tables.source_filter.contains(source) ||
        transit.context.tables.is_own_link_local(transit.meta.in, source))
        return Verdict::drop(drops::own_source);
    return Verdict::next();
}

// The groups that the box is in on an interface: all nodes, all routers, and those of its addresses.
bool has_joined(const Transit& transit, const Ip6Address& group) {
    if (group == kAllNodes || group == kAllRouters)
        return true;
    if (group == transit.context.tables.link_locals[index(transit.meta.in)].solicited_node())
        return true;
    for (const auto& own : transit.in.addresses) {
        if (own.address.is_ip6() && own.address.ip6().solicited_node() == group)
            return true;
    }
    return false;
}

// Hop-by-hop options are looked at by every router, as Linux does (RFC 8200 4.3), and before the hooks.
Verdict check_hop_by_hop(Context& context, const Passage& passage) {
    const auto view = wire::Ipv6View::unchecked(passage.packet.data());
    const auto refuse_option = [&](Icmp6ErrorKind kind, uint32_t pointer, telemetry::DropReason reason) {
        send_error(context, {.kind = kind, .pointer = pointer}, view, offence_of(passage));
        return Verdict::drop(reason);
    };
    const auto chain = wire::walk_extensions(view);
    if (chain.hop_by_hop_offset == 0)
        return Verdict::drop(drops::bad_options);
    const auto options =
        wire::summarize_options(view, chain.hop_by_hop_offset, wire::Ipv6OptionsHeader::hop_by_hop);
    if (options.malformed)  // without a word, as in Linux
        return Verdict::drop(drops::bad_options);
    if (options.action == wire::Ipv6OptionAction::skip)
        return Verdict::next();
    const bool report = options.action == wire::Ipv6OptionAction::discard_report ||
                        (options.action == wire::Ipv6OptionAction::discard_report_unicast &&
                         !view.destination().is_multicast());
    if (!report)
        return Verdict::drop(drops::unknown_option);
    return refuse_option(Icmp6ErrorKind::unknown_option, options.pointer, drops::unknown_option);
}

Verdict deliver_here(const Transit& transit, Addressed to) {
    return deliver(transit.context, transit.packet, transit.meta, transit.passage, to, transit.how);
}

Verdict pass_forward_hooks(const Transit& transit, const Departure& to) {
    auto* const hooks = transit.context.hooks;
    if (hooks == nullptr)
        return Verdict::next();
    transit.passage.out = to.out;
    transit.passage.mtu = to.mtu;
    if (const auto verdict = hooks->forward(transit.context, transit.passage); verdict != Verdict::next())
        return verdict;
    return hooks->postrouting(transit.context, transit.passage);
}

// A packet that came in fragments goes on whole only if it is no larger than one of them was, as in Linux.
Verdict depart(const Transit& transit, const Departure& to) {
    Arrival arrival{.in = transit.meta.in, .forwarded = true, .link_group = transit.how.link_group};
    if (transit.came.came_whole()) {
        dpdk::move_start(transit.packet, transit.meta.l3);
        dpdk::set_length(transit.packet, static_cast<uint16_t>(transit.passage.packet.size()));
        return output(transit.context, transit.packet, to, arrival);
    }
    // Dropped, the packet is of whom the verdict goes to.
    arrival.whole = transit.packet;
    if (transit.view.total_length() <= std::min(transit.came.largest, to.mtu)) {
        dpdk::Packet* whole = transit.context.worker.pool.copy_of(transit.view.bytes());
        if (whole == nullptr)
            return Verdict::drop(pipeline::drops::no_buffer);
        const dpdk::PacketOwner owner(transit.packet);
        transit.context.worker.watch.pass_on(transit.packet, whole);
        return output(transit.context, whole, to, arrival);
    }
    if (!output_fragments(transit.context, transit.view, to, arrival, transit.came))
        return Verdict::drop(drops::fragment_refused);
    rte_pktmbuf_free(transit.packet);
    return Verdict::sent();
}

Verdict forward_to(const Transit& transit, const Departure& to) {
    if (transit.how.link_group)
        return Verdict::drop(drops::link_group);
    if (transit.view.source().is_unspecified())
        return Verdict::drop(drops::martian_source);
    if (transit.view.source().is_link_local())
        return refuse(transit, {.kind = Icmp6ErrorKind::beyond_scope}, drops::link_local_scope);  // R4443-3.1
    if (transit.view.hop_limit() <= 1) {
        transit.counters().add(Protocol::Ip6InHdrErrors);
        return refuse(transit, {.kind = Icmp6ErrorKind::hop_limit_exceeded}, drops::ttl_exceeded);
    }
    const size_t unit = transit.came.came_whole() ? transit.view.total_length() : transit.came.largest;
    if (unit > to.mtu) {
        transit.counters().add(Protocol::Ip6InTooBigErrors);
        return refuse(transit, {.kind = Icmp6ErrorKind::packet_too_big, .mtu = to.mtu}, drops::too_big);
    }
    wire::MutableIpv6View::unchecked(transit.passage.packet.data()).decrement_hop_limit();
    if (const auto verdict = pass_forward_hooks(transit, to); verdict != Verdict::next())
        return verdict;
    transit.counters().add(Protocol::Ip6OutForwDatagrams);
    return depart(transit, to);
}

Verdict to_unicast(const Transit& transit) {
    const Ip6Address destination = transit.view.destination();
    if (destination.is_link_local()) {
        return transit.context.tables.is_own_link_local(transit.meta.in, destination)
                   ? deliver_here(transit, Addressed::host)
                   : Verdict::drop(drops::link_local_scope);
    }
    const NextHop& hop = route_of(transit.context, transit.view, transit.meta.in);
    const Ip6Address source = transit.view.source();
    const bool reachable = transit.in.rp_filter == pipeline::RpFilter::off || source.is_link_local() ||
                           source_is_reachable(transit.context, source, destination, transit.meta.in);
    if (!reachable && hop.kind != NextHopKind::none)
        return Verdict::drop(drops::rp_filter);
    switch (hop.kind) {
        case NextHopKind::local:
            if (transit.how.link_group)
                return Verdict::drop(drops::link_group);
            return deliver_here(transit, hop.anycast ? Addressed::group : Addressed::host);
        case NextHopKind::connected:
        case NextHopKind::gateway:
            transit.passage.next_hop = &hop;
            return forward_to(transit, *departure(hop, destination));
        case NextHopKind::broadcast:
        case NextHopKind::none:
            transit.counters().add(Protocol::Ip6InNoRoutes);
            return refuse(transit, {.kind = Icmp6ErrorKind::no_route}, drops::no_route);  // R4443-3.1
        case NextHopKind::blackhole:
            return Verdict::drop(drops::blackhole);
        case NextHopKind::unreachable:
            return refuse(transit, {.kind = Icmp6ErrorKind::address_unreachable}, drops::unreachable);
        case NextHopKind::prohibit:
            break;
    }
    return refuse(transit, {.kind = Icmp6ErrorKind::admin_prohibited}, drops::prohibit);
}

// The way of a packet from the routing decision's checks on.
Verdict take_in(const Transit& transit) {
    if (const auto verdict = check_source(transit); verdict != Verdict::next()) {
        transit.counters().add(Protocol::Ip6InAddrErrors);
        return verdict;
    }
    const Ip6Address destination = transit.view.destination();
    if (destination.is_multicast()) {
        if (has_joined(transit, destination))
            return deliver_here(transit, Addressed::group);
        return Verdict::drop(drops::multicast);
    }
    if (destination.is_unspecified() || destination.is_loopback() || destination.is_v4_mapped()) {
        transit.counters().add(Protocol::Ip6InAddrErrors);
        return Verdict::drop(drops::martian_destination);
    }
    return to_unicast(transit);
}

}  // namespace

Verdict slow_ip6(Context& context, dpdk::Packet* packet, const pipeline::PacketMeta& meta) {
    Passage passage{.packet = wire::MutableBytes(dpdk::data(packet) + meta.l3, meta.l3_length),
                    .in = meta.in,
                    .link_group = meta.link_multicast,
                    .source_mac = dpdk::data(packet) + 6,
                    .room = static_cast<uint16_t>(dpdk::room(packet) - meta.l3)};
    if (passage.packet[6] == static_cast<uint8_t>(wire::IpProtocol::hop_by_hop)) {
        const auto verdict = check_hop_by_hop(context, passage);
        if (verdict != Verdict::next()) {
            context.worker.counters.protocol.add(Protocol::Ip6InHdrErrors);
            return verdict;
        }
    }
    Fragmented came;
    if (context.hooks != nullptr) {
        if (const auto verdict = collect_ip6(context, passage, came); verdict != Verdict::next())
            return verdict;
    }
    const PassageScope scope(context.hooks, passage);
    if (context.hooks != nullptr) {
        if (const auto verdict = context.hooks->prerouting(context, passage); verdict != Verdict::next())
            return verdict;
    }
    return take_in({.context = context,
                    .packet = packet,
                    .meta = meta,
                    .passage = passage,
                    .came = came,
                    .view = wire::Ipv6View::unchecked(passage.packet.data()),
                    .in = context.tables.interfaces[meta.in],
                    .how = offence_of(passage)});
}

}  // namespace sluice::routing
