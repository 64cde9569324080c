// Flows whose packets do not come home by their headers: tuple to worker, shared by all. A worker publishes
// the tuples of its own flows and withdraws them; whoever receives packets looks them up.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>

#include "base/interface_id.hh"
#include "base/prefetch.hh"
#include "base/random.hh"
#include "conntrack/tuple.hh"
#include "conntrack/tuple_hash.hh"

namespace sluice::steering {

// Any thread may call anything. Readers wait for nothing; writers exchange a word that is theirs alone but
// for a rare race. A tuple stands for itself by 56 bits of a hash whose key nobody knows.
class FlowDirectory {
  public:
    // Takes address space for so many flows, and memory as it is used.
    FlowDirectory(size_t flows, Random& random);

    using Hash = uint64_t;
    [[nodiscard]] Hash hash(const conntrack::Tuple& tuple) const { return hash_(tuple); }

    // False if there is no room. Publishing again changes nothing.
    [[nodiscard]] bool publish(Hash hash, WorkerId owner);
    // The same of a tuple that no two workers may have: false also where another one has published it. Of two
    // that try at once one at least fails.
    [[nodiscard]] bool claim(Hash hash, WorkerId owner);
    // Whether another worker has published it.
    [[nodiscard]] bool is_taken(Hash hash, WorkerId self) const;
    // Harmless where nothing was published.
    void withdraw(Hash hash, WorkerId owner);

    // False as long as nothing was ever published: then there is nothing to look up.
    [[nodiscard]] bool is_used() const { return used_.load(std::memory_order_acquire); }
    void prefetch(Hash hash) const { prefetch_line(bucket(hash, 0)); }
    [[nodiscard]] std::optional<WorkerId> find(Hash hash) const;

  private:
    // Calls `is_it(owner)` for the workers that have published it until one is; whether there was one.
    template <typename IsIt>
    bool any_owner(Hash hash, IsIt&& is_it) const;

    static constexpr size_t kSlots = 8;  // of a bucket, which is a cache line
    static constexpr size_t kChoices = 2;
    struct Unmap {
        size_t bytes;
        void operator()(uint64_t* memory) const;
    };

    // A tuple stands in its bucket or in the one beside it.
    [[nodiscard]] uint64_t* bucket(Hash hash, size_t choice) const {
        return slots_.get() + (((hash >> 8) & mask_) ^ choice) * kSlots;
    }
    static constexpr uint64_t entry(Hash hash, WorkerId owner) {
        return (hash & ~uint64_t{0xff}) | (index(owner) + 1);
    }

    conntrack::TupleHash hash_;
    uint64_t mask_;  // of buckets
    std::unique_ptr<uint64_t, Unmap> slots_{nullptr, Unmap{0}};
    std::atomic<bool> used_{false};
};

}  // namespace sluice::steering
