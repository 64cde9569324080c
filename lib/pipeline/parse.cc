#include "pipeline/parse.hh"

#include <algorithm>

#include "base/prefetch.hh"
#include "pipeline/drops.hh"
#include "pipeline/large.hh"
#include "pipeline/places.hh"
#include "pipeline/plain.hh"
#include "wire/ethernet.hh"
#include "wire/ipv4.hh"
#include "wire/ipv6.hh"

namespace sluice::pipeline {
namespace {

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

bool is_fast(wire::Ipv4View view, const PacketMeta& meta) {
    return !view.has_options() && !meta.link_multicast && view.ttl() > 1 && is_ordinary(view.source()) &&
           is_ordinary(view.destination());
}

bool is_fast(wire::Ipv6View view, const PacketMeta& meta) {
    const uint8_t* const header = view.header().data();
    return !meta.link_multicast && view.hop_limit() > 1 &&
           view.next_header() != wire::IpProtocol::hop_by_hop && is_ordinary_ip6(header + 8) &&
           is_ordinary_ip6(header + 24);
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
    meta.path = is_fast(*view, meta) ? Path::ip4_fast : Path::ip4_slow;
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
    meta.path = is_fast(*view, meta) ? Path::ip6_fast : Path::ip6_slow;
    return Verdict::next();
}

// As fast as its segments would be, if TCP follows directly.
Verdict parse_large(const dpdk::Packet* packet, wire::EtherType type, PacketMeta& meta) {
    const auto large = LargeFrame::find(packet, meta.l3);
    const uint8_t* const header = dpdk::data(packet) + meta.l3;
    const bool is_ip4 = type == wire::EtherType::ipv4;
    if (!large || (!is_ip4 && type != wire::EtherType::ipv6) || header[0] >> 4 != (is_ip4 ? 4 : 6))
        return Verdict::drop(drops::large_malformed);
    meta.l3_length = static_cast<uint16_t>(dpdk::total_length(packet) - meta.l3);
    if (is_ip4) {
        const auto view = wire::Ipv4View::unchecked(header);
        if (!dpdk::ip4_checksum_is_good(packet) && !view.checksum_verifies())
            return Verdict::drop(drops::ip4_bad_checksum);
        meta.path = is_fast(view, meta) ? Path::ip4_large : Path::large_slow;
    } else {
        const auto view = wire::Ipv6View::unchecked(header);
        const bool is_direct = view.next_header() == wire::IpProtocol::tcp;
        meta.path = is_direct && is_fast(view, meta) ? Path::ip6_large : Path::large_slow;
    }
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
    const bool large = dpdk::is_large(packet);
    if (!dpdk::is_contiguous(packet) && !large) [[unlikely]]
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
    return large ? parse_large(packet, type, meta) : parse_payload(packet, type, meta);
}

Verdict parse_segment(dpdk::Packet* packet, PacketMeta& meta) {
    return dpdk::data(packet)[meta.l3] >> 4 == 4 ? parse_ip4(packet, meta) : parse_ip6(packet, meta);
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

// Chosen once, by what the machine has.
const plain::Parsers kPlainParsers = plain::choose();

// Where the frames of a burst begin, which is left with its keys, and their lengths; their bytes on the way.
class FrameStarts {
  public:
    explicit FrameStarts(Burst& burst) : starts_(burst.keys.frames), count_(burst.count) {
        for (size_t end = count_; end % plain::kGroup != 0; ++end)
            put_nothing(end);
    }
    void put_nothing(size_t place) {
        starts_[place] = nothing_.data();
        lengths_[place] = 0;
    }
    // Its length, also of one in pieces.
    uint32_t put(size_t place, dpdk::Packet* packet) {
        if (dpdk::is_contiguous(packet) && dpdk::room(packet) >= plain::kRead) [[likely]] {
            uint8_t* const start = dpdk::data(packet);
            const uint16_t length = dpdk::length(packet);
            starts_[place] = start;
            lengths_[place] = length;
            prefetch_line(start);
            return length;
        }
        put_nothing(place);
        prefetch_line(dpdk::data(packet));
        return dpdk::total_length(packet);
    }
    // Those that are wanted, with frames of no length behind the last.
    [[nodiscard]] plain::Frames wanted(uint64_t places) const {
        constexpr size_t kUp = plain::kGroup - 1;
        return {.start = starts_.data(),
                .length = lengths_.data(),
                .count = (count_ + kUp) / plain::kGroup * plain::kGroup,
                .wanted = places};
    }

    // By its EtherType, the first one is of IPv6.
    [[nodiscard]] bool begins_with_ip6() const { return starts_[0][12] == 0x86; }
    [[nodiscard]] const uint8_t* operator[](size_t place) const { return starts_[place]; }

  private:
    static_assert(kMaxBurst % plain::kGroup == 0);
    // Read instead of a frame that is too short or in pieces. Nobody writes it.
    alignas(64) inline static std::array<uint8_t, plain::kRead> nothing_{};
    std::array<uint8_t*, kMaxBurst>& starts_;
    size_t count_;
    alignas(64) std::array<uint64_t, kMaxBurst> lengths_;
};

bool is_ordinary_ip(Path path) {
    return path == Path::ip4_fast || path == Path::ip4_slow || path == Path::ip6_fast ||
           path == Path::ip6_slow;
}

// The packets of a device that gives large frames, and leaves transport checksums to us. The short cut knows
// neither.
void parse_virtual(Worker& worker, const Interfaces& interfaces, PortId port, Burst& burst) {
    uint64_t total = 0;
    for (size_t i = 0; i < burst.count; ++i) {
        dpdk::Packet* packet = burst.packets[i];
        total += dpdk::total_length(packet);
        PacketMeta& meta = burst.meta[i];
        parse_at_length(worker, interfaces, port, packet, meta);
        if (is_ordinary_ip(meta.path) && dpdk::lacks_transport_checksum(packet))
            complete_transport_checksum({dpdk::data(packet) + meta.l3, meta.l3_length});
    }
    count_received(worker, interfaces.of_port(port), burst.count, total);
}

}  // namespace

void count_received(Worker& worker, InterfaceId device, uint64_t packets, uint64_t bytes) {
    worker.counters.received.add(packets);
    auto& counters = worker.counters.interface(device);
    counters.rx_packets.add(packets);
    counters.rx_bytes.add(bytes);
}

plain::Device plain_device(InterfaceId device, MacAddress own, Path path) {
    uint64_t word = 0;
    own.store(&word);
    const PacketMeta meta{
        .in = device, .l3 = kEthernetHeader, .l3_length = 0, .path = path, .link_multicast = false};
    static_assert(offsetof(PacketMeta, l3_length) == 4);
    return {.own = word, .meta = std::bit_cast<uint64_t>(meta)};
}

void parse(Worker& worker, const Interfaces& interfaces, PortId port, Burst& burst) {
    burst.keys.forget();
    if (burst.count == 0)
        return;
    if (interfaces[interfaces.of_port(port)].large_receive) [[unlikely]] {
        parse_virtual(worker, interfaces, port, burst);
        return;
    }
    const InterfaceId device = interfaces.of_port(port);
    const MacAddress own = interfaces[device].mac;
    uint64_t total = 0;
    FrameStarts frames(burst);
    for (size_t i = 0; i < burst.count; ++i)
        total += frames.put(i, burst.packets[i]);
    static_assert(sizeof(PacketMeta) == sizeof(uint64_t));
    const plain::Found found{.meta = reinterpret_cast<uint64_t*>(burst.meta.data()),
                             .addresses = burst.keys.addresses.data(),
                             .rest = burst.keys.rest.data()};
    uint64_t padded = 0;
    uint64_t others = first_places(burst.count);
    // Of most bursts all packets are of the first one's family.
    const bool ip6_first = frames.begins_with_ip6();
    for (const bool ip6 : {ip6_first, !ip6_first}) {
        if (others == 0) [[likely]]
            break;
        const auto parse_plain = ip6 ? kPlainParsers.ip6 : kPlainParsers.ip4;
        const auto plain = parse_plain(plain_device(device, own, ip6 ? Path::ip6_fast : Path::ip4_fast),
                                       frames.wanted(others), found);
        (ip6 ? burst.keys.ip6 : burst.keys.ip4) = {
            .all = plain.ports, .datagrams = plain.datagrams, .acks = plain.acks};
        padded |= plain.padded;
        others &= ~plain.fast;
    }
    for_each_place(padded, [&](size_t i) {
        dpdk::set_length(burst.packets[i], kEthernetHeader + burst.meta[i].l3_length);
    });
    for_each_place(others, [&](size_t i) {
        parse_at_length(worker, interfaces, port, burst.packets[i], burst.meta[i]);
    });
    count_received(worker, device, burst.count, total);
}

void find_keys(Burst& burst) {
    burst.keys.forget();
    FrameStarts frames(burst);
    uint64_t ip4 = 0;
    uint64_t ip6 = 0;
    // They came by any port. The keys are found of those that came as the first one did, since packets with
    // keys may be taken for ones like it; of the others they are found one by one, where they are needed.
    InterfaceId in = kNoInterface;
    for (size_t i = 0; i < burst.count; ++i) {
        const auto& meta = burst.meta[i];
        const bool is_plain =
            meta.l3 == kEthernetHeader && (meta.path == Path::ip4_fast || meta.path == Path::ip6_fast);
        if (is_plain && in == kNoInterface)
            in = meta.in;
        if (!is_plain || meta.in != in) {
            frames.put_nothing(i);
            continue;
        }
        frames.put(i, burst.packets[i]);
        (meta.path == Path::ip4_fast ? ip4 : ip6) |= place_bit(i);
    }
    if ((ip4 | ip6) == 0)
        return;
    alignas(64) std::array<uint64_t, kMaxBurst> ignored;
    const plain::Found found{
        .meta = ignored.data(), .addresses = burst.keys.addresses.data(), .rest = burst.keys.rest.data()};
    const uint8_t* const first = frames[static_cast<size_t>(std::countr_zero(ip4 | ip6))];
    const plain::Device device{.own = wire::detail::load_u64(first) & 0xffff'ffff'ffff, .meta = 0};
    const auto keyed = [](const plain::Bits& bits) {
        return KeyedPlaces{.all = bits.ports, .datagrams = bits.datagrams, .acks = bits.acks};
    };
    if (ip4 != 0)
        burst.keys.ip4 = keyed(kPlainParsers.ip4(device, frames.wanted(ip4), found));
    if (ip6 != 0)
        burst.keys.ip6 = keyed(kPlainParsers.ip6(device, frames.wanted(ip6), found));
}

}  // namespace sluice::pipeline
