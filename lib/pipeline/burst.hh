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
    ip4_large,  // as ip4_fast, but a large frame: several TCP segments in one
    ip6_large,
    large_slow,  // a large frame whose segments need a closer look
    neighbour,   // ARP
    done,        // dropped while parsing
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

// Which packets of a burst have keys, a bit for each.
struct KeyedPlaces {
    uint64_t all = 0;
    // Of these, those of whose transport header nothing is left to be checked (plain::Bits).
    uint64_t datagrams = 0;
    uint64_t acks = 0;

    void keep(uint64_t places) {
        all &= places;
        datagrams &= places;
        acks &= places;
    }
};

// By which lookups find the flows of packets that have ports. The parser fills it; whoever ends a packet
// later, changes it, or brings a burst from elsewhere makes it forget them.
struct PortsKeys {
    KeyedPlaces ip4;
    KeyedPlaces ip6;
    // By place: of IPv4, the eight bytes of the IP header from the source on; the ports in host order, the
    // source's lowest, and the protocol above them. IPv6's addresses stay where they are.
    alignas(64) std::array<uint64_t, kMaxBurst> addresses;
    alignas(64) std::array<uint64_t, kMaxBurst> rest;
    // Where the frame begins if it has no tag: an Ethernet header in front of the IP header.
    std::array<uint8_t*, kMaxBurst> frames;

    void forget() { ip4 = ip6 = {}; }
    void forget(size_t place) { keep(~(uint64_t{1} << place)); }
    void keep(uint64_t places) {
        ip4.keep(places);
        ip6.keep(places);
    }
};

struct Burst {
    uint16_t count = 0;
    std::array<dpdk::Packet*, kMaxBurst> packets;
    alignas(64) std::array<PacketMeta, kMaxBurst> meta;
    PortsKeys keys;
};

}  // namespace sluice::pipeline
