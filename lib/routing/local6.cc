#include <algorithm>

#include "routing/drops.hh"
#include "routing/local.hh"
#include "routing/output.hh"
#include "wire/fragment.hh"
#include "wire/icmp6.hh"
#include "wire/ipv6_extensions.hh"
#include "wire/tcp.hh"
#include "wire/udp.hh"

namespace sluice::routing {
namespace {

using pipeline::Verdict;
using telemetry::Protocol;

// A packet to the box while its headers are gone through.
struct Delivery {
    Context& context;
    wire::Ipv6View packet;
    wire::Ipv6Chain chain;
    Addressed to;
    const Offence& how;
    bool came_with_hop_by_hop = false;  // before it was put together: fragments have no place for one inside

    [[nodiscard]] wire::Bytes upper() const { return packet.bytes().subspan(chain.upper_offset); }
    [[nodiscard]] telemetry::ProtocolCounters& counters() const { return context.worker.counters.protocol; }
};

wire::MutableBytes payload_room(Context& context) {
    return wire::MutableBytes(context.state.scratch).subspan(wire::kIpv6HeaderSize);
}

// Writes an IPv6 header in front of what stands in the scratch buffer already, and sends it.
void answer(const Delivery& delivery, const Ip6Address& source, wire::IpProtocol protocol,
            size_t payload_length) {
    // A reset says nothing of congestion (RFC 3168 5.2).
    const uint8_t kept = protocol == wire::IpProtocol::tcp ? 0xfc : 0xff;
    const wire::Ipv6Header header{
        .traffic_class = static_cast<uint8_t>(delivery.packet.traffic_class() & kept),
        .flow_label = 0,
        .payload_length = static_cast<uint16_t>(payload_length),
        .next_header = protocol,
        .source = source,
        .destination = delivery.packet.source()};
    const wire::MutableBytes room(delivery.context.state.scratch);
    header.emit(room);
    originate(delivery.context, room.first(wire::kIpv6HeaderSize + payload_length), delivery.how.in);
}

Verdict refuse(const Delivery& delivery, const Icmp6Error& error, telemetry::DropReason reason) {
    send_error(delivery.context, error, delivery.packet, delivery.how);
    return Verdict::drop(reason);
}

Verdict echo(const Delivery& delivery) {
    delivery.counters().add(Protocol::Icmp6InEchos);
    if (delivery.packet.source().is_unspecified())
        return Verdict::drop(drops::icmp_unanswered);
    // An echo request to a group is answered from the interface's own address (RFC 4443 4.2).
    const Ip6Address source = delivery.to == Addressed::group ? delivery.context.tables.voice_for(
                                                                    delivery.how.in, delivery.packet.source())
                                                              : delivery.packet.destination();
    const auto room = payload_room(delivery.context).first(delivery.upper().size());
    std::ranges::copy(delivery.upper(), room.begin());
    wire::make_echo6_reply(room);
    wire::set_icmp6_checksum(room, source, delivery.packet.source());
    delivery.counters().add(Protocol::Icmp6OutMsgs);
    delivery.counters().add(Protocol::Icmp6OutEchoReplies);
    answer(delivery, source, wire::IpProtocol::icmpv6, room.size());
    return Verdict::consumed();
}

Verdict deliver_icmp(const Delivery& delivery) {
    delivery.counters().add(Protocol::Icmp6InMsgs);
    const auto icmp =
        wire::Icmp6View::checked(delivery.upper(), delivery.packet.source(), delivery.packet.destination());
    if (!icmp) {
        delivery.counters().add(Protocol::Icmp6InErrors);
        if (icmp.error() == wire::IcmpError::bad_checksum)
            delivery.counters().add(Protocol::Icmp6InCsumErrors);
        return Verdict::drop(drops::icmp_malformed);
    }
    switch (icmp->type()) {
        case wire::Icmp6Type::echo_request:
            return echo(delivery);
        case wire::Icmp6Type::redirect:
            delivery.counters().add(Protocol::Icmp6InRedirects);
            return Verdict::drop(drops::redirect);
        case wire::Icmp6Type::router_advertisement:
        case wire::Icmp6Type::router_solicitation:
            return Verdict::drop(drops::router_advertisement);
        case wire::Icmp6Type::neighbour_solicitation:
        case wire::Icmp6Type::neighbour_advertisement:
            return Verdict::drop(
                drops::neighbour_malformed);  // in fragments (RFC 6980 5) or behind other headers
        case wire::Icmp6Type::destination_unreachable:
        case wire::Icmp6Type::packet_too_big:
        case wire::Icmp6Type::time_exceeded:
        case wire::Icmp6Type::parameter_problem:
        case wire::Icmp6Type::echo_reply:
        case wire::Icmp6Type::mld_query:
        case wire::Icmp6Type::mld_report:
        case wire::Icmp6Type::mld_done:
        case wire::Icmp6Type::mld2_report:
            return Verdict::consumed();
    }
    return Verdict::drop(drops::icmp_unanswered);
}

// A length of 0 means all that is there (RFC 2675 4), in Linux however little that is.
bool is_sound_udp(wire::Bytes datagram, const Ip6Address& source, const Ip6Address& destination) {
    const auto pseudo = [&](size_t length) {
        return wire::pseudo_header(source, destination, wire::IpProtocol::udp, static_cast<uint32_t>(length));
    };
    if (datagram.size() >= wire::kUdpHeaderSize && wire::UdpView::unchecked(datagram.data()).length() == 0)
        return wire::UdpView::unchecked(datagram.data()).has_checksum() &&
               pseudo(datagram.size()).add(datagram).verifies();
    const auto udp = wire::UdpView::checked(datagram);
    return udp && udp->checksum_verifies(pseudo(udp->length()), Family::ip6);
}

Verdict deliver_udp(const Delivery& delivery) {
    if (!is_sound_udp(delivery.upper(), delivery.packet.source(), delivery.packet.destination())) {
        delivery.counters().add(Protocol::UdpInErrors);
        return Verdict::drop(drops::transport_malformed);
    }
    delivery.counters().add(Protocol::Udp6NoPorts);
    // As in IPv4: the error finds the flow by what it quotes.
    send_error(delivery.context, Icmp6Error{.kind = Icmp6ErrorKind::port_unreachable}, delivery.packet,
               {.in = delivery.how.in, .link_group = delivery.how.link_group});
    return Verdict::drop(drops::port_unreachable);
}

Verdict deliver_tcp(const Delivery& delivery) {
    delivery.counters().add(Protocol::TcpInSegs);
    const auto segment = delivery.upper();
    const auto tcp = wire::TcpView::checked(segment);
    const auto& packet = delivery.packet;
    if (!tcp || !tcp->checksum_verifies(wire::pseudo_header(packet.source(), packet.destination(),
                                                            wire::IpProtocol::tcp,
                                                            static_cast<uint32_t>(segment.size())))) {
        delivery.counters().add(Protocol::TcpInErrs);
        return Verdict::drop(drops::transport_malformed);
    }
    if (delivery.to == Addressed::host && !delivery.how.link_group) {
        const size_t size =
            build_reset(segment, packet.destination(), packet.source(), payload_room(delivery.context));
        if (size != 0) {
            delivery.counters().add(Protocol::TcpOutRsts);
            answer(delivery, packet.destination(), wire::IpProtocol::tcp, size);
        }
    }
    return Verdict::drop(drops::port_unreachable);
}

Verdict deliver_upper(const Delivery& delivery) {
    delivery.counters().add(Protocol::Ip6InDelivers);
    switch (delivery.chain.upper_protocol) {
        case wire::IpProtocol::icmpv6:
            return deliver_icmp(delivery);
        case wire::IpProtocol::udp:
            return deliver_udp(delivery);
        case wire::IpProtocol::tcp:
            return deliver_tcp(delivery);
        case wire::IpProtocol::none:
            return Verdict::consumed();  // RFC 8200 4.7
        default:
            delivery.counters().add(Protocol::Ip6InUnknownProtos);
            return refuse(
                delivery,
                {.kind = Icmp6ErrorKind::unknown_next_header, .pointer = delivery.chain.upper_named_at},
                drops::protocol_unreachable);
    }
}

// Options for the box: those it does not know may ask for an error (RFC 8200 4.2).
Verdict check_options(const Delivery& delivery, uint16_t offset) {
    const auto options =
        wire::summarize_options(delivery.packet, offset, wire::Ipv6OptionsHeader::destination);
    if (options.malformed)  // without a word, as in Linux
        return Verdict::drop(drops::bad_options);
    switch (options.action) {
        case wire::Ipv6OptionAction::skip:
            return Verdict::next();
        case wire::Ipv6OptionAction::discard:
            return Verdict::drop(drops::unknown_option);
        case wire::Ipv6OptionAction::discard_report_unicast:
            if (delivery.to == Addressed::group)
                return Verdict::drop(drops::unknown_option);
            break;
        case wire::Ipv6OptionAction::discard_report:
            break;
    }
    return refuse(delivery, {.kind = Icmp6ErrorKind::unknown_option, .pointer = options.pointer},
                  drops::unknown_option);
}

// What has been put together must not be a fragment again, not even one that stands alone; as in Linux.
Verdict check_unfragmented(const Delivery& delivery) {
    if (delivery.chain.fragment_offset == 0)
        return Verdict::next();
    return refuse(delivery,
                  {.kind = Icmp6ErrorKind::erroneous_field, .pointer = delivery.chain.fragment_offset},
                  drops::fragment_refused);
}

// Whether the packet has to be put together first. One that is whole with a fragment header keeps that, and
// stands alone (R6946).
bool is_part(const Delivery& delivery) {
    const size_t at = delivery.chain.fragment_offset;
    return at != 0 && !wire::Ipv6FragmentView::unchecked(delivery.packet.bytes().data() + at).is_atomic();
}

// The extension headers in their order (RFC 8200 4.1), of a part up to the fragment header.
Verdict check_headers(const Delivery& delivery) {
    const wire::Bytes bytes = delivery.packet.bytes();
    auto protocol = delivery.packet.next_header();
    size_t named_at = 6;
    size_t at = wire::kIpv6HeaderSize;
    const size_t end = is_part(delivery) ? delivery.chain.fragment_offset : delivery.chain.upper_offset;
    while (at < end) {
        if (protocol == wire::IpProtocol::hop_by_hop) {
            if (at != wire::kIpv6HeaderSize || !delivery.came_with_hop_by_hop)
                return refuse(
                    delivery,
                    {.kind = Icmp6ErrorKind::unknown_next_header, .pointer = static_cast<uint32_t>(named_at)},
                    drops::bad_options);
        }
        if (protocol == wire::IpProtocol::hop_by_hop || protocol == wire::IpProtocol::destination_options) {
            const auto verdict = check_options(delivery, static_cast<uint16_t>(at));
            if (verdict != Verdict::next())
                return verdict;
        }
        // No routing type is processed (RFC 5095), so segments left must be 0 (RFC 8200 4.4).
        if (protocol == wire::IpProtocol::routing && bytes[at + 3] != 0)
            return refuse(delivery,
                          {.kind = Icmp6ErrorKind::erroneous_field, .pointer = static_cast<uint32_t>(at + 2)},
                          drops::source_route);
        named_at = at;
        at += wire::extension_header_size(protocol, bytes.subspan(at));
        protocol = wire::IpProtocol{bytes[named_at]};
    }
    return Verdict::next();
}

// What ends a chain in front of its upper-layer header; a fragment may do so.
Verdict check_end(const Delivery& delivery) {
    const auto& chain = delivery.chain;
    if (!chain.cut)
        return Verdict::next();
    if (chain.upper_protocol == wire::IpProtocol::fragment &&
        delivery.upper().size() < wire::kIpv6FragmentHeaderSize)  // as Linux
        return refuse(delivery, {.kind = Icmp6ErrorKind::erroneous_field, .pointer = chain.upper_offset},
                      drops::bad_options);
    return Verdict::drop(drops::bad_options);
}

Verdict reassemble(Delivery& delivery) {
    delivery.counters().add(Protocol::Ip6ReasmReqds);
    // Before anything else that may be wrong with it, as Linux.
    if (wire::lacks_upper_header(delivery.packet.bytes().subspan(delivery.chain.fragment_offset)))
        return refuse(delivery, {.kind = Icmp6ErrorKind::incomplete_first_fragment}, drops::fragment_refused);
    // The chain as far as all parts have it; what else is wrong is told when the packet is whole.
    const wire::Ipv6Chain chain{.fragment_offset = delivery.chain.fragment_offset,
                                .fragment_named_at = delivery.chain.fragment_named_at};
    const auto result = delivery.context.state.reassembler.add(
        delivery.packet, chain, static_cast<uint32_t>(delivery.how.in), delivery.context.worker.now);
    count_evicted(delivery.context, result.evicted);
    switch (result.outcome) {
        case table::FragmentOutcome::stored:
            return Verdict::consumed();
        case table::FragmentOutcome::complete:
            delivery.counters().add(Protocol::Ip6ReasmOKs);
            delivery.packet = wire::Ipv6View::unchecked(result.datagram.data());
            delivery.chain = wire::walk_extensions(delivery.packet);
            return check_unfragmented(delivery);
        case table::FragmentOutcome::refused:
            break;
    }
    delivery.counters().add(Protocol::Ip6ReasmFails);
    switch (result.refusal) {
        case table::FragmentRefusal::odd_length:
        case table::FragmentRefusal::too_long:
            return refuse(delivery, {.kind = Icmp6ErrorKind::erroneous_field, .pointer = result.pointer},
                          drops::fragment_refused);
        default:
            return Verdict::drop(fragment_reason(result.refusal));
    }
}

bool is_neighbour_message(const Delivery& delivery) {
    if (delivery.chain.upper_protocol != wire::IpProtocol::icmpv6 || delivery.chain.header_count != 0 ||
        delivery.upper().empty())
        return false;
    const auto type = wire::Icmp6Type{delivery.upper()[0]};
    return type == wire::Icmp6Type::neighbour_solicitation ||
           type == wire::Icmp6Type::neighbour_advertisement;
}

}  // namespace

Verdict deliver(Context& context, dpdk::Packet* frame, const pipeline::PacketMeta& meta, Passage& passage,
                Addressed to, const Offence& how) {
    if (context.hooks != nullptr) {
        if (const auto verdict = context.hooks->input(context, passage); verdict != Verdict::next())
            return verdict;
    }
    const auto packet = wire::Ipv6View::unchecked(passage.packet.data());
    const auto received = wire::Ipv6View::unchecked(dpdk::data(frame) + meta.l3);
    Delivery delivery{context, packet, wire::walk_extensions(packet),
                      to,      how,    received.next_header() == wire::IpProtocol::hop_by_hop};
    if (is_neighbour_message(delivery)) {
        delivery.counters().add(Protocol::Ip6InDelivers);
        delivery.counters().add(Protocol::Icmp6InMsgs);
        send_to_resolver(context, frame, meta);
        return Verdict::held();
    }
    if (const auto verdict = check_headers(delivery); verdict != Verdict::next())
        return verdict;
    const bool put_together = packet.bytes().data() != received.bytes().data();
    if (put_together) {
        if (const auto verdict = check_unfragmented(delivery); verdict != Verdict::next())
            return verdict;
    }
    if (is_part(delivery)) {
        if (const auto verdict = reassemble(delivery); verdict != Verdict::next())
            return verdict;
        if (const auto verdict = check_headers(delivery); verdict != Verdict::next())
            return verdict;
    } else if (delivery.chain.fragment_offset != 0) {
        delivery.counters().add(Protocol::Ip6ReasmReqds);
        delivery.counters().add(Protocol::Ip6ReasmOKs);
    }
    if (const auto verdict = check_end(delivery); verdict != Verdict::next())
        return verdict;
    return deliver_upper(delivery);
}

}  // namespace sluice::routing
