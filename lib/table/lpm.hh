// Longest-prefix match over IPv4 or IPv6 addresses: built once from a list of prefixes, then only read, by
// any number of threads.
//
// The shape is a trie in the manner of a poptrie (Asai and Ohara, SIGCOMM 2015). The first bits of an address
// index a flat array; below it every node decides six bits. A node does not hold its 64 slots but two
// bitmaps: which slots lead to a further node, and at which slots the answer changes. Counting set bits gives
// the place in the array of nodes, or among the answers, of which equal ones side by side cost nothing. A
// node is one cache line and holds its answers itself if they are few and small, as nearly always.
//
//     address   | top_bits | 6 | 6 | 6 ...
//     top[...]  -> answer, or node -> node -> answer
//
// IPv6 has long stretches in which only one way leads on, such as the 60 zero bits before the 1 in
// 2001:db8::1. A node may therefore stand deeper than its parent's bits end, and compares the bits in
// between. One 64-bit word must do for that and for the slot: where the halves of the address meet there is
// always a node that ends the first.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <type_traits>
#include <vector>

#include "base/address.hh"
#include "table/huge_allocator.hh"

namespace sluice::table {

// The answer where no prefix matches. An entry may carry it to cut a hole.
inline constexpr uint32_t kNoRoute = 0;
inline constexpr uint32_t kMaxRouteValue = 0x7fffffff;
inline constexpr size_t kMaxLpmBurst = 64;

template <typename Address>
struct LpmEntry {
    Address prefix;      // bits behind the length must be zero
    uint8_t length = 0;  // of the prefix: 0 to 32 or 128
    uint32_t value = kNoRoute;
};

// Address: Ip4Address or Ip6Address.
template <typename Address>
class Lpm {
  public:
    using Entry = LpmEntry<Address>;
    // What a burst is made of. IPv4: numbers in host order. IPv6: pointers to 16 bytes in wire order.
    using BurstKey = std::conditional_t<std::is_same_v<Address, Ip4Address>, uint32_t, const uint8_t*>;

    Lpm();  // matches nothing
    // Any order; of entries with the same prefix the last one counts. Values up to kMaxRouteValue.
    static Lpm build(std::span<const Entry> entries);

    [[nodiscard]] uint32_t lookup(const Address& address) const;
    // Up to kMaxLpmBurst at once, level by level, so that the burst waits for memory together.
    void lookup_burst(const BurstKey* addresses, uint32_t* values, size_t count) const;

    [[nodiscard]] size_t memory_bytes() const;

  private:
    static constexpr bool kHasPaths = std::is_same_v<Address, Ip6Address>;
    // For IPv6: which bits come before those the node decides.
    struct Path {
        uint64_t word;       // the half of the address that has them
        uint32_t otherwise;  // the answer for addresses that begin differently
    };
    struct NoPath {};
    static constexpr size_t kHeld = kHasPaths ? 11 : 19;
    static constexpr uint32_t kHoldsAnswers = 0xffffffff;
    // Decides the six bits of an address from `depth` on; those past the end count as zero.
    struct alignas(64) Node {
        uint64_t children;      // bit i: slot i leads to a node
        uint64_t changes;       // bit i: slot i holds an answer unlike the one before it
        uint32_t first_child;   // in nodes_
        uint32_t first_answer;  // in answers_; kHoldsAnswers: they are in `held`
        [[no_unique_address]] std::conditional_t<kHasPaths, Path, NoPath> path;
        uint16_t held[kHeld];
        uint8_t depth;
    };
    struct Builder;
    static constexpr uint32_t kNodeFlag = 0x80000000;
    template <typename T>
    using Array = std::vector<T, HugeAllocator<T>>;

    unsigned top_shift_;   // the first word of an address shifted right by this indexes `top_`
    Array<uint32_t> top_;  // an answer, or kNodeFlag and the place of a node
    Array<Node> nodes_;
    Array<uint32_t> answers_;
};

extern template class Lpm<Ip4Address>;
extern template class Lpm<Ip6Address>;

}  // namespace sluice::table
