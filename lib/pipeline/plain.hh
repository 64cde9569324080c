// Many frames at a time: which of them are plain IPv4, and what the stages behind the parser ask of such
// packets.
//
// The work is done in lanes, a packet in each, by code that is written once and compiled for AVX2 and AVX-512
// (plain_lanes.hh); ip4_at() says the same of one packet at length, and a test holds them to each other.
// Nothing here but integers and pointers: what is compiled for a wider machine must not share inline
// functions with the rest of the program.
#pragma once

#include <cstddef>
#include <cstdint>

namespace sluice::pipeline::plain {

// Bytes that are read of each frame, whatever its length: TCP's acknowledgments with timestamps have 66.
inline constexpr size_t kRead = 72;
// Frames are looked at in groups of so many; arrays are as long as a multiple of it.
inline constexpr size_t kGroup = 8;

struct Frames {
    const uint8_t* const* start;  // kRead bytes of each can be read
    const uint64_t* length;       // 0: not to be looked at
    size_t count;                 // a multiple of kGroup, at most 64
};

// What a plain packet has, at the place of its frame; elsewhere anything.
struct Found {
    uint64_t* meta;       // a PacketMeta
    uint64_t* addresses;  // the eight bytes of the IP header from the source on
    uint64_t* rest;       // the ports in host order, the source's lowest, and the protocol above them
};

// Which MAC address is the box's, as the lower six bytes of a word, and what the meta of all packets on
// IPv4's fast path has in common.
struct Device {
    uint64_t own;
    uint64_t meta;
};

// A bit for each frame.
struct Bits {
    uint64_t ip4_fast = 0;  // on IPv4's fast path; its meta is filled
    uint64_t padded = 0;    // of these, longer than its packet
    // Of these, whole TCP or UDP with at least eight bytes of it; its addresses and ports are filled.
    uint64_t ports = 0;
    // Of these, those of whose transport header nothing is left to be checked: UDP datagrams of right length,
    // and TCP segments with a whole header that have ACK and neither SYN, FIN, RST nor URG. Their checksum is
    // right, or there is none. Packets that do not end within kRead bytes are not looked at.
    uint64_t datagrams = 0;
    uint64_t acks = 0;
};

using Parse = Bits (*)(const Device& device, const Frames& frames, const Found& found);

Bits parse_avx2(const Device& device, const Frames& frames, const Found& found);
Bits parse_avx512(const Device& device, const Frames& frames, const Found& found);
// One after the other, without lanes.
Bits parse_singly(const Device& device, const Frames& frames, const Found& found);

// Whether this machine can run parse_avx512().
bool has_avx512();
// What is fastest on this machine.
Parse choose();

}  // namespace sluice::pipeline::plain
