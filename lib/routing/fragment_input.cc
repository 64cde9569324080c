#include <algorithm>

#include "routing/drops.hh"
#include "routing/local.hh"
#include "routing/slow.hh"

namespace sluice::routing {
namespace {

using pipeline::Verdict;

// Fragments that are put together on their way through come by any interface.
constexpr uint32_t kNoScope = index(kNoInterface);

// Refused for what the fragment itself is: it goes its way, to whom it may concern.
bool is_malformed(table::FragmentRefusal refusal) {
    return refusal == table::FragmentRefusal::odd_length ||
           refusal == table::FragmentRefusal::incomplete_first_fragment ||
           refusal == table::FragmentRefusal::too_long;
}

uint32_t scope_of(InterfaceId in) {
    return static_cast<uint32_t>(index(in));
}

}  // namespace

telemetry::DropReason fragment_reason(table::FragmentRefusal refusal) {
    switch (refusal) {
        case table::FragmentRefusal::too_many_fragments:
        case table::FragmentRefusal::too_many_from_source:
        case table::FragmentRefusal::out_of_memory:
            return drops::fragment_limit;
        default:
            return drops::fragment_refused;
    }
}

void count_evicted(Context& context, const table::EvictedDatagrams& evicted) {
    auto& counters = context.worker.counters.protocol;
    if (evicted.ip4 != 0)
        counters.add(telemetry::Protocol::IpReasmFails, evicted.ip4);
    if (evicted.ip6 != 0)
        counters.add(telemetry::Protocol::Ip6ReasmFails, evicted.ip6);
}

pipeline::Verdict collect_ip4(Context& context, Passage& passage, Fragmented& came) {
    const auto fragment = wire::Ipv4View::unchecked(passage.packet.data());
    if (!fragment.is_fragment() || !context.hooks->wants_whole_datagrams())
        return Verdict::next();
    auto& counters = context.worker.counters.protocol;
    counters.add(telemetry::Protocol::IpReasmReqds);
    const auto result = context.state.reassembler.add(fragment, kNoScope, context.worker.now);
    count_evicted(context, result.evicted);
    switch (result.outcome) {
        case table::FragmentOutcome::stored:
            return Verdict::consumed();
        case table::FragmentOutcome::complete:
            counters.add(telemetry::Protocol::IpReasmOKs);
            passage.packet = result.datagram;
            passage.room = 0;
            came = {result.fragments, result.largest};
            return Verdict::next();
        case table::FragmentOutcome::refused:
            break;
    }
    counters.add(telemetry::Protocol::IpReasmFails);
    return Verdict::drop(fragment_reason(result.refusal));
}

pipeline::Verdict collect_ip6(Context& context, Passage& passage, Fragmented& came) {
    if (!context.hooks->wants_whole_datagrams())
        return Verdict::next();
    const auto packet = wire::Ipv6View::unchecked(passage.packet.data());
    const auto chain = wire::walk_extensions(packet);
    if (chain.fragment_offset == 0) {
        // A payload length of 0 belongs to jumbograms, which have no fragments; Linux does not look further.
        const bool is_cut_short = chain.cut && chain.upper_protocol == wire::IpProtocol::fragment &&
                                  packet.payload_length() != 0 &&
                                  !wire::lacks_upper_header(packet.bytes().subspan(chain.upper_offset));
        return is_cut_short ? Verdict::drop(drops::fragment_refused) : Verdict::next();
    }
    auto& counters = context.worker.counters.protocol;
    counters.add(telemetry::Protocol::Ip6ReasmReqds);
    const bool needs_scope = packet.destination().is_link_local() || packet.destination().is_multicast();
    const uint32_t scope = needs_scope ? scope_of(passage.in) : kNoScope;
    const auto result = context.state.reassembler.add(packet, chain, scope, context.worker.now);
    count_evicted(context, result.evicted);
    switch (result.outcome) {
        case table::FragmentOutcome::stored:
            return Verdict::consumed();
        case table::FragmentOutcome::complete:
            counters.add(telemetry::Protocol::Ip6ReasmOKs);
            passage.packet = result.datagram;
            passage.room = 0;
            came = {result.fragments, result.largest};
            return Verdict::next();
        case table::FragmentOutcome::refused:
            break;
    }
    counters.add(telemetry::Protocol::Ip6ReasmFails);
    if (result.refusal == table::FragmentRefusal::odd_length)  // as Linux where it tracks
        context.state.reassembler.abandon(packet, chain, scope);
    return is_malformed(result.refusal) ? Verdict::next() : Verdict::drop(fragment_reason(result.refusal));
}

namespace {

// Whether the fragments were for the box: a router on their way does not tell (RFC 792).
template <typename View>
bool is_for_the_box(const Context& context, const table::ExpiredDatagram& expired, View first_fragment) {
    if (expired.scope != kNoScope)
        return true;
    const auto& fib = *context.tables.fib;
    return fib.next_hop(fib.lookup(kMainTable, first_fragment.destination())).kind == NextHopKind::local;
}

}  // namespace

void expire_fragments(Context& context) {
    context.state.reassembler.expire(context.worker.now, [&](const table::ExpiredDatagram& expired) {
        auto& counters = context.worker.counters.protocol;
        counters.add(expired.family == Family::ip4 ? telemetry::Protocol::IpReasmFails
                                                   : telemetry::Protocol::Ip6ReasmFails);
        if (expired.first_fragment.empty())
            return;
        const Offence how{.in = static_cast<InterfaceId>(expired.scope)};
        if (expired.family == Family::ip4) {
            const auto first = wire::Ipv4View::unchecked(expired.first_fragment.data());
            if (is_for_the_box(context, expired, first))
                send_error(context, Icmp4Error{.kind = Icmp4ErrorKind::reassembly_time_exceeded}, first, how);
        } else {
            const auto first = wire::Ipv6View::unchecked(expired.first_fragment.data());
            const bool has_way_back = expired.scope != kNoScope || !first.source().is_link_local();
            if (has_way_back && is_for_the_box(context, expired, first))
                send_error(context, Icmp6Error{.kind = Icmp6ErrorKind::reassembly_time_exceeded}, first, how);
        }
    });
}

}  // namespace sluice::routing
