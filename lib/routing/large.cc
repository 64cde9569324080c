#include "routing/large.hh"

#include "pipeline/large.hh"
#include "pipeline/parse.hh"
#include "routing/send.hh"
#include "routing/slow.hh"
#include "routing/stage.hh"

namespace sluice::routing {
namespace {

using pipeline::PacketMeta;
using pipeline::Verdict;
using telemetry::Protocol;

template <typename View>
bool send_if_ordinary(Context& context, dpdk::Packet* packet, const PacketMeta& meta, View view,
                      Family family) {
    const auto& tables = context.tables;
    if (tables.source_filter.contains(view.source()))
        return false;
    if (tables.interfaces[meta.in].rp_filter != pipeline::RpFilter::off &&
        !source_is_reachable(context, view.source(), view.destination(), meta.in))
        return false;
    const NextHop& hop = route_of(context, view, meta.in);
    const auto neighbour = neighbour_of(tables.neighbours, hop, view.destination());
    const auto parts = pipeline::LargeFrame::of(packet, meta.l3);
    if (!neighbour.link.usable() || parts.largest() > hop.mtu)
        return false;
    auto& counters = context.worker.counters.protocol;
    const bool is_ip4 = family == Family::ip4;
    counters.add(is_ip4 ? Protocol::IpInReceives : Protocol::Ip6InReceives, parts.segments());
    counters.add(is_ip4 ? Protocol::IpForwDatagrams : Protocol::Ip6OutForwDatagrams, parts.segments());
    send_large(context, packet, meta, hop, neighbour, family);
    return true;
}

}  // namespace

bool forward_large(Context& context, dpdk::Packet* packet, const PacketMeta& meta) {
    const uint8_t* const header = dpdk::data(packet) + meta.l3;
    if (meta.path == pipeline::Path::ip4_large)
        return send_if_ordinary(context, packet, meta, wire::Ipv4View::unchecked(header), Family::ip4);
    return send_if_ordinary(context, packet, meta, wire::Ipv6View::unchecked(header), Family::ip6);
}

void send_large(Context& context, dpdk::Packet* packet, const PacketMeta& meta, const NextHop& hop,
                const NeighbourTable::Found& neighbour, Family family) {
    const auto& tables = context.tables;
    const auto& out = tables.interfaces[hop.out];
    count_hop(dpdk::data(packet) + meta.l3, family);
    tables.neighbours.mark_used(neighbour.index);
    write_link_header(packet, meta, out, neighbour.link, family == Family::ip4 ? 0x0800 : 0x86dd);
    if (!context.worker.egress[index(out.port)].push_large(packet, out.id))
        pipeline::drop_egress(context.worker, out.id, packet);
}

void forward_in_segments(Context& context, dpdk::Packet* packet, const PacketMeta& meta) {
    pipeline::LargeFrameCutter cutter(context.worker, dpdk::PacketOwner(packet), meta.l3, meta.in);
    while (dpdk::Packet* segment = cutter.next()) {
        PacketMeta its = meta;
        auto verdict = pipeline::parse_segment(segment, its);
        if (verdict == Verdict::next())
            verdict = forward_slowly(context, segment, its);
        if (verdict != Verdict::sent())
            pipeline::finish(context.worker, segment, meta.in, verdict);
    }
}

}  // namespace sluice::routing
