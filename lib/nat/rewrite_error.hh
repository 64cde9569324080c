// ICMP and ICMPv6 errors about translated flows (RFC 5508 4): the error's own addresses and the packet it
// quotes must look as if there were no NAT. What nf_nat_icmp_reply_translation does.
#pragma once

#include "conntrack/settings.hh"
#include "nat/flow_translation.hh"
#include "nat/manip.hh"
#include "wire/bytes.hh"
#include "wire/ip_packet.hh"

namespace sluice::nat {

// Changes one end of an error that travels in the flow's `direction`, and the other end of the packet it
// quotes, which went the other way (R5508-4, R5508-5, R5508-7). Nothing is done where the flow does not ask
// for it. Type, code, RFC 4884 extensions (R5508-3d) and the length stay. IP options of the quotation are
// stepped over (R5508-3b); its checksums, as far as they are there, are updated but not verified (R5508-3c).
// Costs two passes over the packet.
//
// The quotation is what conntrack found to be of this flow under the same settings. `bytes` are those of
// `packet`.
//
// False: the error's checksum is wrong (R5508-3), the quotation is too short to be changed, or it is a
// redirect about a translated flow, which names addresses its receiver has never seen. The packet must be
// dropped, whose bytes mean nothing any more.
[[nodiscard]] bool rewrite_error(const wire::IpPacket& packet, wire::MutableBytes bytes,
                                 const conntrack::Settings& settings, const FlowTranslation& flow,
                                 Manip manip);

}  // namespace sluice::nat
