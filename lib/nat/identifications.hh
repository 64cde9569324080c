// Identifications of IPv4 packets that leave by an address which several hosts share. Each of them counts for
// itself, so that two fragments could come together which do not belong together: packets that are or may be
// fragmented get a number of the box's (RFC 6864 5.3.1, R7857-10).
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

#include "base/random.hh"
#include "conntrack/tuple.hh"
#include "nat/settings.hh"
#include "wire/bytes.hh"

namespace sluice::nat {

// One worker's; no two workers give the same number.
class Identifications {
  public:
    Identifications(const PortShare& share, uint64_t seed) : share_(share), key_(seed) {
        Random random(seed);
        for (auto& counter : counters_)
            counter = static_cast<uint16_t>(random.next());
    }

    // Gives a whole IPv4 packet another one unless it is atomic: not fragmented, and not to be. Its checksum
    // follows.
    void renew(wire::MutableBytes packet);
    // The next one, in wire order, of packets with these addresses, as they lie in a header from the source
    // on.
    uint16_t next(uint64_t addresses, wire::IpProtocol protocol) {
        const uint64_t ends = __builtin_bswap64(addresses);
        const uint64_t mixed = (ends ^ key_ ^ static_cast<uint8_t>(protocol)) * 0x9e3779b97f4a7c15U;
        uint16_t& counter = counters_[mixed >> 53];
        static_assert(kCounters == 1U << (64 - 53));
        const uint32_t number = ++counter * uint32_t{share_.workers} + share_.worker;
        // In a wide register: of 16 bits g++ 12 makes a copy in memory to be read the other way round.
        return static_cast<uint16_t>(__builtin_bswap32(number << 16));
    }

  private:
    // For each of so many kinds of source, destination and protocol. More share a counter, which then only
    // comes around sooner.
    static constexpr size_t kCounters = 2048;

    PortShare share_;
    uint64_t key_;
    std::array<uint16_t, kCounters> counters_;
};

}  // namespace sluice::nat
