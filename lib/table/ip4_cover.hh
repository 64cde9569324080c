// Which IPv4 addresses a list of prefixes covers: built once, then only read, by any number of threads.
//
// A line of memory tells of two blocks of 64 networks (/24) each: of every network whether it is covered as
// a whole, or in part. For those in part there is a bit for each address. So a lookup waits for one line, and
// for a second one where prefixes longer than 24 bits are; Lpm, which knows values and holes, waits for two
// or more. It takes up to 8 MB, as the prefixes are spread, and 32 bytes for each network covered in part.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>

#include "base/address.hh"
#include "table/zeroed_array.hh"

namespace sluice::table {

class Ip4Cover {
  public:
    static constexpr size_t kMaxBurst = 64;
    struct Prefix {
        Ip4Address address;  // bits behind the length must be zero
        uint8_t length = 0;
    };

    // Any order; they may overlap.
    explicit Ip4Cover(std::span<const Prefix> prefixes);

    [[nodiscard]] bool contains(Ip4Address address) const;
    // A bit for each of at most kMaxBurst.
    [[nodiscard]] uint64_t contains_burst(std::span<const Ip4Address> addresses) const;

    [[nodiscard]] size_t memory_bytes() const;

  private:
    static constexpr unsigned kNetworkBits = 8;  // of an address, within its network
    static constexpr unsigned kBlockBits = 6;    // of a network's number, within its block
    static constexpr size_t kBlocks = size_t{1} << (32 - kNetworkBits - kBlockBits);

    // 64 networks, a bit for each.
    struct alignas(32) Block {
        uint64_t whole;
        uint64_t in_part;     // none of those that are whole
        uint32_t first_part;  // in parts_, of those in part, which follow one another
    };
    using Part = std::array<uint64_t, 4>;  // the addresses of a network, a bit for each

    static size_t block_of(Ip4Address address) { return address.host() >> (kNetworkBits + kBlockBits); }
    // Its number within the block.
    static unsigned network_of(Ip4Address address) { return address.host() >> kNetworkBits & 63; }
    // Of a network covered in part.
    [[nodiscard]] static size_t part_of(const Block& block, unsigned network) {
        const uint64_t before = (uint64_t{1} << network) - 1;
        return block.first_part + static_cast<size_t>(__builtin_popcountll(block.in_part & before));
    }
    [[nodiscard]] bool is_in_part(size_t part, Ip4Address address) const {
        const uint32_t last = address.host() & 0xff;
        return (parts_[part][last >> 6] >> (last & 63) & 1) != 0;
    }
    void cover_networks(const Prefix& prefix);
    void cover_addresses(const Prefix& prefix);

    ZeroedArray<Block> blocks_;
    ZeroedArray<Part> parts_;
};

}  // namespace sluice::table
