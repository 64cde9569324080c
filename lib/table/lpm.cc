#include "table/lpm.hh"

#include <immintrin.h>

#include <array>

#include "table/lpm_key.hh"

namespace sluice::table {
namespace {

// How many bits are set in `bits` up to and including bit `slot`.
uint32_t count_to(uint64_t bits, unsigned slot) {
    return static_cast<uint32_t>(_mm_popcnt_u64(_bzhi_u64(bits, slot + 1)));
}

}  // namespace

template <typename Address>
Lpm<Address>::Lpm() : top_shift_(63), top_(2, kNoRoute) {}

template <typename Address>
size_t Lpm<Address>::memory_bytes() const {
    return top_.capacity() * sizeof(uint32_t) + nodes_.capacity() * sizeof(Node) +
           answers_.capacity() * sizeof(uint32_t);
}

// One step from a node: the place of a further node, or of an answer.
template <typename Address>
template <typename Key>
typename Lpm<Address>::Step Lpm<Address>::step(const Node& node, const Key& key) {
    const unsigned slot = key.slot(node.depth);
    const bool goes_on = (node.branch.children >> slot & 1) != 0;
    return {(goes_on ? node.branch.first_child : node.branch.first_answer) +
                count_to(goes_on ? node.branch.children : node.branch.changes, slot) - 1,
            goes_on};
}

template <typename Address>
uint32_t Lpm<Address>::lookup(const Address& address) const {
    const auto key = LpmKey<Address>::from(address);
    const uint32_t found = top_[key.first_word() >> top_shift_];
    if ((found & kNodeFlag) == 0)
        return found;
    uint32_t place = found ^ kNodeFlag;
    while (true) {
        const Node& node = nodes_[place];
        if constexpr (kHasSkips) {
            if (node.is_skip) {
                if (!key.same_start({node.skip.high, node.skip.low}, node.depth))
                    return node.skip.otherwise;
                place = node.skip.child;
                continue;
            }
        }
        const Step next = step(node, key);
        if (!next.goes_on)
            return answers_[next.place];
        place = next.place;
    }
}

template <typename Address>
void Lpm<Address>::lookup_burst(const BurstKey* addresses, uint32_t* values, size_t count) const {
    std::array<LpmKey<Address>, kMaxLpmBurst> keys;
    std::array<uint8_t, kMaxLpmBurst> walking;  // lanes whose value is, for now, the place of their next node
    std::array<uint8_t, kMaxLpmBurst> arrived;  // lanes whose value is, for now, the place of their answer
    size_t walking_count = 0;
    size_t arrived_count = 0;
    for (size_t i = 0; i < count; ++i) {
        keys[i] = LpmKey<Address>::from(addresses[i]);
        __builtin_prefetch(&top_[keys[i].first_word() >> top_shift_]);
    }
    for (size_t i = 0; i < count; ++i) {
        const uint32_t found = top_[keys[i].first_word() >> top_shift_];
        values[i] = found & ~kNodeFlag;
        walking[walking_count] = static_cast<uint8_t>(i);
        walking_count += (found & kNodeFlag) != 0;
    }
    for (size_t i = 0; i < walking_count; ++i)
        __builtin_prefetch(&nodes_[values[walking[i]]]);
    while (walking_count != 0) {
        size_t still_walking = 0;
        for (size_t i = 0; i < walking_count; ++i) {
            const uint8_t lane = walking[i];
            const Node& node = nodes_[values[lane]];
            if constexpr (kHasSkips) {
                if (node.is_skip) {
                    const bool same = keys[lane].same_start({node.skip.high, node.skip.low}, node.depth);
                    __builtin_prefetch(&nodes_[node.skip.child]);
                    values[lane] = same ? node.skip.child : node.skip.otherwise;
                    walking[still_walking] = lane;
                    still_walking += same;
                    continue;
                }
            }
            const Step next = step(node, keys[lane]);
            __builtin_prefetch(next.goes_on ? static_cast<const void*>(&nodes_[next.place])
                                            : static_cast<const void*>(&answers_[next.place]));
            values[lane] = next.place;
            walking[still_walking] = lane;
            still_walking += next.goes_on;
            arrived[arrived_count] = lane;
            arrived_count += !next.goes_on;
        }
        walking_count = still_walking;
    }
    for (size_t i = 0; i < arrived_count; ++i)
        values[arrived[i]] = answers_[values[arrived[i]]];
}

template class Lpm<Ip4Address>;
template class Lpm<Ip6Address>;

}  // namespace sluice::table
