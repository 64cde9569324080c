// Sends ICMP errors about packets: asks whether one may be sent, the rate limit, and the way back.
#pragma once

#include "routing/context.hh"
#include "routing/icmp_error.hh"

namespace sluice::routing {

// How the offending packet came.
struct Offence {
    InterfaceId in = kNoInterface;
    bool link_group = false;                      // as a link-layer broadcast or multicast
    const conntrack::Tracked* tracked = nullptr;  // its flow, to which the error will be related
};

// `offending` is the packet from its IP header on, as received. Nothing is sent where a rule forbids it
// (R1812-4.3.2.7, R4443-2.4e), the bucket is empty, or no way leads back; all is counted.
void send_error(Context& context, const Icmp4Error& error, wire::Ipv4View offending, const Offence& offence);
void send_error(Context& context, const Icmp6Error& error, wire::Ipv6View offending, const Offence& offence);

}  // namespace sluice::routing
