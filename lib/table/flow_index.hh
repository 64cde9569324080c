// A hash index of bounded size: from a 64-bit hash to a 32-bit number of the owner's, who keeps the keys.
//
// Buckets are one cache line of ten entries, each a tag of 15 bits and the number. An entry lies in its first
// bucket or, when that is full, in a second one that its tag determines; a bucket knows how many of its
// entries live elsewhere, so that nearly every lookup, also one that finds nothing, reads one line.
#pragma once

#include <immintrin.h>

#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>

#include "base/prefetch.hh"
#include "table/zeroed_array.hh"

namespace sluice::table {

// One owner, no synchronisation. Equal keys may be in it more than once.
class FlowIndex {
  public:
    static constexpr uint32_t kNone = 0xffffffff;
    static constexpr size_t kSlots = 10;
    static constexpr size_t kFill = 8;  // entries a bucket on average when the index is full
    // Memory an entry takes of an index that holds what it was made for.
    static constexpr size_t kBytesPerEntry = 64 / kFill;

    // Room for so many entries. Memory of buckets never used is left to the system.
    explicit FlowIndex(size_t entries);

    [[nodiscard]] size_t size() const { return size_; }
    [[nodiscard]] size_t bucket_count() const { return count_; }
    [[nodiscard]] size_t capacity() const { return count_ * kFill; }  // entries there is room for
    [[nodiscard]] size_t memory() const { return buckets_.size() * sizeof(Bucket); }

    // Its memory, while it is empty; it may be used again.
    void give_back() { buckets_.give_back(); }

    void prefetch(uint64_t hash) const { prefetch_line(&buckets_[first(hash)]); }

    // Where an entry of the hash may be besides, if its first bucket, which is read, does not tell all, or
    // has no room for another.
    void prefetch_second(uint64_t hash) const {
        const auto& home = buckets_[first(hash)];
        if (home.elsewhere != 0 || home.match(0) == 0)
            prefetch_line(&buckets_[other(first(hash), tag_of(hash))]);
    }

    // A number that probably belongs to the hash, to prefetch what it stands for; kNone if there is none.
    [[nodiscard]] uint32_t candidate(uint64_t hash) const {
        const auto& home = buckets_[first(hash)];
        const uint32_t hits = home.match(tag_of(hash));
        return hits != 0 ? home.number_of(hits) : kNone;
    }
    // The same for hashes by place, of which those with a bit count: in two steps, between which memory is
    // asked for what the second one reads. There is room for Homes::kMost hashes.
    class Homes;
    void find_homes(const uint64_t* hashes, uint64_t places, Homes& homes) const;
    // Whether find() needs to be asked: false for nearly every hash that is not there.
    [[nodiscard]] bool may_have(uint64_t hash) const {
        const auto& home = buckets_[first(hash)];
        return (home.match(tag_of(hash)) | home.elsewhere) != 0;
    }

    // The number of this hash of which is_it(number) is true; kNone if there is none.
    template <typename IsIt>
    [[nodiscard]] uint32_t find(uint64_t hash, IsIt&& is_it) const {
        const uint16_t tag = tag_of(hash);
        const auto& home = buckets_[first(hash)];
        const uint32_t found = find_in(home, tag, is_it);
        if (found != kNone || home.elsewhere == 0) [[likely]]
            return found;
        return find_in(buckets_[other(first(hash), tag)], tag, is_it);
    }

    // False if there is no room, which does not happen below the size it was made for but by extraordinary
    // bad luck.
    [[nodiscard]] bool insert(uint64_t hash, uint32_t number) {
        if (put(buckets_[first(hash)], tag_of(hash), number) != kSlots) [[likely]] {
            ++size_;
            return true;
        }
        return insert_elsewhere(hash, number);
    }
    // False if it is not there.
    bool erase(uint64_t hash, uint32_t number);

    // Calls visit(number) for the entries of the bucket that lies `distance` behind the hash's.
    template <typename Visit>
    void visit_bucket(uint64_t hash, size_t distance, Visit&& visit) const {
        size_t at = first(hash) + distance;
        while (at >= count_)
            at -= count_;
        for_each_in(at, visit);
    }
    // Of one bucket by its place.
    template <typename Visit>
    void for_each_in(size_t at, Visit&& visit) const {
        const auto bucket = buckets_[at];  // a copy: visit() may erase
        for (size_t slot = 0; slot < kSlots; ++slot)
            if (bucket.tags[slot] != 0)
                visit(bucket.numbers[slot]);
    }

  private:
    struct alignas(64) Bucket {
        std::array<uint16_t, kSlots> tags{};  // 0: free
        std::array<uint32_t, kSlots> numbers;
        uint16_t elsewhere = 0;    // entries whose first bucket this is and that lie in their second
        uint16_t from_others = 0;  // a bit for each slot whose entry is here as in its second

        // A bit for each slot with this tag, whose number slot_of() tells.
        [[nodiscard]] uint32_t match(uint16_t tag) const {
            const auto words = _mm256_load_si256(reinterpret_cast<const __m256i*>(this));
            const auto hits = _mm256_cmpeq_epi16(words, _mm256_set1_epi16(static_cast<int16_t>(tag)));
            return static_cast<uint32_t>(_mm256_movemask_epi8(hits)) & kTagBits;
        }
        // Of the first of them.
        static size_t slot_of(uint32_t hits) { return static_cast<size_t>(std::countr_zero(hits)) / 2; }
        // numbers[slot_of(hits)]: a number is as far from the first as two bytes for each bit.
        [[nodiscard]] uint32_t number_of(uint32_t hits) const {
            uint32_t number;
            const auto* const bytes = reinterpret_cast<const uint8_t*>(numbers.data());
            std::memcpy(&number, bytes + 2 * static_cast<size_t>(std::countr_zero(hits)), sizeof number);
            return number;
        }

      private:
        static constexpr uint32_t kTagBits = 0x55555;  // two bits a word, of which the lower is enough
        static_assert(2 * kSlots == std::bit_width(kTagBits) + 1);
    };
    static constexpr int kBucketBits = 6;
    static_assert(sizeof(Bucket) == 1 << kBucketBits);

    [[nodiscard]] size_t first(uint64_t hash) const { return scale(static_cast<uint32_t>(hash >> 32)); }
    static uint16_t tag_of(uint64_t hash) {
        return static_cast<uint16_t>(hash | 1);  // 0 is that of no entry
    }
    [[nodiscard]] size_t scale(uint32_t value) const { return (uint64_t{value} * count_) >> 32; }
    // From either bucket of an entry to its other one.
    [[nodiscard]] size_t other(size_t bucket, uint16_t tag) const {
        const size_t sum = scale(tag * 0x9e3779b1U);
        return sum >= bucket ? sum - bucket : sum + count_ - bucket;
    }
    template <typename IsIt>
    static uint32_t find_in(const Bucket& bucket, uint16_t tag, IsIt& is_it) {
        for (uint32_t hits = bucket.match(tag); hits != 0; hits &= hits - 1) {
            const uint32_t number = bucket.numbers[Bucket::slot_of(hits)];
            if (is_it(number))
                return number;
        }
        return kNone;
    }
    // The slot; kSlots if there is none.
    static size_t put(Bucket& bucket, uint16_t tag, uint32_t number) {
        const uint32_t free = bucket.match(0);
        if (free == 0)
            return kSlots;
        const size_t slot = Bucket::slot_of(free);
        bucket.tags[slot] = tag;
        bucket.numbers[slot] = number;
        return slot;
    }
    bool put_second(size_t bucket, uint16_t tag, uint32_t number);
    [[nodiscard]] bool insert_elsewhere(uint64_t hash, uint32_t number);
    bool take(size_t bucket, uint16_t tag, uint32_t number);
    bool make_room(size_t bucket, int depth);
    void move(size_t from, size_t slot);

    size_t count_;
    size_t size_ = 0;
    ZeroedArray<Bucket> buckets_;
};

// The first buckets of many hashes. They are good until the index is used otherwise. Not initialised, as it
// is made for each burst.
class FlowIndex::Homes {
  public:
    static constexpr size_t kMost = 64;
    Homes() {}  // NOLINT: find_homes() fills it

    // As FlowIndex::candidate() of the hash at this place; false if there is none.
    [[nodiscard]] bool has_candidate(size_t place, uint32_t& number) const {
        const uint32_t hits = buckets_[place]->match(static_cast<uint16_t>(tags_[place]));
        if (hits == 0)
            return false;
        number = buckets_[place]->number_of(hits);
        return true;
    }

  private:
    friend FlowIndex;
    alignas(32) std::array<const Bucket*, kMost> buckets_;
    alignas(32)
        std::array<uint64_t, kMost> tags_;  // of which the lower 16 bits count: a load that broadcasts them
};

inline void FlowIndex::find_homes(const uint64_t* hashes, uint64_t places, Homes& homes) const {
    constexpr size_t kAtOnce = 4;
    const auto count = static_cast<size_t>(std::bit_width(places));
    const auto buckets = _mm256_set1_epi64x(static_cast<int64_t>(count_));
    const auto begin = _mm256_set1_epi64x(reinterpret_cast<int64_t>(buckets_.data()));
    for (size_t i = 0; i < count; i += kAtOnce) {
        // As first() and tag_of().
        const auto hash = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(hashes + i));
        const auto product = _mm256_mul_epu32(_mm256_srli_epi64(hash, 32), buckets);
        const auto home =
            _mm256_add_epi64(begin, _mm256_slli_epi64(_mm256_srli_epi64(product, 32), kBucketBits));
        _mm256_store_si256(reinterpret_cast<__m256i*>(&homes.buckets_[i]), home);
        _mm256_store_si256(reinterpret_cast<__m256i*>(&homes.tags_[i]),
                           _mm256_or_si256(hash, _mm256_set1_epi64x(1)));
    }
    if (static_cast<size_t>(std::popcount(places)) == count) [[likely]] {
        for (size_t i = 0; i < count; ++i)
            prefetch_line(homes.buckets_[i]);
    } else {
        for (; places != 0; places &= places - 1)
            prefetch_line(homes.buckets_[static_cast<size_t>(std::countr_zero(places))]);
    }
}

}  // namespace sluice::table
