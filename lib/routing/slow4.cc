#include "routing/drops.hh"
#include "routing/ip4_options.hh"
#include "routing/local.hh"
#include "routing/slow.hh"

namespace sluice::routing {
namespace {

using pipeline::Interface;
using pipeline::Verdict;
using telemetry::Protocol;

constexpr Ip4Address kAllHosts = Ip4Address::from_host(0xe0000001);  // 224.0.0.1

// One IPv4 packet and what is known of it.
struct Transit {
    Context& context;
    dpdk::Packet* packet;  // of a datagram that was put together: its last fragment
    const pipeline::PacketMeta& meta;
    Passage& passage;
    const Fragmented& came;
    wire::Ipv4View view;
    const Interface& in;
    Offence how;

    [[nodiscard]] telemetry::ProtocolCounters& counters() const { return context.worker.counters.protocol; }
};

Verdict refuse(const Transit& transit, const Icmp4Error& error, telemetry::DropReason reason) {
    send_error(transit.context, error, transit.view, transit.how);
    return Verdict::drop(reason);
}

// R1812-5.2.4: source routes are refused.
Verdict check_options(const Transit& transit) {
    if (has_source_route(transit.view))
        return Verdict::drop(drops::source_route);
    if (const auto pointer = option_fault(transit.view))
        return refuse(transit, {.kind = Icmp4ErrorKind::parameter_problem, .pointer = *pointer},
                      drops::bad_options);
    return Verdict::next();
}

// 240/4, which a switch lets through (R1812-5.3.7).
bool is_filtered(const Interface& in, Ip4Address address) {
    return in.martian_filter ? address.is_class_e() : address.is_limited_broadcast();
}

// R1812-5.3.7, R1812-4.2.2.11
Verdict check_source(const Transit& transit) {
    const Ip4Address source = transit.view.source();
    // A host that does not know its address yet speaks to everybody (RFC 1122 3.2.1.3).
    if (source.is_unspecified() && transit.view.destination().is_limited_broadcast())
        return Verdict::next();
    if (source.is_this_network() || source.is_multicast() || source.is_loopback() ||
        is_filtered(transit.in, source))
        return Verdict::drop(drops::martian_source);
    if (transit.context.tables.source_filter.contains(source))
        return Verdict::drop(drops::own_source);
    return Verdict::next();
}

// "Don't fragment" of a datagram that came in fragments speaks of those.
bool is_too_big(const Transit& transit, const Departure& to) {
    const size_t unit = transit.came.came_whole() ? transit.view.total_length() : transit.came.largest;
    return unit > to.mtu && transit.view.dont_fragment();
}

Verdict pass_forward_hook(const Transit& transit, const Departure& to) {
    auto* const hooks = transit.context.hooks;
    if (hooks == nullptr)
        return Verdict::next();
    transit.passage.out = to.out;
    transit.passage.mtu = to.mtu;
    return hooks->forward(transit.context, transit.passage);
}

Verdict pass_postrouting_hook(const Transit& transit) {
    auto* const hooks = transit.context.hooks;
    return hooks == nullptr ? Verdict::next() : hooks->postrouting(transit.context, transit.passage);
}

// The address that an answer to the sender would come from.
Ip4Address address_back(const Transit& transit) {
    const auto& tables = transit.context.tables;
    const Ip4Address sender = transit.view.source();
    const auto& hop =
        tables.fib->next_hop(tables.fib->route({.saddr = transit.view.destination(), .daddr = sender}));
    const auto back = departure(hop, sender);
    return back ? tables.source_for(back->out, back->next_hop.ip4())
                : tables.source_for(transit.meta.in, sender);
}

// R1812-5.3.13.5, R1812-5.3.13.6
void stamp(const Transit& transit, const Departure& to) {
    const auto& tables = transit.context.tables;
    stamp_options(transit.passage.packet, {.out = tables.source_for(to.out, to.next_hop.ip4()),
                                           .back = address_back(transit),
                                           .time = option_time(transit.context.worker.now),
                                           .own = tables.source_filter});
}

Verdict depart(const Transit& transit, const Departure& to) {
    Arrival arrival{.in = transit.meta.in, .forwarded = true, .link_group = transit.how.link_group};
    if (transit.came.came_whole() && transit.view.total_length() <= to.mtu) {
        dpdk::move_start(transit.packet, transit.meta.l3);
        dpdk::set_length(transit.packet, static_cast<uint16_t>(transit.passage.packet.size()));
        return output(transit.context, transit.packet, to, arrival);
    }
    // Of a fragment that ends behind all that a datagram can have, the offsets of pieces would begin anew.
    if (transit.view.fragment_offset() + transit.view.payload().size() > UINT16_MAX)
        return Verdict::drop(drops::fragment_refused);
    const dpdk::PacketOwner owner(transit.packet);
    arrival.whole = transit.packet;
    output_fragments(transit.context, transit.view, to, arrival, transit.came);
    return Verdict::sent();
}

Verdict forward_to(const Transit& transit, const Departure& to) {
    if (transit.how.link_group)  // R1812-5.3.4
        return Verdict::drop(drops::link_group);
    if (transit.view.source().is_link_local() || transit.view.destination().is_link_local())  // R3927-7
        return Verdict::drop(drops::link_local_scope);
    if (transit.view.ttl() <= 1) {  // R1812-5.3.1
        transit.counters().add(Protocol::IpInHdrErrors);
        return refuse(transit, {.kind = Icmp4ErrorKind::ttl_exceeded}, drops::ttl_exceeded);
    }
    if (is_too_big(transit, to)) {
        transit.counters().add(Protocol::IpFragFails);
        return refuse(transit, {.kind = Icmp4ErrorKind::fragmentation_needed, .mtu = to.mtu},
                      drops::too_big);  // R1191
    }
    wire::MutableIpv4View::unchecked(transit.passage.packet.data()).decrement_ttl();
    if (const auto verdict = pass_forward_hook(transit, to); verdict != Verdict::next())
        return verdict;
    if (transit.view.has_options())
        stamp(transit, to);
    if (const auto verdict = pass_postrouting_hook(transit); verdict != Verdict::next())
        return verdict;
    transit.counters().add(Protocol::IpForwDatagrams);
    return depart(transit, to);
}

Verdict to_unicast(const Transit& transit) {
    const NextHop& hop = route_of(transit.context, transit.view, transit.meta.in);
    const Ip4Address destination = transit.view.destination();
    const bool reachable =
        transit.in.rp_filter == pipeline::RpFilter::off ||
        source_is_reachable(transit.context, transit.view.source(), destination, transit.meta.in);
    if (!reachable && hop.kind != NextHopKind::none)
        return Verdict::drop(drops::rp_filter);
    switch (hop.kind) {
        case NextHopKind::local:
            if (transit.how.link_group)  // RFC 1122 3.3.6
                return Verdict::drop(drops::link_group);
            return deliver(transit.context, transit.passage, Addressed::host, transit.how);
        case NextHopKind::broadcast:
            if (hop.out == transit.meta.in)
                return deliver(transit.context, transit.passage, Addressed::group, transit.how);
            if (!transit.in.bc_forwarding)  // R1812-5.3.5.2; as Linux, the interface it came in by decides
                return Verdict::drop(drops::directed_broadcast);
            return forward_to(transit, *departure(hop, destination));
        case NextHopKind::connected:
        case NextHopKind::gateway:
            transit.passage.next_hop = &hop;
            return forward_to(transit, *departure(hop, destination));
        case NextHopKind::none:
            if (destination.is_link_local())
                return Verdict::drop(drops::link_local_scope);
            transit.counters().add(Protocol::IpOutNoRoutes);
            return refuse(transit, {.kind = Icmp4ErrorKind::net_unreachable},
                          drops::no_route);  // R1812-4.3.3.1
        case NextHopKind::blackhole:
            return Verdict::drop(drops::blackhole);
        case NextHopKind::unreachable:
            return refuse(transit, {.kind = Icmp4ErrorKind::host_unreachable}, drops::unreachable);
        case NextHopKind::prohibit:
            break;
    }
    return refuse(transit, {.kind = Icmp4ErrorKind::admin_prohibited}, drops::prohibit);
}

// The way of a datagram from the routing decision's checks on.
Verdict take_in(const Transit& transit) {
    if (const auto verdict = check_source(transit); verdict != Verdict::next()) {
        transit.counters().add(Protocol::IpInAddrErrors);
        return verdict;
    }
    if (transit.view.has_options()) {
        if (const auto verdict = check_options(transit); verdict != Verdict::next()) {
            transit.counters().add(Protocol::IpInHdrErrors);
            return verdict;
        }
    }
    const Ip4Address destination = transit.view.destination();
    if (destination.is_limited_broadcast() || destination == kAllHosts)  // R1812-5.3.5.1: never forwarded
        return deliver(transit.context, transit.passage, Addressed::group, transit.how);
    if (destination.is_multicast())
        return Verdict::drop(drops::multicast);
    const bool is_this_network =
        transit.in.martian_filter ? destination.is_this_network() : destination.is_unspecified();
    if (is_this_network || destination.is_loopback() ||
        is_filtered(transit.in, destination)) {  // R1812-5.3.7
        transit.counters().add(Protocol::IpInAddrErrors);
        return Verdict::drop(drops::martian_destination);
    }
    return to_unicast(transit);
}

}  // namespace

Verdict slow_ip4(Context& context, dpdk::Packet* packet, const pipeline::PacketMeta& meta) {
    Passage passage{.packet = wire::MutableBytes(dpdk::data(packet) + meta.l3, meta.l3_length),
                    .in = meta.in,
                    .link_group = meta.link_multicast,
                    .source_mac = dpdk::data(packet) + 6,
                    .room = static_cast<uint16_t>(dpdk::room(packet) - meta.l3)};
    Fragmented came;
    if (context.hooks != nullptr) {
        if (const auto verdict = collect_ip4(context, passage, came); verdict != Verdict::next())
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
                    .view = wire::Ipv4View::unchecked(passage.packet.data()),
                    .in = context.tables.interfaces[meta.in],
                    .how = offence_of(passage)});
}

}  // namespace sluice::routing
