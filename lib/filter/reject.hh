// The answers of `reject`, byte for byte as nf_reject makes them. Pure: who sends them looks up the way.
#pragma once

#include <cstddef>
#include <cstdint>
#include <expected>
#include <optional>

#include "base/address.hh"
#include "filter/rule.hh"
#include "wire/bytes.hh"
#include "wire/ip_packet.hh"

namespace sluice::filter {

// What kind of answer a packet gets. `automatic` is a reset for TCP and port-unreachable for all else.
RejectKind reject_kind(RejectKind asked, const wire::IpPacket& packet);

// Types and codes of the ICMP errors, as nftables' icmpx.
struct IcmpCode {
    uint8_t type = 0;
    uint8_t code = 0;
    bool operator==(const IcmpCode&) const = default;
};
// Not for tcp_reset and automatic.
IcmpCode icmp_code(RejectKind kind, Family family);

// Why no answer is sent; the packet is dropped all the same.
enum class NoReject : uint8_t {
    later_fragment,
    bad_checksum,     // of the transport
    not_tcp,          // a reset was asked for, and there is no whole TCP header
    is_reset,         // a reset never answers a reset
    not_unicast,      // source or destination is no single host
    nothing_to_quote  // IPv6 without anything behind its headers
};

inline constexpr size_t kResetMaxSize = 60;  // IPv6 and TCP header

// What the answer needs to know beyond the packet.
struct RejectContext {
    bool group_destination = false;  // IPv4: its destination is a broadcast or multicast address
    // Whether the checksum of the packet's transport was found right already; otherwise it is computed here.
    bool checksum_verified = false;
    uint8_t hop_limit = 64;  // of the reset: the route's, or the default
};

// A TCP reset for the packet, IP header included (IPv4: id 0, DF). Bytes written to `to`, which has
// kResetMaxSize.
std::expected<size_t, NoReject> build_reset(const wire::IpPacket& packet, const RejectContext& context,
                                            wire::MutableBytes to);

// Whether an ICMP error may be sent about the packet. The rules every ICMP error obeys besides (RFC
// 1812 4.3.2.7, RFC 4443 2.4, rate limits) are checked by who builds it.
std::optional<NoReject> refuses_icmp(const wire::IpPacket& packet, const RejectContext& context);

}  // namespace sluice::filter
