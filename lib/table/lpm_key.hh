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
    __extension__ typedef unsigned __int128 Wide;
    Wide word;

    static LpmKey from(const Ip6Address& address) { return from(address.bytes().data()); }
    static LpmKey from(const uint8_t* wire_order) {
        uint64_t high;
        uint64_t low;
        std::memcpy(&high, wire_order, 8);
        std::memcpy(&low, wire_order + 8, 8);
        return {Wide{__builtin_bswap64(high)} << 64 | __builtin_bswap64(low)};
    }
    [[nodiscard]] uint64_t high() const { return static_cast<uint64_t>(word >> 64); }
    [[nodiscard]] uint64_t low() const { return static_cast<uint64_t>(word); }
    [[nodiscard]] uint64_t first_word() const { return high(); }
    // The six bits from `depth` on, zeros behind the end; `depth` is below 128.
    [[nodiscard]] unsigned slot(unsigned depth) const {
        return static_cast<unsigned>((word << depth) >> 122);
    }
    // Whether the first `bits`, 1 to 128, are the same.
    [[nodiscard]] bool same_start(uint64_t other_high, uint64_t other_low, unsigned bits) const {
        return (word ^ (Wide{other_high} << 64 | other_low)) >> (128 - bits) == 0;
    }
    // How many of the first bits are the same.
    [[nodiscard]] unsigned common_bits(const LpmKey& other) const {
        if (high() != other.high())
            return static_cast<unsigned>(__builtin_clzll(high() ^ other.high()));
        if (low() != other.low())
            return 64 + static_cast<unsigned>(__builtin_clzll(low() ^ other.low()));
        return 128;
    }
    bool operator==(const LpmKey&) const = default;
    bool operator<(const LpmKey& other) const { return word < other.word; }
};

}  // namespace sluice::table
