// The last steps of a packet that leaves: MTU and fragments, the neighbour's link-layer address, the link
// header, the transmit queue.
#pragma once

#include <optional>

#include "dpdk/packet.hh"
#include "routing/context.hh"
#include "wire/bytes.hh"
#include "wire/ipv4.hh"

namespace sluice::routing {

// Where a packet goes next.
struct Departure {
    InterfaceId out = kNoInterface;
    uint16_t mtu = 0;
    bool link_broadcast = false;              // to all hosts of the link
    NeighbourIndex neighbour = kNoNeighbour;  // of a gateway
    IpAddress next_hop;
};

// The departure that a next hop means for a packet to `destination`; nothing for kinds that do not send.
std::optional<Departure> departure(const NextHop& hop, const IpAddress& destination);

// What the packet's way so far has to say when the next hop does not answer.
struct Arrival {
    InterfaceId in = kNoInterface;
    bool forwarded = false;
    bool link_group = false;
    const dpdk::Packet* whole = nullptr;  // as it came, if it is sent in pieces
};

// Puts the link header for `to` in front of a packet that starts at its IP header, and queues it.
void transmit_to(Context& context, dpdk::Packet* packet, InterfaceId out, MacAddress to, Family family);

// Sends a packet that starts at its IP header and fits the MTU; if the next hop's address is not known it
// goes to the control thread, held until that has asked. The packet is passed on in any case.
pipeline::Verdict output(Context& context, dpdk::Packet* packet, const Departure& to, const Arrival& arrival);

// Sends a datagram as fragments that fit the MTU, in order (RFC 1812 5.2.6). The bytes are copied.
void output_fragments(Context& context, wire::Ipv4View datagram, const Departure& to, const Arrival& arrival);

// Routes and sends a packet the box made itself, from its IP header on; fragments it if need be. The bytes
// are copied. `in` gives link-local destinations their link.
void originate(Context& context, wire::Bytes packet, InterfaceId in);

}  // namespace sluice::routing
