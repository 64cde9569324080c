#include "routing/drops.hh"
#include "routing/local.hh"

namespace sluice::routing {

telemetry::DropReason fragment_reason(table::FragmentRefusal refusal) {
    switch (refusal) {
        case table::FragmentRefusal::too_many_fragments:
        case table::FragmentRefusal::too_many_datagrams:
        case table::FragmentRefusal::too_many_from_source:
        case table::FragmentRefusal::out_of_memory:
            return drops::fragment_limit;
        default:
            return drops::fragment_refused;
    }
}

void expire_fragments(Context& context) {
    context.state.reassembler.expire(context.worker.now, [&](const table::ExpiredDatagram& expired) {
        auto& counters = context.worker.counters.protocol;
        counters.add(expired.family == Family::ip4 ? telemetry::Protocol::IpReasmFails
                                                   : telemetry::Protocol::Ip6ReasmFails);
        if (expired.first_fragment.empty())
            return;
        const Offence how{.in = static_cast<InterfaceId>(expired.scope)};
        if (expired.family == Family::ip4) {
            send_error(context, Icmp4Error{.kind = Icmp4ErrorKind::reassembly_time_exceeded},
                       wire::Ipv4View::unchecked(expired.first_fragment.data()), how);
        } else {
            send_error(context, Icmp6Error{.kind = Icmp6ErrorKind::reassembly_time_exceeded},
                       wire::Ipv6View::unchecked(expired.first_fragment.data()), how);
        }
    });
}

}  // namespace sluice::routing
