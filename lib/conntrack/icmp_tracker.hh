// ICMP and ICMPv6: queries and their answers make flows; errors belong to the flow of the packet they quote.
#pragma once

#include <cstdint>
#include <expected>
#include <optional>

#include "base/address.hh"
#include "conntrack/settings.hh"
#include "conntrack/track_result.hh"
#include "wire/bytes.hh"
#include "wire/ip_packet.hh"
#include "wire/protocol.hh"

namespace sluice::conntrack {

// What conntrack does with a message.
enum class IcmpClass : uint8_t {
    query,      // tracked by type, code and identifier
    error,      // find_quotation() finds what it is about
    untracked,  // neighbour discovery and multicast listeners: CtState::untracked
    invalid,    // a type that ICMP does not have, or the other family's ICMP
};
// The packet is ICMP or ICMPv6 and has passed check_transport().
IcmpClass classify_icmp(const wire::IpPacket& packet);

// The type of the answer to a query, or of the query to an answer; none for types that are neither.
std::optional<uint8_t> opposite_icmp_type(Family family, uint8_t type);

// `first_type` is that of the packet that began the flow.
TrackResult track_icmp(Family family, uint8_t first_type, const FlowFacts& flow, const Settings& settings);

// The packet an error quotes, as far as it is quoted (R5508-3b, R5508-3c: options are skipped, its transport
// checksum is not looked at). The tuple made of it, turned round, is the flow's direction in which the
// error travels; the flow's destination in that direction must be the error's own.
struct QuotedPacket {
    IpAddress source;
    IpAddress destination;
    wire::IpProtocol protocol{};
    wire::Bytes bytes;  // from its IP header on, as far as it is there; borrowed
    // From its transport header on; may be empty. Where the header is not checked it begins where that says.
    wire::Bytes upper;
};
// The packet is of class error.
std::expected<QuotedPacket, InvalidReason> find_quotation(const wire::IpPacket& packet,
                                                          const Settings& settings);

}  // namespace sluice::conntrack
