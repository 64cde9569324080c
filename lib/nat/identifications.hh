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
    Identifications(const PortShare& share, uint64_t seed) : key_(seed) {
        const uint32_t each = 0x10000U / share.workers;
        first_ = static_cast<uint16_t>(share.worker * each);
        last_ = static_cast<uint16_t>(first_ + each - 1);
        Random random(seed);
        for (auto& given : given_)
            given = static_cast<uint16_t>(first_ + random.below(each));
    }

    // Gives a whole IPv4 packet another one unless it is atomic: not fragmented, and not to be. Its checksum
    // follows.
    void renew(wire::MutableBytes packet);
    // The next one, in wire order, of packets with these addresses, as they lie in a header from the source
    // on.
    uint16_t next(uint64_t addresses, wire::IpProtocol protocol) {
        const uint64_t ends = __builtin_bswap64(addresses);
        const uint64_t mixed = (ends ^ key_ ^ static_cast<uint8_t>(protocol)) * 0x9e3779b97f4a7c15U;
        uint16_t& given = given_[mixed >> 53];
        static_assert(kKinds == 1U << (64 - 53));
        const uint32_t number = given == last_ ? first_ : given + 1U;
        given = static_cast<uint16_t>(number);
        // In a wide register: of 16 bits g++ 12 makes a copy in memory to be read the other way round.
        return static_cast<uint16_t>(__builtin_bswap32(number << 16));
    }

  private:
    // Of source, destination and protocol. Several that share a place only come around sooner.
    static constexpr size_t kKinds = 2048;

    uint64_t key_;
    uint16_t first_;  // of this worker's numbers
    uint16_t last_;
    std::array<uint16_t, kKinds> given_;  // last, to each kind
};

}  // namespace sluice::nat
