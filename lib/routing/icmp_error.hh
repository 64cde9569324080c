// ICMP and ICMPv6 errors: whether one may be sent at all, and its bytes. Pure; the caller looks up the source
// address, asks the token bucket and sends.
#pragma once

#include <cstddef>
#include <cstdint>

#include "base/address.hh"
#include "routing/ip4_options.hh"
#include "wire/bytes.hh"
#include "wire/ipv4.hh"
#include "wire/ipv6.hh"

namespace sluice::routing {

enum class Icmp4ErrorKind : uint8_t {
    net_unreachable,           // 3/0: no route
    host_unreachable,          // 3/1: the next hop does not answer
    protocol_unreachable,      // 3/2
    port_unreachable,          // 3/3
    fragmentation_needed,      // 3/4 with the MTU (RFC 1191)
    source_route_failed,       // 3/5
    admin_prohibited,          // 3/13
    ttl_exceeded,              // 11/0
    reassembly_time_exceeded,  // 11/1; the offending packet is the first fragment
    parameter_problem,         // 12/0 with a pointer
};

struct Icmp4Error {
    Icmp4ErrorKind kind{};
    uint16_t mtu = 0;     // of fragmentation_needed
    uint8_t pointer = 0;  // of parameter_problem: the offending byte of the packet
};

enum class Icmp6ErrorKind : uint8_t {
    no_route,                   // 1/0
    admin_prohibited,           // 1/1
    beyond_scope,               // 1/2
    address_unreachable,        // 1/3
    port_unreachable,           // 1/4
    failed_policy,              // 1/5
    reject_route,               // 1/6
    packet_too_big,             // 2/0 with the MTU
    hop_limit_exceeded,         // 3/0
    reassembly_time_exceeded,   // 3/1; the offending packet is the first fragment
    erroneous_field,            // 4/0 with a pointer
    unknown_next_header,        // 4/1 with a pointer
    unknown_option,             // 4/2 with a pointer to the option's type
    incomplete_first_fragment,  // 4/3 (RFC 7112)
};

struct Icmp6Error {
    Icmp6ErrorKind kind{};
    uint32_t mtu = 0;      // of packet_too_big
    uint32_t pointer = 0;  // of parameter problems
};

// What the packet's bytes do not tell about it.
struct IcmpErrorContext {
    bool link_group = false;             // it came to a link-layer broadcast or multicast address
    bool destination_broadcast = false;  // its destination is a directed broadcast address
    bool source_refused = false;         // its source is a directed broadcast, anycast or martian address
};

// May an error be sent about a packet? The refusals take precedence over every rule that demands an error.
enum class IcmpErrorVerdict : uint8_t {
    send,
    invalid_packet,     // it failed header validation
    about_error,        // it is an ICMP error or redirect itself, or ICMP of unknown type
    group_destination,  // broadcast or multicast
    link_group,         // link-layer broadcast or multicast
    invalid_source,     // not the address of a single host
    later_fragment,     // not the first fragment (IPv4)
};

// `offending` is the packet from its IP header on as received: before TTL, addresses or ports were touched.
// R1812-4.3.2.7.
IcmpErrorVerdict may_send_error(const Icmp4Error& error, wire::Bytes offending,
                                const IcmpErrorContext& context);
// R4443-2.4e.
IcmpErrorVerdict may_send_error(const Icmp6Error& error, wire::Bytes offending,
                                const IcmpErrorContext& context);

inline constexpr size_t kIcmp4ErrorMaxSize = 576;                // R1812-4.3.2.3
inline constexpr size_t kIcmp6ErrorMaxSize = wire::kIpv6MinMtu;  // R4443-2.4c

// Bytes of the error about this packet, IP header included; `options`: bytes of them in the error's own
// header.
size_t icmp4_error_size(wire::Ipv4View offending, size_t options = 0);
size_t icmp6_error_size(wire::Ipv6View offending);

// Writes the error as an IP packet: TTL 64, as much of the offending packet quoted as fits the sizes above.
// `source` is the box's address, `id` an IPv4 identification, `options` those of answer_options(). Without
// those the quotation may stand in its place in `to` already. Bytes written; 0 if they do not fit.
size_t build_error(const Icmp4Error& error, wire::Ipv4View offending, Ip4Address source, uint16_t id,
                   wire::MutableBytes to, const Ip4Options& options = {});
size_t build_error(const Icmp6Error& error, wire::Ipv6View offending, const Ip6Address& source,
                   wire::MutableBytes to);

}  // namespace sluice::routing
