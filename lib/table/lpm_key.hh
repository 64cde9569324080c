// Addresses as numbers of one machine word (IPv4) or two (IPv6), first bit of the address uppermost. Internal
// to lpm.
#pragma once

#include <cstdint>
#include <cstring>

#include "base/address.hh"

namespace sluice::table {

template <typename Address>
struct LpmKey;

// The address in the upper half, so that bits behind its end are zero.
template <>
struct LpmKey<Ip4Address> {
    uint64_t word;

    static LpmKey from(const Ip4Address& address) { return from(address.host()); }
    static LpmKey from(uint32_t host_order) { return {uint64_t{host_order} << 32}; }
    [[nodiscard]] uint64_t first_word() const { return word; }
    // The six bits from `depth` on; `depth` is below 64.
    [[nodiscard]] unsigned slot(unsigned depth) const { return static_cast<unsigned>((word << depth) >> 58); }
    auto operator<=>(const LpmKey&) const = default;
};

template <>
struct LpmKey<Ip6Address> {
    uint64_t words[2];

    static LpmKey from(const Ip6Address& address) { return from(address.bytes().data()); }
    static LpmKey from(const uint8_t* wire_order) {
        uint64_t high;
        uint64_t low;
        std::memcpy(&high, wire_order, 8);
        std::memcpy(&low, wire_order + 8, 8);
        return {{__builtin_bswap64(high), __builtin_bswap64(low)}};
    }
    [[nodiscard]] uint64_t first_word() const { return words[0]; }
    [[nodiscard]] uint64_t word_at(unsigned depth) const { return words[depth / 64]; }
    // The six bits from `depth` on, which must be in one word.
    [[nodiscard]] unsigned slot(unsigned depth) const {
        return static_cast<unsigned>((word_at(depth) << depth % 64) >> 58);
    }
    // Whether the bits before `depth` are those of `word`, as far as they are in the word that `depth` is in.
    [[nodiscard]] bool starts_like(uint64_t word, unsigned depth) const {
        return (word_at(depth) ^ word) >> 1 >> (63 - depth % 64) == 0;
    }
    // How many of the first bits are the same.
    [[nodiscard]] unsigned common_bits(const LpmKey& other) const {
        if (words[0] != other.words[0])
            return static_cast<unsigned>(__builtin_clzll(words[0] ^ other.words[0]));
        if (words[1] != other.words[1])
            return 64 + static_cast<unsigned>(__builtin_clzll(words[1] ^ other.words[1]));
        return 128;
    }
    auto operator<=>(const LpmKey&) const = default;
};

}  // namespace sluice::table
