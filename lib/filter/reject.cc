#include "filter/reject.hh"

#include <algorithm>
#include <array>

#include "filter/packet.hh"
#include "wire/checksum.hh"
#include "wire/icmp4.hh"
#include "wire/icmp6.hh"
#include "wire/tcp.hh"
#include "wire/udp.hh"

namespace sluice::filter {
namespace {

using wire::Bytes;
using wire::IpProtocol;

constexpr uint8_t kGreChecksumPresent = 0x80;

// Whether the transport has a checksum over all of its bytes that can be asked for.
bool has_plain_checksum(IpProtocol protocol, Bytes upper) {
    if (protocol == IpProtocol::udp)
        return upper.size() < wire::kUdpHeaderSize || wire::UdpView::unchecked(upper.data()).has_checksum();
    if (protocol == IpProtocol::gre)
        return upper.size() < 4 || (upper[0] & kGreChecksumPresent) != 0;
    constexpr std::array kOthers{IpProtocol::ah, IpProtocol::esp, IpProtocol::sctp, IpProtocol::udplite};
    return std::ranges::find(kOthers, protocol) == kOthers.end();
}

// As the kernel sums it: over all bytes behind the headers, whatever a length field in them says; IPv4 has a
// pseudo header for TCP and UDP alone, IPv6 for every protocol.
bool checksum_verifies(const wire::IpPacket& packet, IpProtocol protocol, Bytes upper) {
    wire::Checksum sum;
    if (packet.family() == Family::ip6)
        sum = wire::pseudo_header(packet.ip6().source(), packet.ip6().destination(), protocol,
                                  static_cast<uint32_t>(upper.size()));
    else if (protocol == IpProtocol::tcp || protocol == IpProtocol::udp)
        sum = wire::pseudo_header(packet.ip4().source(), packet.ip4().destination(), protocol,
                                  static_cast<uint16_t>(upper.size()));
    return sum.add(upper).verifies();
}

bool is_unicast(const Ip6Address& address) {
    return !address.is_multicast() && !address.is_unspecified();
}

std::optional<NoReject> refuses_reset(const wire::IpPacket& packet, const RejectContext& context) {
    if (packet.is_later_fragment())
        return NoReject::later_fragment;
    const bool groups = packet.family() == Family::ip4
                            ? context.group_destination
                            : !is_unicast(packet.ip6().source()) || !is_unicast(packet.ip6().destination());
    if (groups)
        return NoReject::not_unicast;
    if (packet.has_broken_chain() || packet.protocol() != IpProtocol::tcp ||
        packet.upper().size() < wire::kTcpHeaderSize)
        return NoReject::not_tcp;
    if (wire::TcpView::unchecked(packet.upper()).flags().has(wire::kTcpRst))
        return NoReject::is_reset;
    if (!context.checksum_verified && !checksum_verifies(packet, IpProtocol::tcp, packet.upper()))
        return NoReject::bad_checksum;
    return std::nullopt;
}

// The header length is taken as the segment says, even if that is more than there is.
wire::TcpHeader reset_for(Bytes segment) {
    const auto refused = wire::TcpView::unchecked(segment);
    wire::TcpHeader reset;
    reset.source_port = refused.destination_port();
    reset.destination_port = refused.source_port();
    if (refused.flags().has(wire::kTcpAck)) {
        reset.sequence = refused.acknowledgment();
        reset.flags = wire::kTcpRst;
        return reset;
    }
    const uint32_t counted =
        (refused.flags().has(wire::kTcpSyn) ? 1U : 0U) + (refused.flags().has(wire::kTcpFin) ? 1U : 0U);
    reset.acknowledgment =
        static_cast<uint32_t>(refused.sequence() + counted + segment.size() - refused.header_length());
    reset.flags = wire::kTcpRst | wire::kTcpAck;
    return reset;
}

size_t emit_ip_header(const wire::IpPacket& packet, uint8_t hop_limit, wire::MutableBytes to) {
    if (packet.family() == Family::ip4) {
        wire::Ipv4Header header;
        header.dont_fragment = true;
        header.ttl = hop_limit;
        header.protocol = IpProtocol::tcp;
        header.source = packet.ip4().destination();
        header.destination = packet.ip4().source();
        header.payload_length = wire::kTcpHeaderSize;
        return header.emit(to);
    }
    wire::Ipv6Header header;
    header.payload_length = wire::kTcpHeaderSize;
    header.next_header = IpProtocol::tcp;
    header.hop_limit = hop_limit;
    header.source = packet.ip6().destination();
    header.destination = packet.ip6().source();
    return header.emit(to);
}

wire::Checksum pseudo_of_answer(const wire::IpPacket& packet) {
    if (packet.family() == Family::ip4)
        return wire::pseudo_header(packet.ip4().destination(), packet.ip4().source(), IpProtocol::tcp,
                                   wire::kTcpHeaderSize);
    return wire::pseudo_header(packet.ip6().destination(), packet.ip6().source(), IpProtocol::tcp,
                               wire::kTcpHeaderSize);
}

}  // namespace

RejectKind reject_kind(RejectKind asked, const wire::IpPacket& packet) {
    if (asked != RejectKind::automatic)
        return asked;
    const Transport transport = Transport::of(packet);
    const bool is_tcp = transport.known && transport.protocol == IpProtocol::tcp;
    return is_tcp ? RejectKind::tcp_reset : RejectKind::port_unreachable;
}

IcmpCode icmp_code(RejectKind kind, Family family) {
    const bool is_ip4 = family == Family::ip4;
    const auto of = [&](wire::Icmp4Unreachable ip4, wire::Icmp6Unreachable ip6) -> IcmpCode {
        return is_ip4 ? IcmpCode{static_cast<uint8_t>(wire::Icmp4Type::destination_unreachable),
                                 static_cast<uint8_t>(ip4)}
                      : IcmpCode{static_cast<uint8_t>(wire::Icmp6Type::destination_unreachable),
                                 static_cast<uint8_t>(ip6)};
    };
    switch (kind) {
        case RejectKind::host_unreachable:
            return of(wire::Icmp4Unreachable::host, wire::Icmp6Unreachable::address);
        case RejectKind::admin_prohibited:
            return of(wire::Icmp4Unreachable::admin_prohibited, wire::Icmp6Unreachable::admin_prohibited);
        case RejectKind::automatic:
        case RejectKind::tcp_reset:
        case RejectKind::port_unreachable:
            break;
    }
    return of(wire::Icmp4Unreachable::port, wire::Icmp6Unreachable::port);
}

std::expected<size_t, NoReject> build_reset(const wire::IpPacket& packet, const RejectContext& context,
                                            wire::MutableBytes to) {
    if (const auto why = refuses_reset(packet, context))
        return std::unexpected(*why);
    const size_t ip = emit_ip_header(packet, context.hop_limit, to);
    const auto segment = to.subspan(ip);
    const size_t tcp = reset_for(packet.upper()).emit(segment);
    wire::set_tcp_checksum(segment.first(tcp), pseudo_of_answer(packet));
    return ip + tcp;
}

std::optional<NoReject> refuses_icmp(const wire::IpPacket& packet, const RejectContext& context) {
    if (packet.is_later_fragment())
        return NoReject::later_fragment;
    if (packet.family() == Family::ip6 && (packet.has_broken_chain() || packet.upper().empty()))
        return NoReject::nothing_to_quote;
    if (context.checksum_verified || !has_plain_checksum(packet.protocol(), packet.upper()) ||
        checksum_verifies(packet, packet.protocol(), packet.upper()))
        return std::nullopt;
    return NoReject::bad_checksum;
}

}  // namespace sluice::filter
