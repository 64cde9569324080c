#include "filter/connlimit.hh"

#include <algorithm>
#include <bit>

namespace sluice::filter {
namespace {

// Buckets looked through for dead flows when there is no room.
constexpr size_t kSweep = 16;

}  // namespace

ConnlimitTable::ConnlimitTable(uint64_t seed, size_t flows)
    : seed_(seed),
      mask_(std::bit_ceil(flows) - 1),
      nodes_(std::make_unique<Node[]>(flows)),
      lists_(std::make_unique<List[]>(flows)),
      buckets_(std::make_unique<Index[]>(mask_ + 1)) {
    for (size_t i = 0; i + 1 < flows; ++i) {
        nodes_[i].next = static_cast<Index>(i + 1);
        lists_[i].next = static_cast<Index>(i + 1);
    }
    std::fill_n(buckets_.get(), mask_ + 1, kNone);
}

std::optional<uint32_t> ConnlimitTable::add(const LimitKeyValue& key, uint64_t flow, const FlowProbe& probe) {
    const size_t bucket = key.hash(seed_) & mask_;
    List* list = find(key, bucket);
    const bool is_known = list != nullptr && reap(*list, flow, probe);
    if (flow == 0)
        return (list == nullptr ? 0 : list->size) + 1;
    if (is_known)
        return list->size;
    if (free_lists_ == kNone || free_nodes_ == kNone) {
        for (size_t i = 0; i < kSweep; ++i)
            reap_bucket(sweep_++ & mask_, probe);
        list = find(key, bucket);  // it may have been empty
    }
    if (list == nullptr)
        list = begin_list(key, bucket);
    if (list == nullptr || !append(*list, flow)) {
        ++full_;
        return std::nullopt;
    }
    return list->size;
}

uint32_t ConnlimitTable::count(const LimitKeyValue& key, const FlowProbe& probe) {
    List* list = find(key, key.hash(seed_) & mask_);
    if (list == nullptr)
        return 0;
    reap(*list, 0, probe);
    return list->size;
}

ConnlimitTable::List* ConnlimitTable::find(const LimitKeyValue& key, size_t bucket) {
    for (Index at = buckets_[bucket]; at != kNone; at = lists_[at].next) {
        if (lists_[at].key == key)
            return &lists_[at];
    }
    return nullptr;
}

ConnlimitTable::List* ConnlimitTable::begin_list(const LimitKeyValue& key, size_t bucket) {
    if (free_lists_ == kNone || free_nodes_ == kNone)
        return nullptr;
    const Index at = free_lists_;
    free_lists_ = lists_[at].next;
    lists_[at] = {.key = key, .first = kNone, .size = 0, .next = buckets_[bucket]};
    buckets_[bucket] = at;
    return &lists_[at];
}

bool ConnlimitTable::reap(List& list, uint64_t flow, const FlowProbe& probe) {
    size_t reaped = 0;
    for (Index* link = &list.first; *link != kNone;) {
        const Index at = *link;
        if (nodes_[at].flow == flow)
            return true;
        if (reaped == kMaxReaped || probe(nodes_[at].flow)) {
            link = &nodes_[at].next;
            continue;
        }
        *link = nodes_[at].next;
        nodes_[at] = {.flow = 0, .next = free_nodes_};
        free_nodes_ = at;
        --list.size;
        ++reaped;
    }
    return false;
}

void ConnlimitTable::reap_bucket(size_t bucket, const FlowProbe& probe) {
    for (Index* link = &buckets_[bucket]; *link != kNone;) {
        const Index at = *link;
        reap(lists_[at], 0, probe);
        if (lists_[at].size != 0) {
            link = &lists_[at].next;
            continue;
        }
        *link = lists_[at].next;
        lists_[at].next = free_lists_;
        free_lists_ = at;
    }
}

bool ConnlimitTable::append(List& list, uint64_t flow) {
    if (free_nodes_ == kNone)
        return false;
    const Index at = free_nodes_;
    free_nodes_ = nodes_[at].next;
    nodes_[at] = {.flow = flow, .next = list.first};
    list.first = at;
    ++list.size;
    return true;
}

}  // namespace sluice::filter
