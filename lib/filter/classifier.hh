// Finds the rules of a chain that a packet may match, without trying all of them. Rules are sorted by which
// of the four large fields (addresses and ports) they narrow down; each kind gets a tree that divides the
// space of headers until few rules are left in a leaf. A leaf lists, in the chain's order, every rule that
// meets its part of the space; the leaves of all trees are merged. Each rule found this way is held to its
// box, the smallest part of the space with all packets it matches; for many rules nothing is left to check
// then. Trees and boxes decide only how much is tried, never what matches.
#pragma once

#include <immintrin.h>

#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <span>
#include <vector>

#include "base/address.hh"
#include "base/prefetch.hh"
#include "filter/match.hh"
#include "filter/packet.hh"
#include "wire/bytes.hh"

namespace sluice::filter {

// The space of headers. An IPv6 address takes four dimensions, of 32 bits each.
enum class Dimension : uint8_t {
    saddr,  // IPv4: all of it
    daddr,
    sport,
    dport,
    proto,
    in,
    out,
    ct,
    saddr_1,  // IPv6 only from here on
    saddr_2,
    saddr_3,
    daddr_1,
    daddr_2,
    daddr_3,
};
inline constexpr size_t kDimensions = 14;
// Of a field that the packet does not have; beyond all values but those of addresses, which are never absent.
inline constexpr uint32_t kAbsent = std::numeric_limits<uint32_t>::max();

// A packet's place in the space.
struct Point {
    static constexpr size_t kSize = 16;          // two lines of lanes; those beyond kDimensions are free
    alignas(32) std::array<uint32_t, kSize> at;  // of IPv4 the first eight
    Family family{};

    static Point of(const RulePacket& packet);
    // Of a TCP or UDP packet whose outgoing interface is not known yet. Host order.
    struct Ip4Fields {
        uint32_t saddr;
        uint32_t daddr;
        uint16_t sport;
        uint16_t dport;
        uint8_t proto;
        InterfaceId in;
        conntrack::CtState ct;
    };
    static Point of_ip4(const Ip4Fields& fields);
    void set(Dimension dimension, uint32_t value) { at[static_cast<size_t>(dimension)] = value; }

  private:
    // The first line, in one store, as it is loaded.
    void set_first(const std::array<uint32_t, 8>& first) {
        const auto lane = [&first](size_t i) { return static_cast<int>(first[i]); };
        _mm256_store_si256(
            reinterpret_cast<__m256i*>(at.data()),
            _mm256_setr_epi32(lane(0), lane(1), lane(2), lane(3), lane(4), lane(5), lane(6), lane(7)));
    }
    // Of IPv6 addresses in a header.
    void set_other_words(const uint8_t* source, const uint8_t* destination) {
        for (size_t word = 1; word < 4; ++word) {
            at[7 + word] = wire::read32(source + 4 * word);
            at[10 + word] = wire::read32(destination + 4 * word);
        }
        at[kDimensions] = at[kDimensions + 1] = 0;
    }
};
static_assert(static_cast<size_t>(Dimension::saddr_1) == 8 && static_cast<size_t>(Dimension::daddr_1) == 11);

inline Point Point::of(const RulePacket& packet) {
    using wire::IpProtocol;
    const auto& transport = packet.transport;
    const uint8_t* const header = packet.ip.bytes().data();
    const bool has_both = (transport.protocol == IpProtocol::tcp || transport.protocol == IpProtocol::udp) &&
                          transport.known && !transport.later_fragment &&
                          transport.offset + 4U <= packet.ip.length();
    uint32_t sport;
    uint32_t dport;
    if (has_both) [[likely]] {
        sport = wire::read16(header + transport.offset);
        dport = wire::read16(header + transport.offset + 2);
    } else {
        sport = static_cast<uint32_t>(number_of(Field::sport, packet));
        dport = static_cast<uint32_t>(number_of(Field::dport, packet));
    }
    Point point;
    point.family = packet.ip.family();
    const bool is_ip4 = point.family == Family::ip4;
    const uint8_t* const source = header + (is_ip4 ? 12 : 8);
    const uint8_t* const destination = header + (is_ip4 ? 16 : 24);
    point.set_first({wire::read32(source), wire::read32(destination), sport, dport,
                     transport.known ? static_cast<uint32_t>(transport.protocol) : kAbsent,
                     static_cast<uint32_t>(index(packet.in)), static_cast<uint32_t>(index(packet.out)),
                     static_cast<uint32_t>(packet.ct.state)});
    if (!is_ip4)
        point.set_other_words(source, destination);
    return point;
}
static_assert(static_cast<uint32_t>(kMissing) == kAbsent);

inline Point Point::of_ip4(const Ip4Fields& fields) {
    Point point;
    point.family = Family::ip4;
    point.set_first({fields.saddr, fields.daddr, fields.sport, fields.dport, fields.proto,
                     static_cast<uint32_t>(index(fields.in)), static_cast<uint32_t>(index(kNoInterface)),
                     static_cast<uint32_t>(fields.ct)});
    return point;
}

class Classifier {
  public:
    static constexpr size_t kMaxTrees = 16;  // for each family
    static constexpr size_t kLeafRules = 2;
    // Of open_checks(): stands for the check of that place and all behind it.
    static constexpr size_t kLastOpenBit = 31;

    Classifier() = default;
    // Of `count` rules from `first` on; places count from there.
    Classifier(const CompiledRules& rules, size_t first, size_t count);

    // Walks over the places of candidates in ascending order.
    class Candidates;
    // Borrows the classifier.
    [[nodiscard]] Candidates candidates(const Point& point) const;
    // Asks memory for what candidates() and next() will read of so many points of IPv4, and tells of each
    // what next() will tell first. Waits for all of them together, which is worth it where there are more
    // rules than the caches hold.
    static constexpr size_t kMaxBurst = 64;
    static constexpr uint32_t kNoPlace = 0xffffffff;
    void prefetch(std::span<const Point> points, std::span<uint32_t> places) const;
    [[nodiscard]] size_t memory_bytes() const;

  private:
    friend class ClassifierBuilder;

    // Ranges of eight dimensions in one line of memory.
    struct alignas(64) Box {
        std::array<uint32_t, 8> first{};
        std::array<uint32_t, 8> extent{};  // last - first
        [[nodiscard]] bool holds(const uint32_t* point) const {
            const auto load = [](const uint32_t* at) {
                return _mm256_load_si256(reinterpret_cast<const __m256i*>(at));
            };
            const __m256i most = load(extent.data());
            const __m256i distance = _mm256_sub_epi32(load(point), load(first.data()));
            return _mm256_movemask_epi8(_mm256_cmpeq_epi32(_mm256_max_epu32(distance, most), most)) == -1;
        }
    };

    // What a node divides into: another node and the dimension that one divides, or a leaf.
    class Link {
      public:
        constexpr Link() = default;
        static Link to_node(size_t node, size_t dimension) {
            return Link(static_cast<uint32_t>(dimension << kIndexBits | node));
        }
        static Link to_leaf(size_t at) { return Link(static_cast<uint32_t>(kLeaf << kIndexBits | at)); }
        [[nodiscard]] bool is_leaf() const { return dimension() == kLeaf; }
        [[nodiscard]] size_t dimension() const { return word_ >> kIndexBits; }
        [[nodiscard]] size_t index() const { return word_ & ((1U << kIndexBits) - 1); }

      private:
        explicit constexpr Link(uint32_t word) : word_(word) {}
        static constexpr unsigned kIndexBits = 28;
        static constexpr size_t kLeaf = 15;
        uint32_t word_ = kLeaf << kIndexBits;
    };

    // Divides one dimension into up to sixteen parts. Two lines of memory.
    struct alignas(64) Node {
        static constexpr size_t kParts = 16;
        std::array<uint32_t, kParts>
            last;  // of each part, ascending; of the last part and behind it the maximum
        std::array<Link, kParts> parts;
        [[nodiscard]] Link part_with(uint32_t value) const {
            const __m256i wanted = _mm256_set1_epi32(static_cast<int>(value));
            const auto not_before = [&](size_t at) {
                const auto* half = reinterpret_cast<const __m256i*>(last.data() + at);
                const __m256i lasts = _mm256_load_si256(half);
                const __m256i reaches = _mm256_cmpeq_epi32(_mm256_max_epu32(lasts, wanted), lasts);
                return static_cast<unsigned>(_mm256_movemask_ps(_mm256_castsi256_ps(reaches)));
            };
            return parts[static_cast<size_t>(std::countr_zero(not_before(0) | not_before(8) << 8))];
        }
    };

    // What is kept for one family.
    struct Forest {
        std::vector<Link> roots;
        std::vector<Node> nodes;
        std::vector<uint32_t> leaves;  // each its number of places, then the places
        std::vector<Box> boxes;        // of each rule one, of IPv6 two
        std::vector<uint32_t> open;    // of each rule the checks that its box does not decide
    };

    static constexpr size_t boxes_per_rule(Family family) { return family == Family::ip4 ? 1 : 2; }
    [[nodiscard]] const Forest& forest(Family family) const {
        return forests_[family == Family::ip4 ? 0 : 1];
    }
    std::array<Forest, 2> forests_;
};

class Classifier::Candidates {
  public:
    static constexpr uint32_t kEnd = kNoPlace;
    // The place of the next rule whose box has the point, or kEnd. The point may have moved in dimension `ct`
    // since candidates().
    uint32_t next(const Point& point) {
        for (;;) {
            const uint32_t place = next_listed();
            if (place == kEnd || in_box(place, point))
                return place;
        }
    }
    // Of a place from next(): a bit for each of the rule's checks that is to be tried yet.
    [[nodiscard]] uint32_t open_checks(uint32_t place) const { return forest_->open[place]; }

  private:
    friend class Classifier;
    struct Run {
        const uint32_t* at;
        const uint32_t* end;
    };
    Candidates() = default;

    uint32_t next_listed() {
        if (count_ == 0)
            return kEnd;
        size_t least = 0;
        for (size_t run = 1; run < count_; ++run) {
            if (*runs_[run].at < *runs_[least].at)
                least = run;
        }
        const uint32_t place = *runs_[least].at;
        if (++runs_[least].at == runs_[least].end)
            runs_[least] = runs_[--count_];
        return place;
    }
    [[nodiscard]] bool in_box(uint32_t place, const Point& point) const {
        if (point.family == Family::ip4)
            return forest_->boxes[place].holds(point.at.data());
        const Box* boxes = &forest_->boxes[size_t{place} * 2];
        return boxes[0].holds(point.at.data()) && boxes[1].holds(point.at.data() + 8);
    }

    const Forest* forest_;
    size_t count_ = 0;
    std::array<Run, kMaxTrees> runs_;  // none is empty
};

inline Classifier::Candidates Classifier::candidates(const Point& point) const {
    Candidates result;
    const Forest& forest = this->forest(point.family);
    result.forest_ = &forest;
    for (Link link : forest.roots) {
        while (!link.is_leaf())
            link = forest.nodes[link.index()].part_with(point.at[link.dimension()]);
        const uint32_t* leaf = &forest.leaves[link.index()];
        const uint32_t count = *leaf++;
        if (count == 0)
            continue;
        for (const uint32_t place : std::span(leaf, count))
            prefetch_line(&forest.boxes[place * boxes_per_rule(point.family)]);
        result.runs_[result.count_++] = {leaf, leaf + count};
    }
    return result;
}

}  // namespace sluice::filter
