#include "routing/tables.hh"

#include <algorithm>

namespace sluice::routing {
namespace {

std::vector<InterfaceAddress> all_addresses(const pipeline::Interfaces& interfaces) {
    std::vector<InterfaceAddress> all;
    for (const auto& interface : interfaces.all())
        all.insert(all.end(), interface.addresses.begin(), interface.addresses.end());
    return all;
}

// The interface's address that may be a source towards `to`: one in its network, or else the first.
const InterfaceAddress* source_of(const pipeline::Interface& interface, const IpAddress& to) {
    const auto usable = [&](const InterfaceAddress& own) {
        return own.address.family() == to.family() &&
               !(own.address.is_ip6() && own.address.ip6().is_link_local());
    };
    const InterfaceAddress* first = nullptr;
    for (const InterfaceAddress& own : interface.addresses) {
        if (!usable(own))
            continue;
        if (own.network().contains(to))
            return &own;
        if (first == nullptr)
            first = &own;
    }
    return first;
}

IpAddress source_among(const pipeline::Interfaces& interfaces, InterfaceId out, const IpAddress& to) {
    if (const auto* own = source_of(interfaces[out], to); own != nullptr)
        return own->address;
    for (const auto& interface : interfaces.all()) {
        if (const auto* own = source_of(interface, to); own != nullptr)
            return own->address;
    }
    return {};
}

}  // namespace

Tables::Tables(pipeline::Interfaces interfaces_, std::unique_ptr<const Fib> fib_,
               const NeighbourTable& neighbours_)
    : interfaces(std::move(interfaces_)),
      fib(std::move(fib_)),
      neighbours(neighbours_),
      source_filter(all_addresses(interfaces)) {
    for (const auto& interface : interfaces.all()) {
        const auto configured = std::ranges::find_if(interface.addresses, [](const InterfaceAddress& own) {
            return own.address.is_ip6() && own.address.ip6().is_link_local();
        });
        link_locals[index(interface.id)] = configured != interface.addresses.end()
                                               ? configured->address.ip6()
                                               : Ip6Address::link_local(interface.mac);
    }
}

Ip4Address Tables::source_for(InterfaceId out, Ip4Address neighbour) const {
    return source_among(interfaces, out, neighbour).ip4();
}

Ip6Address Tables::source_for(InterfaceId out, const Ip6Address& destination) const {
    if (destination.is_link_local() || (destination.is_multicast() && destination.multicast_scope() <= 2))
        return link_locals[index(out)];
    return source_among(interfaces, out, destination).ip6();
}

Ip6Address Tables::voice_for(InterfaceId out, const Ip6Address& destination) const {
    const Ip6Address source = source_for(out, destination);
    return source.is_unspecified() ? link_locals[index(out)] : source;
}

bool Tables::is_own_address(InterfaceId in, const IpAddress& address) const {
    return std::ranges::find(interfaces[in].addresses, address, &InterfaceAddress::address) !=
           interfaces[in].addresses.end();
}

bool Tables::is_own_link_local(InterfaceId in, const Ip6Address& address) const {
    return link_locals[index(in)] == address || is_own_address(in, address);
}

}  // namespace sluice::routing
