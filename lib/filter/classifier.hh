// Finds the rules of a chain that a packet may match, without trying all of them. Rules are sorted by which
// of the four large fields (addresses and ports) they narrow down; each kind gets a binary tree that halves
// the space of headers until few rules are left in a leaf. A leaf lists, in the chain's order, every rule
// that meets its part of the space; the leaves of all trees are merged. Rules found this way are then tried
// in full, so the trees decide only how much is tried, never what matches.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <span>
#include <vector>

#include "base/address.hh"
#include "filter/packet.hh"

namespace sluice::filter {

struct CompiledRules;

// A packet's place in the space of headers. An absent field is beyond all values.
enum class Dimension : uint8_t { saddr_high, saddr_low, daddr_high, daddr_low, sport, dport, proto, in, out };
inline constexpr size_t kDimensions = 9;
inline constexpr uint64_t kAbsent = std::numeric_limits<uint64_t>::max();

struct Point {
    Family family{};
    std::array<uint64_t, kDimensions> at{};
    static Point of(const RulePacket& packet);
};

class Classifier {
  public:
    static constexpr size_t kMaxTrees = 16;  // for each family
    static constexpr size_t kLeafRules = 8;

    Classifier() = default;
    // Of `count` rules from `first` on; places count from there.
    Classifier(const CompiledRules& rules, size_t first, size_t count);

    // Walks over the places of candidates in ascending order.
    class Candidates {
      public:
        static constexpr uint32_t kEnd = 0xffffffff;
        // The next place, or kEnd.
        uint32_t next();

      private:
        friend class Classifier;
        struct Run {
            const uint32_t* at;
            const uint32_t* end;
        };
        std::array<Run, kMaxTrees> runs_;  // none is empty
        size_t count_ = 0;
    };
    [[nodiscard]] Candidates candidates(const Point& point) const;
    [[nodiscard]] size_t memory_bytes() const;

  private:
    friend class ClassifierBuilder;
    // A leaf has no dimension: `left` and `right` are a span of places_.
    struct Node {
        uint64_t split = 0;  // values up to it are on the left
        uint32_t left = 0;
        uint32_t right = 0;
        uint8_t dimension = kLeaf;
        static constexpr uint8_t kLeaf = 0xff;
    };
    std::array<std::vector<uint32_t>, 2> roots_;  // of IPv4 and IPv6 trees, into nodes_
    std::vector<Node> nodes_;
    std::vector<uint32_t> places_;
};

}  // namespace sluice::filter
