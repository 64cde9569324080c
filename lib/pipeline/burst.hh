// A burst of packets on its way through the stages, with what was parsed of each beside it.
#pragma once

#include <array>
#include <cstdint>

#include "base/interface_id.hh"
#include "dpdk/packet.hh"

namespace sluice::pipeline {

inline constexpr uint16_t kMaxBurst = 64;

// How a packet goes on after parsing.
enum class Path : uint8_t {
    ip4_fast,  // IPv4 to one ordinary address, no options, nothing special: route, rewrite, send
    ip6_fast,
    ip4_slow,  // valid IPv4 that needs a closer look
    ip6_slow,
    neighbour,  // ARP
    done,       // dropped while parsing
};

// What the parser found. Reset for each packet.
struct PacketMeta {
    InterfaceId in;      // the device, or the VLAN on it
    uint16_t l3;         // offset of the IP header in the frame
    uint16_t l3_length;  // of the IP packet, by its own header
    Path path;
    bool link_multicast;  // the frame's destination was a group address
};
static_assert(sizeof(PacketMeta) == 8);

struct Burst {
    uint16_t count = 0;
    std::array<dpdk::Packet*, kMaxBurst> packets;
    std::array<PacketMeta, kMaxBurst> meta;
};

}  // namespace sluice::pipeline
