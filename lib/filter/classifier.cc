#include "filter/classifier.hh"

#include <algorithm>

#include "filter/compiled_rule.hh"
#include "filter/match.hh"

namespace sluice::filter {

Wide Wide::of(const Ip6Address& address) {
    uint64_t high;
    uint64_t low;
    std::memcpy(&high, address.bytes().data(), sizeof high);
    std::memcpy(&low, address.bytes().data() + sizeof high, sizeof low);
    return {__builtin_bswap64(high), __builtin_bswap64(low)};
}

// Step by step for all points: what one step asks for is there when the next one reads it.
void Classifier::prefetch(std::span<const Point> points, std::span<uint32_t> places) const {
    const Forest& forest = this->forest(Family::ip4);
    std::array<std::array<Link, kMaxBurst>, kMaxTrees> links;
    const size_t trees = forest.roots.size();
    for (size_t tree = 0; tree < trees; ++tree)
        links[tree].fill(forest.roots[tree]);
    for (bool all_leaves = false; !all_leaves;) {
        all_leaves = true;
        for (size_t tree = 0; tree < trees; ++tree) {
            for (size_t i = 0; i < points.size(); ++i) {
                Link& link = links[tree][i];
                if (link.is_leaf())
                    continue;
                link = forest.nodes[link.index()].part_with(points[i].at[link.dimension()]);
                if (link.is_leaf()) {
                    prefetch_line(&forest.leaves[link.index()]);
                } else {
                    prefetch_line(&forest.nodes[link.index()].last);
                    prefetch_line(&forest.nodes[link.index()].parts);
                    all_leaves = false;
                }
            }
        }
    }
    const auto leaf_of = [&](size_t tree, size_t i) {
        const uint32_t* const leaf = &forest.leaves[links[tree][i].index()];
        return std::span(leaf + 1, *leaf);
    };
    for (size_t tree = 0; tree < trees; ++tree) {
        for (size_t i = 0; i < points.size(); ++i) {
            for (const uint32_t place : leaf_of(tree, i)) {
                prefetch_line(&forest.boxes[place]);
                prefetch_line(&forest.open[place]);
            }
        }
    }
    std::ranges::fill(places.first(points.size()), kNoPlace);
    for (size_t tree = 0; tree < trees; ++tree) {
        for (size_t i = 0; i < points.size(); ++i) {
            for (const uint32_t place : leaf_of(tree, i)) {
                if (place >= places[i])
                    break;
                if (forest.boxes[place].holds(points[i].at.data()))
                    places[i] = place;
            }
        }
    }
}

size_t Classifier::memory_bytes() const {
    size_t sum = 0;
    for (const Forest& forest : forests_)
        sum += forest.nodes.capacity() * sizeof(Node) + forest.leaves.capacity() * sizeof(uint32_t) +
               forest.boxes.capacity() * sizeof(Box) + forest.open.capacity() * sizeof(uint32_t);
    return sum;
}

}  // namespace sluice::filter
