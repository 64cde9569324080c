#include "routing/neighbour_link_set.hh"

#include <algorithm>

namespace sluice::routing {
namespace {

constexpr uint8_t kLinkLocalLength = 64;

bool is_link_local(const InterfaceAddress& address) {
    return address.address.is_ip6() && address.address.ip6().is_link_local();
}

}  // namespace

NeighbourLinkSet::NeighbourLinkSet(std::vector<NeighbourInterface> interfaces)
    : interfaces_(std::move(interfaces)) {
    for (auto& interface : interfaces_) {
        if (std::ranges::none_of(interface.addresses, is_link_local))
            interface.addresses.push_back({Ip6Address::link_local(interface.mac), kLinkLocalLength});
    }
}

const NeighbourInterface* NeighbourLinkSet::find(InterfaceId id) const {
    const auto found = std::ranges::find(interfaces_, id, &NeighbourInterface::id);
    return found == interfaces_.end() ? nullptr : &*found;
}

NeighbourInterface* NeighbourLinkSet::find(InterfaceId id) {
    const auto found = std::ranges::find(interfaces_, id, &NeighbourInterface::id);
    return found == interfaces_.end() ? nullptr : &*found;
}

bool NeighbourLinkSet::is_own(Ip4Address address) const {
    return std::ranges::any_of(interfaces_, [&](const NeighbourInterface& interface) {
        return std::ranges::any_of(interface.addresses, [&](const InterfaceAddress& own) {
            return own.address == IpAddress(address);
        });
    });
}

NeighbourLinkSet::Own NeighbourLinkSet::own(const NeighbourInterface& interface, const Ip6Address& address) {
    Own result = Own::no;
    for (const auto& own : interface.addresses) {
        if (!own.address.is_ip6())
            continue;
        if (own.address.ip6() == address)
            return Own::unicast;
        if (own.has_subnet_anycast() && own.network().address().ip6() == address)
            result = Own::anycast;
    }
    return result;
}

bool NeighbourLinkSet::on_link(const NeighbourInterface& interface, const IpAddress& address) {
    if (address.is_multicast() || address.is_unspecified())
        return false;
    if (address.is_ip6() && address.ip6().is_link_local())
        return true;
    if (address.is_ip4() && is_broadcast(interface, address.ip4()))
        return false;
    return std::ranges::any_of(interface.addresses, [&](const InterfaceAddress& own) {
        return own.address.family() == address.family() && own.network().contains(address);
    });
}

bool NeighbourLinkSet::is_broadcast(const NeighbourInterface& interface, Ip4Address address) {
    return std::ranges::any_of(interface.addresses, [&](const InterfaceAddress& own) {
        return own.has_broadcast() && own.broadcast() == address;
    });
}

Ip4Address NeighbourLinkSet::source_for(const NeighbourInterface& interface, Ip4Address target) const {
    Ip4Address first;
    for (const auto& own : interface.addresses) {
        if (!own.address.is_ip4())
            continue;
        if (own.network().contains(IpAddress(target)))
            return own.address.ip4();
        if (first.is_unspecified())
            first = own.address.ip4();
    }
    for (const auto& other : interfaces_) {
        for (const auto& own : other.addresses) {
            if (first.is_unspecified() && own.address.is_ip4())
                first = own.address.ip4();
        }
    }
    return first;
}

Ip6Address NeighbourLinkSet::link_local(const NeighbourInterface& interface) {
    const auto found = std::ranges::find_if(interface.addresses, is_link_local);
    return found == interface.addresses.end() ? Ip6Address::link_local(interface.mac) : found->address.ip6();
}

}  // namespace sluice::routing
