#include "nat/inside_hosts.hh"

namespace sluice::nat {

InsideHosts::InsideHosts(size_t capacity, const conntrack::TupleHash& hash)
    : hash_(hash), hosts_(capacity), index_(capacity) {}

HostRef InsideHosts::ref(const IpAddress& address) const {
    return index_.find(hash_of(address), [&](HostRef host) { return hosts_[host].address == address; });
}

HostRef InsideHosts::add_first_mapping(const IpAddress& address, const IpAddress& external) {
    const HostRef host = hosts_.take({.address = address, .paired = external, .mappings = 1});
    if (host == kNoHost)
        return kNoHost;
    if (!index_.insert(hash_of(address), host)) {
        hosts_.give_back(host);
        return kNoHost;
    }
    return host;
}

void InsideHosts::end_mapping(HostRef host) {
    if (--hosts_[host].mappings != 0)
        return;
    index_.erase(hash_of(hosts_[host].address), host);
    hosts_.give_back(host);
}

}  // namespace sluice::nat
