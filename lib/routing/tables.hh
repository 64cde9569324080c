// What routing reads per packet: immutable, published as part of the snapshot; the neighbour table alone
// changes in place.
#pragma once

#include <array>
#include <memory>
#include <vector>

#include "pipeline/interfaces.hh"
#include "routing/fib.hh"
#include "routing/neighbour_table.hh"
#include "routing/source_filter.hh"

namespace sluice::routing {

struct Tables {
    Tables(pipeline::Interfaces interfaces_, std::unique_ptr<const Fib> fib_,
           const NeighbourTable& neighbours_);

    pipeline::Interfaces interfaces;
    std::unique_ptr<const Fib> fib;
    const NeighbourTable& neighbours;
    SourceFilter source_filter;
    std::array<Ip6Address, kMaxInterfaces>
        link_locals;  // by interface: the one configured, or that of its MAC

    // The address the box speaks from on an interface (R1812-4.3.2.4): the interface's one in the network of
    // the neighbour or destination, or else its first of the family, or else the box's first. Unspecified if
    // there is none. Link-local destinations get a link-local source.
    [[nodiscard]] Ip4Address source_for(InterfaceId out, Ip4Address neighbour) const;
    [[nodiscard]] Ip6Address source_for(InterfaceId out, const Ip6Address& destination) const;
    // What the box says something from in any case: as Linux, link-local where it has no other address.
    [[nodiscard]] Ip6Address voice_for(InterfaceId out, const Ip6Address& destination) const;
    // The address is one of this interface, its link-local one included.
    [[nodiscard]] bool is_own_link_local(InterfaceId in, const Ip6Address& address) const;
    [[nodiscard]] bool is_own_address(InterfaceId in, const IpAddress& address) const;
};

}  // namespace sluice::routing
