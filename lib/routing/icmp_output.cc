#include "routing/icmp_output.hh"

#include "routing/output.hh"
#include "wire/icmp4.hh"
#include "wire/icmp6.hh"

namespace sluice::routing {
namespace {

using telemetry::Protocol;

Protocol counter_of(Icmp4ErrorKind kind) {
    switch (kind) {
        case Icmp4ErrorKind::ttl_exceeded:
        case Icmp4ErrorKind::reassembly_time_exceeded:
            return Protocol::IcmpOutTimeExcds;
        case Icmp4ErrorKind::parameter_problem:
            return Protocol::IcmpOutParmProbs;
        default:
            return Protocol::IcmpOutDestUnreachs;
    }
}

Protocol counter_of(Icmp6ErrorKind kind) {
    switch (kind) {
        case Icmp6ErrorKind::packet_too_big:
            return Protocol::Icmp6OutPktTooBigs;
        case Icmp6ErrorKind::hop_limit_exceeded:
        case Icmp6ErrorKind::reassembly_time_exceeded:
            return Protocol::Icmp6OutTimeExcds;
        case Icmp6ErrorKind::erroneous_field:
        case Icmp6ErrorKind::unknown_next_header:
        case Icmp6ErrorKind::unknown_option:
        case Icmp6ErrorKind::incomplete_first_fragment:
            return Protocol::Icmp6OutParmProblems;
        default:
            return Protocol::Icmp6OutDestUnreachs;
    }
}

// An anycast or broadcast address as a source, or one of the box: nobody to tell.
bool source_is_refused(const Context& context, const NextHop& way_back, const IpAddress& source) {
    if (way_back.kind == NextHopKind::local || way_back.kind == NextHopKind::broadcast)
        return true;
    return source.is_ip4() ? context.tables.source_filter.contains(source.ip4())
                           : context.tables.source_filter.contains(source.ip6());
}

template <typename Error, typename View, typename Source>
void build_and_send(Context& context, const Error& error, View offending, const Source& source,
                    const Offence& offence) {
    const wire::MutableBytes room(context.state.scratch);
    size_t written = 0;
    if constexpr (std::is_same_v<Source, Ip4Address>) {
        const auto options = answer_options(offending, {.out = source,
                                                        .back = source,
                                                        .time = option_time(context.worker.now),
                                                        .own = context.tables.source_filter});
        if (!options)
            return;
        const auto id = static_cast<uint16_t>(context.worker.random.next());
        written = build_error(error, offending, source, id, room, *options);
    } else {
        written = build_error(error, offending, source, room);
    }
    originate(context, room.first(written), offence.in, offence.tracked);
}

}  // namespace

void send_error(Context& context, const Icmp4Error& error, wire::Ipv4View offending, const Offence& offence) {
    auto& counters = context.worker.counters.protocol;
    const auto& fib = *context.tables.fib;
    const auto& way_back =
        fib.next_hop(fib.route({.saddr = offending.destination(), .daddr = offending.source()}));
    const auto& destination = fib.next_hop(
        fib.route({.in = offence.in, .saddr = offending.source(), .daddr = offending.destination()}));
    const IcmpErrorContext about{.link_group = offence.link_group,
                                 .destination_broadcast = destination.kind == NextHopKind::broadcast,
                                 .source_refused = source_is_refused(context, way_back, offending.source())};
    const auto back = departure(way_back, offending.source());
    if (may_send_error(error, offending.bytes(), about) != IcmpErrorVerdict::send || !back) {
        counters.add(Protocol::IcmpOutErrors);
        return;
    }
    if (!context.state.icmp_errors.take(context.worker.now)) {
        counters.add(Protocol::IcmpOutRateLimitGlobal);
        return;
    }
    counters.add(Protocol::IcmpOutMsgs);
    counters.add(counter_of(error.kind));
    // To whom speaks to one of the box's addresses, that one answers (RFC 4443 2.2 a; Linux in IPv4 too).
    build_and_send(context, error, offending,
                   destination.kind == NextHopKind::local
                       ? offending.destination()
                       : context.tables.source_for(back->out, back->next_hop.ip4()),
                   offence);
}

void send_error(Context& context, const Icmp6Error& error, wire::Ipv6View offending, const Offence& offence) {
    auto& counters = context.worker.counters.protocol;
    const auto& fib = *context.tables.fib;
    const Ip6Address source = offending.source();
    const auto& way_back = fib.next_hop(fib.route({.saddr = offending.destination(), .daddr = source}));
    const IcmpErrorContext about{.link_group = offence.link_group,
                                 .source_refused = source_is_refused(context, way_back, source)};
    if (may_send_error(error, offending.bytes(), about) != IcmpErrorVerdict::send ||
        (!source.is_link_local() && !departure(way_back, source))) {
        counters.add(Protocol::Icmp6OutErrors);
        return;
    }
    if (!context.state.icmp_errors.take(context.worker.now)) {
        counters.add(Protocol::Icmp6OutRateLimitHost);
        return;
    }
    counters.add(Protocol::Icmp6OutMsgs);
    counters.add(counter_of(error.kind));
    const InterfaceId out = source.is_link_local() ? offence.in : way_back.out;
    const Ip6Address asked = offending.destination();
    const auto& destination = fib.next_hop(fib.lookup(kMainTable, asked));
    const bool is_own = (destination.kind == NextHopKind::local && !destination.anycast) ||
                        (asked.is_link_local() && offence.in != kNoInterface &&
                         context.tables.is_own_link_local(offence.in, asked));
    build_and_send(context, error, offending, is_own ? asked : context.tables.voice_for(out, source),
                   offence);
}

}  // namespace sluice::routing
