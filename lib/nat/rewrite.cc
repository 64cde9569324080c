#include "nat/rewrite.hh"

#include <cstring>

#include "conntrack/icmp_tracker.hh"
#include "wire/checksum.hh"
#include "wire/gre.hh"
#include "wire/icmp4.hh"
#include "wire/icmp6.hh"
#include "wire/ipv4.hh"
#include "wire/ipv6.hh"
#include "wire/sctp.hh"
#include "wire/tcp.hh"
#include "wire/udp.hh"

namespace sluice::nat {
namespace {

using wire::ChecksumDelta;
using wire::IpProtocol;
using wire::MutableBytes;

constexpr IpProtocol kDccp{33};
constexpr size_t kQuotedMinimum = 8;  // what RFC 792 promises of a quoted transport header
constexpr size_t kUdpChecksum = 6;    // UDP-Lite's and DCCP's too
constexpr size_t kTcpChecksum = 16;
constexpr size_t kIcmpChecksum = 2;
constexpr size_t kIcmpIdentifier = 4;
constexpr size_t kSctpChecksum = 8;

// What the exchange of the address does to a checksum over a pseudo header.
ChecksumDelta address_delta(const IpAddress& from, const IpAddress& to) {
    return from.is_ip4() ? ChecksumDelta{}.add(from.ip4(), to.ip4())
                         : ChecksumDelta{}.add(from.ip6(), to.ip6());
}

void apply(const ChecksumDelta& delta, uint8_t* checksum) {
    delta.apply(Be16::load(checksum)).store(checksum);
}

// Writes the number and takes note of it.
void exchange(uint8_t* at, uint16_t value, ChecksumDelta& delta) {
    const Be16 after = Be16::from_host(value);
    delta.add(Be16::load(at), after);
    after.store(at);
}

uint8_t* port_of(MutableBytes upper, Manip manip) {
    return upper.data() + (manip == Manip::source ? 0 : 2);
}

void rewrite_icmp(MutableBytes message, uint16_t identifier) {
    if (!conntrack::opposite_icmp_type(Family::ip4, message[0]))
        return;
    uint8_t* const checksum = message.data() + kIcmpChecksum;
    ChecksumDelta delta;
    exchange(message.data() + kIcmpIdentifier, identifier, delta);
    apply(delta, checksum);
    // A message of nothing but zeros has the checksum 0xffff, the one value an update never yields.
    if (Be16::load(checksum) == Be16{} && wire::checksum(message) == Be16::from_wire(0xffff)) [[unlikely]]
        Be16::from_wire(0xffff).store(checksum);
}

void rewrite_icmp6(MutableBytes message, uint16_t identifier, ChecksumDelta delta) {
    const auto type = wire::Icmp6Type{message[0]};
    if (type == wire::Icmp6Type::echo_request || type == wire::Icmp6Type::echo_reply)
        exchange(message.data() + kIcmpIdentifier, identifier, delta);
    apply(delta, message.data() + kIcmpChecksum);
}

// The call identifier that a packet bears is its receiver's.
bool can_rewrite_gre(wire::Bytes upper, Manip manip) {
    return manip == Manip::source || (upper[1] & 7) <= wire::kGreVersionPptp;
}

// Protocols of which something is written or asked for.
bool needs_header(IpProtocol protocol) {
    switch (protocol) {
        case IpProtocol::tcp:
        case IpProtocol::udp:
        case IpProtocol::udplite:
        case IpProtocol::sctp:
        case IpProtocol::icmp:
        case IpProtocol::icmpv6:
        case IpProtocol::gre:
            return true;
        default:
            return false;
    }
}

}  // namespace

bool rewrite_upper(MutableBytes upper, IpProtocol protocol, Manip manip, const IpAddress& from,
                   const Endpoint& to) {
    if (upper.size() < kQuotedMinimum) [[unlikely]]
        return !needs_header(protocol);
    ChecksumDelta delta = address_delta(from, to.address);
    switch (protocol) {
        case IpProtocol::tcp:
            exchange(port_of(upper, manip), to.port, delta);
            if (upper.size() >= wire::kTcpHeaderSize) [[likely]]
                apply(delta, upper.data() + kTcpChecksum);
            return true;
        case IpProtocol::udp: {
            exchange(port_of(upper, manip), to.port, delta);
            uint8_t* const checksum = upper.data() + kUdpChecksum;
            delta.apply_udp(Be16::load(checksum)).store(checksum);
            return true;
        }
        case IpProtocol::udplite: {
            // Zero does not mean "none" here (RFC 3828 3.1), but it is sent as 0xffff like UDP's.
            exchange(port_of(upper, manip), to.port, delta);
            uint8_t* const checksum = upper.data() + kUdpChecksum;
            const Be16 updated = delta.apply(Be16::load(checksum));
            (updated == Be16{} ? Be16::from_wire(0xffff) : updated).store(checksum);
            return true;
        }
        case IpProtocol::sctp:
            wire::write16(port_of(upper, manip), to.port);
            if (upper.size() >= wire::kSctpHeaderSize) {
                const uint32_t checksum = wire::sctp_checksum(upper);
                std::memcpy(upper.data() + kSctpChecksum, &checksum, sizeof checksum);
            }
            return true;
        case IpProtocol::icmp:
            rewrite_icmp(upper, to.port);
            return true;
        case IpProtocol::icmpv6:
            rewrite_icmp6(upper, to.port, delta);
            return true;
        case IpProtocol::gre:
            return can_rewrite_gre(upper, manip);
        default:
            if (protocol == kDccp)
                apply(delta, upper.data() + kUdpChecksum);
            return true;
    }
}

void rewrite_address(uint8_t* header, Manip manip, const IpAddress& to) {
    if (to.is_ip4()) {
        auto ip4 = wire::MutableIpv4View::unchecked(header);
        manip == Manip::source ? ip4.set_source(to.ip4()) : ip4.set_destination(to.ip4());
    } else {
        auto ip6 = wire::MutableIpv6View::unchecked(header);
        manip == Manip::source ? ip6.set_source(to.ip6()) : ip6.set_destination(to.ip6());
    }
}

bool rewrite(const wire::IpPacket& packet, MutableBytes bytes, Manip manip, const Endpoint& to) {
    const IpAddress from = manip == Manip::source ? packet.source() : packet.destination();
    if (!packet.is_later_fragment() &&
        !rewrite_upper(bytes.subspan(packet.upper_offset()), packet.protocol(), manip, from, to))
        return false;
    rewrite_address(bytes.data(), manip, to.address);
    return true;
}

}  // namespace sluice::nat
