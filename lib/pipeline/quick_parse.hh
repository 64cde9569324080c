// The parser's short cut for the packet that nearly all packets are: untagged, to the box's own MAC, a whole
// and valid IPv4 header without options or an IPv6 header, between ordinary addresses, with hops left. It
// decides with a few wide loads; whatever it does not know goes to parse_packet(), which says the same at
// length. A test holds the two to each other.
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

namespace sluice::pipeline {

class QuickParser {
  public:
    QuickParser(InterfaceId device, MacAddress own)
        : own_(word_of(own)), ip4_(meta_of(device, Path::ip4_fast)), ip6_(meta_of(device, Path::ip6_fast)) {}

    // True if the packet is on a fast path now and its meta is filled; otherwise nothing has changed.
    bool operator()(dpdk::Packet* packet, PacketMeta& meta) const {
        const uint8_t* frame = dpdk::data(packet);
        const uint32_t length = dpdk::length(packet);
        if (length < kEthernetHeader + 20 || !dpdk::is_contiguous(packet)) [[unlikely]]
            return false;
        const uint64_t source = word48(frame + 6);
        if (word48(frame) != own_ || (source & 1) != 0 || source == own_) [[unlikely]]
            return false;
        // The EtherType, the version, and the length of an IPv4 header.
        const uint32_t start = word32(frame + 12);
        if ((start & 0xffffff) == 0x450008) [[likely]]
            return ip4(packet, frame + kEthernetHeader, length - kEthernetHeader, meta);
        if ((start & 0xf0ffff) == 0x60dd86 && length >= kEthernetHeader + 40)
            return ip6(packet, frame + kEthernetHeader, length - kEthernetHeader, meta);
        return false;
    }

  private:
    // Reads two bytes more than it gives.
    static uint64_t word48(const uint8_t* from) { return word64(from) & 0xffff'ffff'ffff; }
    static uint64_t word_of(MacAddress address) {
        uint64_t word = 0;
        address.store(&word);
        return word;
    }
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
    // Classes A to C without 0/8, 127/8 and 169.254/16. By its first byte, whether more of an
    // address has to be looked at.
    static constexpr auto kUnusual = [] {
        std::array<uint8_t, 256> unusual{};
        for (size_t network = 0; network < unusual.size(); ++network)
            unusual[network] = network == 0 || network == 127 || network == 169 || network > 223;
        return unusual;
    }();
    static bool is_ordinary(uint32_t wire) {
        const uint32_t network = wire & 0xff;
        return kUnusual[network] == 0 || (network == 169 && (wire & 0xffff) != 0xfea9);
    }
    // Not ::/64, fe80::/10 nor ff00::/8.
    static bool is_ordinary(uint64_t high_half) {
        return high_half != 0 && (high_half & 0xff) != 0xff && (high_half & 0xc0ff) != 0x80fe;
    }

    static uint64_t meta_of(InterfaceId device, Path path) {
        return std::bit_cast<uint64_t>(PacketMeta{
            .in = device, .l3 = kEthernetHeader, .l3_length = 0, .path = path, .link_multicast = false});
    }
    // In one store.
    static void settle(dpdk::Packet* packet, PacketMeta& meta, uint64_t common, uint32_t l3_length) {
        static_assert(offsetof(PacketMeta, l3_length) == 4);
        dpdk::set_length(packet, static_cast<uint16_t>(kEthernetHeader + l3_length));
        meta = std::bit_cast<PacketMeta>(common | uint64_t{l3_length} << 32);
    }

    bool ip4(dpdk::Packet* packet, const uint8_t* header, uint32_t room, PacketMeta& meta) const {
        const uint64_t first = word64(header);
        const uint64_t second = word64(header + 8);
        const uint32_t to = word32(header + 16);
        const uint32_t total = __builtin_bswap16(static_cast<uint16_t>(first >> 16));
        // The header's sum, its own checksum included, must come to all ones (R1812-5.2.2).
        const uint64_t sum = wire::detail::add_around(wire::detail::add_around(first, second), to);
        const auto from = static_cast<uint32_t>(second >> 32);
        if (total - 20 > room - 20 || !wire::detail::is_all_ones(sum) || (second & 0xff) < 2 ||
            !is_ordinary(from) || !is_ordinary(to)) [[unlikely]]
            return false;
        settle(packet, meta, ip4_, total);
        return true;
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
    uint64_t ip4_;  // what the meta of all such packets has in common
    uint64_t ip6_;
};

}  // namespace sluice::pipeline
