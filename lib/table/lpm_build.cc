// How an Lpm comes to be: prefixes are sorted so that every one stands before those it contains, then each
// node paints its 64 slots in that order, which leaves the longest match on top, and hands what is deeper to
// its children.
#include <algorithm>
#include <array>
#include <limits>
#include <vector>

#include "table/lpm.hh"
#include "table/lpm_key.hh"

namespace sluice::table {
namespace {

constexpr unsigned kSlotBits = 6;
constexpr unsigned kSlots = 1U << kSlotBits;
constexpr unsigned kWordBits = 64;
constexpr unsigned kDeepest = kWordBits - kSlotBits;  // in its word, for all six bits to be there

// The first level: 64 kB for the small tables of policy routing, which stay in the cache; for a full table 18
// bits, so that the most frequent length, /24, is decided by one node.
unsigned top_bits_for(size_t routes) {
    constexpr size_t kFew = 4096;
    if (routes == 0)
        return 1;
    return routes <= kFew ? 14 : 18;
}

}  // namespace

template <typename Address>
struct Lpm<Address>::Builder {
    using Key = LpmKey<Address>;
    struct Item {
        Key key;
        uint32_t value;
        uint8_t length;
    };
    using Items = std::span<const Item>;
    // What lies below one slot of a node.
    struct Group {
        unsigned slot;
        uint32_t inherited;
        Items items;
    };

    Lpm& result;

    static std::vector<Item> sorted(std::span<const Entry> entries) {
        std::vector<Item> items;
        items.reserve(entries.size());
        for (const Entry& entry : entries)
            items.push_back({Key::from(entry.prefix), entry.value, entry.length});
        const auto before = [](const Item& a, const Item& b) {
            return a.key == b.key ? a.length < b.length : a.key < b.key;
        };
        if (!std::ranges::is_sorted(items, before))
            std::ranges::stable_sort(items, before);
        return items;
    }

    // The slots, `width` bits from `depth` on, that a prefix not longer than both covers.
    static std::pair<size_t, size_t> cover(const Item& item, size_t slot, unsigned end) {
        return {slot, slot + (size_t{1} << (end - item.length))};
    }

    void build_top(Items items, unsigned bits) {
        result.top_shift_ = 64 - bits;
        result.top_.assign(size_t{1} << bits, kNoRoute);
        for (size_t i = 0; i < items.size();) {
            const size_t slot = items[i].key.first_word() >> result.top_shift_;
            if (items[i].length <= bits) {
                const auto [from, to] = cover(items[i], slot, bits);
                std::fill(result.top_.begin() + static_cast<ptrdiff_t>(from),
                          result.top_.begin() + static_cast<ptrdiff_t>(to), items[i].value);
                ++i;
                continue;
            }
            size_t end = i + 1;
            while (end < items.size() && items[end].key.first_word() >> result.top_shift_ == slot)
                ++end;
            const auto place = static_cast<uint32_t>(result.nodes_.size());
            result.nodes_.emplace_back();
            build_node(place, items.subspan(i, end - i), bits, result.top_[slot]);
            result.top_[slot] = kNodeFlag | place;
            i = end;
        }
    }

    // A node need not stand higher than where all items still agree. The second half of the address begins
    // with a node of its own, since a node compares one half only.
    static unsigned common_depth(Items items, unsigned depth) {
        unsigned deeper = items.front().key.common_bits(items.back().key);
        for (const Item& item : items) {
            if (deeper <= depth)
                break;
            deeper = std::min<unsigned>(deeper, item.length);
        }
        return depth < kWordBits ? std::min(std::max(depth, deeper), kDeepest)
                                 : std::min(std::max(depth, deeper), kWordBits + kDeepest);
    }

    // All items are inside the node's part of the address space and longer than `depth`; `inherited` is the
    // answer where none of them matches.
    void build_node(uint32_t place, Items items, unsigned depth, uint32_t inherited) {
        if constexpr (kHasPaths) {
            depth = common_depth(items, depth);
            result.nodes_[place].path = {items.front().key.word_at(depth), inherited};
        }
        std::array<uint32_t, kSlots> answers;
        answers.fill(inherited);
        std::array<Group, kSlots> groups;
        size_t group_count = 0;
        uint64_t children = 0;
        for (size_t i = 0; i < items.size();) {
            const unsigned slot = items[i].key.slot(depth);
            if (items[i].length <= depth + kSlotBits) {
                const auto [from, to] = cover(items[i], slot, depth + kSlotBits);
                std::fill(answers.begin() + from, answers.begin() + to, items[i].value);
                ++i;
                continue;
            }
            size_t end = i + 1;
            while (end < items.size() && items[end].key.slot(depth) == slot)
                ++end;
            children |= uint64_t{1} << slot;
            groups[group_count++] = {slot, answers[slot], items.subspan(i, end - i)};
            i = end;
        }

        const auto first_child = static_cast<uint32_t>(result.nodes_.size());
        result.nodes_.resize(result.nodes_.size() + group_count);
        Node& node = result.nodes_[place];
        node.children = children;
        node.first_child = first_child;
        node.depth = static_cast<uint8_t>(depth);
        store_answers(node, answers);
        for (size_t i = 0; i < group_count; ++i)
            build_node(first_child + static_cast<uint32_t>(i), groups[i].items, depth + kSlotBits,
                       groups[i].inherited);
    }

    void store_answers(Node& node, const std::array<uint32_t, kSlots>& answers) {
        std::array<uint32_t, kSlots> runs;
        size_t count = 0;
        uint32_t largest = 0;
        node.changes = 0;
        for (unsigned slot = 0; slot < kSlots; ++slot) {
            if ((node.children >> slot & 1) != 0 || (count != 0 && runs[count - 1] == answers[slot]))
                continue;
            node.changes |= uint64_t{1} << slot;
            runs[count++] = answers[slot];
            largest = std::max(largest, answers[slot]);
        }
        if (count <= kHeld && largest <= std::numeric_limits<uint16_t>::max()) {
            node.first_answer = kHoldsAnswers;
            for (size_t i = 0; i < count; ++i)
                node.held[i] = static_cast<uint16_t>(runs[i]);
            return;
        }
        node.first_answer = static_cast<uint32_t>(result.answers_.size());
        result.answers_.insert(result.answers_.end(), runs.begin(),
                               runs.begin() + static_cast<ptrdiff_t>(count));
    }
};

template <typename Address>
Lpm<Address> Lpm<Address>::build(std::span<const Entry> entries) {
    Lpm result;
    const auto items = Builder::sorted(entries);
    Builder{result}.build_top(items, top_bits_for(items.size()));
    result.nodes_.shrink_to_fit();
    result.answers_.shrink_to_fit();
    return result;
}

template Lpm<Ip4Address> Lpm<Ip4Address>::build(std::span<const Entry>);
template Lpm<Ip6Address> Lpm<Ip6Address>::build(std::span<const Entry>);

}  // namespace sluice::table
