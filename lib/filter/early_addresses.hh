// What early rules look up in sets: internal to early.cc and early_frames.cc.
#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>
#include <span>

#include "base/address.hh"
#include "base/byte_order.hh"
#include "filter/field.hh"

namespace sluice::filter {

// The sources, or else the destinations, of packets of IPv4: a word of each has the eight bytes of its header
// from the source on.
inline void take_addresses(std::span<const uint64_t> words, Field field, Ip4Address* addresses) {
    const unsigned shift = field == Field::saddr ? 0 : 32;
    for (size_t place = 0; place < words.size(); ++place)
        addresses[place] =
            Ip4Address::from_wire(Be32::from_wire(static_cast<uint32_t>(words[place] >> shift)));
}

// Whether sets drop so much that asking before parsing pays.
inline bool are_most(uint64_t dropped, size_t packets) {
    return 2 * static_cast<size_t>(std::popcount(dropped)) >= packets;
}

}  // namespace sluice::filter
