// The chain of IPv6 extension headers (RFC 8200 4) and the options in them.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>

#include "wire/bytes.hh"
#include "wire/ipv6.hh"
#include "wire/protocol.hh"

namespace sluice::wire {

// Headers the walk passes through. ESP and "no next header" end a chain, as does any upper-layer protocol.
constexpr bool is_extension_header(IpProtocol protocol) {
    switch (protocol) {
        case IpProtocol::hop_by_hop:
        case IpProtocol::routing:
        case IpProtocol::fragment:
        case IpProtocol::ah:
        case IpProtocol::destination_options:
            return true;
        default:
            return false;
    }
}

// Size of the extension header whose first bytes, at least two, are given. It may reach beyond them.
constexpr size_t extension_header_size(IpProtocol protocol, Bytes header) {
    switch (protocol) {
        case IpProtocol::fragment:
            return 8;
        case IpProtocol::ah:
            return (size_t{header[1]} + 2) * 4;
        default:
            return (size_t{header[1]} + 1) * 8;
    }
}

// A chain longer than this is refused; real ones have at most five.
inline constexpr uint8_t kMaxExtensionHeaders = 8;

enum class Ipv6ChainError : uint8_t {
    none,
    truncated,                // a header reaches beyond the packet
    too_many_headers,         // more than the bound
    misplaced_hop_by_hop,     // not directly behind the fixed header: parameter problem 1; walked past
    repeated_fragment_header  // fragments within fragments; walked past if the inner one is the first
};

// What the walk found; of several errors the first. Offsets count from the start of the IPv6 header; 0 means
// "not there".
struct Ipv6Chain {
    Ipv6ChainError error = Ipv6ChainError::none;
    // The protocol behind the extension headers. Behind a fragment header with an offset it is the one
    // that header names, and what stands at upper_offset is the middle of a datagram.
    IpProtocol upper_protocol = IpProtocol::none;
    uint8_t header_count = 0;
    bool cut = false;  // the walk ended at a header it could not pass: that is the upper protocol then
    // What such a header names, where it is there but reaches beyond the packet.
    std::optional<IpProtocol> protocol_beyond = {};
    bool non_first_fragment = false;
    uint8_t routing_type = 0;
    uint8_t segments_left = 0;
    uint16_t upper_offset = kIpv6HeaderSize;  // may be the end of the packet
    uint16_t upper_named_at = 6;              // the next-header field that names the upper protocol
    uint16_t hop_by_hop_offset = 0;           // of one in its place
    uint16_t routing_offset = 0;
    uint16_t fragment_offset = 0;  // where the fragment header is, not its field of that name
    uint16_t fragment_named_at = 0;
    uint16_t destination_offset = 0;  // the last destination options header
    uint16_t error_offset = 0;        // a parameter problem's pointer, if there is an error

    [[nodiscard]] bool ok() const { return error == Ipv6ChainError::none; }
    bool operator==(const Ipv6Chain&) const = default;
};

namespace detail {
Ipv6Chain walk_chain(Ipv6View view, uint8_t max_headers);
}

// Walks the chain with every bound checked. Cheap for the usual packet that has no extension header.
inline Ipv6Chain walk_extensions(Ipv6View view, uint8_t max_headers = kMaxExtensionHeaders) {
    if (!is_extension_header(view.next_header())) [[likely]] {
        Ipv6Chain chain;
        chain.upper_protocol = view.next_header();
        return chain;
    }
    return detail::walk_chain(view, max_headers);
}

// Whether a first fragment, from its fragment header on, lacks a part of its upper-layer header (R7112). One
// that ends in front of an extension header does not show that, and Linux does not ask.
bool lacks_upper_header(Bytes fragment);

enum class Ipv6OptionType : uint8_t { pad1 = 0, pad_n = 1, router_alert = 5, jumbo_payload = 0xc2 };
// Whose options they are: a few have a meaning in one kind of header only.
enum class Ipv6OptionsHeader : uint8_t { hop_by_hop, destination };

// What the two highest bits of an unknown option's type demand (RFC 8200 4.2).
enum class Ipv6OptionAction : uint8_t {
    skip = 0,
    discard = 1,
    discard_report = 2,          // parameter problem 2 even if the destination is multicast
    discard_report_unicast = 3,  // parameter problem 2 unless the destination is multicast
};

// The verdict over a hop-by-hop or destination options header.
struct Ipv6OptionSummary {
    // An option reaches beyond the header or has not the length of its type, or there is more than RFC
    // 8504 5.3 lets anyone insist on: over 8 options, over 7 bytes of padding together, padding other than
    // zeros. As Linux.
    bool malformed = false;
    bool router_alert = false;
    Ipv6OptionAction action =
        Ipv6OptionAction::skip;  // of the first unknown option that is not to be skipped
    uint16_t pointer = 0;        // offset of the offending option from the start of the IPv6 header
    bool operator==(const Ipv6OptionSummary&) const = default;
};

// Judges the options header at `offset`, which the walk has checked to be inside the packet.
Ipv6OptionSummary summarize_options(Ipv6View view, uint16_t offset, Ipv6OptionsHeader header);

}  // namespace sluice::wire
