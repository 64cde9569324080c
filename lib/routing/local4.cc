#include <algorithm>

#include "routing/drops.hh"
#include "routing/ip4_options.hh"
#include "routing/local.hh"
#include "routing/output.hh"
#include "wire/icmp4.hh"
#include "wire/tcp.hh"
#include "wire/udp.hh"

namespace sluice::routing {
namespace {

using pipeline::Verdict;
using telemetry::Protocol;

wire::MutableBytes payload_room(Context& context) {
    return wire::MutableBytes(context.state.scratch).subspan(wire::kIpv4MaxHeaderSize);
}

// Writes an IPv4 header in front of `payload_length` bytes that stand in payload_room() already, and sends
// it.
void answer(Context& context, wire::Ipv4View asked, wire::IpProtocol protocol, size_t payload_length,
            InterfaceId in) {
    const auto options = answer_options(asked, {.out = asked.destination(),
                                                .back = asked.destination(),
                                                .time = option_time(context.worker.now),
                                                .own = context.tables.source_filter});
    if (!options)
        return;
    // A reset is atomic (RFC 6864): it needs no identification, and nobody is to fragment it. Nor does it say
    // anything of congestion (RFC 3168 5.2).
    const bool is_reset = protocol == wire::IpProtocol::tcp;
    const uint8_t kept = is_reset ? 0xfc : 0xff;
    const wire::Ipv4Header header{
        .tos = static_cast<uint8_t>(asked.tos() & kept),
        .id = is_reset ? uint16_t{0} : static_cast<uint16_t>(context.worker.random.next()),
        .dont_fragment = is_reset,
        .protocol = protocol,
        .source = asked.destination(),
        .destination = asked.source(),
        .payload_length = static_cast<uint16_t>(payload_length),
        .options_length = options->length,
        .options = options->bytes};
    const auto packet =
        wire::MutableBytes(context.state.scratch)
            .subspan(wire::kIpv4MaxHeaderSize - header.header_size(), header.header_size() + payload_length);
    header.emit(packet);
    originate(context, packet, in);
}

Verdict refuse(Context& context, wire::Ipv4View packet, Icmp4ErrorKind kind, telemetry::DropReason reason,
               Addressed to, const Offence& how) {
    if (to == Addressed::host)
        send_error(context, {.kind = kind}, packet, how);
    return Verdict::drop(reason);
}

Verdict deliver_icmp(Context& context, wire::Ipv4View packet, Addressed to, const Offence& how) {
    auto& counters = context.worker.counters.protocol;
    counters.add(Protocol::IcmpInMsgs);
    const auto icmp = wire::Icmp4View::checked(packet.payload());
    if (!icmp) {
        counters.add(Protocol::IcmpInErrors);
        if (icmp.error() == wire::IcmpError::bad_checksum)
            counters.add(Protocol::IcmpInCsumErrors);
        return Verdict::drop(drops::icmp_malformed);
    }
    switch (icmp->type()) {
        case wire::Icmp4Type::echo_request: {  // R1812-4.3.3.6
            counters.add(Protocol::IcmpInEchos);
            if (to == Addressed::group)
                return Verdict::drop(drops::icmp_unanswered);
            const auto room = payload_room(context).first(packet.payload().size());
            std::ranges::copy(packet.payload(), room.begin());
            wire::make_echo_reply(room);
            counters.add(Protocol::IcmpOutMsgs);
            counters.add(Protocol::IcmpOutEchoReps);
            answer(context, packet, wire::IpProtocol::icmp, room.size(), how.in);
            return Verdict::consumed();
        }
        case wire::Icmp4Type::redirect:
            counters.add(Protocol::IcmpInRedirects);
            return Verdict::drop(drops::redirect);
        case wire::Icmp4Type::echo_reply:
        case wire::Icmp4Type::destination_unreachable:
        case wire::Icmp4Type::time_exceeded:
        case wire::Icmp4Type::parameter_problem:
            return Verdict::consumed();
        default:
            return Verdict::drop(drops::icmp_unanswered);
    }
}

Verdict deliver_udp(Context& context, wire::Ipv4View packet, Addressed to, const Offence& how) {
    auto& counters = context.worker.counters.protocol;
    const auto udp = wire::UdpView::checked(packet.payload());
    if (!udp || !udp->checksum_verifies(wire::pseudo_header(packet.source(), packet.destination(),
                                                            wire::IpProtocol::udp, udp->length()),
                                        Family::ip4)) {
        counters.add(Protocol::UdpInErrors);
        return Verdict::drop(drops::transport_malformed);
    }
    counters.add(Protocol::UdpNoPorts);
    // Whoever listened would have had the datagram without its flow: the error finds that by what it quotes.
    const Offence delivered{.in = how.in, .link_group = how.link_group};
    return refuse(context, packet, Icmp4ErrorKind::port_unreachable, drops::port_unreachable, to, delivered);
}

Verdict deliver_tcp(Context& context, wire::Ipv4View packet, Addressed to, const Offence& how) {
    auto& counters = context.worker.counters.protocol;
    counters.add(Protocol::TcpInSegs);
    const auto payload = packet.payload();
    const auto tcp = wire::TcpView::checked(payload);
    if (!tcp || !tcp->checksum_verifies(wire::pseudo_header(packet.source(), packet.destination(),
                                                            wire::IpProtocol::tcp,
                                                            static_cast<uint16_t>(payload.size())))) {
        counters.add(Protocol::TcpInErrs);
        return Verdict::drop(drops::transport_malformed);
    }
    if (to == Addressed::host && !how.link_group) {
        const size_t size =
            build_reset(payload, packet.destination(), packet.source(), payload_room(context));
        if (size != 0) {
            counters.add(Protocol::TcpOutRsts);
            answer(context, packet, wire::IpProtocol::tcp, size, how.in);
        }
    }
    return Verdict::drop(drops::port_unreachable);
}

Verdict deliver_whole(Context& context, Passage& passage, Addressed to, const Offence& how) {
    if (context.hooks != nullptr) {
        if (const auto verdict = context.hooks->input(context, passage); verdict != Verdict::next())
            return verdict;
    }
    const auto packet = wire::Ipv4View::unchecked(passage.packet.data());
    context.worker.counters.protocol.add(Protocol::IpInDelivers);
    switch (packet.protocol()) {
        case wire::IpProtocol::icmp:
            return deliver_icmp(context, packet, to, how);
        case wire::IpProtocol::udp:
            return deliver_udp(context, packet, to, how);
        case wire::IpProtocol::tcp:
            return deliver_tcp(context, packet, to, how);
        case wire::IpProtocol::igmp:
            return Verdict::consumed();  // the box joins no group that a querier would have to know of
        default:
            context.worker.counters.protocol.add(Protocol::IpInUnknownProtos);
            return refuse(context, packet, Icmp4ErrorKind::protocol_unreachable, drops::protocol_unreachable,
                          to, how);
    }
}

}  // namespace

Verdict deliver(Context& context, Passage& passage, Addressed to, const Offence& how) {
    const auto packet = wire::Ipv4View::unchecked(passage.packet.data());
    if (!packet.is_fragment())
        return deliver_whole(context, passage, to, how);
    auto& counters = context.worker.counters.protocol;
    counters.add(Protocol::IpReasmReqds);
    // Fragments of one datagram come by one interface; where an expired one came from is wanted for its
    // error.
    const auto scope = static_cast<uint32_t>(how.in);
    const auto result = context.state.reassembler.add(packet, scope, context.worker.now);
    count_evicted(context, result.evicted);
    switch (result.outcome) {
        case table::FragmentOutcome::stored:
            return Verdict::consumed();
        case table::FragmentOutcome::complete:
            counters.add(Protocol::IpReasmOKs);
            passage.packet = result.datagram;
            return deliver_whole(context, passage, to, how);
        case table::FragmentOutcome::refused:
            break;
    }
    counters.add(Protocol::IpReasmFails);
    return Verdict::drop(fragment_reason(result.refusal));
}

}  // namespace sluice::routing
