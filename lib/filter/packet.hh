// All that a rule may look at of one packet.
#pragma once

#include <cstdint>
#include <optional>

#include "base/address.hh"
#include "base/interface_id.hh"
#include "base/time.hh"
#include "conntrack/state.hh"
#include "wire/ip_packet.hh"

namespace sluice::filter {

// Where nftables sees the transport header. Not quite where conntrack sees it: in IPv6 an authentication
// header is a transport of its own, and a chain that cannot be followed has none.
struct Transport {
    bool known = false;           // otherwise there is no protocol and nothing of a transport
    wire::IpProtocol protocol{};  // behind extension headers
    bool later_fragment = false;  // its bytes are those of the middle of a datagram
    uint16_t offset = 0;          // from the start of the IP header

    // Without extension headers it costs nothing.
    static Transport of(const wire::IpPacket& ip) {
        if (ip.family() == Family::ip4)
            return {.known = true,
                    .protocol = ip.protocol(),
                    .later_fragment = ip.is_later_fragment(),
                    .offset = ip.upper_offset()};
        const auto next = ip.ip6().next_header();
        if (next == wire::IpProtocol::tcp || next == wire::IpProtocol::udp) [[likely]]
            return {.known = true,
                    .protocol = next,
                    .later_fragment = false,
                    .offset = static_cast<uint16_t>(wire::kIpv6HeaderSize)};
        return of_ip6(ip);
    }

  private:
    static Transport of_ip6(const wire::IpPacket& ip);
};

// Whether an IPv6 packet has an extension header of this kind (nftables' `exthdr ... exists`).
bool has_extension_header(const wire::IpPacket& ip, wire::IpProtocol kind);

// What conntrack says of the packet. In raw and early nothing yet: the default.
struct PacketFlow {
    conntrack::CtState state = conntrack::CtState::invalid;
    conntrack::Direction direction = conntrack::Direction::original;
    conntrack::Status status;
    uint32_t* mark = nullptr;  // the flow's, written by ct_mark; null without a flow
    uint64_t id = 0;           // tells flows apart, for connlimit; 0 without a flow

    [[nodiscard]] bool exists() const {
        return state != conntrack::CtState::invalid && state != conntrack::CtState::untracked;
    }
};

// Lives on the stack while one packet passes its hooks; borrows the packet. Rules write `mark` and, by
// notrack, the flow's state; the caller takes them from here.
struct RulePacket {
    RulePacket(const wire::IpPacket& packet, Instant at)
        : ip(packet), now(at), transport(Transport::of(packet)) {}

    const wire::IpPacket& ip;
    Instant now;
    Transport transport;
    InterfaceId in = kNoInterface;   // packets of the box itself have none
    InterfaceId out = kNoInterface;  // not known before routing
    uint32_t mark = 0;
    PacketFlow ct;
    std::optional<MacAddress> mac_saddr;  // of a packet that came by Ethernet
};

}  // namespace sluice::filter
