// Longest-prefix match over IPv4 or IPv6 addresses: built once from a list of prefixes, then only read, by
// any number of threads.
//
// The shape is a trie in the manner of a poptrie (Asai and Ohara, SIGCOMM 2015). The first bits of an address
// index a flat array; below it every node decides six bits. A node does not hold its 64 slots but two
// bitmaps: which slots lead to a further node, and at which slots the answer changes. Counting set bits gives
// the place in the arrays of nodes and of answers, so that a node is half a cache line however full it is,
// and equal answers side by side cost nothing.
//
//     address   | top_bits | 6 | 6 | 6 ...
//     top[...]  -> answer, or node -> node -> answers[...]
//
// IPv6 has long stretches in which only one way leads on, such as the 64 zero bits before the 1 in
// 2001:db8::1. There a node of the other kind, a skip, compares the whole stretch at once.
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
    // Decides the six bits of an address from `depth` on; those past the end count as zero.
    struct Branch {
        uint64_t children;     // bit i: slot i leads to a node
        uint64_t changes;      // bit i: slot i holds an answer unlike the one before it
        uint32_t first_child;  // in nodes_
        uint32_t first_answer;
    };
    // IPv6 only: the first `depth` bits must be those of `high` and `low`, or the answer is `otherwise`.
    struct Skip {
        uint64_t high;
        uint64_t low;
        uint32_t child;
        uint32_t otherwise;
    };
    struct alignas(32) Node {
        union {
            Branch branch;
            Skip skip;
        };
        uint8_t depth;
        bool is_skip;  // never in IPv4, whose tries are at most four nodes deep
    };
    struct Builder;
    struct Step {
        uint32_t place;
        bool goes_on;  // to a node; otherwise to an answer
    };
    static constexpr bool kHasSkips = std::is_same_v<Address, Ip6Address>;
    static constexpr uint32_t kNodeFlag = 0x80000000;
    template <typename T>
    using Array = std::vector<T, HugeAllocator<T>>;

    template <typename Key>
    static Step step(const Node& node, const Key& key);

    unsigned top_shift_;   // the first word of an address shifted right by this indexes `top_`
    Array<uint32_t> top_;  // an answer, or kNodeFlag and the place of a node
    Array<Node> nodes_;
    Array<uint32_t> answers_;
};

extern template class Lpm<Ip4Address>;
extern template class Lpm<Ip6Address>;

}  // namespace sluice::table
