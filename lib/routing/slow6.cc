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
    dpdk::Packet* packet;
    const pipeline::PacketMeta& meta;
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

// Hop-by-hop options are looked at by every router, as Linux does (RFC 8200 4.3).
Verdict check_hop_by_hop(const Transit& transit) {
    const auto chain = wire::walk_extensions(transit.view);
    if (chain.hop_by_hop_offset == 0)
        return Verdict::drop(drops::bad_options);
    const auto options = wire::summarize_options(transit.view, chain.hop_by_hop_offset);
    if (options.malformed)
        return refuse(transit, {.kind = Icmp6ErrorKind::erroneous_field, .pointer = options.pointer},
                      drops::bad_options);
    if (options.action == wire::Ipv6OptionAction::skip)
        return Verdict::next();
    const bool report = options.action == wire::Ipv6OptionAction::discard_report ||
                        (options.action == wire::Ipv6OptionAction::discard_report_unicast &&
                         !transit.view.destination().is_multicast());
    if (!report)
        return Verdict::drop(drops::unknown_option);
    return refuse(transit, {.kind = Icmp6ErrorKind::unknown_option, .pointer = options.pointer},
                  drops::unknown_option);
}

Verdict deliver_here(const Transit& transit, Addressed to) {
    return deliver(transit.context, transit.packet, transit.meta, transit.view, to, transit.how);
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
    if (transit.meta.l3_length > to.mtu) {
        transit.counters().add(Protocol::Ip6InTooBigErrors);
        return refuse(transit, {.kind = Icmp6ErrorKind::packet_too_big, .mtu = to.mtu}, drops::too_big);
    }
    wire::MutableIpv6View::unchecked(dpdk::data(transit.packet) + transit.meta.l3).decrement_hop_limit();
    transit.counters().add(Protocol::Ip6OutForwDatagrams);
    dpdk::move_start(transit.packet, transit.meta.l3);
    return output(transit.context, transit.packet, to,
                  {.in = transit.meta.in, .forwarded = true, .link_group = transit.how.link_group});
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

}  // namespace

Verdict slow_ip6(Context& context, dpdk::Packet* packet, const pipeline::PacketMeta& meta) {
    const Transit transit{.context = context,
                          .packet = packet,
                          .meta = meta,
                          .view = wire::Ipv6View::unchecked(dpdk::data(packet) + meta.l3),
                          .in = context.tables.interfaces[meta.in],
                          .how = {.in = meta.in, .link_group = meta.link_multicast}};
    if (const auto verdict = check_source(transit); verdict != Verdict::next()) {
        transit.counters().add(Protocol::Ip6InAddrErrors);
        return verdict;
    }
    if (transit.view.next_header() == wire::IpProtocol::hop_by_hop) {
        if (const auto verdict = check_hop_by_hop(transit); verdict != Verdict::next()) {
            transit.counters().add(Protocol::Ip6InHdrErrors);
            return verdict;
        }
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

}  // namespace sluice::routing
