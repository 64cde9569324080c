#include "nat/nat_use.hh"

#include <algorithm>

namespace sluice::nat {

PortUse PortUse::of(const IpAddress& address, wire::IpProtocol protocol, const PortSpace& space) {
    return {.address = address,
            .protocol = protocol,
            .in_use = space.in_use(),
            .held_down = space.held(),
            .limit = space.limit(),
            .refused = space.refused(),
            .overlap = space.is_shared()};
}

double PortUse::share() const {
    const double taken = static_cast<double>(in_use) + held_down;
    return limit == 0 ? 0 : std::min(taken / limit, 1.0);
}

uint32_t PortUse::free() const {
    const uint32_t taken = in_use + held_down;
    return limit > taken ? limit - taken : 0;
}

void NatUse::add_ports(std::span<const PortUse> more) {
    for (const PortUse& one : more) {
        const auto same = std::ranges::find_if(ports, [&](const PortUse& known) {
            return known.address == one.address && known.protocol == one.protocol;
        });
        if (same == ports.end()) {
            ports.push_back(one);
            continue;
        }
        same->in_use += one.in_use;
        same->held_down += one.held_down;
        same->limit += one.limit;
        same->refused += one.refused;
        same->overlap = same->overlap || one.overlap;
    }
}

void NatUse::add_host(const InsideHost& host) {
    const auto place =
        std::ranges::find_if(hosts, [&](const InsideHost& known) { return known.mappings < host.mappings; });
    if (place == hosts.end() && hosts.size() >= kTopHosts)
        return;
    hosts.insert(place, host);
    if (hosts.size() > kTopHosts)
        hosts.pop_back();
}

void NatUse::add(const NatUse& other) {
    add_ports(other.ports);
    for (const InsideHost& host : other.hosts)
        add_host(host);
    mappings += other.mappings;
    max += other.max;
    made += other.made;
    ended += other.ended;
}

}  // namespace sluice::nat
