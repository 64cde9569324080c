// The last steps of a packet that leaves: MTU and fragments, the neighbour's link-layer address, the link
// header, the transmit queue.
#pragma once

#include <optional>
#include <span>

#include "dpdk/packet.hh"
#include "routing/context.hh"
#include "table/reassembly.hh"
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

// How a datagram that was put together here came in: its fragments leave the way they came, or smaller.
struct Fragmented {
    std::span<const table::FragmentSpan> fragments;
    uint16_t largest = 0;  // packet; 0 of one that came whole
    [[nodiscard]] bool came_whole() const { return largest == 0; }
};

// Sends a datagram as fragments that fit the MTU, in order (RFC 1812 5.2.6). The bytes are copied.
void output_fragments(Context& context, wire::Ipv4View datagram, const Departure& to, const Arrival& arrival,
                      const Fragmented& came = {});
// IPv6 only where it came in fragments; gives them an identification of the box's own. A packet whose headers
// did not come in the first fragment is not sent: false.
bool output_fragments(Context& context, wire::Ipv6View packet, const Departure& to, const Arrival& arrival,
                      const Fragmented& came);

// Routes and sends a packet the box made itself, from its IP header on, past the hooks; fragments it if need
// be. The bytes are copied. `in` gives link-local destinations their link. `about`: see Passage.
void originate(Context& context, wire::MutableBytes packet, InterfaceId in,
               const conntrack::Tracked* about = nullptr);

}  // namespace sluice::routing
