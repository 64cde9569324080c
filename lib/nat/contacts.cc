#include "nat/contacts.hh"

#include "nat/keyed_hash.hh"

namespace sluice::nat {

Contacts::Contacts(size_t capacity, const conntrack::TupleHash& hash)
    : hash_(hash), contacts_(capacity), index_(capacity) {}

uint64_t Contacts::hash_of(MappingRef mapping, const IpAddress& remote) const {
    return hash_between(hash_, remote, static_cast<uint16_t>(mapping >> 16), remote,
                        static_cast<uint16_t>(mapping), wire::IpProtocol{});
}

uint32_t Contacts::find(MappingRef mapping, const IpAddress& remote) const {
    return index_.find(hash_of(mapping, remote), [&](uint32_t place) {
        return contacts_[place].mapping == mapping && contacts_[place].remote == remote;
    });
}

bool Contacts::has(MappingRef mapping, const IpAddress& remote) const {
    return find(mapping, remote) != table::FlowIndex::kNone;
}

void Contacts::add(MappingRef mapping, const IpAddress& remote) {
    uint32_t place = find(mapping, remote);
    if (place == table::FlowIndex::kNone) {
        place = contacts_.take({.remote = remote, .mapping = mapping, .flows = 0});
        if (place == Slots<Contact>::kNone)
            return;
        if (!index_.insert(hash_of(mapping, remote), place)) {
            contacts_.give_back(place);
            return;
        }
    }
    ++contacts_[place].flows;
}

void Contacts::end(MappingRef mapping, const IpAddress& remote) {
    const uint32_t place = find(mapping, remote);
    if (place == table::FlowIndex::kNone || --contacts_[place].flows != 0)
        return;
    index_.erase(hash_of(mapping, remote), place);
    contacts_.give_back(place);
}

}  // namespace sluice::nat
