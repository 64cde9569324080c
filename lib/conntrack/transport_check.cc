#include "conntrack/transport_check.hh"

#include <array>

#include "wire/checksum.hh"
#include "wire/icmp4.hh"
#include "wire/sctp.hh"
#include "wire/tcp.hh"
#include "wire/udp.hh"

namespace sluice::conntrack {
namespace {

using wire::IpProtocol;

// The pseudo header's length is that of the whole IP payload, whatever UDP says itself.
wire::Checksum pseudo_of(const wire::IpPacket& packet, IpProtocol protocol) {
    const auto length = static_cast<uint32_t>(packet.upper().size());
    if (packet.family() == Family::ip4)
        return wire::pseudo_header(packet.ip4().source(), packet.ip4().destination(), protocol,
                                   static_cast<uint16_t>(length));
    return wire::pseudo_header(packet.ip6().source(), packet.ip6().destination(), protocol, length);
}

bool sum_verifies(const wire::IpPacket& packet) {
    return pseudo_of(packet, packet.protocol()).add(packet.upper()).verifies();
}

// By FIN, SYN, RST, ACK and URG: the combinations that exist. PSH, ECE and CWR go with all of them.
constexpr std::array<bool, 64> kTcpFlagsAllowed = [] {
    using wire::TcpFlags;
    std::array<bool, 64> allowed{};
    for (const TcpFlags flags :
         {wire::kTcpSyn, wire::kTcpSyn | wire::kTcpUrg, wire::kTcpSyn | wire::kTcpAck, wire::kTcpRst,
          wire::kTcpRst | wire::kTcpAck, wire::kTcpFin | wire::kTcpAck,
          wire::kTcpFin | wire::kTcpAck | wire::kTcpUrg, wire::kTcpAck, wire::kTcpAck | wire::kTcpUrg})
        allowed[flags.bits()] = true;
    return allowed;
}();
constexpr wire::TcpFlags kTcpDecisive{0x3f & ~0x08};

InvalidReason check_tcp(const wire::IpPacket& packet, bool checksum) {
    const auto tcp = wire::TcpView::checked(packet.upper());
    if (!tcp)
        return InvalidReason::truncated;
    if (checksum && !sum_verifies(packet))
        return InvalidReason::bad_checksum;
    return kTcpFlagsAllowed[(tcp->flags() & kTcpDecisive).bits()] ? InvalidReason::none
                                                                  : InvalidReason::tcp_flags;
}

InvalidReason check_udp(const wire::IpPacket& packet, bool checksum) {
    const auto udp = wire::UdpView::checked(packet.upper());
    if (!udp)
        return InvalidReason::truncated;
    const bool wrong = checksum && udp->has_checksum() && !sum_verifies(packet);
    return wrong ? InvalidReason::bad_checksum : InvalidReason::none;
}

// RFC 3828: the length field tells how much the checksum covers, which there must be.
InvalidReason check_udplite(const wire::IpPacket& packet, bool checksum) {
    const wire::Bytes upper = packet.upper();
    if (upper.size() < wire::kUdpHeaderSize)
        return InvalidReason::truncated;
    const size_t written = wire::read16(upper.data() + 4);
    const size_t coverage = written == 0 ? upper.size() : written;
    if (coverage < wire::kUdpHeaderSize || coverage > upper.size() || wire::read16(upper.data() + 6) == 0)
        return InvalidReason::udplite_coverage;
    if (checksum && !pseudo_of(packet, packet.protocol()).add(upper.first(coverage)).verifies())
        return InvalidReason::bad_checksum;
    return InvalidReason::none;
}

InvalidReason check_icmp(const wire::IpPacket& packet, bool checksum) {
    if (packet.upper().size() < wire::kIcmpHeaderSize)
        return InvalidReason::truncated;
    if (!checksum)
        return InvalidReason::none;
    const bool right = packet.protocol() == IpProtocol::icmp ? wire::checksum_verifies(packet.upper())
                                                             : sum_verifies(packet);
    return right ? InvalidReason::none : InvalidReason::bad_checksum;
}

InvalidReason check_sctp(const wire::IpPacket& packet, bool checksum) {
    const auto sctp = wire::SctpView::checked(packet.upper());
    if (!sctp)
        return InvalidReason::truncated;
    return checksum && !sctp->checksum_verifies() ? InvalidReason::bad_checksum : InvalidReason::none;
}

}  // namespace

InvalidReason check_transport(const wire::IpPacket& packet, bool checksum) {
    switch (packet.protocol()) {
        case IpProtocol::tcp:
            return check_tcp(packet, checksum);
        case IpProtocol::udp:
            return check_udp(packet, checksum);
        case IpProtocol::udplite:
            return check_udplite(packet, checksum);
        case IpProtocol::icmp:
            return packet.family() == Family::ip4 ? check_icmp(packet, checksum) : InvalidReason::icmp_type;
        case IpProtocol::icmpv6:
            return packet.family() == Family::ip6 ? check_icmp(packet, checksum) : InvalidReason::icmp_type;
        case IpProtocol::sctp:
            return check_sctp(packet, checksum);
        default:
            return InvalidReason::none;
    }
}

}  // namespace sluice::conntrack
