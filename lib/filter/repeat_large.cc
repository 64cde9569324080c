// Large frames of flows whose decision is repeated.
#include "conntrack/tracker.hh"
#include "filter/burst_flows.hh"
#include "filter/kept_decision.hh"
#include "filter/stage.hh"
#include "nat/flow_translation.hh"
#include "nat/rewrite_ports.hh"
#include "nat/translated_ends.hh"
#include "pipeline/large.hh"
#include "routing/large.hh"

namespace sluice::filter {

using conntrack::Found;
using conntrack::Ip4PortsTuple;
using nat::ip4_ends_after;
using nat::ip6_ends_after;
using nat::Manip;
using pipeline::Path;
using telemetry::Protocol;

// A large frame of an open connection, whose segments would all repeat one decision. False if some of them
// have to ask for themselves; nothing has happened then.
template <Family family>
bool Firewall::repeat_large(routing::Context& context, dpdk::Packet* packet,
                            const pipeline::PacketMeta& meta) {
    constexpr bool kIp4 = family == Family::ip4;
    uint8_t* const header = dpdk::data(packet) + meta.l3;
    std::conditional_t<kIp4, Ip4PortsTuple, conntrack::Tuple> tuple;
    if (!tables_->tracks || !read_tuple(header, meta.l3_length, tuple))
        return false;
    const Found found = tracker_.table().find(tuple);
    if (!found)
        return false;
    conntrack::Flow& flow = *found.flow;
    const auto& kept = flow.decision(found.direction);
    const KeptDecision decision(kept.what);
    if (!decision.is_for(meta.in) || !is_current(kept, tables_->generation, *tables_->sets))
        return false;
    const auto& hop = context.tables.fib->next_hop(decision.next_hop());
    const bool translated = nat::is_translated(flow);
    const auto neighbour = neighbour_of<family>(context, found, header, translated, hop);
    const auto parts = pipeline::LargeFrame::of(packet, meta.l3);
    if (!neighbour.link.usable() || parts.largest() > hop.mtu)
        return false;
    // Each segment would get an identification of its own.
    if (kIp4 && nat::FlowTranslation::changes(flow.status, found.direction, Manip::source) &&
        !wire::Ipv4View::unchecked(header).dont_fragment())
        return false;
    const uint32_t segments = parts.segments();
    const wire::Bytes tcp_header(dpdk::data(packet) + parts.tcp, size_t{parts.headers} - parts.tcp);
    if (!tracker_.repeat_segments(found, tcp_header,
                                  {.count = segments,
                                   .payload = parts.payload,
                                   .size = parts.segment_size,
                                   .bytes = parts.ip_bytes()},
                                  tracker_.round(context.worker.now)))
        return false;
    if (translated)
        translate_headers(packet, meta, parts, found);
    state_->repeat(decision.path(), segments, parts.ip_bytes(), context.worker.now);
    conntrack_counters_.add(conntrack::Count::found, segments);
    conntrack_counters_.add(conntrack::Count::decision_repeated, segments);
    auto& protocol = context.worker.counters.protocol;
    protocol.add(kIp4 ? Protocol::IpInReceives : Protocol::Ip6InReceives, segments);
    protocol.add(kIp4 ? Protocol::IpForwDatagrams : Protocol::Ip6OutForwDatagrams, segments);
    routing::send_large(context, packet, meta, hop, neighbour, family);
    return true;
}

// The TCP checksum becomes whatever it does: it is made anew for each segment.
void Firewall::translate_headers(dpdk::Packet* packet, const pipeline::PacketMeta& meta,
                                 const pipeline::LargeFrame& parts, const Found& found) {
    const wire::MutableBytes bytes(dpdk::data(packet) + meta.l3, meta.l3_length);
    if (meta.path == Path::ip4_large) {
        nat::rewrite_ip4_ports(bytes.data(), dpdk::data(packet) + parts.tcp, found.flow->protocol(),
                               ip4_ends_after(*found.flow, found.direction));
        return;
    }
    nat::rewrite_ip6_ports(bytes.data(), dpdk::data(packet) + parts.tcp, found.flow->protocol(),
                           ip6_ends_after(*found.flow, found.direction));
}

template bool Firewall::repeat_large<Family::ip4>(routing::Context&, dpdk::Packet*,
                                                  const pipeline::PacketMeta&);
template bool Firewall::repeat_large<Family::ip6>(routing::Context&, dpdk::Packet*,
                                                  const pipeline::PacketMeta&);

}  // namespace sluice::filter
