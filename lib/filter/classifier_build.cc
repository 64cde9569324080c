#include <algorithm>
#include <map>
#include <numeric>
#include <utility>

#include "filter/classifier.hh"
#include "filter/compiled_rule.hh"

namespace sluice::filter {
namespace {

struct Interval {
    uint32_t first = 0;
    uint32_t last = kAbsent;
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

constexpr size_t place(Dimension dimension) {
    return static_cast<size_t>(dimension);
}

// What a rule takes of each dimension. The rule matches nothing outside; inside it may or may not.
struct Space {
    std::array<Intervals, kDimensions> of;
    uint32_t open = 0;  // checks that may fail inside
};

uint32_t largest(size_t dimension) {
    switch (static_cast<Dimension>(dimension)) {
        case Dimension::proto:
        case Dimension::ct:
            return UINT8_MAX;
        case Dimension::sport:
        case Dimension::dport:
        case Dimension::in:
        case Dimension::out:
            return UINT16_MAX;
        default:
            return UINT32_MAX;
    }
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
    return result;
}

Intervals inverted(const Intervals& intervals, uint32_t last) {
    Intervals result;
    uint32_t next = 0;
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
        case Field::ct:
            return Dimension::ct;
        default:
            return std::nullopt;
    }
}

// How a check and the part of the space taken for it are to one another.
enum class Fit : uint8_t {
    none,   // no packet passes the check
    loose,  // some packets inside may fail it
    exact,  // all inside pass it
};

Fit narrow(Intervals intervals, size_t dimension, Space& space) {
    if (intervals.empty())
        return Fit::none;
    const bool exact = intervals.size() == 1;
    if (intervals.size() > kMaxIntervals)
        intervals = {{intervals.front().first, intervals.back().last}};
    space.of[dimension] = std::move(intervals);
    return exact ? Fit::exact : Fit::loose;
}

Fit narrow_number(const CompiledRules& rules, const Check& check, Dimension dimension, Space& space) {
    Intervals intervals;
    for (const NumberRange& range : rules.numbers_of(check))
        intervals.push_back({range.first, range.last});
    intervals = tidy(std::move(intervals));
    if (check.negated)
        intervals = inverted(intervals, largest(place(dimension)));
    return narrow(std::move(intervals), place(dimension), space);
}

// IPv6: a word of an address is narrowed down by ranges within which all words before it are the same.
Fit narrow_wide(std::span<const WideRange> ranges, const std::array<Dimension, 4>& words, Space& space) {
    const auto word_of = [](const Wide& wide, size_t word) {
        const uint64_t half = word < 2 ? wide.high : wide.low;
        return static_cast<uint32_t>(word % 2 == 0 ? half >> 32 : half);
    };
    std::array<Intervals, 4> intervals;
    bool exact = ranges.size() == 1;
    for (const WideRange& range : ranges) {
        bool same = true;
        for (size_t word = 0; word < words.size(); ++word) {
            const Interval whole;
            const Interval here{word_of(range.first, word), word_of(range.last, word)};
            intervals[word].push_back(same ? here : whole);
            exact = exact && (same || (here.first == whole.first && here.last == whole.last));
            same = same && here.first == here.last;
        }
    }
    for (size_t word = 0; word < words.size(); ++word)
        narrow(tidy(std::move(intervals[word])), place(words[word]), space);
    return exact ? Fit::exact : Fit::loose;
}

Fit narrow_address(const CompiledRules& rules, const Check& check, Family family, Space& space) {
    using enum Dimension;
    const bool is_source = check.field == Field::saddr;
    if (check.set_count != 0)
        return Fit::loose;
    if (family == Family::ip4)
        return check.count == 0 ? Fit::none : narrow_number(rules, check, is_source ? saddr : daddr, space);
    if (check.wide_count == 0)
        return Fit::none;
    if (check.negated)
        return Fit::loose;
    constexpr std::array kSource{saddr, saddr_1, saddr_2, saddr_3};
    constexpr std::array kDestination{daddr, daddr_1, daddr_2, daddr_3};
    return narrow_wide(rules.wide_of(check), is_source ? kSource : kDestination, space);
}

Fit narrow_family(const CompiledRules& rules, const Check& check, Family family) {
    const auto number = static_cast<uint32_t>(family);
    const bool listed = std::ranges::any_of(rules.numbers_of(check), [&](const NumberRange& range) {
        return range.first <= number && number <= range.last;
    });
    return listed == check.negated ? Fit::none : Fit::exact;
}

Fit narrow_check(const CompiledRules& rules, const Check& check, Family family, Space& space) {
    if (check.field == Field::saddr || check.field == Field::daddr)
        return narrow_address(rules, check, family, space);
    if (check.field == Field::family)
        return narrow_family(rules, check, family);
    const auto dimension = dimension_of(check.field);
    if (!dimension || check.set_count != 0)
        return Fit::loose;
    return narrow_number(rules, check, *dimension, space);
}

// Nothing if the rule matches no packet of the family.
std::optional<Space> space_of(const CompiledRules& rules, const CompiledRule& rule, Family family) {
    Space space;
    space.of.fill({Interval{}});
    size_t at = 0;
    for (const Check& check : rules.checks_of(rule)) {
        const Fit fit = narrow_check(rules, check, family, space);
        if (fit == Fit::none)
            return std::nullopt;
        if (fit == Fit::loose)
            space.open |= 1U << std::min<size_t>(at, Classifier::kLastOpenBit);
        ++at;
    }
    return space;
}

// The part of a dimension that a rule takes.
double share(const Space& space, Dimension dimension) {
    const uint32_t last = largest(place(dimension));
    double sum = 0;
    for (const Interval& each : space.of[place(dimension)])
        sum += static_cast<double>(std::min(each.last, last) - std::min(each.first, last)) + 1;
    return sum / (static_cast<double>(last) + 1);
}

// Which of the large fields a rule narrows down, as bits.
size_t sort_of(const Space& space) {
    size_t bits = 0;
    size_t bit = 1;
    for (const auto dimension : {Dimension::saddr, Dimension::daddr, Dimension::sport, Dimension::dport}) {
        if (share(space, dimension) <= kNarrow)
            bits |= bit;
        bit <<= 1;
    }
    return bits;
}

// The first interval that does not end before `value`.
Intervals::const_iterator not_before(const Intervals& intervals, uint32_t value) {
    return std::ranges::lower_bound(intervals, value, {}, &Interval::last);
}

bool meets(const Intervals& intervals, const Interval& part) {
    const auto found = not_before(intervals, part.first);
    return found != intervals.end() && found->first <= part.last;
}

}  // namespace

// Builds the trees and boxes of one family.
class ClassifierBuilder {
  public:
    ClassifierBuilder(Classifier& classifier, const CompiledRules& rules, size_t first, size_t count,
                      Family family)
        : forest_(classifier.forests_[family == Family::ip4 ? 0 : 1]),
          boxes_per_rule_(Classifier::boxes_per_rule(family)),
          budget_(count * kMaxPlacesPerRule + 1024) {
        spaces_.reserve(count);
        for (size_t i = 0; i < count; ++i)
            spaces_.push_back(space_of(rules, rules.rules[first + i], family));
    }

    void build() {
        const auto groups = sorts();
        if (groups.empty())
            return;
        for (const auto& places : groups) {
            Part all;
            all.fill({});
            splits_.clear();
            const uint32_t root = divide(places, all, 0);
            forest_.roots.push_back(link_to(root));
        }
        make_boxes();
        forest_.nodes.shrink_to_fit();
        forest_.leaves.shrink_to_fit();
    }

  private:
    using Part = std::array<Interval, kDimensions>;  // of the space
    using Places = std::vector<uint32_t>;
    // Halves a part of the space: values up to `at` are on the left. Without a dimension a leaf, at `left`.
    struct Split {
        size_t dimension = kDimensions;
        uint32_t at = 0;
        uint32_t left = 0;
        uint32_t right = 0;
        [[nodiscard]] bool is_leaf() const { return dimension == kDimensions; }
    };
    // A split that is thought of, and how many rules it would leave on each side.
    struct Choice {
        size_t dimension = kDimensions;
        uint32_t at = 0;
        size_t left = 0;
        size_t right = 0;
    };
    static constexpr size_t kMaxDepth = 48;

    // Rules by sort; small sorts together.
    [[nodiscard]] std::vector<Places> sorts() const {
        std::array<Places, Classifier::kMaxTrees> by_sort;
        for (uint32_t i = 0; i < spaces_.size(); ++i) {
            if (spaces_[i])
                by_sort[sort_of(*spaces_[i])].push_back(i);
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

    uint32_t divide(const Places& places, const Part& part, size_t depth) {
        const auto split = static_cast<uint32_t>(splits_.size());
        splits_.emplace_back();
        const Choice choice = places.size() <= Classifier::kLeafRules || depth == kMaxDepth
                                  ? Choice{}
                                  : best_choice(places, part);
        if (choice.dimension == kDimensions) {
            splits_[split].left = make_leaf(places);
            return split;
        }
        Part left_part = part;
        Part right_part = part;
        left_part[choice.dimension].last = choice.at;
        right_part[choice.dimension].first = choice.at + 1;
        const size_t more = choice.left + choice.right - places.size();
        budget_ -= std::min(budget_, more);
        const uint32_t left =
            divide(within(places, choice.dimension, left_part[choice.dimension]), left_part, depth + 1);
        const uint32_t right =
            divide(within(places, choice.dimension, right_part[choice.dimension]), right_part, depth + 1);
        splits_[split] = {.dimension = choice.dimension, .at = choice.at, .left = left, .right = right};
        return split;
    }

    uint32_t make_leaf(const Places& places) {
        const auto at = static_cast<uint32_t>(forest_.leaves.size());
        forest_.leaves.push_back(static_cast<uint32_t>(places.size()));
        forest_.leaves.insert(forest_.leaves.end(), places.begin(), places.end());
        return at;
    }

    // Lays splits of one dimension under one another into one node, those nearest the root first.
    Classifier::Link link_to(uint32_t root) {
        const Split& top = splits_[root];
        if (top.is_leaf())
            return Classifier::Link::to_leaf(top.left);
        struct Branch {
            uint32_t split;
            uint32_t last;
        };
        std::vector<Branch> branches{{root, kAbsent}};
        for (bool divided = true; divided;) {
            divided = false;
            std::vector<Branch> next;
            for (size_t i = 0; i < branches.size(); ++i) {
                const Split& split = splits_[branches[i].split];
                const size_t would_be = next.size() + (branches.size() - i) + 1;
                if (split.dimension == top.dimension && would_be <= Classifier::Node::kParts) {
                    next.push_back({split.left, split.at});
                    next.push_back({split.right, branches[i].last});
                    divided = true;
                } else {
                    next.push_back(branches[i]);
                }
            }
            branches = std::move(next);
        }
        const size_t node = forest_.nodes.size();
        forest_.nodes.emplace_back();
        forest_.nodes[node].last.fill(kAbsent);
        for (size_t i = 0; i < branches.size(); ++i) {
            const Classifier::Link link = link_to(branches[i].split);
            forest_.nodes[node].last[i] = branches[i].last;
            forest_.nodes[node].parts[i] = link;
        }
        return Classifier::Link::to_node(node, top.dimension);
    }

    void make_boxes() {
        constexpr size_t kLanes = 8;
        forest_.boxes.resize(spaces_.size() * boxes_per_rule_);
        forest_.open.resize(spaces_.size());
        for (size_t i = 0; i < spaces_.size(); ++i) {
            if (!spaces_[i])
                continue;
            forest_.open[i] = spaces_[i]->open;
            for (size_t lane = 0; lane < boxes_per_rule_ * kLanes; ++lane) {
                const Interval hull = lane < kDimensions ? Interval{spaces_[i]->of[lane].front().first,
                                                                    spaces_[i]->of[lane].back().last}
                                                         : Interval{};
                auto& box = forest_.boxes[i * boxes_per_rule_ + lane / kLanes];
                box.first[lane % kLanes] = hull.first;
                box.extent[lane % kLanes] = hull.last - hull.first;
            }
        }
    }

    [[nodiscard]] Places within(const Places& places, size_t dimension, const Interval& part) const {
        Places result;
        for (const uint32_t each : places) {
            if (meets(spaces_[each]->of[dimension], part))
                result.push_back(each);
        }
        return result;
    }

    // The split that leaves the larger side smallest, with few rules on both sides. Not by `ct`, which a rule
    // may change while the chain is walked.
    [[nodiscard]] Choice best_choice(const Places& places, const Part& part) const {
        Choice best;
        double least = static_cast<double>(places.size());
        for (size_t dimension = 0; dimension < kDimensions; ++dimension) {
            if (dimension == place(Dimension::ct))
                continue;
            const Choice choice = middle(places, part[dimension], dimension);
            if (choice.dimension == kDimensions)
                continue;
            const size_t total = choice.left + choice.right;
            const auto allowed = static_cast<double>(places.size()) * kMaxGrowth;
            if (static_cast<double>(total) > allowed || total - places.size() > budget_)
                continue;
            const double cost = static_cast<double>(std::max(choice.left, choice.right)) +
                                static_cast<double>(total - places.size());
            if (cost < least) {
                least = cost;
                best = choice;
            }
        }
        return best;
    }

    // Splits at the median of where intervals end or begin within the part.
    [[nodiscard]] Choice middle(const Places& places, const Interval& part, size_t dimension) const {
        std::vector<uint32_t> edges;
        for (const uint32_t each : places) {
            for (const Interval& interval : spaces_[each]->of[dimension]) {
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
        Choice choice{.dimension = dimension, .at = *median};
        for (const uint32_t each : places) {
            const Intervals& intervals = spaces_[each]->of[dimension];
            choice.left += meets(intervals, {part.first, choice.at}) ? 1 : 0;
            choice.right += meets(intervals, {choice.at + 1, part.last}) ? 1 : 0;
        }
        if (choice.left == places.size() || choice.right == places.size())
            return {};
        return choice;
    }

    Classifier::Forest& forest_;
    size_t boxes_per_rule_;
    std::vector<std::optional<Space>> spaces_;
    std::vector<Split> splits_;  // of the tree at hand
    size_t budget_;
};

Classifier::Classifier(const CompiledRules& rules, size_t first, size_t count) {
    for (const Family family : {Family::ip4, Family::ip6})
        ClassifierBuilder(*this, rules, first, count, family).build();
}

}  // namespace sluice::filter
