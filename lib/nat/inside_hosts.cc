#include "nat/inside_hosts.hh"

namespace sluice::nat {

InsideHosts::InsideHosts(size_t capacity, const conntrack::TupleHash& hash)
    : hash_(hash), hosts_(capacity), index_(capacity) {}

uint64_t InsideHosts::hash_of(const IpAddress& address) const {
    return hash_({address, address, wire::IpProtocol{}});
}

uint32_t InsideHosts::place_of(const IpAddress& address) const {
    return index_.find(hash_of(address), [&](uint32_t place) { return hosts_[place].address == address; });
}

const InsideHost* InsideHosts::find(const IpAddress& address) const {
    const uint32_t place = place_of(address);
    return place == table::FlowIndex::kNone ? nullptr : &hosts_[place];
}

bool InsideHosts::add_mapping(const IpAddress& address, const IpAddress& external) {
    uint32_t place = place_of(address);
    if (place == table::FlowIndex::kNone) {
        place = hosts_.take({.address = address, .paired = external, .mappings = 0});
        if (place == Slots<InsideHost>::kNone)
            return false;
        if (!index_.insert(hash_of(address), place)) {
            hosts_.give_back(place);
            return false;
        }
    }
    ++hosts_[place].mappings;
    return true;
}

void InsideHosts::end_mapping(const IpAddress& address) {
    const uint32_t place = place_of(address);
    if (place == table::FlowIndex::kNone || --hosts_[place].mappings != 0)
        return;
    index_.erase(hash_of(address), place);
    hosts_.give_back(place);
}

}  // namespace sluice::nat
