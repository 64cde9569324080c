// Finds records by the hash of a key. A bucket is one line of memory with seven slots; a piece that finds its
// bucket full goes to the next, and the buckets it passed count it, so that a lookup knows where to stop. One
// writer at a time; any number of readers at any time.
#pragma once

#include <immintrin.h>

#include <atomic>
#include <cstddef>
#include <cstdint>

#include "base/prefetch.hh"
#include "table/zeroed_array.hh"

namespace sluice::sets {

// What a slot refers to; never zero.
struct SlotRef {
    static constexpr unsigned kRecordBits = 25;
    static constexpr unsigned kKinds = 64;

    uint32_t record = 0;
    // The record has more to say on whether it counts: a time, or a change under way.
    bool conditional = false;
    uint8_t kind = 0;  // below kKinds: for tables whose tags are equal for pieces of several shapes

    [[nodiscard]] uint32_t packed() const {
        return record | uint32_t{conditional} << kRecordBits | uint32_t{kind} << (kRecordBits + 1);
    }
    static SlotRef unpacked(uint32_t packed) {
        return {packed & ((1U << kRecordBits) - 1), (packed >> kRecordBits & 1) != 0,
                static_cast<uint8_t>(packed >> (kRecordBits + 1))};
    }
};

class Index {
  public:
    // For so many pieces at four a bucket.
    Index(size_t pieces, bool dense) : buckets_(pieces / kFill + 1, dense), size_(pieces / kFill + 1) {}

    void prefetch(uint64_t hash) const { prefetch_line(&buckets_[place(hash)]); }

    // Calls accept(SlotRef) for the slots with the tag until one is taken; gives its record, or 0.
    template <typename Accept>
    uint32_t search(uint64_t hash, uint32_t tag, Accept&& accept) const {
        size_t at = place(hash);
        for (size_t passed = 0; passed < kMaxChain; ++passed) {
            const Bucket& bucket = buckets_[at];
            unsigned candidates = bucket.matching(tag);
            while (candidates != 0) {
                const auto slot = static_cast<unsigned>(__builtin_ctz(candidates));
                candidates &= candidates - 1;
                const uint64_t held = bucket.slots[slot].load(std::memory_order_acquire);
                if (held >> 32 == 0 || static_cast<uint32_t>(held) != tag)
                    continue;
                const SlotRef ref = SlotRef::unpacked(static_cast<uint32_t>(held >> 32));
                if (accept(ref))
                    return ref.record;
            }
            if (bucket.overflow.load(std::memory_order_acquire) == 0)
                return 0;
            at = next(at);
        }
        return 0;
    }

    // What the bucket of a tag says at once, in tables whose tags are equal for one key only.
    struct Glance {
        bool held;  // by a record that has nothing more to say, of a piece of kind 0
        bool more;  // if not, search() may find it
    };
    [[nodiscard]] Glance glance(uint64_t hash, uint32_t tag) const {
        return buckets_[place(hash)].glance(tag);
    }

    // The writer's. False if there is no room near its bucket.
    bool insert(uint64_t hash, uint32_t tag, SlotRef ref);
    // Puts a ref in the place of that with the same record; both do nothing if there is none.
    void replace(uint64_t hash, uint32_t tag, SlotRef ref);
    void erase(uint64_t hash, uint32_t tag, uint32_t record);

    // Whether one more piece would make chains long.
    [[nodiscard]] bool is_crowded() const { return pieces_ >= size_ * kCrowded; }
    [[nodiscard]] size_t pieces() const { return pieces_; }
    [[nodiscard]] size_t memory_bytes() const { return size_ * sizeof(Bucket); }

  private:
    static constexpr size_t kSlots = 7;
    static constexpr size_t kFill = 4;
    static constexpr size_t kCrowded = 5;
    static constexpr size_t kMaxChain = 64;
    struct alignas(64) Bucket {
        std::atomic<uint64_t> slots[kSlots];  // ref << 32 | tag; 0: free
        std::atomic<uint32_t> overflow;       // pieces that passed this bucket
        uint32_t nothing;                     // zero

        // Only a hint for those who look while it is written: they read the slot itself again.
        [[nodiscard]] unsigned matching(uint32_t tag) const {
#ifndef __SANITIZE_THREAD__
            const auto equal = _mm256_cmpeq_epi32(read().tags, _mm256_set1_epi32(static_cast<int>(tag)));
            // In the order of slots, of which the eighth is none.
            const auto in_order = _mm256_permute4x64_epi64(equal, 0b11'01'10'00);
            return static_cast<unsigned>(_mm256_movemask_ps(_mm256_castsi256_ps(in_order))) &
                   ((1U << kSlots) - 1);
#else
            unsigned result = 0;
            for (unsigned i = 0; i < kSlots; ++i)
                result |= unsigned{static_cast<uint32_t>(slots[i].load(std::memory_order_relaxed)) == tag}
                          << i;
            return result;
#endif
        }

        [[nodiscard]] Glance glance(uint32_t tag) const {
#ifndef __SANITIZE_THREAD__
            constexpr int kFirstOther = 1 << SlotRef::kRecordBits;  // of packed refs
            const auto [tags, refs] = read();
            const auto equal = _mm256_cmpeq_epi32(tags, _mm256_set1_epi32(static_cast<int>(tag)));
            const auto is_plain = _mm256_and_si256(_mm256_cmpgt_epi32(refs, _mm256_setzero_si256()),
                                                   _mm256_cmpgt_epi32(_mm256_set1_epi32(kFirstOther), refs));
            const bool held = _mm256_testz_si256(equal, is_plain) == 0;
            const auto equals = static_cast<unsigned>(_mm256_movemask_ps(_mm256_castsi256_ps(equal)));
            const unsigned more = (equals & ((1U << kSlots) - 1)) | overflow.load(std::memory_order_relaxed);
            return {.held = held, .more = more != 0};
#else
            (void)tag;
            return {.held = false, .more = true};
#endif
        }

      private:
#ifndef __SANITIZE_THREAD__
        // The halves of slots 0, 1, 4, 5, 2, 3 and 6, with the overflow and a zero as the eighth.
        struct Halves {
            __m256i tags;
            __m256i refs;
        };
        // Every slot once, and a processor with these instructions reads aligned eight bytes at once: a ref
        // is that of its tag.
        [[nodiscard]] Halves read() const {
            const auto* const words = reinterpret_cast<const volatile __m256*>(slots);
            const __m256 first = words[0];
            const __m256 second = words[1];
            return {.tags = _mm256_castps_si256(_mm256_shuffle_ps(first, second, 0b10'00'10'00)),
                    .refs = _mm256_castps_si256(_mm256_shuffle_ps(first, second, 0b11'01'11'01))};
        }
#endif
    };
    struct Found {
        std::atomic<uint64_t>* slot = nullptr;
        size_t passed = 0;
    };

    [[nodiscard]] size_t place(uint64_t hash) const { return (hash >> 32) * size_ >> 32; }
    [[nodiscard]] size_t next(size_t at) const { return at + 1 == size_ ? 0 : at + 1; }
    Found locate(uint64_t hash, uint32_t tag, uint32_t record);

    table::ZeroedArray<Bucket> buckets_;
    size_t size_;
    size_t pieces_ = 0;
};

}  // namespace sluice::sets
