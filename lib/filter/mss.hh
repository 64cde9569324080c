// The MSS option of TCP made smaller, as nftables' `tcp option maxseg size set`.
#pragma once

#include <cstdint>

#include "base/address.hh"
#include "wire/bytes.hh"
#include "wire/ip_packet.hh"

namespace sluice::filter {

// What `rt mtu` means: the MTU less the smallest IP and TCP headers; 536 for an MTU that leaves nothing. The
// MTU is the smaller of those of the ways to the destination and back to the source.
uint16_t mss_for_mtu(uint32_t mtu, Family family);

// Lowers the option to `mss` and mends the checksum; never raises it. Packets without TCP or the option stay
// as they are. `bytes` are those of `packet`. Whether something changed.
bool lower_mss(const wire::IpPacket& packet, wire::MutableBytes bytes, uint16_t mss);

// Whether there is a TCP header to look for the option in; if not, a rule with `mss` ends there.
bool has_tcp_header(const wire::IpPacket& packet);

}  // namespace sluice::filter
