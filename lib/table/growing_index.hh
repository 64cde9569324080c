// A FlowIndex that is as large as what is in it asks for: few entries lie close together, in few cache lines.
//
// Its sizes are made at the start, of address space that costs nothing until it is used. When one is full the
// next takes all that is new, and entries move over a few buckets at a time; until the last has, a lookup
// that finds nothing in the new one asks the old one too. It does not shrink.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "table/flow_index.hh"

namespace sluice::table {

// One owner, no synchronisation. The functions are those of FlowIndex.
class GrowingIndex {
  public:
    static constexpr size_t kFirst = 4096;  // entries, at least, if there may be as many
    static constexpr size_t kGrowth = 8;    // times, from one size to the next

    explicit GrowingIndex(size_t entries);
    GrowingIndex(const GrowingIndex&) = delete;
    GrowingIndex& operator=(const GrowingIndex&) = delete;

    [[nodiscard]] size_t size() const { return now_->size() + (is_moving() ? before().size() : 0); }
    [[nodiscard]] size_t memory() const;  // of the sizes that are in use
    // Whether entries lie in before() too.
    [[nodiscard]] bool is_moving() const { return moved_ != kAll; }
    [[nodiscard]] const FlowIndex& now() const { return *now_; }
    [[nodiscard]] const FlowIndex& before() const { return now_[-1]; }

    void prefetch(uint64_t hash) const {
        now_->prefetch(hash);
        if (is_moving()) [[unlikely]]
            before().prefetch(hash);
    }
    [[nodiscard]] uint32_t candidate(uint64_t hash) const {
        const uint32_t number = now_->candidate(hash);
        return number == FlowIndex::kNone && is_moving() ? before().candidate(hash) : number;
    }
    [[nodiscard]] bool may_have(uint64_t hash) const {
        return now_->may_have(hash) || (is_moving() && before().may_have(hash));
    }
    template <typename IsIt>
    [[nodiscard]] uint32_t find(uint64_t hash, IsIt&& is_it) const {
        const uint32_t number = now_->find(hash, is_it);
        if (number != FlowIndex::kNone || !is_moving()) [[likely]]
            return number;
        return before().find(hash, is_it);
    }
    [[nodiscard]] bool insert(uint64_t hash, uint32_t number) { return now_->insert(hash, number); }
    bool erase(uint64_t hash, uint32_t number) {
        return now_->erase(hash, number) || (is_moving() && now_[-1].erase(hash, number));
    }
    template <typename Visit>
    void visit_bucket(uint64_t hash, size_t distance, Visit&& visit) const {
        now_->visit_bucket(hash, distance, visit);
        if (is_moving())
            before().visit_bucket(hash, distance, visit);
    }

    // To be asked before an insert: grow() is wanted.
    [[nodiscard]] bool is_full() const { return size() >= now_->capacity() && now_ != &sizes_.back(); }
    // Begins to use the next size. hash_of(number) tells the hash of an entry.
    template <typename HashOf>
    void grow(HashOf&& hash_of) {
        if (!move(kAll, hash_of)) [[unlikely]]
            return;
        ++now_;
        moved_ = 0;
    }
    // Moves what lies in so many buckets; true if all has moved.
    template <typename HashOf>
    bool move(size_t buckets, HashOf&& hash_of) {
        if (!is_moving())
            return true;
        FlowIndex& old = now_[-1];
        for (; buckets != 0 && moved_ < old.bucket_count(); --buckets, ++moved_) {
            old.for_each_in(moved_, [&](uint32_t number) {
                const uint64_t hash = hash_of(number);
                // Without room, by extraordinary bad luck, it stays where it is until the next time.
                if (now_->insert(hash, number)) [[likely]]
                    old.erase(hash, number);
            });
        }
        if (moved_ == old.bucket_count())
            moved_ = old.size() == 0 ? kAll : 0;
        if (!is_moving())
            old.give_back();
        return !is_moving();
    }

  private:
    static constexpr size_t kAll = ~size_t{0};
    std::vector<FlowIndex> sizes_;
    FlowIndex* now_;
    size_t moved_ = kAll;  // buckets of the size before
};

}  // namespace sluice::table
