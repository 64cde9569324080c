#include "routing/neighbour_service.hh"

#include "pipeline/drops.hh"
#include "routing/drops.hh"
#include "wire/ethernet.hh"

namespace sluice::routing {
namespace {

void free_packet(void* packet) noexcept {
    rte_pktmbuf_free(static_cast<dpdk::Packet*>(packet));
}

telemetry::DropReason reason_of(NeighbourDropReason reason) {
    switch (reason) {
        case NeighbourDropReason::queue_full:
        case NeighbourDropReason::evicted:
            return drops::neighbour_queue_full;
        case NeighbourDropReason::rate_limited:
            return drops::neighbour_rate;
        case NeighbourDropReason::table_full:
            return drops::neighbour_table_full;
        case NeighbourDropReason::interface_down:
            return drops::link_down;
        case NeighbourDropReason::unresolved:
            break;
    }
    return drops::neighbour_unresolved;
}

// Puts a link header in front of a packet that starts behind it.
void prepend_header(dpdk::Packet* packet, MacAddress to, MacAddress from, uint16_t vlan,
                    wire::EtherType type) {
    const bool tagged = vlan != pipeline::kNoVlan;
    dpdk::move_start(packet,
                     -static_cast<int>(wire::kEthernetHeaderSize + (tagged ? wire::kVlanTagSize : 0)));
    const auto frame = dpdk::bytes(packet);
    wire::EthernetHeader{to, from, tagged ? wire::EtherType::vlan : type}.emit(frame);
    if (tagged)
        wire::VlanTag{.id = vlan, .ether_type = type}.emit(frame.subspan(wire::kEthernetHeaderSize));
}

}  // namespace

NeighbourService::NeighbourService(GracePeriod& grace, NeighbourMode mode, const dpdk::PacketPool& pool,
                                   telemetry::PacketCounters& counters, uint64_t seed, Send send,
                                   Conflict conflict)
    : pool_(pool),
      counters_(counters),
      send_(std::move(send)),
      conflict_(std::move(conflict)),
      random_(seed),
      resolver_(table_, grace, random_, mode),
      grace_(grace) {}

void NeighbourService::configure(const pipeline::Interfaces& interfaces,
                                 std::span<const StaticNeighbour> neighbours, Instant now) {
    std::vector<NeighbourInterface> known;
    links_.clear();
    for (const auto& interface : interfaces.all()) {
        // A VLAN may be new, with the number of one that is gone: its link is its device's.
        down_[index(interface.id)] = down_[index(interfaces.of_port(interface.port))];
        known.push_back({.id = interface.id,
                         .name = interface.name,
                         .mac = interface.mac,
                         .addresses = interface.addresses,
                         .up = !down_[index(interface.id)]});
        links_.emplace_back(interface.mac, interface.vlan);
    }
    resolver_.configure(std::move(known), neighbours, now);
}

void NeighbourService::handle(dpdk::Packet* packet, Instant now) {
    if (dpdk::note(packet).errand == dpdk::Errand::neighbour_input) {
        input(packet, now);
    } else {
        const auto& note = dpdk::note(packet);
        resolver_.resolve(note.interface, note.next_hop, HeldPacket(packet, free_packet), now);
    }
    perform();
}

void NeighbourService::input(dpdk::Packet* packet, Instant now) {
    const dpdk::PacketOwner owner(packet);
    const auto in = dpdk::note(packet).interface;
    const auto frame = wire::EthernetView::unchecked(dpdk::bytes(static_cast<const dpdk::Packet*>(packet)));
    const NeighbourPacket input{
        .in = in, .source = frame.source(), .destination = frame.destination(), .bytes = frame.payload()};
    const auto outcome = frame.ether_type() == wire::EtherType::arp ? resolver_.on_arp(input, now)
                                                                    : resolver_.on_nd(input, now);
    counters_.held_out.add(1);
    auto verdict = pipeline::Verdict::consumed();
    if (outcome == NeighbourInput::malformed) {
        verdict = pipeline::Verdict::drop(drops::neighbour_malformed);
        counters_.drop(in, verdict.reason(), dpdk::length(packet));
    } else {
        counters_.consumed.add(1);
    }
    if (watch_ != nullptr)
        watch_->tell(packet, verdict);
}

void NeighbourService::set_link(InterfaceId interface, bool up, Instant now) {
    down_[index(interface)] = !up;
    if (up)
        resolver_.on_link_up(interface, now);
    else
        resolver_.on_link_down(interface, now);
    perform();
}

void NeighbourService::tick(Instant now) {
    resolver_.tick(now);
    perform();
    table_.reclaim(grace_);
}

void NeighbourService::perform() {
    auto actions = resolver_.take_actions();
    for (const auto& frame : actions.frames)
        send_frame(frame);
    for (auto& released : actions.released)
        release(std::move(released));
    for (auto& dropped : actions.dropped)
        give_up(std::move(dropped));
    for (const auto& conflict : actions.conflicts)
        conflict_(conflict);
}

void NeighbourService::drop(dpdk::Packet* packet, InterfaceId interface, telemetry::DropReason reason) {
    counters_.held_out.add(1);
    counters_.drop(interface, reason, dpdk::length(packet));
    if (watch_ != nullptr)
        watch_->tell(packet, pipeline::Verdict::drop(reason));
    rte_pktmbuf_free(packet);
}

void NeighbourService::send_frame(const NeighbourFrame& frame) {
    counters_.originated.add(1);
    dpdk::Packet* packet = pool_.copy_of(frame.bytes());
    if (packet == nullptr) {
        counters_.drop(frame.out, pipeline::drops::no_buffer, frame.size);
        return;
    }
    const auto ethernet = wire::EthernetView::unchecked(frame.bytes());
    dpdk::move_start(packet, wire::kEthernetHeaderSize);
    prepend_header(packet, ethernet.destination(), ethernet.source(), links_[index(frame.out)].second,
                   ethernet.ether_type());
    dpdk::note(packet) = {.errand = dpdk::Errand::transmit,
                          .forwarded = false,
                          .link_multicast = false,
                          .worker = WorkerId{0},
                          .interface = frame.out,
                          .arrival = frame.out,
                          .next_hop = {}};
    counters_.held_in.add(1);
    if (!send_(packet))
        drop(packet, frame.out, pipeline::drops::control_queue_full);
}

void NeighbourService::release(ReleasedPacket released) {
    auto* packet = static_cast<dpdk::Packet*>(released.packet.take());
    const auto [mac, vlan] = links_[index(released.out)];
    const bool is_ip4 = dpdk::data(packet)[0] >> 4 == 4;
    prepend_header(packet, released.to, mac, vlan, is_ip4 ? wire::EtherType::ipv4 : wire::EtherType::ipv6);
    dpdk::note(packet).errand = dpdk::Errand::transmit;
    if (!send_(packet))
        drop(packet, released.out, pipeline::drops::control_queue_full);
}

void NeighbourService::give_up(DroppedPacket dropped) {
    auto* packet = static_cast<dpdk::Packet*>(dropped.packet.take());
    if (dropped.reason != NeighbourDropReason::unresolved) {
        drop(packet, dropped.out, reason_of(dropped.reason));
        return;
    }
    // The worker tells the sender, since it has the routes and the rate limit at hand.
    dpdk::note(packet).errand = dpdk::Errand::unresolved;
    if (!send_(packet))
        drop(packet, dropped.out, drops::neighbour_unresolved);
}

}  // namespace sluice::routing
