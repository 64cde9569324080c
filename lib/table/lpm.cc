#include "table/lpm.hh"

#include <immintrin.h>

#include <algorithm>
#include <array>

#include "base/prefetch.hh"
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

template <typename Address>
uint32_t Lpm<Address>::lookup(const Address& address) const {
    const auto key = LpmKey<Address>::from(address);
    const uint32_t found = top_[key.first_word() >> top_shift_];
    if ((found & kNodeFlag) == 0)
        return found;
    uint32_t place = found ^ kNodeFlag;
    while (true) {
        const Node& node = nodes_[place];
        if constexpr (kHasPaths) {
            if (!key.starts_like(node.path.word, node.depth))
                return node.path.otherwise;
        }
        const unsigned slot = key.slot(node.depth);
        if ((node.children >> slot & 1) == 0) {
            const uint32_t nth = count_to(node.changes, slot) - 1;
            return node.first_answer == kHoldsAnswers ? node.held[nth] : answers_[node.first_answer + nth];
        }
        place = node.first_child + count_to(node.children, slot) - 1;
    }
}

// Without branches on what is found, since those could not be predicted.
template <typename Address>
void Lpm<Address>::lookup_burst(const BurstKey* addresses, uint32_t* values, size_t count) const {
    std::array<LpmKey<Address>, kMaxLpmBurst> keys;
    std::array<uint8_t, kMaxLpmBurst> walking;  // lanes whose value is, for now, the place of their next node
    std::array<uint8_t, kMaxLpmBurst> fetching;  // lanes whose value is, for now, the place of their answer
    size_t walking_count = 0;
    size_t fetching_count = 0;
    const uint32_t* const top = top_.data();
    const Node* const nodes = nodes_.data();
    for (size_t i = 0; i < count; ++i) {
        keys[i] = LpmKey<Address>::from(addresses[i]);
        prefetch_line(top + (keys[i].first_word() >> top_shift_));
    }
    for (size_t i = 0; i < count; ++i) {
        const uint32_t found = top[keys[i].first_word() >> top_shift_];
        values[i] = found & ~kNodeFlag;
        prefetch_line(nodes + values[i]);  // in vain for an answer, but next hops are few
        walking[walking_count] = static_cast<uint8_t>(i);
        walking_count += found >> 31;
    }
    while (walking_count != 0) {
        size_t still_walking = 0;
        for (size_t i = 0; i < walking_count; ++i) {
            const uint8_t lane = walking[i];
            const Node& node = nodes[values[lane]];
            const unsigned slot = keys[lane].slot(node.depth);
            const bool is_child = (node.children >> slot & 1) != 0;
            const bool holds = node.first_answer == kHoldsAnswers;
            const uint32_t nth = count_to(is_child ? node.children : node.changes, slot) - 1;
            const uint32_t held = node.held[std::min<uint32_t>(nth, kHeld - 1)];
            const uint32_t place = (is_child ? node.first_child : node.first_answer) + nth;
            uint32_t value = is_child || !holds ? place : held;
            bool on_path = true;
            if constexpr (kHasPaths) {
                on_path = keys[lane].starts_like(node.path.word, node.depth);
                value = on_path ? value : node.path.otherwise;
            }
            values[lane] = value;
            prefetch_line(nodes + value);
            walking[still_walking] = lane;
            still_walking += is_child & on_path;
            fetching[fetching_count] = lane;
            fetching_count += !is_child & !holds & on_path;
        }
        walking_count = still_walking;
    }
    for (size_t i = 0; i < fetching_count; ++i)
        prefetch_line(&answers_[values[fetching[i]]]);
    for (size_t i = 0; i < fetching_count; ++i)
        values[fetching[i]] = answers_[values[fetching[i]]];
}

template class Lpm<Ip4Address>;
template class Lpm<Ip6Address>;

}  // namespace sluice::table
