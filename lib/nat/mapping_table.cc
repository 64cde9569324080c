#include "nat/mapping_table.hh"

namespace sluice::nat {
namespace {

constexpr auto kNone = table::FlowIndex::kNone;
static_assert(kNone == kNoMapping);

}  // namespace

MappingTable::MappingTable(size_t capacity, const conntrack::TupleHash& hash)
    : hash_(hash), entries_(capacity), by_inside_(capacity), by_external_(capacity) {}

uint64_t MappingTable::inside_hash(const Endpoint& inside, const Endpoint& remote, wire::IpProtocol protocol,
                                   bool overlaps) const {
    const uint64_t hash = hash_({inside.address, remote.address, protocol, inside.port, remote.port});
    return overlaps ? ~hash : hash;
}

uint64_t MappingTable::inside_hash(const Mapping& mapping) const {
    return inside_hash(mapping.inside, mapping.remote, mapping.protocol, mapping.overlaps);
}

uint64_t MappingTable::external_hash(const Endpoint& external, wire::IpProtocol protocol) const {
    return hash_({external.address, external.address, protocol, external.port, external.port});
}

uint64_t MappingTable::shared_hash(const Endpoint& inside, const Endpoint& external,
                                   wire::IpProtocol protocol) const {
    return ~hash_({external.address, inside.address, protocol, external.port, inside.port});
}

uint64_t MappingTable::external_hash(const Mapping& mapping) const {
    return mapping.overlaps ? shared_hash(mapping.inside, mapping.external, mapping.protocol)
                            : external_hash(mapping.external, mapping.protocol);
}

MappingRef MappingTable::first(const Endpoint& inside, const Endpoint& remote, wire::IpProtocol protocol,
                               bool overlaps) const {
    return by_inside_.find(inside_hash(inside, remote, protocol, overlaps), [&](MappingRef ref) {
        const Mapping& mapping = entries_[ref].mapping;
        return mapping.inside == inside && mapping.remote == remote && mapping.protocol == protocol &&
               mapping.overlaps == overlaps;
    });
}

MappingRef MappingTable::by_external(const Endpoint& external, wire::IpProtocol protocol) const {
    return by_external_.find(external_hash(external, protocol), [&](MappingRef ref) {
        const Mapping& mapping = entries_[ref].mapping;
        return mapping.external == external && mapping.protocol == protocol && !mapping.overlaps;
    });
}

MappingRef MappingTable::between(const Endpoint& inside, const Endpoint& external,
                                 wire::IpProtocol protocol) const {
    const MappingRef alone = by_external(external, protocol);
    if (alone != kNoMapping && entries_[alone].mapping.inside == inside)
        return alone;
    return by_external_.find(shared_hash(inside, external, protocol), [&](MappingRef ref) {
        const Mapping& mapping = entries_[ref].mapping;
        return mapping.external == external && mapping.inside == inside && mapping.protocol == protocol &&
               mapping.overlaps;
    });
}

// One that overlaps goes to the front, as the newest does in Linux; others behind the first, which stays the
// one that its inside endpoint is known by.
bool MappingTable::put_in_chain(MappingRef ref) {
    Entry& entry = entries_[ref];
    const Mapping& mapping = entry.mapping;
    const uint64_t hash = inside_hash(mapping);
    const MappingRef head = first(mapping.inside, mapping.remote, mapping.protocol, mapping.overlaps);
    entry.next = entry.previous = kNoMapping;
    if (head != kNoMapping && !mapping.overlaps) {
        entry.next = entries_[head].next;
        entry.previous = head;
        entries_[head].next = ref;
        if (entry.next != kNoMapping)
            entries_[entry.next].previous = ref;
        return true;
    }
    if (head != kNoMapping)
        by_inside_.erase(hash, head);  // its place is the new one's
    if (!by_inside_.insert(hash, ref))
        return false;
    entry.next = head;
    if (head != kNoMapping)
        entries_[head].previous = ref;
    return true;
}

void MappingTable::take_out_of_chain(MappingRef ref) {
    const Entry& entry = entries_[ref];
    if (entry.next != kNoMapping)
        entries_[entry.next].previous = entry.previous;
    if (entry.previous != kNoMapping) {
        entries_[entry.previous].next = entry.next;
        return;
    }
    const uint64_t hash = inside_hash(entry.mapping);
    by_inside_.erase(hash, ref);
    if (entry.next != kNoMapping)
        static_cast<void>(by_inside_.insert(hash, entry.next));  // where there was one there is room for one
}

MappingRef MappingTable::create(const Mapping& mapping) {
    const MappingRef ref = entries_.take({.mapping = mapping});
    if (ref == kNoMapping)
        return kNoMapping;
    if (!by_external_.insert(external_hash(mapping), ref)) {
        entries_.give_back(ref);
        return kNoMapping;
    }
    if (!put_in_chain(ref)) {
        by_external_.erase(external_hash(mapping), ref);
        entries_.give_back(ref);
        return kNoMapping;
    }
    keep(ref);
    return ref;
}

void MappingTable::keep(MappingRef ref) {
    Entry& entry = entries_[ref];
    if (!entry.settled)
        return;
    entry.settled = false;
    entry.next_unsettled = unsettled_;
    unsettled_ = ref;
}

void MappingTable::erase(MappingRef ref) {
    take_out_of_chain(ref);
    by_external_.erase(external_hash(entries_[ref].mapping), ref);
    entries_.give_back(ref);
}

void MappingTable::add_flow(MappingRef ref) {
    Mapping& mapping = entries_[ref].mapping;
    ++mapping.flows;
    mapping.had_flows = true;
    if (mapping.overlaps && entries_[ref].previous != kNoMapping) {
        take_out_of_chain(ref);
        static_cast<void>(put_in_chain(ref));  // in place of the one that was first
    }
}

bool MappingTable::end_flow(MappingRef ref) {
    Entry& entry = entries_[ref];
    return --entry.mapping.flows == 0 && entry.settled;
}

}  // namespace sluice::nat
