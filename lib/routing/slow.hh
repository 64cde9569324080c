// The way of one packet through the router, step by step: the whole decision, in the order of RFC 1812 5.2.1.
#pragma once

#include "dpdk/packet.hh"
#include "pipeline/burst.hh"
#include "pipeline/verdict.hh"
#include "routing/context.hh"
#include "routing/icmp_output.hh"
#include "routing/output.hh"

namespace sluice::routing {

// A packet that has been parsed; the frame starts at its link header. A verdict of `consumed` or `drop`
// leaves it to the caller.
pipeline::Verdict slow_ip4(Context& context, dpdk::Packet* packet, const pipeline::PacketMeta& meta);
pipeline::Verdict slow_ip6(Context& context, dpdk::Packet* packet, const pipeline::PacketMeta& meta);

// The next hop of a received packet, by the route rules where there are any.
const NextHop& route_of(const Context& context, wire::Ipv4View packet, InterfaceId in);
const NextHop& route_of(const Context& context, wire::Ipv6View packet, InterfaceId in);

// Whether the source is reachable the way rp_filter of the arrival interface demands (R1812-5.3.8, RFC 3704).
bool source_is_reachable(const Context& context, const IpAddress& source, const IpAddress& destination,
                         InterfaceId in);

}  // namespace sluice::routing
