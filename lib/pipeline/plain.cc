#include "pipeline/plain.hh"

#include <algorithm>
#include <array>
#include <cstring>
#include <optional>

#include "base/address.hh"
#include "wire/checksum.hh"
#include "wire/ipv4.hh"
#include "wire/ipv6.hh"
#include "wire/tcp.hh"
#include "wire/udp.hh"

namespace sluice::pipeline::plain {
namespace {

constexpr size_t kPorts = 8;  // bytes that a packet must have of its upper layer, to have ports

uint64_t word48(const uint8_t* from) {
    uint64_t word = 0;
    std::memcpy(&word, from, 6);
    return word;
}

bool is_ordinary(Ip4Address address) {
    const uint32_t network = address.host() >> 24;
    return network - 1 < 223 && network != 127 && address.host() >> 16 != 0xa9fe;
}

// fe80::/10 and ff00::/8 mean something to the box itself; in ::/64 are the unspecified address, the loopback
// and those that hold an IPv4 one.
bool is_ordinary(const Ip6Address& address) {
    const uint8_t* const bytes = address.bytes().data();
    uint64_t high_half = 0;
    std::memcpy(&high_half, bytes, sizeof high_half);
    return high_half != 0 && bytes[0] != 0xff && !(bytes[0] == 0xfe && (bytes[1] & 0xc0) == 0x80);
}

bool is_for_the_box(const Device& device, wire::Bytes frame, uint16_t type) {
    const uint64_t source = word48(frame.data() + 6);
    return word48(frame.data()) == device.own && (frame[6] & 1) == 0 && source != device.own &&
           wire::read16(frame.data() + 12) == type;
}

// Of a plain packet, what the pseudo header makes of its transport checksum, and where its upper layer is.
struct Plain {
    size_t length;  // of the IP packet
    wire::IpProtocol protocol;
    bool is_fragment;
    wire::Bytes upper;
    wire::Checksum pseudo;
    bool is_looked_at;  // it ends within the bytes that may be read
};

std::optional<Plain> plain_ip4(const Device& device, wire::Bytes frame) {
    if (frame.size() < kEthernet + wire::kIpv4HeaderSize || !is_for_the_box(device, frame, 0x0800))
        return std::nullopt;
    const auto header = wire::Ipv4View::checked(frame.subspan(kEthernet));
    if (!header || header->has_options() || header->ttl() <= 1 || !is_ordinary(header->source()) ||
        !is_ordinary(header->destination()))
        return std::nullopt;
    const size_t length = header->total_length();
    const auto upper = frame.subspan(kEthernet).first(length).subspan(wire::kIpv4HeaderSize);
    return Plain{.length = length,
                 .protocol = header->protocol(),
                 .is_fragment = header->is_fragment(),
                 .upper = upper,
                 .pseudo = wire::pseudo_header(header->source(), header->destination(), header->protocol(),
                                               static_cast<uint16_t>(upper.size())),
                 .is_looked_at = kEthernet + length <= kReadIp4};
}

std::optional<Plain> plain_ip6(const Device& device, wire::Bytes frame) {
    if (frame.size() < kEthernet + wire::kIpv6HeaderSize || !is_for_the_box(device, frame, 0x86dd))
        return std::nullopt;
    const auto header = wire::Ipv6View::checked(frame.subspan(kEthernet));
    if (!header || header->hop_limit() <= 1 || header->next_header() == wire::IpProtocol::hop_by_hop ||
        !is_ordinary(header->source()) || !is_ordinary(header->destination()))
        return std::nullopt;
    const auto upper = header->payload();
    return Plain{.length = header->total_length(),
                 .protocol = header->next_header(),
                 .is_fragment = false,
                 .upper = upper,
                 .pseudo = wire::pseudo_header(header->source(), header->destination(), header->next_header(),
                                               static_cast<uint32_t>(upper.size())),
                 .is_looked_at = kEthernet + header->total_length() <= kReadIp6};
}

bool has_usual_options(const wire::TcpView& tcp) {
    constexpr std::array<uint8_t, 4> kTimestamps{1, 1, 8, 10};  // after two NOPs
    const auto options = tcp.options();
    return options.empty() || (options.size() == 12 && std::ranges::equal(options.first(4), kTimestamps));
}

bool is_sound(const Plain& plain) {
    if (plain.protocol == wire::IpProtocol::udp) {
        const auto udp = wire::UdpView::checked(plain.upper);
        return udp && (!udp->has_checksum() || wire::Checksum(plain.pseudo).add(plain.upper).verifies());
    }
    constexpr wire::TcpFlags kOthers = wire::kTcpSyn | wire::kTcpFin | wire::kTcpRst | wire::kTcpUrg;
    const auto tcp = wire::TcpView::checked(plain.upper);
    return tcp && tcp->flags().has(wire::kTcpAck) && !tcp->flags().has_any(kOthers) &&
           has_usual_options(*tcp) && tcp->checksum_verifies(plain.pseudo);
}

template <Family family>
Bits parse_singly(const Device& device, const Frames& frames, const Found& found) {
    Bits bits;
    for (size_t at = 0; at < frames.count; ++at) {
        const uint64_t bit = uint64_t{1} << at;
        const wire::Bytes frame(frames.start[at], frames.length[at]);
        const auto plain = family == Family::ip4 ? plain_ip4(device, frame) : plain_ip6(device, frame);
        if ((frames.wanted & bit) == 0 || !plain)
            continue;
        found.meta[at] = device.meta | uint64_t{plain->length} << 32;
        bits.fast |= bit;
        bits.padded |= frame.size() != kEthernet + plain->length ? bit : 0;

        const bool is_udp = plain->protocol == wire::IpProtocol::udp;
        if ((!is_udp && plain->protocol != wire::IpProtocol::tcp) || plain->is_fragment ||
            plain->upper.size() < kPorts)
            continue;
        if constexpr (family == Family::ip4)
            std::memcpy(&found.addresses[at], frame.data() + kEthernet + 12, sizeof found.addresses[at]);
        found.rest[at] = uint64_t{static_cast<uint8_t>(plain->protocol)} << 32 |
                         uint64_t{wire::read16(plain->upper.data() + 2)} << 16 |
                         wire::read16(plain->upper.data());
        bits.ports |= bit;
        if (plain->is_looked_at && is_sound(*plain))
            (is_udp ? bits.datagrams : bits.acks) |= bit;
    }
    return bits;
}

}  // namespace

Parsers singly() {
    return {.ip4 = parse_singly<Family::ip4>, .ip6 = parse_singly<Family::ip6>};
}

bool has_avx512() {
    return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512dq") &&
           __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512vl");
}

Parsers choose() {
    // Processors that came before this extension lower their clock for registers of 512 bits, by more than
    // these save.
    const bool keeps_its_clock = __builtin_cpu_supports("avx512vbmi2");
    return has_avx512() && keeps_its_clock ? avx512() : avx2();
}

}  // namespace sluice::pipeline::plain
