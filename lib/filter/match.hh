// Whether a rule's checks hold for a packet: reads the fields where nftables reads them.
#pragma once

#include <cstdint>

#include "filter/compiled_rule.hh"
#include "filter/field.hh"
#include "filter/packet.hh"
#include "filter/trail.hh"

namespace sluice::filter {

inline constexpr int64_t kMissing = -1;

// A field that is a number, or kMissing if the packet does not have it. Ports are those of TCP, UDP,
// UDP-Lite, SCTP and DCCP. Not for addresses, ct_status, tcp_flags, exthdr, mac_saddr, match and the limits.
int64_t number_of(Field field, const RulePacket& packet);

// Whether the check holds. Counts at elements of sets that count, and tells the trail what was looked at.
bool holds(const CompiledRules& rules, const Check& check, const RulePacket& packet, Trail& trail);
// Without any effect.
bool holds(const CompiledRules& rules, const Check& check, const RulePacket& packet);

// The packet's values for a lookup in a set; false if it lacks one.
bool fill(const SetCheck& check, const RulePacket& packet, sets::Fields& fields);

// Whether all packets of a flow in one direction and state have the same value.
bool is_constant(const Check& check);

}  // namespace sluice::filter
