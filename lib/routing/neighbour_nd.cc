// Neighbour solicitations and advertisements as received: RFC 4861 7.2.3 to 7.2.5. What fails the checks
// of 7.1, hop limit 255 among them, is refused by wire/nd.hh (R4861).
#include "routing/neighbour_frames.hh"
#include "routing/neighbour_resolver.hh"
#include "wire/icmp6.hh"
#include "wire/ipv6.hh"
#include "wire/nd.hh"

namespace sluice::routing {

NeighbourInput NeighbourResolver::on_nd(const NeighbourPacket& packet, Instant now) {
    ++counters_.received;
    const NeighbourInterface* interface = links_.find(packet.in);
    if (interface == nullptr || packet.source == interface->mac)
        return NeighbourInput::ignored;
    const auto ip = wire::Ipv6View::checked(packet.bytes);
    auto result = NeighbourInput::malformed;
    if (ip && ip->next_header() == wire::IpProtocol::icmpv6 && !ip->payload().empty() &&
        !ip->source().is_multicast() && packet.source.is_unicast()) {
        const wire::NdPacket nd{ip->source(), ip->destination(), ip->hop_limit(), ip->payload()};
        const auto type = wire::Icmp6Type{nd.message[0]};
        if (type == wire::Icmp6Type::neighbour_solicitation) {
            if (const auto message = wire::NeighbourSolicitation::parse(nd))
                result = on_solicitation(*interface, packet.source, nd.source, *message, now);
        } else if (type == wire::Icmp6Type::neighbour_advertisement) {
            if (const auto message = wire::NeighbourAdvertisement::parse(nd))
                result = on_advertisement(*interface, packet.source, *message, now);
        } else {
            result = NeighbourInput::ignored;
        }
    }
    if (result == NeighbourInput::malformed)
        ++counters_.malformed;
    return result;
}

// RFC 4861 7.2.3 and 7.2.4.
NeighbourInput NeighbourResolver::on_solicitation(const NeighbourInterface& interface,
                                                  MacAddress frame_source, const Ip6Address& source,
                                                  const wire::NeighbourSolicitation& message, Instant now) {
    const auto own = NeighbourLinkSet::own(interface, message.target);
    if (own == NeighbourLinkSet::Own::no)
        return NeighbourInput::ignored;
    if (NeighbourLinkSet::own(interface, source) == NeighbourLinkSet::Own::unicast) {
        conflict(interface, source, frame_source);
        return NeighbourInput::used;
    }
    wire::NeighbourAdvertisement answer{.target = message.target,
                                        .router = true,
                                        .solicited = true,
                                        .override_cache = own == NeighbourLinkSet::Own::unicast,
                                        .target_mac = interface.mac};
    if (source.is_unspecified()) {
        // Somebody asks whether the address is free (RFC 4862 5.4.3): all nodes hear that it is not.
        if (own == NeighbourLinkSet::Own::anycast)
            return NeighbourInput::ignored;  // an anycast address is not ours alone
        answer.solicited = false;
        ++counters_.replies_sent;
        actions_.frames.push_back(advertisement_frame(interface.id, interface.mac, multicast_mac(kAllNodes),
                                                      message.target, kAllNodes, answer));
        return NeighbourInput::used;
    }
    if (message.source_mac && (!message.source_mac->is_unicast() || *message.source_mac == interface.mac))
        return NeighbourInput::malformed;
    if (message.source_mac && NeighbourLinkSet::on_link(interface, source))
        learn_from_request(interface, source, *message.source_mac, now);
    const NeighbourLink known = table_.find(interface.id, source).link;
    const MacAddress to = known.usable() ? known.mac() : message.source_mac.value_or(frame_source);
    // An anycast address is no source (RFC 4291 2.6).
    const Ip6Address from =
        own == NeighbourLinkSet::Own::unicast ? message.target : NeighbourLinkSet::link_local(interface);
    ++counters_.replies_sent;
    actions_.frames.push_back(advertisement_frame(interface.id, interface.mac, to, from, source, answer));
    return NeighbourInput::used;
}

// RFC 4861 7.2.5.
NeighbourInput NeighbourResolver::on_advertisement(const NeighbourInterface& interface,
                                                   MacAddress frame_source,
                                                   const wire::NeighbourAdvertisement& message, Instant now) {
    if (NeighbourLinkSet::own(interface, message.target) == NeighbourLinkSet::Own::unicast) {
        conflict(interface, message.target, message.target_mac.value_or(frame_source));
        return NeighbourInput::used;
    }
    const NeighbourIndex index = find(interface.id, message.target);
    if (index == kNoNeighbour)
        return NeighbourInput::ignored;
    Entry& known = entry(index);
    if (known.state == NeighbourState::none || known.state == NeighbourState::failed ||
        known.state == NeighbourState::permanent)
        return NeighbourInput::ignored;
    if (message.target_mac && (!message.target_mac->is_unicast() || *message.target_mac == interface.mac))
        return NeighbourInput::malformed;

    if (known.state == NeighbourState::incomplete) {
        if (!message.target_mac)
            return NeighbourInput::ignored;
        known.router = message.router;
        set_mac(index, *message.target_mac,
                message.solicited ? NeighbourState::reachable : NeighbourState::stale, now);
        return NeighbourInput::used;
    }
    const MacAddress current = table_.link(index).mac();
    const bool differs = message.target_mac && *message.target_mac != current;
    if (differs && !message.override_cache) {
        // Somebody else claims the address without insisting: what we have is in doubt, but stays.
        if (known.state == NeighbourState::reachable)
            set_state(index, NeighbourState::stale, now);
        return NeighbourInput::used;
    }
    known.router = message.router;
    if (message.solicited) {
        set_mac(index, message.target_mac.value_or(current), NeighbourState::reachable, now);
    } else if (differs) {
        set_mac(index, *message.target_mac, NeighbourState::stale, now);
    }
    return NeighbourInput::used;
}

}  // namespace sluice::routing
