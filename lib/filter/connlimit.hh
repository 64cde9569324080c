// How many live flows there are for a rule, or for each key, as nftables' `ct count` finds out: flows are put
// on a list when they come by, and taken off when they have ended and the list is next looked at.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>

#include "filter/limit_key.hh"

namespace sluice::filter {

// Whether a flow still lives: it is in the table and, if of TCP, neither in TIME_WAIT nor closed. Given by
// who knows the flows; called for each flow of a list that is looked at.
struct FlowProbe {
    bool (*alive)(const void* context, uint64_t flow) = nullptr;
    const void* context = nullptr;
    [[nodiscard]] bool operator()(uint64_t flow) const { return alive(context, flow); }
};

// Lists of flows by key in memory taken at once. One owner. The cost grows with the length of the key's list,
// which a rule that refuses what is over its number keeps short.
class ConnlimitTable {
  public:
    static constexpr size_t kDefaultFlows = 1U << 16;
    // Dead flows taken off in one look, as nf_conncount's.
    static constexpr size_t kMaxReaped = 8;

    explicit ConnlimitTable(uint64_t seed, size_t flows = kDefaultFlows);
    // Puts the flow on the key's list unless it is there, and gives how many live flows the list has. Nothing
    // when there is no room for another. A flow of 0 (a packet without one) counts for this answer alone.
    std::optional<uint32_t> add(const LimitKeyValue& key, uint64_t flow, const FlowProbe& probe);
    // How many live flows the key's list has.
    uint32_t count(const LimitKeyValue& key, const FlowProbe& probe);
    [[nodiscard]] uint64_t full_count() const { return full_; }

  private:
    using Index = uint32_t;
    static constexpr Index kNone = 0xffffffff;
    struct Node {
        uint64_t flow = 0;
        Index next = kNone;
    };
    struct List {
        LimitKeyValue key;
        Index first = kNone;
        uint32_t size = 0;
        Index next = kNone;  // of the same bucket, or among the free
    };
    List* find(const LimitKeyValue& key, size_t bucket);
    List* begin_list(const LimitKeyValue& key, size_t bucket);
    // Takes dead flows off; whether the flow is on the list.
    bool reap(List& list, uint64_t flow, const FlowProbe& probe);
    // Shortens the lists of a bucket and ends the empty ones.
    void reap_bucket(size_t bucket, const FlowProbe& probe);
    bool append(List& list, uint64_t flow);

    uint64_t seed_;
    size_t mask_;
    size_t sweep_ = 0;  // the bucket whose turn it is when there is no room
    uint64_t full_ = 0;
    Index free_nodes_ = 0;
    Index free_lists_ = 0;
    std::unique_ptr<Node[]> nodes_;
    std::unique_ptr<List[]> lists_;
    std::unique_ptr<Index[]> buckets_;
};

}  // namespace sluice::filter
