// The mappings of one worker, found from either side with one lookup.
#pragma once

#include <cstddef>
#include <cstdint>

#include "conntrack/tuple.hh"
#include "nat/endpoint.hh"
#include "nat/mapping.hh"
#include "nat/slots.hh"
#include "table/flow_index.hh"
#include "wire/protocol.hh"

namespace sluice::nat {

// A place in a walk through the mappings; those that are there all the time are met once.
struct MappingCursor {
    MappingRef next = 0;
    bool done = false;
};

// Bounded and of one owner. Counts the flows of mappings; ports and hosts are others' business.
class MappingTable {
  public:
    MappingTable(size_t capacity, const conntrack::TupleHash& hash);

    // A mapping without flows; none when the table is full. Unless it overlaps nobody has its external
    // endpoint. Until the next settle() it may be without flows.
    [[nodiscard]] MappingRef create(const Mapping& mapping);
    void erase(MappingRef ref);

    // The mappings of an inside endpoint that overlap or do not, for a remote as Mapping::remote has it.
    // First comes that which overlaps and got a flow last, or which does not and is the oldest.
    [[nodiscard]] MappingRef first(const Endpoint& inside, const Endpoint& remote, wire::IpProtocol protocol,
                                   bool overlaps) const;
    [[nodiscard]] MappingRef next(MappingRef ref) const { return entries_[ref].next; }
    // The one mapping that has an external endpoint for itself.
    [[nodiscard]] MappingRef by_external(const Endpoint& external, wire::IpProtocol protocol) const;
    // The mapping with these two ends, be it one that overlaps or not.
    [[nodiscard]] MappingRef between(const Endpoint& inside, const Endpoint& external,
                                     wire::IpProtocol protocol) const;

    [[nodiscard]] const Mapping& operator[](MappingRef ref) const { return entries_[ref].mapping; }
    // One more flow.
    void add_flow(MappingRef ref);
    // A flow is about to begin: though its last flow ends it is not erased before the next settle().
    void keep(MappingRef ref);
    // One flow less. True if the mapping is to be erased now: it was the last and settle() will not come by.
    [[nodiscard]] bool end_flow(MappingRef ref);
    // Gives the mappings that were made or kept since the last time and have no flow to idle(ref), which is
    // to erase them.
    template <typename Idle>
    void settle(Idle&& idle) {
        while (unsettled_ != kNoMapping) {
            const MappingRef ref = unsettled_;
            unsettled_ = entries_[ref].next_unsettled;
            entries_[ref].settled = true;
            if (entries_[ref].mapping.flows == 0)
                idle(ref);
        }
    }

    // Looks at `budget` places from the cursor on and moves it.
    template <typename Visit>
    void visit(MappingCursor& cursor, size_t budget, Visit&& visit) const {
        for (; budget > 0 && cursor.next < entries_.touched(); --budget, ++cursor.next)
            if (entries_.is_in_use(cursor.next))
                visit(entries_[cursor.next].mapping);
        cursor.done = cursor.next >= entries_.touched();
    }

    [[nodiscard]] size_t size() const { return entries_.size(); }
    [[nodiscard]] size_t capacity() const { return entries_.capacity(); }

  private:
    struct Entry {
        Mapping mapping;
        // Of the same inside endpoint and remote.
        MappingRef next = kNoMapping;
        MappingRef previous = kNoMapping;
        MappingRef next_unsettled = kNoMapping;
        bool settled = true;  // not to be looked at by settle()
    };
    [[nodiscard]] uint64_t inside_hash(const Endpoint& inside, const Endpoint& remote,
                                       wire::IpProtocol protocol, bool overlaps) const;
    [[nodiscard]] uint64_t inside_hash(const Mapping& mapping) const;
    [[nodiscard]] uint64_t external_hash(const Endpoint& external, wire::IpProtocol protocol) const;
    [[nodiscard]] uint64_t shared_hash(const Endpoint& inside, const Endpoint& external,
                                       wire::IpProtocol protocol) const;
    [[nodiscard]] uint64_t external_hash(const Mapping& mapping) const;
    [[nodiscard]] bool put_in_chain(MappingRef ref);
    void take_out_of_chain(MappingRef ref);

    conntrack::TupleHash hash_;
    Slots<Entry> entries_;
    table::FlowIndex by_inside_;    // the first of each inside endpoint and remote
    table::FlowIndex by_external_;  // of those that overlap with the inside endpoint
    MappingRef unsettled_ = kNoMapping;
};

}  // namespace sluice::nat
