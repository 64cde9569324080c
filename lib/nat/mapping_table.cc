#include "nat/mapping_table.hh"

namespace sluice::nat {
namespace {

constexpr auto kNone = table::FlowIndex::kNone;
static_assert(kNone == kNoMapping);

uint32_t word_of(const IpAddress& address) {
    return address.is_ip4() ? address.ip4().wire().wire() : 0;
}

}  // namespace

MappingTable::MappingTable(size_t capacity, const conntrack::TupleHash& hash)
    : hash_(hash),
      entries_(capacity),
      ip6_(capacity, false),
      by_inside_(capacity),
      by_external_(capacity),
      unsettled_(capacity, false) {}

template <typename AnyMapping>
MappingTable::Entry MappingTable::entry_of(const AnyMapping& mapping,
                                           const std::array<uint32_t, kSides>& addresses, Family family,
                                           bool overlaps) {
    using Words = std::array<uint32_t, 2>;
    static_assert(sizeof(Instant) == sizeof(Words));
    return {.began = std::bit_cast<Words>(mapping.began),
            .addresses = addresses,
            .ports = {mapping.inside.port, mapping.external.port, mapping.remote.port},
            .out = mapping.out,
            .flows = 0,
            .contact_flows = 0,
            .host = mapping.host,
            .port_space = mapping.port_space,
            .next = kNoMapping,
            .previous = kNoMapping,
            .protocol = mapping.protocol,
            .family = family,
            .filtering = mapping.filtering,
            .hairpin = mapping.hairpin,
            .had_flows = false,
            .overlaps = overlaps,
            .settled = false};
}

Mapping MappingTable::operator[](MappingRef ref) const {
    const Entry& entry = entries_[ref];
    return {.inside = end(ref, Side::inside),
            .external = end(ref, Side::external),
            .remote = end(ref, Side::remote),
            .protocol = entry.protocol,
            .filtering = entry.filtering,
            .hairpin = entry.hairpin,
            .had_flows = entry.had_flows,
            .overlaps = entry.overlaps,
            .out = entry.out,
            .flows = entry.flows,
            .port_space = entry.port_space,
            .host = entry.host,
            .began = std::bit_cast<Instant>(entry.began)};
}

Endpoint MappingTable::external(MappingRef ref) const {
    return end(ref, Side::external);
}

uint64_t MappingTable::inside_hash(const Endpoint& inside, const Endpoint& remote, wire::IpProtocol protocol,
                                   bool overlaps) const {
    const uint64_t hash =
        hash_between(hash_, inside.address, inside.port, remote.address, remote.port, protocol);
    return overlaps ? ~hash : hash;
}

// The same hashes of what a mapping has.
uint64_t MappingTable::hash_between_sides(MappingRef ref, Side from, Side to) const {
    const Entry& entry = entries_[ref];
    const auto near = static_cast<size_t>(from);
    const auto far = static_cast<size_t>(to);
    if (entry.family == Family::ip4) [[likely]]
        return hash_.of_ip4(uint64_t{entry.addresses[far]} << 32 | entry.addresses[near],
                            uint64_t{static_cast<uint8_t>(entry.protocol)} << 32 |
                                uint64_t{entry.ports[far]} << 16 | entry.ports[near]);
    return hash_between(hash_, ip6_[ref][near], entry.ports[near], ip6_[ref][far], entry.ports[far],
                        entry.protocol);
}

uint64_t MappingTable::inside_hash(MappingRef ref) const {
    const uint64_t hash = hash_between_sides(ref, Side::inside, Side::remote);
    return entries_[ref].overlaps ? ~hash : hash;
}

uint64_t MappingTable::external_hash(const Endpoint& external, wire::IpProtocol protocol) const {
    return hash_between(hash_, external.address, external.port, external.address, external.port, protocol);
}

uint64_t MappingTable::shared_hash(const Endpoint& inside, const Endpoint& external,
                                   wire::IpProtocol protocol) const {
    return ~hash_between(hash_, external.address, external.port, inside.address, inside.port, protocol);
}

uint64_t MappingTable::external_hash(MappingRef ref) const {
    return entries_[ref].overlaps ? ~hash_between_sides(ref, Side::external, Side::inside)
                                  : hash_between_sides(ref, Side::external, Side::external);
}

MappingRef MappingTable::first(const Endpoint& inside, const Endpoint& remote, wire::IpProtocol protocol,
                               bool overlaps) const {
    return by_inside_.find(inside_hash(inside, remote, protocol, overlaps), [&](MappingRef ref) {
        const Entry& entry = entries_[ref];
        return is_end(ref, Side::inside, inside) && is_end(ref, Side::remote, remote) &&
               entry.protocol == protocol && entry.overlaps == overlaps;
    });
}

MappingRef MappingTable::by_external(const Endpoint& external, wire::IpProtocol protocol) const {
    return by_external_.find(external_hash(external, protocol), [&](MappingRef ref) {
        const Entry& entry = entries_[ref];
        return is_end(ref, Side::external, external) && entry.protocol == protocol && !entry.overlaps;
    });
}

MappingRef MappingTable::between(const Endpoint& inside, const Endpoint& external,
                                 wire::IpProtocol protocol) const {
    const MappingRef alone = by_external(external, protocol);
    if (alone != kNoMapping && is_end(alone, Side::inside, inside))
        return alone;
    return by_external_.find(shared_hash(inside, external, protocol), [&](MappingRef ref) {
        const Entry& entry = entries_[ref];
        return is_end(ref, Side::external, external) && is_end(ref, Side::inside, inside) &&
               entry.protocol == protocol && entry.overlaps;
    });
}

// One that overlaps goes to the front, as the newest does in Linux; others behind the first, which stays the
// one that its inside endpoint is known by.
bool MappingTable::put_in_chain(MappingRef ref, bool is_first) {
    Entry& entry = entries_[ref];
    const MappingRef head =
        is_first ? kNoMapping
                 : first(end(ref, Side::inside), end(ref, Side::remote), entry.protocol, entry.overlaps);
    entry.next = entry.previous = kNoMapping;
    if (head != kNoMapping && !entry.overlaps) {
        entry.next = entries_[head].next;
        entry.previous = head;
        entries_[head].next = ref;
        if (entry.next != kNoMapping)
            entries_[entry.next].previous = ref;
        return true;
    }
    const uint64_t hash = inside_hash(ref);
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
    const uint64_t hash = inside_hash(ref);
    by_inside_.erase(hash, ref);
    if (entry.next != kNoMapping)
        static_cast<void>(by_inside_.insert(hash, entry.next));  // where there was one there is room for one
}

MappingRef MappingTable::create(const Mapping& mapping, bool is_first) {
    const MappingRef ref =
        entries_.take(entry_of(mapping,
                               {word_of(mapping.inside.address), word_of(mapping.external.address),
                                word_of(mapping.remote.address), 0},
                               mapping.inside.address.family(), mapping.overlaps));
    if (ref == kNoMapping)
        return kNoMapping;
    if (mapping.inside.address.is_ip6())
        ip6_[ref] = {mapping.inside.address.ip6(), mapping.external.address.ip6(),
                     mapping.remote.address.ip6(), Ip6Address{}};
    const uint64_t hash = external_hash(ref);
    if (!by_external_.insert(hash, ref)) {
        entries_.give_back(ref);
        return kNoMapping;
    }
    if (!put_in_chain(ref, is_first)) {
        by_external_.erase(hash, ref);
        entries_.give_back(ref);
        return kNoMapping;
    }
    unsettled_[unsettled_count_++] = ref;
    return ref;
}

MappingRef MappingTable::create_first(const Ip4Mapping& mapping, uint64_t inside_hash) {
    const MappingRef ref = entries_.take(
        entry_of(mapping, {mapping.inside.address, mapping.external.address, mapping.remote.address, 0},
                 Family::ip4, false));
    if (ref == kNoMapping)
        return kNoMapping;
    const uint64_t external_hash = hash_of(mapping.external, mapping.external, mapping.protocol);
    if (!by_external_.insert(external_hash, ref)) [[unlikely]] {
        entries_.give_back(ref);
        return kNoMapping;
    }
    if (!by_inside_.insert(inside_hash, ref)) [[unlikely]] {
        by_external_.erase(external_hash, ref);
        entries_.give_back(ref);
        return kNoMapping;
    }
    unsettled_[unsettled_count_++] = ref;
    return ref;
}

void MappingTable::keep(MappingRef ref) {
    Entry& entry = entries_[ref];
    if (!entry.settled)
        return;
    entry.settled = false;
    unsettled_[unsettled_count_++] = ref;
}

void MappingTable::erase(MappingRef ref) {
    take_out_of_chain(ref);
    by_external_.erase(external_hash(ref), ref);
    entries_.give_back(ref);
}

void MappingTable::add_flow(MappingRef ref) {
    Entry& entry = entries_[ref];
    ++entry.flows;
    entry.had_flows = true;
    if (entry.overlaps && entry.previous != kNoMapping) {
        take_out_of_chain(ref);
        static_cast<void>(put_in_chain(ref, false));  // in place of the one that was first
    }
}

bool MappingTable::add_contact(MappingRef ref, const IpAddress& remote) {
    Entry& entry = entries_[ref];
    if (entry.contact_flows == 0)
        set_address(ref, Side::contact, remote);
    else if (!is_address(ref, Side::contact, remote))
        return false;
    ++entry.contact_flows;
    return true;
}

bool MappingTable::end_contact(MappingRef ref, const IpAddress& remote) {
    if (!has_contact(ref, remote))
        return false;
    --entries_[ref].contact_flows;
    return true;
}

bool MappingTable::has_contact(MappingRef ref, const IpAddress& remote) const {
    return entries_[ref].contact_flows != 0 && is_address(ref, Side::contact, remote);
}

MappingTable::Holdings MappingTable::prefetch_rest(MappingRef ref) const {
    const Entry& entry = entries_[ref];
    by_inside_.prefetch(inside_hash(ref));
    return {.host = entry.host,
            .port_space = entry.port_space,
            .port = entry.ports[static_cast<size_t>(Side::external)]};
}

}  // namespace sluice::nat
