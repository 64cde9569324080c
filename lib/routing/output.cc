#include "routing/output.hh"

#include "pipeline/drops.hh"
#include "routing/drops.hh"
#include "routing/fragment.hh"
#include "wire/ethernet.hh"

namespace sluice::routing {
namespace {

using pipeline::Verdict;
using telemetry::Protocol;

Family family_of(const dpdk::Packet* packet) {
    return dpdk::data(packet)[0] >> 4 == 4 ? Family::ip4 : Family::ip6;
}

// Each piece in a packet of its own. Returns how many there are.
template <typename Fragmenter, typename HeaderSize>
uint64_t send_pieces(Context& context, Fragmenter& fragmenter, HeaderSize header_size, const Departure& to,
                     const Arrival& arrival) {
    uint64_t pieces = 0;
    while (const auto piece = fragmenter.next()) {
        ++pieces;
        const size_t header = header_size(*piece);
        const auto payload = fragmenter.payload(*piece);
        dpdk::Packet* packet = context.worker.pool.allocate();
        if (packet == nullptr) {
            // The datagram is lost; its remaining pieces would be of no use to anybody.
            if (pieces == 1)
                context.worker.watch.tell(arrival.whole, Verdict::drop(pipeline::drops::no_buffer));
            context.worker.counters.drop(to.out, pipeline::drops::no_buffer, header + payload.size());
            break;
        }
        if (pieces == 1)
            context.worker.watch.pass_on(arrival.whole, packet);
        dpdk::set_length(packet, static_cast<uint16_t>(header + payload.size()));
        fragmenter.emit_header(*piece, dpdk::bytes(packet));
        wire::copy_bytes(dpdk::data(packet) + header, payload);
        // What becomes of a piece is counted where it is found out.
        [[maybe_unused]] const auto verdict = output(context, packet, to, arrival);
    }
    return pieces;
}

}  // namespace

std::optional<Departure> departure(const NextHop& hop, const IpAddress& destination) {
    switch (hop.kind) {
        case NextHopKind::connected:
            return Departure{.out = hop.out, .mtu = hop.mtu, .next_hop = destination};
        case NextHopKind::gateway:
            return Departure{
                .out = hop.out, .mtu = hop.mtu, .neighbour = hop.neighbour, .next_hop = hop.gateway};
        case NextHopKind::broadcast:
            return Departure{.out = hop.out, .mtu = hop.mtu, .link_broadcast = true, .next_hop = destination};
        case NextHopKind::none:
        case NextHopKind::local:
        case NextHopKind::blackhole:
        case NextHopKind::unreachable:
        case NextHopKind::prohibit:
            break;
    }
    return std::nullopt;
}

void transmit_to(Context& context, dpdk::Packet* packet, InterfaceId out, MacAddress to, Family family) {
    const auto& interface = context.tables.interfaces[out];
    const auto type = family == Family::ip4 ? wire::EtherType::ipv4 : wire::EtherType::ipv6;
    dpdk::move_start(packet, -static_cast<int>(interface.link_header()));
    const auto frame = dpdk::bytes(packet);
    const bool tagged = interface.vlan != pipeline::kNoVlan;
    wire::EthernetHeader{to, interface.mac, tagged ? wire::EtherType::vlan : type}.emit(frame);
    if (tagged)
        wire::VlanTag{.id = interface.vlan, .ether_type = type}.emit(
            frame.subspan(wire::kEthernetHeaderSize));
    pipeline::transmit(context.worker, interface.port, out, packet);
}

Verdict output(Context& context, dpdk::Packet* packet, const Departure& to, const Arrival& arrival) {
    const Family family = family_of(packet);
    if (to.link_broadcast) {
        transmit_to(context, packet, to.out, kBroadcastMac, family);
        return Verdict::sent();
    }
    const auto& neighbours = context.tables.neighbours;
    const auto found = to.neighbour != kNoNeighbour
                           ? NeighbourTable::Found{to.neighbour, neighbours.link(to.neighbour)}
                           : neighbours.find(to.out, to.next_hop);
    if (found.link.usable()) {
        neighbours.mark_used(found.index);
        transmit_to(context, packet, to.out, found.link.mac(), family);
        return Verdict::sent();
    }
    dpdk::note(packet) = {.errand = dpdk::Errand::resolve,
                          .forwarded = arrival.forwarded,
                          .link_multicast = arrival.link_group,
                          .worker = context.worker.id,
                          .interface = to.out,
                          .arrival = arrival.in,
                          .next_hop = to.next_hop};
    pipeline::send_to_control(context.worker, packet, to.out);
    return Verdict::held();
}

void output_fragments(Context& context, wire::Ipv4View datagram, const Departure& to, const Arrival& arrival,
                      const Fragmented& came) {
    Ipv4Fragmenter fragmenter(datagram, to.mtu, came.fragments, came.largest);
    const uint64_t pieces = send_pieces(
        context, fragmenter, [&](const FragmentPiece& piece) { return fragmenter.header_size(piece); }, to,
        arrival);
    auto& counters = context.worker.counters;
    counters.originated.add(pieces - 1);  // the datagram goes on as its first piece
    counters.protocol.add(Protocol::IpFragOKs);
    counters.protocol.add(Protocol::IpFragCreates, pieces);
}

bool output_fragments(Context& context, wire::Ipv6View packet, const Departure& to, const Arrival& arrival,
                      const Fragmented& came) {
    // Drawn, as Linux does: other workers may cut packets between the same addresses (RFC 8200 4.5).
    const auto id = static_cast<uint32_t>(context.worker.random.next());
    Ipv6Fragmenter fragmenter(packet, to.mtu, id, came.fragments, came.largest);
    if (!fragmenter.can_cut())
        return false;
    const uint64_t pieces = send_pieces(
        context, fragmenter, [&](const FragmentPiece&) { return fragmenter.header_size(); }, to, arrival);
    context.worker.counters.originated.add(pieces - 1);
    return true;
}

namespace {

struct Addresses {
    IpAddress source;
    IpAddress destination;
};

Addresses addresses_of(wire::Bytes packet) {
    if (packet[0] >> 4 == 4) {
        const auto view = wire::Ipv4View::unchecked(packet.data());
        return {view.source(), view.destination()};
    }
    const auto view = wire::Ipv6View::unchecked(packet.data());
    return {view.source(), view.destination()};
}

std::optional<Departure> way_of_own(const Context& context, const Addresses& addresses, InterfaceId in) {
    if (addresses.destination.is_ip6() && addresses.destination.ip6().is_link_local())
        return Departure{
            .out = in, .mtu = context.tables.interfaces[in].mtu, .next_hop = addresses.destination};
    const auto& fib = *context.tables.fib;
    const auto& hop = fib.next_hop(fib.route({.saddr = addresses.source, .daddr = addresses.destination}));
    return hop.kind == NextHopKind::broadcast ? std::nullopt : departure(hop, addresses.destination);
}

// Whether the hooks let a packet of the box's own pass; otherwise it has been counted.
bool passes_output(Context& context, Passage& passage, Departure& to, InterfaceId in) {
    if (context.hooks == nullptr)
        return true;
    const auto before = addresses_of(passage.packet).destination;
    auto verdict = context.hooks->output(context, passage);
    // A translated destination may have another way.
    const auto after = addresses_of(passage.packet);
    if (verdict == Verdict::next() && after.destination != before) {
        const auto other = way_of_own(context, after, in);
        verdict = other ? verdict : Verdict::drop(drops::no_route);
        to = other.value_or(to);
        passage.out = to.out;
        passage.mtu = to.mtu;
    }
    if (verdict == Verdict::next())
        verdict = context.hooks->postrouting(context, passage);
    if (verdict == Verdict::next())
        return true;
    context.worker.counters.drop(passage.out, verdict.reason(), passage.packet.size());
    return false;
}

}  // namespace

void originate(Context& context, wire::MutableBytes packet, InterfaceId in, const conntrack::Tracked* about) {
    auto& counters = context.worker.counters;
    const auto addresses = addresses_of(packet);
    const bool is_ip4 = addresses.source.is_ip4();
    counters.originated.add(1);
    counters.protocol.add(is_ip4 ? Protocol::IpOutRequests : Protocol::Ip6OutRequests);
    auto to = way_of_own(context, addresses, in);
    if (!to) {
        counters.protocol.add(is_ip4 ? Protocol::IpOutNoRoutes : Protocol::Ip6InNoRoutes);
        // What is not about a packet from somewhere is the first interface's.
        const InterfaceId charged = in != kNoInterface ? in : context.tables.interfaces.all().front().id;
        counters.drop(charged, drops::no_route, packet.size());
        return;
    }
    Passage passage{.packet = packet, .out = to->out, .mtu = to->mtu, .about = about};
    const PassageScope scope(context.hooks, passage);
    if (!passes_output(context, passage, *to, in))
        return;
    const Arrival arrival{.in = in};
    if (packet.size() > to->mtu && is_ip4) {
        output_fragments(context, wire::Ipv4View::unchecked(packet.data()), *to, arrival);
        return;
    }
    if (packet.size() > to->mtu) {
        [[maybe_unused]] const bool sent =
            output_fragments(context, wire::Ipv6View::unchecked(packet.data()), *to, arrival, {});
        return;
    }
    dpdk::Packet* copy = context.worker.pool.copy_of(packet);
    if (copy == nullptr) {
        counters.drop(to->out, pipeline::drops::no_buffer, packet.size());
        return;
    }
    [[maybe_unused]] const auto verdict = output(context, copy, *to, arrival);
}

}  // namespace sluice::routing
