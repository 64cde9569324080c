// The internet checksum (RFC 1071), its pseudo headers, and its incremental update (RFC 1624).
//
// Sums run over the bytes as they lie in memory; the one's complement sum does not mind the byte order as
// long as the result is stored the way it was read.
#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>

#include "base/address.hh"
#include "base/byte_order.hh"
#include "wire/bytes.hh"
#include "wire/protocol.hh"

namespace sluice::wire {

namespace detail {

// Folds a wide one's complement sum to 16 bits; not zero unless the sum is zero. A word and the same with its
// halves exchanged: of their sum the upper half has what both halves make, and the lower one's carry.
constexpr uint16_t fold(uint64_t sum) {
    const auto half = static_cast<uint32_t>((sum + std::rotl(sum, 32)) >> 32);
    return static_cast<uint16_t>((half + std::rotl(half, 16)) >> 16);
}

// Whether a wide one's complement sum that is not zero folds to all ones: modulo 0xffff, 2^16 is 1.
constexpr bool is_all_ones(uint64_t sum) {
    return sum % 0xffff == 0;
}

// One's complement addition: the carry comes around.
constexpr uint64_t add_around(uint64_t one, uint64_t other) {
    const uint64_t sum = one + other;
    return sum + (sum < one ? 1 : 0);
}

inline uint32_t load_u32(const uint8_t* from) {
    uint32_t word;
    std::memcpy(&word, from, sizeof word);
    return word;
}

inline uint64_t load_u64(const uint8_t* from) {
    uint64_t word;
    std::memcpy(&word, from, sizeof word);
    return word;
}

// One's complement sum of the words of any number of bytes, a last odd one padded with zero.
uint64_t sum_long(const uint8_t* from, size_t size);

inline uint64_t sum_bytes(const uint8_t* from, size_t size) {
    if (size > 64) {
        return sum_long(from, size);
    }
    uint64_t sum = 0;
    if (size < 8) {
        if (size != 0)
            std::memcpy(&sum, from, size);  // of nothing `from` may be null
        return sum;
    }
    // What the whole words leave, as the end of the last eight bytes; all of it shifted out where they leave
    // nothing.
    sum = load_u64(from + size - 8) >> (8 * (7 - size % 8)) >> 8;
    switch (size / 8) {
        case 8:
            sum = add_around(sum, load_u64(from + 56));
            [[fallthrough]];
        case 7:
            sum = add_around(sum, load_u64(from + 48));
            [[fallthrough]];
        case 6:
            sum = add_around(sum, load_u64(from + 40));
            [[fallthrough]];
        case 5:
            sum = add_around(sum, load_u64(from + 32));
            [[fallthrough]];
        case 4:
            sum = add_around(sum, load_u64(from + 24));
            [[fallthrough]];
        case 3:
            sum = add_around(sum, load_u64(from + 16));
            [[fallthrough]];
        case 2:
            sum = add_around(sum, load_u64(from + 8));
            [[fallthrough]];
        default:
            return add_around(sum, load_u64(from));
    }
}

}  // namespace detail

// A running one's complement sum. Chunks may be of odd length, so that chained buffers can be summed as they
// are.
class Checksum {
  public:
    constexpr Checksum() = default;

    Checksum& add(Bytes bytes) {
        uint64_t sum = detail::sum_bytes(bytes.data(), bytes.size());
        if (odd_) [[unlikely]] {
            sum = __builtin_bswap16(detail::fold(sum));
        }
        odd_ ^= (bytes.size() & 1) != 0;
        return add_sum(sum);
    }
    // The following stand at even offsets.
    constexpr Checksum& add(Be16 value) { return add_sum(value.wire()); }
    constexpr Checksum& add(Be32 value) { return add_sum(value.wire()); }
    constexpr Checksum& add(Ip4Address address) { return add(address.wire()); }
    Checksum& add(const Ip6Address& address) {
        return add_sum(detail::sum_bytes(address.bytes().data(), address.bytes().size()));
    }

    // The value for the checksum field, which was summed as zero or left out. 0x0000 to 0xfffe unless all was
    // zero.
    [[nodiscard]] constexpr Be16 finish() const {
        return Be16::from_wire(static_cast<uint16_t>(~detail::fold(sum_)));
    }
    // As finish(), with UDP's rule that zero is sent as 0xffff since zero means "none" (RFC 768).
    [[nodiscard]] constexpr Be16 finish_udp() const {
        const Be16 result = finish();
        return result.wire() == 0 ? Be16::from_wire(0xffff) : result;
    }
    // Everything including the checksum field was summed: is the checksum right?
    [[nodiscard]] constexpr bool verifies() const { return detail::fold(sum_) == 0xffff; }

  private:
    constexpr Checksum& add_sum(uint64_t sum) {
        // Every addend is folded to 33 bits, so that a sum can take four billion of them.
        sum_ += (sum & 0xffffffff) + (sum >> 32);
        return *this;
    }
    uint64_t sum_ = 0;
    bool odd_ = false;
};

// The checksum of some bytes whose checksum field is zero.
inline Be16 checksum(Bytes bytes) {
    return Checksum{}.add(bytes).finish();
}
// Are the bytes, checksum field included, right?
inline bool checksum_verifies(Bytes bytes) {
    return Checksum{}.add(bytes).verifies();
}

// The pseudo header of IPv4's transports (RFC 9293 3.1, RFC 768); `length` of the transport header and data.
inline Checksum pseudo_header(Ip4Address source, Ip4Address destination, IpProtocol protocol,
                              uint16_t length) {
    Checksum sum;
    sum.add(source).add(destination);
    sum.add(Be16::from_host(static_cast<uint16_t>(protocol))).add(Be16::from_host(length));
    return sum;
}
// The pseudo header of IPv6's transports (RFC 8200 8.1). The destination is the final one.
inline Checksum pseudo_header(const Ip6Address& source, const Ip6Address& destination, IpProtocol protocol,
                              uint32_t length) {
    Checksum sum;
    sum.add(source).add(destination);
    sum.add(Be32::from_host(length)).add(Be32::from_host(static_cast<uint32_t>(protocol)));
    return sum;
}

// What a rewrite of 16-bit-aligned fields does to a checksum that covers them: RFC 1624 equation 3, computed
// once and applied to many packets. Fields at odd offsets must be given as the whole words around them.
class ChecksumDelta {
  public:
    constexpr ChecksumDelta() = default;
    constexpr ChecksumDelta& add(Be16 from, Be16 to) {
        return add_sum(static_cast<uint16_t>(~from.wire()), to.wire());
    }
    constexpr ChecksumDelta& add(Be32 from, Be32 to) { return add_sum(~from.wire(), to.wire()); }
    constexpr ChecksumDelta& add(Ip4Address from, Ip4Address to) { return add(from.wire(), to.wire()); }
    ChecksumDelta& add(const Ip6Address& from, const Ip6Address& to) {
        for (size_t at = 0; at < 16; at += 4) {
            add(Be32::load(from.bytes().data() + at), Be32::load(to.bytes().data() + at));
        }
        return *this;
    }
    // HC' = ~(~HC + ~m + m'). A right checksum stays right, unless nothing but zeros remains of what it
    // covers: that has the checksum 0xffff, which no update yields. Headers and pseudo headers are never
    // zero; an ICMP message can be.
    [[nodiscard]] constexpr Be16 apply(Be16 checksum) const {
        const uint64_t sum = uint64_t{static_cast<uint16_t>(~checksum.wire())} + sum_;
        return Be16::from_wire(static_cast<uint16_t>(~detail::fold(sum)));
    }
    // The same for UDP: zero (none) stays zero, and a computed zero becomes 0xffff (RFC 768).
    [[nodiscard]] constexpr Be16 apply_udp(Be16 checksum) const {
        if (checksum.wire() == 0) {
            return checksum;
        }
        const Be16 result = apply(checksum);
        return result.wire() == 0 ? Be16::from_wire(0xffff) : result;
    }
    constexpr bool operator==(const ChecksumDelta&) const = default;

  private:
    constexpr ChecksumDelta& add_sum(uint64_t inverted_from, uint64_t to) {
        sum_ = detail::fold(sum_ + inverted_from + to);
        return *this;
    }
    uint16_t sum_ = 0;
};

}  // namespace sluice::wire
