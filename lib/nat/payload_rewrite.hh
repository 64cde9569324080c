// A part of a TCP payload exchanged for another of any length, as helpers do. What nf_nat_mangle_tcp_packet
// does, but into another buffer.
#pragma once

#include <cstddef>

#include "wire/bytes.hh"
#include "wire/ip_packet.hh"

namespace sluice::nat {

// Copies the packet with `length` bytes from `offset` of its TCP payload replaced, and makes the IP length
// and the checksums right; sequence numbers stay (sequence.hh). `to` does not overlap the packet. Bytes
// written; 0 if it is no TCP packet, the part does not lie in its payload, or the result fits neither `to`
// nor an IP packet.
[[nodiscard]] size_t replace_tcp_payload(const wire::IpPacket& packet, size_t offset, size_t length,
                                         wire::Bytes replacement, wire::MutableBytes to);

}  // namespace sluice::nat
