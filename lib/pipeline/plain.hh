// Many frames at a time: which of them are plain IPv4 or IPv6, and what the stages behind the parser ask of
// such packets: untagged ones to the box's own MAC, without options, between ordinary addresses, with hops
// left.
//
// The work is done in lanes, a packet in each, by code that is written once and compiled for AVX2 and AVX-512
// (plain_lanes.hh); singly() says the same of one packet after the other at length, and a test holds them to
// each other. Nothing here but integers and pointers: what is compiled for a wider machine must not share
// inline functions with the rest of the program.
#pragma once

#include <cstddef>
#include <cstdint>

namespace sluice::pipeline::plain {

inline constexpr uint64_t kEthernet = 14;  // bytes of its header
// Bytes that are read of each frame, whatever its length: TCP's acknowledgments with timestamps have 66,
// those of IPv6 86.
inline constexpr uint64_t kReadIp4 = 72;
inline constexpr uint64_t kReadIp6 = 88;
inline constexpr size_t kRead = kReadIp6;
// Frames are looked at in groups of so many; arrays are as long as a multiple of it.
inline constexpr size_t kGroup = 8;

struct Frames {
    const uint8_t* const* start;  // kRead bytes of each can be read
    const uint64_t* length;       // 0: not to be looked at
    size_t count;                 // a multiple of kGroup, at most 64
    uint64_t wanted;              // a bit for each; of others nothing may be found
};

// What a plain packet has, at the place of its frame; addresses hold anything elsewhere.
struct Found {
    uint64_t* meta;       // a PacketMeta
    uint64_t* addresses;  // of IPv4: the eight bytes of the IP header from the source on
    uint64_t* rest;       // the ports in host order, the source's lowest, and the protocol above them
};

// Which MAC address is the box's, as the lower six bytes of a word, and what the meta of all packets on
// a family's fast path has in common.
struct Device {
    uint64_t own;
    uint64_t meta;
};

// A bit for each frame.
struct Bits {
    uint64_t fast = 0;    // on its family's fast path; its meta is filled
    uint64_t padded = 0;  // of these, longer than its packet
    // Of these, whole TCP or UDP with at least eight bytes of it; its addresses and ports are filled.
    uint64_t ports = 0;
    // Of these, those of whose transport header nothing is left to be checked: UDP datagrams of right length,
    // and TCP segments that have ACK, neither SYN, FIN, RST nor URG, and no options but timestamps as RFC
    // 7323 appendix A lays them out. Their checksum is right, or there is none. Packets that do not end
    // within kReadIp4 or kReadIp6 bytes are not looked at.
    uint64_t datagrams = 0;
    uint64_t acks = 0;
};

struct Parsers {
    using Parse = Bits (*)(const Device& device, const Frames& frames, const Found& found);
    Parse ip4;
    Parse ip6;
};

Parsers avx2();
Parsers avx512();
// Without lanes.
Parsers singly();

// Whether this machine can run those of avx512().
bool has_avx512();
// What is fastest on this machine.
Parsers choose();

}  // namespace sluice::pipeline::plain
