#include "pipeline/parse.hh"

#include <algorithm>

#include "pipeline/drops.hh"
#include "pipeline/quick_parse.hh"
#include "wire/ethernet.hh"
#include "wire/ipv4.hh"
#include "wire/ipv6.hh"

namespace sluice::pipeline {
namespace {

// How far ahead packet data is fetched: far enough to hide a miss, near enough to stay in the first-level
// cache.
constexpr uint16_t kPrefetchAhead = 6;

telemetry::DropReason reason_of(wire::Ipv4Error error) {
    switch (error) {
        case wire::Ipv4Error::too_short:
            return drops::ip4_too_short;
        case wire::Ipv4Error::bad_version:
            return drops::ip4_bad_version;
        case wire::Ipv4Error::bad_header_length:
            return drops::ip4_bad_header_length;
        case wire::Ipv4Error::bad_total_length:
            return drops::ip4_bad_total_length;
        case wire::Ipv4Error::truncated:
            return drops::ip4_truncated;
        case wire::Ipv4Error::bad_checksum:
            break;
    }
    return drops::ip4_bad_checksum;
}

telemetry::DropReason reason_of(wire::Ipv6Error error) {
    switch (error) {
        case wire::Ipv6Error::too_short:
            return drops::ip6_too_short;
        case wire::Ipv6Error::bad_version:
            return drops::ip6_bad_version;
        case wire::Ipv6Error::truncated:
            break;
    }
    return drops::ip6_truncated;
}

// A unicast address of classes A to C that is not loopback or link-local: as a source or destination it needs
// no second look.
bool is_ordinary(Ip4Address address) {
    const uint32_t host = address.host();
    const uint32_t network = host >> 24;
    return network - 1 < 223 && network != 127 && host >> 16 != 0xa9fe;
}

// Neither unspecified, loopback, IPv4-mapped, link-local nor multicast.
bool is_ordinary_ip6(const uint8_t* address) {
    uint64_t high;
    std::memcpy(&high, address, sizeof high);
    return high != 0 && address[0] != 0xff && !(address[0] == 0xfe && (address[1] & 0xc0) == 0x80);
}

Verdict parse_ip4(dpdk::Packet* packet, PacketMeta& meta) {
    const auto bytes = std::span<const uint8_t>(dpdk::data(packet) + meta.l3, dpdk::length(packet) - meta.l3);
    // R1812-5.2.2
    const auto view = dpdk::ip4_checksum_is_good(packet) ? wire::Ipv4View::checked_shape(bytes)
                                                         : wire::Ipv4View::checked(bytes);
    if (!view) [[unlikely]]
        return Verdict::drop(reason_of(view.error()));
    meta.l3_length = view->total_length();
    dpdk::set_length(packet, static_cast<uint16_t>(meta.l3 + meta.l3_length));
    const bool fast = !view->has_options() && !meta.link_multicast && view->ttl() > 1 &&
                      is_ordinary(view->source()) && is_ordinary(view->destination());
    meta.path = fast ? Path::ip4_fast : Path::ip4_slow;
    return Verdict::next();
}

Verdict parse_ip6(dpdk::Packet* packet, PacketMeta& meta) {
    const uint8_t* header = dpdk::data(packet) + meta.l3;
    const auto view = wire::Ipv6View::checked({header, static_cast<size_t>(dpdk::length(packet) - meta.l3)});
    if (!view) [[unlikely]]
        return Verdict::drop(reason_of(view.error()));
    // A payload of 65535 bytes and the header do not fit 16 bits, nor any frame that a device gives.
    meta.l3_length = static_cast<uint16_t>(view->total_length());
    dpdk::set_length(packet, static_cast<uint16_t>(meta.l3 + meta.l3_length));
    const bool fast = !meta.link_multicast && view->hop_limit() > 1 &&
                      view->next_header() != wire::IpProtocol::hop_by_hop && is_ordinary_ip6(header + 8) &&
                      is_ordinary_ip6(header + 24);
    meta.path = fast ? Path::ip6_fast : Path::ip6_slow;
    return Verdict::next();
}

Verdict parse_payload(dpdk::Packet* packet, wire::EtherType type, PacketMeta& meta) {
    switch (type) {
        case wire::EtherType::ipv4:
            return parse_ip4(packet, meta);
        case wire::EtherType::ipv6:
            return parse_ip6(packet, meta);
        case wire::EtherType::arp:
            meta.l3_length = static_cast<uint16_t>(dpdk::length(packet) - meta.l3);
            meta.path = Path::neighbour;
            return Verdict::next();
        default:
            return Verdict::drop(drops::unknown_ethertype);
    }
}

// A tag with VLAN 0 carries a priority only, and the frame belongs to the device itself (802.1Q).
Verdict parse_vlan(const Interfaces& interfaces, PortId port, dpdk::Packet* packet, PacketMeta& meta,
                   wire::EtherType& type) {
    const auto tag =
        wire::VlanView::checked(dpdk::bytes(static_cast<const dpdk::Packet*>(packet)).subspan(meta.l3));
    if (!tag)
        return Verdict::drop(drops::frame_too_short);
    const InterfaceId id = tag->id() == kNoVlan ? meta.in : interfaces.of_vlan(port, tag->id());
    if (id == kNoInterface || type == wire::EtherType::service_vlan)
        return Verdict::drop(drops::unknown_vlan);
    meta.in = id;
    meta.l3 += kVlanTag;
    type = tag->ether_type();
    return Verdict::next();
}

}  // namespace

Verdict parse_packet(const Interfaces& interfaces, PortId port, dpdk::Packet* packet, PacketMeta& meta) {
    meta = {.in = interfaces.of_port(port),
            .l3 = kEthernetHeader,
            .l3_length = 0,
            .path = Path::done,
            .link_multicast = false};
    if (!dpdk::is_contiguous(packet)) [[unlikely]]
        return Verdict::drop(drops::frame_too_long);
    if (dpdk::length(packet) < kEthernetHeader) [[unlikely]]
        return Verdict::drop(drops::frame_too_short);
    const auto frame = wire::EthernetView::unchecked(dpdk::bytes(static_cast<const dpdk::Packet*>(packet)));
    auto type = frame.ether_type();
    if (wire::is_vlan(type)) [[unlikely]] {
        if (const auto verdict = parse_vlan(interfaces, port, packet, meta, type);
            verdict.kind() != Verdict::Kind::next)
            return verdict;
    }
    const Interface& in = interfaces[meta.in];
    const MacAddress destination = frame.destination();
    if (destination != in.mac) [[unlikely]] {
        if (!destination.is_multicast())
            return Verdict::drop(drops::other_host);
        meta.link_multicast = true;
    }
    if ((dpdk::data(packet)[6] & 1) != 0 || frame.source() == in.mac) [[unlikely]]
        return Verdict::drop(drops::bad_source_mac);
    return parse_payload(packet, type, meta);
}

namespace {

// The frames that the short cut does not know.
void parse_at_length(Worker& worker, const Interfaces& interfaces, PortId port, dpdk::Packet* packet,
                     PacketMeta& meta) {
    const uint32_t length = dpdk::total_length(packet);
    const auto verdict = parse_packet(interfaces, port, packet, meta);
    if (meta.in != interfaces.of_port(port)) {
        auto& counters = worker.counters.interface(meta.in);
        counters.rx_packets.add(1);
        counters.rx_bytes.add(length);
    }
    if (verdict.kind() != Verdict::Kind::next)
        finish(worker, packet, meta.in, verdict);
}

}  // namespace

void parse(Worker& worker, const Interfaces& interfaces, PortId port, Burst& burst) {
    for (uint16_t i = 0; i < burst.count && i < kPrefetchAhead; ++i)
        dpdk::prefetch_data(burst.packets[i]);
    const InterfaceId device = interfaces.of_port(port);
    const QuickParser quick_parse(device, interfaces[device].mac);
    uint64_t total = 0;
    const size_t last = burst.count == 0 ? 0 : burst.count - 1;
    for (size_t i = 0; i < burst.count; ++i) {
        dpdk::prefetch_data(burst.packets[std::min(i + kPrefetchAhead, last)]);
        dpdk::Packet* packet = burst.packets[i];
        total += dpdk::total_length(packet);
        if (!quick_parse(packet, burst.meta[i])) [[unlikely]]
            parse_at_length(worker, interfaces, port, packet, burst.meta[i]);
    }
    worker.counters.received.add(burst.count);
    auto& counters = worker.counters.interface(device);
    counters.rx_packets.add(burst.count);
    counters.rx_bytes.add(total);
}

}  // namespace sluice::pipeline
