#include "nat/rewrite_error.hh"

#include "conntrack/icmp_tracker.hh"
#include "nat/rewrite.hh"
#include "wire/checksum.hh"
#include "wire/icmp4.hh"
#include "wire/icmp6.hh"

namespace sluice::nat {
namespace {

bool is_redirect(const wire::IpPacket& error) {
    const uint8_t type = error.upper()[0];
    return error.family() == Family::ip4 ? wire::Icmp4Type{type} == wire::Icmp4Type::redirect
                                         : wire::Icmp6Type{type} == wire::Icmp6Type::redirect;
}

// Of the message and what its checksum covers besides.
wire::Checksum sum_of(const wire::IpPacket& error) {
    if (error.family() == Family::ip4)
        return wire::Checksum{}.add(error.upper());
    return wire::pseudo_header(error.ip6().source(), error.ip6().destination(), wire::IpProtocol::icmpv6,
                               static_cast<uint32_t>(error.upper().size()))
        .add(error.upper());
}

}  // namespace

bool rewrite_error(const wire::IpPacket& packet, wire::MutableBytes bytes,
                   const conntrack::Settings& settings, const FlowTranslation& flow, Manip manip) {
    if (packet.upper().size() < wire::kIcmpHeaderSize || !sum_of(packet).verifies())
        return false;
    if (is_redirect(packet) && flow.status.has_any(conntrack::kSnat | conntrack::kDnat))
        return false;
    if (!flow.changes(manip))
        return true;
    const auto quoted = find_quotation(packet, settings);
    if (!quoted)
        return false;

    // The quoted packet went the other way, so it is its other end that this translation touched. Before
    // that it was as the other direction's packets come.
    const Manip touched = opposite(manip);
    const Endpoint before = endpoint_of(flow.other_way, touched);
    const IpAddress address = touched == Manip::source ? quoted->source : quoted->destination;
    const auto in_packet = [&](wire::Bytes part) {
        return bytes.subspan(static_cast<size_t>(part.data() - packet.bytes().data()), part.size());
    };
    if (!rewrite_upper(in_packet(quoted->upper), quoted->protocol, touched, address, before))
        return false;
    rewrite_address(in_packet(quoted->bytes).data(), touched, before.address);

    // Nothing but the address is changed of an error itself.
    if (!rewrite(packet, bytes, manip, {flow.target(manip).address}))
        return false;
    uint8_t* const checksum = bytes.data() + packet.upper_offset() + 2;
    wire::write16(checksum, 0);
    sum_of(packet).finish().store(checksum);
    return true;
}

}  // namespace sluice::nat
