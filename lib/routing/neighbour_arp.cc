// ARP as received: RFC 826 with Linux's defaults (arp_ignore=0, arp_accept=0).
#include "routing/neighbour_frames.hh"
#include "routing/neighbour_resolver.hh"
#include "wire/arp.hh"

namespace sluice::routing {

NeighbourInput NeighbourResolver::on_arp(const NeighbourPacket& packet, Instant now) {
    ++counters_.received;
    const NeighbourInterface* interface = links_.find(packet.in);
    if (interface == nullptr)
        return NeighbourInput::ignored;
    const auto result = on_checked_arp(*interface, packet, now);
    if (result == NeighbourInput::malformed)
        ++counters_.malformed;
    return result;
}

NeighbourInput NeighbourResolver::on_checked_arp(const NeighbourInterface& interface,
                                                 const NeighbourPacket& packet, Instant now) {
    const auto view = wire::ArpView::checked(packet.bytes);
    if (!view)
        return NeighbourInput::malformed;
    const auto arp = wire::ArpPacket::parse(*view);
    // A group or nobody cannot be a sender; a multicast target cannot be asked for.
    if (!arp.sender_mac.is_unicast() || arp.sender_ip.is_multicast() || arp.sender_ip.is_loopback() ||
        arp.sender_ip.is_limited_broadcast() || arp.target_ip.is_multicast() || arp.target_ip.is_loopback() ||
        NeighbourLinkSet::is_broadcast(interface, arp.sender_ip))
        return NeighbourInput::malformed;
    if (arp.sender_mac == interface.mac)
        return NeighbourInput::ignored;  // our own, come back

    const bool asks_us = arp.operation == wire::ArpOperation::request && links_.is_own(arp.target_ip);
    const auto answer = [&] {
        ++counters_.replies_sent;
        actions_.frames.push_back(arp_frame(
            interface.id, arp.sender_mac,
            {wire::ArpOperation::reply, interface.mac, arp.target_ip, arp.sender_mac, arp.sender_ip}));
    };
    // A probe asks whether an address is free (RFC 5227 2.1.1): it says nothing of its sender.
    if (arp.sender_ip.is_unspecified()) {
        if (!asks_us)
            return NeighbourInput::ignored;
        answer();
        return NeighbourInput::used;
    }
    if (links_.is_own(arp.sender_ip)) {
        conflict(interface, arp.sender_ip, arp.sender_mac);
        return NeighbourInput::used;
    }
    const NeighbourIndex known = find(interface.id, arp.sender_ip);
    if (asks_us) {
        // A host with two links may ask with the address of the other one: it gets its answer, as from Linux,
        // but nothing is learned of an address that is not on this link.
        answer();
        if (known != kNoNeighbour || NeighbourLinkSet::on_link(interface, arp.sender_ip))
            learn_from_request(interface, arp.sender_ip, arp.sender_mac, now);
        return NeighbourInput::used;
    }
    // All else, gratuitous or an answer, only brings up to date what is there.
    if (known == kNoNeighbour || entry(known).state == NeighbourState::permanent)
        return NeighbourInput::ignored;
    const bool to_us = packet.destination == interface.mac;
    const bool confirms = arp.operation == wire::ArpOperation::reply && to_us;
    const NeighbourLink link = table_.link(known);
    const bool same = link.usable() && link.mac() == arp.sender_mac;
    const bool gratuitous = arp.sender_ip == arp.target_ip;
    if (link.usable() && !same && !gratuitous && now - entry(known).mac_since < timing_.lock)
        return NeighbourInput::ignored;  // of two answers the first counts
    if (same && !confirms)
        return NeighbourInput::used;
    set_mac(known, arp.sender_mac, confirms ? NeighbourState::reachable : NeighbourState::stale, now);
    return NeighbourInput::used;
}

// Whoever asks us is about to send to us, and tells where it is (RFC 826, RFC 4861 7.2.3). What it cannot
// tell is whether it hears us: hence stale.
void NeighbourResolver::learn_from_request(const NeighbourInterface& interface, const IpAddress& address,
                                           MacAddress mac, Instant now) {
    NeighbourIndex index = find(interface.id, address);
    if (index == kNoNeighbour) {
        if (mode_ != NeighbourMode::ask || !take_allowance(interface.id, now))
            return;
        index = create(interface.id, address, now);
        if (index == kNoNeighbour)
            return;
    }
    const NeighbourLink link = table_.link(index);
    if (entry(index).state == NeighbourState::permanent || link == NeighbourLink::usable(mac))
        return;
    if (address.is_ip4() && link.usable() && now - entry(index).mac_since < timing_.lock)
        return;
    set_mac(index, mac, NeighbourState::stale, now);
}

void NeighbourResolver::conflict(const NeighbourInterface& interface, const IpAddress& address,
                                 MacAddress theirs) {
    ++counters_.conflicts;
    actions_.conflicts.push_back({interface.id, address, theirs});
}

}  // namespace sluice::routing
