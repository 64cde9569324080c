#include "conntrack/tuple.hh"

#include "conntrack/gre_tracker.hh"
#include "conntrack/icmp_tracker.hh"
#include "wire/icmp4.hh"

namespace sluice::conntrack {
namespace {

using wire::IpProtocol;

}  // namespace

std::optional<Tuple> tuple_of(const IpAddress& source, const IpAddress& destination, IpProtocol protocol,
                              wire::Bytes upper) {
    Tuple result(source, destination, protocol);
    switch (protocol) {
        case IpProtocol::tcp:
        case IpProtocol::udp:
        case IpProtocol::udplite:
        case IpProtocol::sctp:
            // RFC 792 promises no more than eight bytes of a quoted packet; the ports are in the first four.
            if (upper.size() < 4)
                return std::nullopt;
            result.sport = wire::read16(upper.data());
            result.dport = wire::read16(upper.data() + 2);
            return result;
        case IpProtocol::icmp:
        case IpProtocol::icmpv6:
            if (upper.size() < wire::kIcmpHeaderSize)
                return std::nullopt;
            result.sport = wire::read16(upper.data() + 4);
            result.dport = wire::read16(upper.data());
            return result;
        case IpProtocol::gre:
            if (const auto key = gre_key(upper)) {
                result.dport = key->host();
                return result;
            }
            return std::nullopt;
        default:
            return result;
    }
}

std::optional<Tuple> tuple_of(const wire::IpPacket& packet) {
    if (packet.is_later_fragment() || packet.has_broken_chain())
        return std::nullopt;
    if (packet.family() == Family::ip6 && packet.protocol() == IpProtocol::none)
        return std::nullopt;
    return tuple_of(packet.source(), packet.destination(), packet.protocol(), packet.upper());
}

std::optional<Tuple> inverted(const Tuple& tuple) {
    Tuple result(tuple.destination(), tuple.source(), tuple.protocol(), tuple.dport, tuple.sport);
    if (tuple.is_icmp()) {
        const auto family = tuple.protocol() == IpProtocol::icmp ? Family::ip4 : Family::ip6;
        const auto type = opposite_icmp_type(family, tuple.icmp_type());
        if (!type)
            return std::nullopt;
        result.sport = tuple.icmp_id();
        result.dport = static_cast<uint16_t>(*type << 8 | tuple.icmp_code());
    }
    return result;
}

}  // namespace sluice::conntrack
