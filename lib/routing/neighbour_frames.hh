// The frames the resolver sends: ARP packets, neighbour solicitations and advertisements, complete from the
// Ethernet header on, without VLAN tag and padding.
#pragma once

#include <optional>

#include "base/address.hh"
#include "routing/neighbour_actions.hh"
#include "wire/arp.hh"
#include "wire/nd.hh"

namespace sluice::routing {

inline constexpr Ip6Address kAllNodes{{0xff, 0x02, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1}};

NeighbourFrame arp_frame(InterfaceId out, MacAddress to, const wire::ArpPacket& packet);

// To the group of the target, or with `to` to that MAC alone. The sender's MAC goes along as an option (RFC
// 4861 4.3).
NeighbourFrame solicitation_frame(InterfaceId out, MacAddress own_mac, const Ip6Address& source,
                                  const Ip6Address& target, std::optional<MacAddress> to);

// `advertisement.target_mac` is the sender's MAC too.
NeighbourFrame advertisement_frame(InterfaceId out, MacAddress own_mac, MacAddress to,
                                   const Ip6Address& source, const Ip6Address& destination,
                                   const wire::NeighbourAdvertisement& advertisement);

}  // namespace sluice::routing
