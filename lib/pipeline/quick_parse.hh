// The parser's short cut for the packet that nearly all packets are: untagged, to the box's own MAC, a whole
// and valid IPv4 header without options or an IPv6 header, between ordinary addresses, with hops left. It
// decides with a few wide loads; whatever it does not know goes to parse_packet(), which says the same at
// length. A test holds the two to each other.
#pragma once

#include <cstdint>
#include <cstring>

#include "base/address.hh"
#include "dpdk/packet.hh"
#include "pipeline/burst.hh"
#include "pipeline/interfaces.hh"

namespace sluice::pipeline {

class QuickParser {
  public:
    QuickParser(InterfaceId device, MacAddress own) : device_(device), own_(word_of(own)) {}

    // True if the packet is on a fast path now and its meta is filled; otherwise nothing has changed.
    bool operator()(dpdk::Packet* packet, PacketMeta& meta) const {
        const uint8_t* frame = dpdk::data(packet);
        const uint32_t length = dpdk::length(packet);
        if (length < kEthernetHeader + 20 || !dpdk::is_contiguous(packet)) [[unlikely]]
            return false;
        const uint64_t source = word48(frame + 6);
        if (word48(frame) != own_ || (source & 1) != 0 || source == own_) [[unlikely]]
            return false;
        const uint16_t type = word16(frame + 12);
        if (type == 0x0008) [[likely]]
            return ip4(packet, frame + kEthernetHeader, length - kEthernetHeader, meta);
        if (type == 0xdd86 && length >= kEthernetHeader + 40)
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
    static uint16_t word16(const uint8_t* from) {
        uint16_t word;
        std::memcpy(&word, from, sizeof word);
        return word;
    }

    // Classes A to C without 0/8, 127/8 and 169.254/16.
    static bool is_ordinary(uint32_t wire) {
        const uint32_t network = wire & 0xff;
        return network - 1 < 223 && network != 127 && (wire & 0xffff) != 0xfea9;
    }
    // Not ::/64, fe80::/10 nor ff00::/8.
    static bool is_ordinary(uint64_t high_half) {
        return high_half != 0 && (high_half & 0xff) != 0xff && (high_half & 0xc0ff) != 0x80fe;
    }

    void settle(dpdk::Packet* packet, PacketMeta& meta, uint32_t l3_length, Path path) const {
        dpdk::set_length(packet, static_cast<uint16_t>(kEthernetHeader + l3_length));
        meta = {.in = device_,
                .l3 = kEthernetHeader,
                .l3_length = static_cast<uint16_t>(l3_length),
                .path = path,
                .link_multicast = false};
    }

    bool ip4(dpdk::Packet* packet, const uint8_t* header, uint32_t room, PacketMeta& meta) const {
        const uint64_t first = word64(header);
        const uint64_t second = word64(header + 8);
        const uint32_t to = word32(header + 16);
        const uint32_t total = __builtin_bswap16(static_cast<uint16_t>(first >> 16));
        // The header's sum, its own checksum included, must come to all ones (R1812-5.2.2).
        uint64_t sum = (first & 0xffffffff) + (first >> 32) + (second & 0xffffffff) + (second >> 32) + to;
        sum = (sum & 0xffff) + ((sum >> 16) & 0xffff) + (sum >> 32);
        sum = (sum & 0xffff) + (sum >> 16);
        const bool checked = ((sum & 0xffff) + (sum >> 16)) == 0xffff;
        const auto from = static_cast<uint32_t>(second >> 32);
        if ((first & 0xff) != 0x45 || total < 20 || total > room || !checked || (second & 0xff) < 2 ||
            !is_ordinary(from) || !is_ordinary(to)) [[unlikely]]
            return false;
        settle(packet, meta, total, Path::ip4_fast);
        return true;
    }

    bool ip6(dpdk::Packet* packet, const uint8_t* header, uint32_t room, PacketMeta& meta) const {
        const uint64_t first = word64(header);
        const uint32_t total = 40U + __builtin_bswap16(static_cast<uint16_t>(first >> 32));
        const uint32_t next_header = (first >> 48) & 0xff;  // 0: hop-by-hop options
        if ((first & 0xf0) != 0x60 || total > room || next_header == 0 || first >> 56 < 2 ||
            !is_ordinary(word64(header + 8)) || !is_ordinary(word64(header + 24))) [[unlikely]]
            return false;
        settle(packet, meta, total, Path::ip6_fast);
        return true;
    }

    InterfaceId device_;
    uint64_t own_;
};

}  // namespace sluice::pipeline
