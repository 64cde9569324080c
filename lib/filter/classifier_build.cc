#include <algorithm>
#include <map>
#include <numeric>
#include <utility>

#include "filter/classifier.hh"
#include "filter/compiled_rule.hh"

namespace sluice::filter {
namespace {

struct Interval {
    uint64_t first = 0;
    uint64_t last = kAbsent;
};
using Intervals = std::vector<Interval>;  // sorted, disjoint

// More than this of one rule in one dimension are taken for one, from the first to the last.
constexpr size_t kMaxIntervals = 32;
// Sorts of rules with fewer than this share a tree.
constexpr size_t kSmallSort = 16;
// A field is narrowed down by a rule that takes at most this part of it.
constexpr double kNarrow = 1.0 / 16;
// A split that makes more of the rules than this is not worth it.
constexpr double kMaxGrowth = 1.6;
// Places of all leaves together, for each rule: bounds the memory.
constexpr size_t kMaxPlacesPerRule = 24;

// What a rule takes of each dimension. The rule matches nothing outside; inside it may or may not.
struct Box {
    std::array<Intervals, kDimensions> of;
};

constexpr size_t place(Dimension dimension) {
    return static_cast<size_t>(dimension);
}

uint64_t largest(Dimension dimension, Family family) {
    switch (dimension) {
        case Dimension::saddr_high:
        case Dimension::daddr_high:
            return family == Family::ip4 ? UINT32_MAX : kAbsent;
        case Dimension::saddr_low:
        case Dimension::daddr_low:
            return kAbsent;
        case Dimension::proto:
            return UINT8_MAX;
        case Dimension::sport:
        case Dimension::dport:
        case Dimension::in:
        case Dimension::out:
            break;
    }
    return UINT16_MAX;
}

Intervals tidy(Intervals intervals) {
    std::ranges::sort(intervals, {}, &Interval::first);
    Intervals result;
    for (const Interval& each : intervals) {
        const bool touches =
            !result.empty() && (result.back().last == kAbsent || each.first <= result.back().last + 1);
        if (touches)
            result.back().last = std::max(result.back().last, each.last);
        else
            result.push_back(each);
    }
    if (result.size() > kMaxIntervals)
        return {{result.front().first, result.back().last}};
    return result;
}

Intervals inverted(const Intervals& intervals, uint64_t last) {
    Intervals result;
    uint64_t next = 0;
    for (const Interval& each : intervals) {
        if (each.first > next)
            result.push_back({next, each.first - 1});
        if (each.last >= last)
            return result;
        next = each.last + 1;
    }
    result.push_back({next, last});
    return result;
}

std::optional<Dimension> dimension_of(Field field) {
    switch (field) {
        case Field::sport:
            return Dimension::sport;
        case Field::dport:
            return Dimension::dport;
        case Field::proto:
            return Dimension::proto;
        case Field::in:
            return Dimension::in;
        case Field::out:
            return Dimension::out;
        default:
            return std::nullopt;
    }
}

void narrow_number(const CompiledRules& rules, const Check& check, Dimension dimension, Family family,
                   Box& box) {
    Intervals intervals;
    for (const NumberRange& range : rules.numbers_of(check))
        intervals.push_back({range.first, range.last});
    intervals = tidy(std::move(intervals));
    const uint64_t last = largest(dimension, family);
    box.of[place(dimension)] = check.negated ? inverted(intervals, last) : intervals;
}

// IPv6: each half of the address is a dimension. The lower half is narrowed only by ranges within one network
// of /64, and negated ranges not at all.
void narrow_wide(std::span<const WideRange> ranges, Dimension high, Dimension low, Box& box) {
    Intervals highs;
    Intervals lows;
    for (const WideRange& range : ranges) {
        highs.push_back({range.first.high, range.last.high});
        if (range.first.high == range.last.high)
            lows.push_back({range.first.low, range.last.low});
        else
            lows.push_back({});
    }
    box.of[place(high)] = tidy(std::move(highs));
    box.of[place(low)] = tidy(std::move(lows));
}

// False if the rule matches no packet of the family.
bool narrow_address(const CompiledRules& rules, const Check& check, Family family, Box& box) {
    const bool is_source = check.field == Field::saddr;
    const auto high = is_source ? Dimension::saddr_high : Dimension::daddr_high;
    const auto low = is_source ? Dimension::saddr_low : Dimension::daddr_low;
    if (check.set_count != 0)
        return true;
    if (family == Family::ip4) {
        if (check.count == 0)
            return false;
        narrow_number(rules, check, high, family, box);
        return true;
    }
    if (check.wide_count == 0)
        return false;
    if (!check.negated)
        narrow_wide(rules.wide_of(check), high, low, box);
    return true;
}

// Nothing if the rule matches no packet of the family.
std::optional<Box> box_of(const CompiledRules& rules, const CompiledRule& rule, Family family) {
    Box box;
    box.of.fill({{}});
    for (auto& intervals : box.of)
        intervals = {Interval{}};
    for (const Check& check : rules.checks_of(rule)) {
        if (check.field == Field::saddr || check.field == Field::daddr) {
            if (!narrow_address(rules, check, family, box))
                return std::nullopt;
        } else if (check.field == Field::family) {
            const auto number = static_cast<uint32_t>(family);
            const bool listed = std::ranges::any_of(rules.numbers_of(check), [&](const NumberRange& range) {
                return range.first <= number && number <= range.last;
            });
            if (listed == check.negated)
                return std::nullopt;
        } else if (const auto dimension = dimension_of(check.field); dimension && check.set_count == 0) {
            narrow_number(rules, check, *dimension, family, box);
        }
    }
    return box;
}

// The part of a dimension that a rule takes.
double share(const Intervals& intervals, uint64_t largest_value) {
    double sum = 0;
    for (const Interval& each : intervals)
        sum += static_cast<double>(std::min(each.last, largest_value) - each.first) + 1;
    return sum / (static_cast<double>(largest_value) + 1);
}

// Which of the large fields a rule narrows down, as bits.
size_t sort_of(const Box& box, Family family) {
    size_t bits = 0;
    size_t bit = 1;
    for (const Dimension dimension :
         {Dimension::saddr_high, Dimension::daddr_high, Dimension::sport, Dimension::dport}) {
        if (share(box.of[place(dimension)], largest(dimension, family)) <= kNarrow)
            bits |= bit;
        bit <<= 1;
    }
    return bits;
}

// The first interval that does not end before `value`.
Intervals::const_iterator not_before(const Intervals& intervals, uint64_t value) {
    return std::ranges::lower_bound(intervals, value, {}, &Interval::last);
}

bool meets(const Intervals& intervals, const Interval& part) {
    const auto found = not_before(intervals, part.first);
    return found != intervals.end() && found->first <= part.last;
}

}  // namespace

// Builds the trees of one family.
class ClassifierBuilder {
  public:
    ClassifierBuilder(Classifier& classifier, const CompiledRules& rules, size_t first, size_t count,
                      Family family)
        : classifier_(classifier), family_(family) {
        boxes_.reserve(count);
        for (size_t i = 0; i < count; ++i)
            boxes_.push_back(box_of(rules, rules.rules[first + i], family));
        budget_ = count * kMaxPlacesPerRule + 1024;
    }

    void build() {
        for (auto& places : sorts()) {
            Part all;
            for (size_t dimension = 0; dimension < kDimensions; ++dimension)
                all[dimension] = {0, kAbsent};
            const uint32_t root = grow(std::move(places), all, 0);
            classifier_.roots_[family_ == Family::ip4 ? 0 : 1].push_back(root);
        }
    }

  private:
    using Part = std::array<Interval, kDimensions>;  // of the space
    using Places = std::vector<uint32_t>;
    struct Split {
        size_t dimension = kDimensions;
        uint64_t at = 0;
        size_t left = 0;
        size_t right = 0;
    };
    static constexpr size_t kMaxDepth = 48;

    // Rules by sort; small sorts together.
    std::vector<Places> sorts() const {
        std::array<Places, Classifier::kMaxTrees> by_sort;
        for (uint32_t i = 0; i < boxes_.size(); ++i) {
            if (boxes_[i])
                by_sort[sort_of(*boxes_[i], family_)].push_back(i);
        }
        std::vector<Places> result;
        Places rest;
        for (Places& places : by_sort) {
            if (places.size() < kSmallSort)
                rest.insert(rest.end(), places.begin(), places.end());
            else
                result.push_back(std::move(places));
        }
        std::ranges::sort(rest);
        if (!rest.empty())
            result.push_back(std::move(rest));
        return result;
    }

    uint32_t grow(Places places, const Part& part, size_t depth) {
        const auto node = static_cast<uint32_t>(classifier_.nodes_.size());
        classifier_.nodes_.emplace_back();
        const Split split = places.size() <= Classifier::kLeafRules || depth == kMaxDepth
                                ? Split{}
                                : best_split(places, part);
        if (split.dimension == kDimensions) {
            make_leaf(node, places);
            return node;
        }
        Part left_part = part;
        Part right_part = part;
        left_part[split.dimension].last = split.at;
        right_part[split.dimension].first = split.at + 1;
        Places left = within(places, split.dimension, left_part[split.dimension]);
        Places right = within(places, split.dimension, right_part[split.dimension]);
        const size_t more = left.size() + right.size() - places.size();
        budget_ -= std::min(budget_, more);
        places = {};
        const uint32_t left_node = grow(std::move(left), left_part, depth + 1);
        const uint32_t right_node = grow(std::move(right), right_part, depth + 1);
        classifier_.nodes_[node] = {.split = split.at,
                                    .left = left_node,
                                    .right = right_node,
                                    .dimension = static_cast<uint8_t>(split.dimension)};
        return node;
    }

    void make_leaf(uint32_t node, const Places& places) {
        auto& all = classifier_.places_;
        classifier_.nodes_[node].left = static_cast<uint32_t>(all.size());
        all.insert(all.end(), places.begin(), places.end());
        classifier_.nodes_[node].right = static_cast<uint32_t>(all.size());
    }

    [[nodiscard]] Places within(const Places& places, size_t dimension, const Interval& part) const {
        Places result;
        for (const uint32_t each : places) {
            if (meets(boxes_[each]->of[dimension], part))
                result.push_back(each);
        }
        return result;
    }

    // The split that leaves the larger side smallest, with few rules on both sides.
    [[nodiscard]] Split best_split(const Places& places, const Part& part) const {
        Split best;
        double least = static_cast<double>(places.size());
        for (size_t dimension = 0; dimension < kDimensions; ++dimension) {
            Split split = middle(places, part[dimension], dimension);
            if (split.dimension == kDimensions)
                continue;
            const size_t total = split.left + split.right;
            const auto allowed = static_cast<double>(places.size()) * kMaxGrowth;
            if (static_cast<double>(total) > allowed || total - places.size() > budget_)
                continue;
            const double cost = static_cast<double>(std::max(split.left, split.right)) +
                                static_cast<double>(total - places.size());
            if (cost < least) {
                least = cost;
                best = split;
            }
        }
        return best;
    }

    // Splits at the median of where intervals end or begin within the part.
    [[nodiscard]] Split middle(const Places& places, const Interval& part, size_t dimension) const {
        std::vector<uint64_t> edges;
        for (const uint32_t each : places) {
            for (const Interval& interval : boxes_[each]->of[dimension]) {
                if (interval.last >= part.first && interval.last < part.last)
                    edges.push_back(interval.last);
                if (interval.first > part.first && interval.first <= part.last)
                    edges.push_back(interval.first - 1);
            }
        }
        if (edges.empty())
            return {};
        const auto median = edges.begin() + static_cast<std::ptrdiff_t>(edges.size() / 2);
        std::ranges::nth_element(edges, median);
        Split split{.dimension = dimension, .at = *median};
        for (const uint32_t each : places) {
            const Intervals& intervals = boxes_[each]->of[dimension];
            split.left += meets(intervals, {part.first, split.at}) ? 1 : 0;
            split.right += meets(intervals, {split.at + 1, part.last}) ? 1 : 0;
        }
        if (split.left == places.size() || split.right == places.size())
            return {};
        return split;
    }

    Classifier& classifier_;
    Family family_;
    std::vector<std::optional<Box>> boxes_;
    size_t budget_ = 0;
};

Classifier::Classifier(const CompiledRules& rules, size_t first, size_t count) {
    for (const Family family : {Family::ip4, Family::ip6})
        ClassifierBuilder(*this, rules, first, count, family).build();
    nodes_.shrink_to_fit();
    places_.shrink_to_fit();
}

}  // namespace sluice::filter
