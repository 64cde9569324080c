// Sequence numbers of a TCP connection in which a helper changed the length of the payload, in its packets.
// What nf_ct_seq_adjust does.
#pragma once

#include "conntrack/sequence_offset.hh"
#include "conntrack/state.hh"
#include "wire/bytes.hh"
#include "wire/ip_packet.hh"

namespace sluice::nat {

using conntrack::SequenceOffset;
using conntrack::SequenceOffsets;

// Translates sequence, acknowledgment and SACK numbers of a TCP packet (RFC 2018) that goes in `direction`,
// and updates the checksum. `bytes` are those of `packet`. Must come after the helper has changed this
// packet. A window check in front of it sees acknowledgments as the receiver counts and must subtract
// of(opposite(direction)).at_receiver().
//
// False: no TCP header or broken options; the packet must be dropped, whose bytes mean nothing any more.
[[nodiscard]] bool adjust_sequence(const wire::IpPacket& packet, wire::MutableBytes bytes,
                                   const SequenceOffsets& offsets, conntrack::Direction direction);

}  // namespace sluice::nat
