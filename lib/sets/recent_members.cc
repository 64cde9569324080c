#include "sets/recent_members.hh"

#include <immintrin.h>

#include <algorithm>
#include <bit>

namespace sluice::sets {

void RecentMembers::follow(const Set* set) {
    set_ = set;
    if (set_ == nullptr)
        return;
    generation_ = set_->generation();
    if (words_.empty())
        words_ = table::ZeroedArray<Word>(kHugePage / sizeof(Word), true);
    clear();
}

uint64_t RecentMembers::lookup_burst(const Set& set, std::span<const Ip4Address> addresses, Instant now,
                                     uint64_t wanted) {
    if (&set != set_ || !may_answer(now))
        return set.lookup_burst(addresses, now, wanted);
    const uint64_t kept = kept_among(addresses) & wanted;
    if (kept == wanted)
        return kept;
    const uint64_t found = set.lookup_burst(addresses, now, wanted & ~kept);
    for (uint64_t left = found; left != 0; left &= left - 1) {
        const Word word = addresses[static_cast<size_t>(std::countr_zero(left))].wire().wire();
        words_[place_of(word)] = word;
    }
    return kept | found;
}

bool RecentMembers::may_answer(Instant now) {
    // Read before the lookups whose answers are kept.
    const uint64_t generation = set_->generation();
    if (generation != generation_) {
        generation_ = generation;
        changed_ = now;
        is_current_ = false;
    }
    if (!set_->repeatable())
        return false;
    if (!is_current_ && now - changed_ >= kRest)
        clear();
    return is_current_;
}

void RecentMembers::clear() {
    std::fill_n(words_.data(), size_t{1} << kPlaceBits, Word{0});
    // Nothing is what does not belong to its place. Zero does belong to the first.
    static_assert(place_of(0) == 0 && place_of(1) != 0);
    words_[0] = 1;
    is_current_ = true;
}

uint64_t RecentMembers::kept_among(std::span<const Ip4Address> addresses) const {
    constexpr size_t kAtOnce = 8;
    static_assert(sizeof(Ip4Address) == sizeof(Word));
    uint64_t kept = 0;
    size_t i = 0;
    for (; i + kAtOnce <= addresses.size(); i += kAtOnce) {
        const auto words = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(&addresses[i]));
        const auto hashes = _mm256_mullo_epi32(words, _mm256_set1_epi32(static_cast<int>(kMultiplier)));
        const auto places = _mm256_srli_epi32(hashes, 32 - kPlaceBits);
        const auto held = _mm256_i32gather_epi32(reinterpret_cast<const int*>(words_.data()), places, 4);
        const auto equal = _mm256_castsi256_ps(_mm256_cmpeq_epi32(held, words));
        kept |= uint64_t{static_cast<uint8_t>(_mm256_movemask_ps(equal))} << i;
    }
    for (; i < addresses.size(); ++i) {
        const Word word = addresses[i].wire().wire();
        kept |= uint64_t{words_[place_of(word)] == word} << i;
    }
    return kept;
}

}  // namespace sluice::sets
