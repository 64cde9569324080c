// A field of a key as one number: how ranges are compared and cut into prefixes.
#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>

#include "base/byte_order.hh"

namespace sluice::sets {

__extension__ using Wide = unsigned __int128;

// The number that `width` bytes in wire order stand for; width is at most 16.
inline Wide load_wide(const uint8_t* from, size_t width) {
    if (width == 4)
        return Be32::load(from).host();
    if (width == 16) {
        uint64_t halves[2];
        std::memcpy(halves, from, sizeof halves);
        return Wide{__builtin_bswap64(halves[0])} << 64 | __builtin_bswap64(halves[1]);
    }
    Wide value = 0;
    for (size_t i = 0; i < width; ++i)
        value = value << 8 | from[i];
    return value;
}

inline void store_wide(Wide value, uint8_t* to, size_t width) {
    for (size_t i = width; i-- > 0; value >>= 8)
        to[i] = static_cast<uint8_t>(value);
}

// All numbers below 2^bits; bits is at most 128.
constexpr Wide ones(unsigned bits) {
    return bits == 0 ? Wide{0} : ~Wide{0} >> (128 - bits);
}

constexpr unsigned trailing_zeros(Wide value) {
    const auto low = static_cast<uint64_t>(value);
    return static_cast<unsigned>(low != 0 ? std::countr_zero(low)
                                          : 64 + std::countr_zero(static_cast<uint64_t>(value >> 64)));
}

constexpr unsigned bit_width(Wide value) {
    const auto high = static_cast<uint64_t>(value >> 64);
    return static_cast<unsigned>(high != 0 ? 64 + std::bit_width(high)
                                           : std::bit_width(static_cast<uint64_t>(value)));
}

}  // namespace sluice::sets
