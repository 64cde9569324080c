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

}  // namespace

Tables::Tables(pipeline::Interfaces interfaces_, std::unique_ptr<const Fib> fib_,
               const NeighbourTable& neighbours_)
    : interfaces(std::move(interfaces_)),
      fib(std::move(fib_)),
      neighbours(neighbours_),
      source_filter(all_addresses(interfaces)) {
    for (const auto& interface : interfaces.all())
        link_locals.push_back(Ip6Address::link_local(interface.mac));
}

Ip4Address Tables::source_for(InterfaceId out) const {
    const auto first_of = [](const pipeline::Interface& interface) {
        const auto found =
            std::ranges::find_if(interface.addresses, [](const auto& a) { return a.address.is_ip4(); });
        return found == interface.addresses.end() ? Ip4Address() : found->address.ip4();
    };
    if (const Ip4Address own = first_of(interfaces[out]); !own.is_unspecified())
        return own;
    for (const auto& interface : interfaces.all()) {
        if (const Ip4Address own = first_of(interface); !own.is_unspecified())
            return own;
    }
    return {};
}

Ip6Address Tables::source_for(InterfaceId out, const Ip6Address& destination) const {
    if (destination.is_link_local() || (destination.is_multicast() && destination.multicast_scope() <= 2))
        return link_locals[index(out)];
    const auto first_of = [](const pipeline::Interface& interface) {
        const auto found = std::ranges::find_if(interface.addresses, [](const auto& a) {
            return a.address.is_ip6() && !a.address.ip6().is_link_local();
        });
        return found == interface.addresses.end() ? Ip6Address() : found->address.ip6();
    };
    if (const Ip6Address own = first_of(interfaces[out]); !own.is_unspecified())
        return own;
    for (const auto& interface : interfaces.all()) {
        if (const Ip6Address own = first_of(interface); !own.is_unspecified())
            return own;
    }
    return {};
}

bool Tables::is_own_address(InterfaceId in, const IpAddress& address) const {
    return std::ranges::find(interfaces[in].addresses, address, &InterfaceAddress::address) !=
           interfaces[in].addresses.end();
}

bool Tables::is_own_link_local(InterfaceId in, const Ip6Address& address) const {
    return link_locals[index(in)] == address || is_own_address(in, address);
}

}  // namespace sluice::routing
