// Whether a packet's transport header can be believed: length, checksum, TCP's flags.
#pragma once

#include "conntrack/invalid_reason.hh"
#include "wire/ip_packet.hh"

namespace sluice::conntrack {

// Why the packet, which is no fragment, is invalid; none if it is not. `checksum`: look at the checksum too
// (Settings::checksum, unless the box made the packet). Protocols without a tracker are never invalid.
// As in Linux the whole IP payload is summed, and UDP's zero checksum is right in both families.
InvalidReason check_transport(const wire::IpPacket& packet, bool checksum);

}  // namespace sluice::conntrack
