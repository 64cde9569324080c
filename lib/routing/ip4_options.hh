// The options of IPv4 datagrams that the box takes part in: what may be wrong with them, its own entries in
// Record Route and Timestamp of what it forwards (RFC 791 3.1, R1812-5.3.13.5, R1812-5.3.13.6), and the
// options of its answers (R1812-4.3.3.6). Pure.
#pragma once

#include <array>
#include <cstdint>
#include <optional>

#include "base/address.hh"
#include "base/time.hh"
#include "routing/source_filter.hh"
#include "wire/bytes.hh"
#include "wire/ipv4.hh"

namespace sluice::routing {

// The octet that is wrong in a datagram's options, from the start of its header: a parameter problem's
// pointer. Nothing if all are right.
std::optional<uint8_t> option_fault(wire::Ipv4View datagram);

// Is there a source route among the options, as far as they can be read?
bool has_source_route(wire::Ipv4View datagram);

// How the box signs.
struct OptionStamp {
    Ip4Address out;           // in Record Route: the address of the interface the datagram leaves by
    Ip4Address back;          // in Timestamp: the address its sender is answered from, as Linux has it
    uint32_t time = 0;        // as option_time() has it
    const SourceFilter& own;  // addresses at which a timestamp may be asked of the box
};

// Milliseconds, marked as those of a clock that knows no universal time (RFC 791 3.1).
uint32_t option_time(Instant now);

// Adds the box's entry to Record Route and Timestamp, or counts that there was no room for a timestamp;
// blanks what stands behind the end of the options. For headers without option_fault(). The checksum is right
// afterwards.
void stamp_options(wire::MutableBytes datagram, const OptionStamp& stamp);

// Options of a header, as Ipv4Header has them.
struct Ip4Options {
    std::array<uint8_t, 40> bytes = {};
    uint8_t length = 0;  // a multiple of 4
};

// Those of the answer to a datagram: its Record Route and Timestamp with two entries of the box, one for the
// way here and one for the way back, as Linux does. Nothing if what is left of an option's room is no entry:
// then there must be no answer. Source routes are never answered.
std::optional<Ip4Options> answer_options(wire::Ipv4View asked, const OptionStamp& stamp);

}  // namespace sluice::routing
