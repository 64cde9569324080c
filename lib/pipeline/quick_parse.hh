// The parser's short cut for the IPv6 packet that nearly all are: untagged, to the box's own MAC, between
// ordinary addresses, with hops left. It decides with a few wide loads; whatever it does not know goes to
// parse_packet(), which says the same at length. A test holds the two to each other. (IPv4's is plain.hh.)
#pragma once

#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>

#include "base/address.hh"
#include "dpdk/packet.hh"
#include "pipeline/burst.hh"
#include "pipeline/interfaces.hh"
#include "wire/checksum.hh"
#include "wire/ipv6.hh"
#include "wire/tcp.hh"
#include "wire/udp.hh"

namespace sluice::pipeline {

// A MAC address as the lower six bytes of a word that is read from a frame.
inline uint64_t word_of(MacAddress address) {
    uint64_t word = 0;
    address.store(&word);
    return word;
}

// The meta of all packets on a fast path that came untagged, but for their length.
inline uint64_t meta_of(InterfaceId device, Path path) {
    return std::bit_cast<uint64_t>(PacketMeta{
        .in = device, .l3 = kEthernetHeader, .l3_length = 0, .path = path, .link_multicast = false});
}

class QuickIp6Parser {
  public:
    QuickIp6Parser(InterfaceId device, MacAddress own)
        : own_(word_of(own)), ip6_(meta_of(device, Path::ip6_fast)) {}

    // True if the packet is on a fast path now and its meta is filled; otherwise nothing has changed.
    bool operator()(dpdk::Packet* packet, PacketMeta& meta) const {
        const uint8_t* frame = dpdk::data(packet);
        const uint32_t length = dpdk::length(packet);
        if (length < kEthernetHeader + 40 || !dpdk::is_contiguous(packet)) [[unlikely]]
            return false;
        const uint64_t source = word48(frame + 6);
        if (word48(frame) != own_ || (source & 1) != 0 || source == own_) [[unlikely]]
            return false;
        // The EtherType and the version.
        if ((word32(frame + 12) & 0xf0ffff) != 0x60dd86)
            return false;
        return ip6(packet, frame + kEthernetHeader, length - kEthernetHeader, meta);
    }

  private:
    // Reads two bytes more than it gives.
    static uint64_t word48(const uint8_t* from) { return word64(from) & 0xffff'ffff'ffff; }
    static uint64_t word64(const uint8_t* from) {
        uint64_t word;
        std::memcpy(&word, from, sizeof word);
        return word;
    }
    static uint32_t word32(const uint8_t* from) {
        uint32_t word;
        std::memcpy(&word, from, sizeof word);
        return word;
    }
    // Not ::/64, fe80::/10 nor ff00::/8.
    static bool is_ordinary(uint64_t high_half) {
        return high_half != 0 && (high_half & 0xff) != 0xff && (high_half & 0xc0ff) != 0x80fe;
    }

    // In one store.
    static void settle(dpdk::Packet* packet, PacketMeta& meta, uint64_t common, uint32_t l3_length) {
        static_assert(offsetof(PacketMeta, l3_length) == 4);
        dpdk::set_length(packet, static_cast<uint16_t>(kEthernetHeader + l3_length));
        meta = std::bit_cast<PacketMeta>(common | uint64_t{l3_length} << 32);
    }

    bool ip6(dpdk::Packet* packet, const uint8_t* header, uint32_t room, PacketMeta& meta) const {
        const uint64_t first = word64(header);
        const uint32_t total = 40U + __builtin_bswap16(static_cast<uint16_t>(first >> 32));
        const uint32_t next_header = (first >> 48) & 0xff;  // 0: hop-by-hop options
        if (total > room || next_header == 0 || first >> 56 < 2 || !is_ordinary(word64(header + 8)) ||
            !is_ordinary(word64(header + 24))) [[unlikely]]
            return false;
        settle(packet, meta, ip6_, total);
        return true;
    }

    uint64_t own_;
    uint64_t ip6_;  // what the meta of all such packets has in common
};

// The key of an IPv6 packet on its fast path, if it has ports.
inline void add_ip6_key(const uint8_t* header, uint32_t length, size_t place, PortsKeys& keys) {
    const auto protocol = wire::IpProtocol{header[6]};
    const bool has_ports = protocol == wire::IpProtocol::udp || protocol == wire::IpProtocol::tcp;
    if (!has_ports || length < wire::kIpv6HeaderSize + 8) [[unlikely]]
        return;
    uint32_t ports;
    std::memcpy(&ports, header + wire::kIpv6HeaderSize, sizeof ports);
    keys.rest[place] =
        uint64_t{static_cast<uint8_t>(protocol)} << 32 | std::rotl(__builtin_bswap32(ports), 16);
    keys.ip6.all |= uint64_t{1} << place;
}

// Such packets that are longer are not checked: whoever needs it does.
inline constexpr uint32_t kCheckedIp6 = 128 - kEthernetHeader;

// Whether nothing is left to be checked of the transport header of a packet that has a key and came untagged.
inline void check_ip6(const uint8_t* header, uint32_t length, size_t place, PortsKeys& keys) {
    constexpr uint32_t kAddresses = 32;
    constexpr wire::TcpFlags kOthers = wire::kTcpSyn | wire::kTcpFin | wire::kTcpRst | wire::kTcpUrg;
    if (length > kCheckedIp6) [[unlikely]]
        return;
    const uint8_t* const upper = header + wire::kIpv6HeaderSize;
    const size_t upper_length = length - wire::kIpv6HeaderSize;
    const auto protocol = wire::IpProtocol{header[6]};
    // Addresses and upper layer are one stretch; protocol and length are what the pseudo header has besides.
    const uint64_t rest = uint64_t{static_cast<uint8_t>(protocol)} << 8 |
                          uint64_t{__builtin_bswap16(static_cast<uint16_t>(upper_length))} << 16;
    const uint64_t sum = wire::detail::sum_bytes(upper - kAddresses, upper_length + kAddresses);
    const bool sums_up = wire::detail::is_all_ones(wire::detail::add_around(sum, rest));
    const uint64_t bit = uint64_t{1} << place;
    if (protocol == wire::IpProtocol::udp) {
        const auto udp = wire::UdpView::unchecked(upper);
        const bool fits = udp.length() >= wire::kUdpHeaderSize && udp.length() <= upper_length;
        keys.ip6.datagrams |= fits && (sums_up || !udp.has_checksum()) ? bit : 0;
        return;
    }
    const auto tcp = wire::TcpView::checked({upper, upper_length});
    if (sums_up && tcp && tcp->flags().has(wire::kTcpAck) && !tcp->flags().has_any(kOthers))
        keys.ip6.acks |= bit;
}

}  // namespace sluice::pipeline
