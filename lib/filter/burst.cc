// The decision cache. What the hooks concluded for a packet is kept in its flow, for its direction; packets
// of the flow to which the same would happen go straight to their next hop, with every rule on the way
// counted.
#include <algorithm>
#include <bit>

#include "conntrack/tracker_repeat.hh"
#include "filter/burst_flows.hh"
#include "filter/kept_decision.hh"
#include "filter/stage.hh"
#include "nat/flow_translation.hh"
#include "nat/rewrite_ports.hh"
#include "nat/rewrite_row.hh"
#include "nat/translated_ends.hh"
#include "pipeline/places.hh"
#include "routing/exit.hh"
#include "routing/send.hh"
#include "routing/stage.hh"

namespace sluice::filter {
namespace {

using conntrack::CtState;
using conntrack::Found;
using conntrack::Ip4PortsTuple;
using nat::ip4_ends_after;
using nat::ip6_ends_after;
using nat::is_translated;
using nat::Manip;
using pipeline::Path;
using pipeline::place_bit;
using pipeline::Verdict;
using telemetry::Protocol;

// Packets of whose transport header nothing is left to be checked.
uint64_t sound_places(const pipeline::Burst& burst) {
    const auto& [ip4, ip6, addresses, rest] = burst.keys;
    return ip4.datagrams | ip4.acks | ip6.datagrams | ip6.acks;
}

// Whether a half of a flow is of packets like this one.
template <Family family>
bool has_key(const conntrack::Flow& flow, const conntrack::FlowHalf& half, const uint8_t* header,
             const pipeline::Burst& burst, size_t place) {
    if constexpr (family == Family::ip4)
        return half.is(keys_of(burst)[place]);
    else
        return static_cast<const conntrack::Flow6&>(flow).is(half, header + 8,
                                                             static_cast<uint32_t>(burst.keys.rest[place]));
}

// What becomes of frames in a row: they go on as they are but for the hop,
template <Family family>
[[gnu::noinline]] void forward_row(const pipeline::Burst& burst, size_t place, size_t end,
                                   routing::Exit::Row row) {
    for (; place < end; ++place) {
        uint8_t* const frame = dpdk::data(burst.packets[place]);
        routing::count_hop(frame + pipeline::kEthernetHeader, family);
        row.address(frame);
    }
}

// or translated.
template <wire::IpProtocol protocol>
[[gnu::noinline]] void translate_ip4_row(const pipeline::Burst& burst, const conntrack::Guess* guesses,
                                         size_t place, size_t end, routing::Exit::Row row,
                                         nat::Identifications* identifications) {
    const auto before = keys_of(burst).from(place);
    nat::Ip4RewriteRow<protocol, pipeline::kMaxBurst> rewrites;
    for (; place < end; ++place) {
        uint8_t* const frame = dpdk::data(burst.packets[place]);
        const auto [flow, half] = guesses[place];
        const bool renews =
            nat::FlowTranslation::changes(flow->status, flow->direction_of(*half), Manip::source);
        rewrites.add(frame + pipeline::kEthernetHeader, ip4_ends_after(flow->opposite_of(*half)),
                     renews ? identifications : nullptr);
        row.address(frame);
    }
    rewrites.write_checksums(before);
}
template <wire::IpProtocol protocol>
[[gnu::noinline]] void translate_ip6_row(const pipeline::Burst& burst, const conntrack::Guess* guesses,
                                         size_t place, size_t end, routing::Exit::Row row) {
    for (; place < end; ++place) {
        uint8_t* const frame = dpdk::data(burst.packets[place]);
        uint8_t* const header = frame + pipeline::kEthernetHeader;
        const auto [flow, half] = guesses[place];
        nat::rewrite_ip6_ports(header, header + wire::kIpv6HeaderSize, protocol,
                               ip6_ends_after(*flow, flow->direction_of(*half)));
        routing::count_hop(header, Family::ip6);
        row.address(frame);
    }
}

}  // namespace

// What packets of a burst that repeat decisions share: what holds for all of them, and what they add to
// counters.
struct Firewall::Repeats {
    uint32_t tables;  // their generation
    conntrack::Round round;
    routing::Exit exit;
    uint64_t repeated4 = 0;
    uint64_t repeated6 = 0;
    // That of the last packet, if it stays good for all of the burst and the exit is open.
    conntrack::Decision decision = kNoDecision;
    // Packets in a row that repeated one path.
    PathId path = kNoPath;
    uint64_t path_packets = 0;
    uint64_t path_bytes = 0;

    void add_to(telemetry::ProtocolCounters& protocol, conntrack::Counters& conntrack) const {
        protocol.add(Protocol::IpInReceives, repeated4);
        protocol.add(Protocol::Ip6InReceives, repeated6);
        protocol.add(Protocol::IpForwDatagrams, repeated4);
        protocol.add(Protocol::Ip6OutForwDatagrams, repeated6);
        conntrack.add(conntrack::Count::found, repeated4 + repeated6);
        conntrack.add(conntrack::Count::decision_repeated, repeated4 + repeated6);
    }
};

void Firewall::keep_decision(const routing::Context& context, const routing::Passage& passage) {
    auto* flow = passage.tracked.flow;
    // Chains in raw see packets before it is known that they are errors about the flow.
    const bool is_of_flow =
        passage.tracked.state == CtState::established || passage.tracked.state == CtState::new_;
    if (!tables_->repeats || flow == nullptr || !is_of_flow || !flow->is_confirmed() || !trail_.cacheable() ||
        flow->status.has(conntrack::kSeqAdjust) || flow->helper() != conntrack::Helper::none ||
        passage.notrack)
        return;
    const PathId path = state_->intern(trail_);
    if (path == kNoPath)
        return;
    const KeptDecision decision(path, context.tables.fib->index_of(*passage.next_hop), passage.in,
                                passage.tracked.state, judgement_.hook, trail_.reads_sets());
    flow->decision(passage.tracked.direction) = {
        decision.word(), made_from(tables_->generation, trail_.reads_sets() ? sets_generation_ : 0)};
}

void Firewall::count_path(Repeats& repeats) {
    if (repeats.path_packets != 0)
        state_->repeat(repeats.path, repeats.path_packets, repeats.path_bytes, repeats.round.now);
    repeats.path_packets = repeats.path_bytes = 0;
}

// False if the packet has to ask for itself; nothing has happened then.
[[gnu::always_inline]] inline bool Firewall::repeat_decision(routing::Context& context, dpdk::Packet* packet,
                                                             const pipeline::PacketMeta& meta, Found found,
                                                             Repeats& repeats) {
    const auto& kept = found.flow->decision(found.direction);
    const KeptDecision decision(kept.what);
    repeats.decision = kNoDecision;  // exit and path may be another's from here on
    if (!decision.is_for(meta.in))
        return false;
    if (!is_current(kept, repeats.tables, *tables_->sets)) [[unlikely]]
        return false;
    if (decision.next_hop() != repeats.exit.next_hop()) [[unlikely]]
        repeats.exit.turn_to(context, decision.next_hop());
    const bool by_exit = repeats.exit.is_open() && meta.l3 == pipeline::kEthernetHeader;
    if (meta.path == Path::ip4_fast) [[likely]]
        return by_exit ? repeat_by_exit<Family::ip4>(context, packet, meta, found, repeats)
                       : repeat_by_its_neighbour<Family::ip4>(context, packet, meta, found, repeats);
    return by_exit ? repeat_by_exit<Family::ip6>(context, packet, meta, found, repeats)
                   : repeat_by_its_neighbour<Family::ip6>(context, packet, meta, found, repeats);
}

// By the exit that packets in a row share.
template <Family family>
[[gnu::always_inline]] inline bool Firewall::repeat_by_exit(routing::Context& context, dpdk::Packet* packet,
                                                            const pipeline::PacketMeta& meta, Found found,
                                                            Repeats& repeats) {
    const auto& kept = found.flow->decision(found.direction);
    const KeptDecision decision(kept.what);
    const auto& exit = repeats.exit;
    uint8_t* const header = dpdk::data(packet) + pipeline::kEthernetHeader;
    if (meta.l3_length > exit.mtu() || !tracker_.repeat<family>(found, header, meta.l3_length, repeats.round))
        return false;
    if (is_translated(*found.flow))
        translate_again(packet, meta, found);
    repeated(packet, decision, meta.l3_length, context.worker, repeats);
    ++(family == Family::ip4 ? repeats.repeated4 : repeats.repeated6);
    routing::count_hop(header, family);
    exit.send(context, packet, header - pipeline::kEthernetHeader, dpdk::length(packet));
    if (!decision.reads_sets() && context.worker.watch.packet == nullptr)
        repeats.decision = kept;
    return true;
}

// The same for packets that share no exit with others. A call, so that the loop over a burst keeps its
// registers.
template <Family family>
[[gnu::noinline]] bool Firewall::repeat_by_its_neighbour(routing::Context& context, dpdk::Packet* packet,
                                                         const pipeline::PacketMeta& meta, Found found,
                                                         Repeats& repeats) {
    conntrack::Flow& flow = *found.flow;
    const KeptDecision decision(flow.decision(found.direction).what);
    const auto& hop = context.tables.fib->next_hop(decision.next_hop());
    uint8_t* const header = dpdk::data(packet) + meta.l3;
    const bool translated = is_translated(flow);
    const auto neighbour = neighbour_of<family>(context, found, header, translated, hop);
    if (!neighbour.link.usable() || meta.l3_length > hop.mtu ||
        !tracker_.repeat<family>(found, header, meta.l3_length, repeats.round))
        return false;
    if (translated)
        translate_again(packet, meta, found);
    repeated(packet, decision, meta.l3_length, context.worker, repeats);
    ++(family == Family::ip4 ? repeats.repeated4 : repeats.repeated6);
    routing::send_to(context, packet, meta, hop, neighbour, family);
    return true;
}

// A packet of so many bytes goes where others of its flow went.
[[gnu::always_inline]] inline void Firewall::repeated(const dpdk::Packet* packet, KeptDecision decision,
                                                      uint16_t length, const pipeline::Worker& worker,
                                                      Repeats& repeats) {
    if (decision.path() != repeats.path) [[unlikely]] {
        count_path(repeats);
        repeats.path = decision.path();
    }
    ++repeats.path_packets;
    repeats.path_bytes += length;
    if (worker.watch.packet == packet) [[unlikely]]
        judgement_ = {.decided = true,
                      .hook = decision.last_hook(),
                      .rule = state_->last_rule(decision.path()),
                      .tracked = true,
                      .state = decision.state()};
}

// The transport header has been checked: it is long enough to be changed.
void Firewall::translate_again(dpdk::Packet* packet, const pipeline::PacketMeta& meta, const Found& found) {
    const wire::MutableBytes bytes(dpdk::data(packet) + meta.l3, meta.l3_length);
    if (meta.path == Path::ip4_fast) {
        nat::rewrite_ip4_ports(bytes.data(), bytes.data() + wire::kIpv4HeaderSize, found.flow->protocol(),
                               ip4_ends_after(*found.flow, found.direction));
        if (nat::FlowTranslation::changes(found.flow->status, found.direction, Manip::source))
            translator_->renew_identification(bytes);
        return;
    }
    nat::rewrite_ip6_ports(bytes.data(), bytes.data() + wire::kIpv6HeaderSize, found.flow->protocol(),
                           ip6_ends_after(*found.flow, found.direction));
}

// A packet whose flow's decision is not repeated.
Verdict Firewall::forward_alone(routing::Context& context, dpdk::Packet* packet,
                                const pipeline::PacketMeta& meta, bool may_begin) {
    Verdict verdict = Verdict::next();
    const uint8_t* const header = dpdk::data(packet) + meta.l3;
    if (may_begin && meta.path == Path::ip4_fast) {
        Ip4PortsTuple tuple;
        if (read_tuple(header, meta.l3_length, tuple))
            if (begin_flow<Family::ip4>(context, packet, meta, verdict))
                return verdict;
    } else if (may_begin && meta.path == Path::ip6_fast) {
        conntrack::Tuple tuple;
        if (read_tuple(header, meta.l3_length, tuple))
            if (begin_flow<Family::ip6>(context, packet, meta, verdict))
                return verdict;
    }
    if (meta.path == Path::ip4_large && repeat_large<Family::ip4>(context, packet, meta))
        return Verdict::sent();
    if (meta.path == Path::ip6_large && repeat_large<Family::ip6>(context, packet, meta))
        return Verdict::sent();
    return routing::forward_slowly(context, packet, meta);
}

// Packets in a row, the first at `place`, whose flows have the decision of the packet before them; of these
// protocols nothing of a packet but its flow is left to be looked at. They are tracked; the place of the
// first that is not like them, to which nothing has happened. This and those that follow are functions of
// their own, whose loops have all registers to themselves.
template <Family family, wire::IpProtocol protocol, bool translated>
[[gnu::noinline]] size_t Firewall::accept_row(const pipeline::Burst& burst, const conntrack::Guess* guesses,
                                              size_t place, size_t end, const Repeats& repeats) {
    constexpr auto kRefused = translated ? conntrack::Status{} : conntrack::kSnat | conntrack::kDnat;
    const auto& decision = repeats.decision;
    const auto& round = repeats.round;
    for (; place < end; ++place) {
        const auto [flow, half] = guesses[place];
        const uint8_t* const header = dpdk::data(burst.packets[place]) + pipeline::kEthernetHeader;
        if (flow == nullptr || half->decision != decision || (translated && !is_translated(*flow)) ||
            !has_key<family>(*flow, *half, header, burst, place) ||
            !tracker_.repeat_sound<family, protocol>(*flow, *half, kRefused, header,
                                                     burst.meta[place].l3_length, round)) [[unlikely]]
            break;
    }
    return place;
}

template <Family family, wire::IpProtocol protocol, bool translated>
size_t Firewall::repeat_row(const pipeline::Burst& burst, const conntrack::Guess* guesses, size_t place,
                            size_t end, Repeats& repeats) {
    end = accept_row<family, protocol, translated>(burst, guesses, place, end, repeats);
    if (end == place)
        return end;
    const routing::Exit::Row row(repeats.exit);
    if constexpr (!translated)
        forward_row<family>(burst, place, end, row);
    else if constexpr (family == Family::ip4)
        translate_ip4_row<protocol>(burst, guesses, place, end, row, translator_->identifications());
    else
        translate_ip6_row<protocol>(burst, guesses, place, end, row);
    (family == Family::ip4 ? repeats.repeated4 : repeats.repeated6) += end - place;
    repeats.path_packets += end - place;
    repeats.path_bytes += repeats.exit.send_row(burst, place, end);
    return end;
}

// The place of the first packet from `place` on that does not do what the packet before it did.
[[gnu::always_inline]] inline size_t Firewall::repeat_like_the_last(const pipeline::Burst& burst,
                                                                    const conntrack::Guess* guesses,
                                                                    size_t place, Repeats& repeats) {
    const auto ends = [&](uint64_t places) {
        return place + std::min(static_cast<size_t>(std::countr_one(places >> place)), repeats.exit.room());
    };
    constexpr auto kUdp = wire::IpProtocol::udp;
    constexpr auto kTcp = wire::IpProtocol::tcp;
    const uint64_t here = place_bit(place);
    const auto& [ip4, ip6, addresses, rest] = burst.keys;
    if ((sound_places(burst) & here) == 0 || guesses[place].flow == nullptr ||
        guesses[place].half->decision != repeats.decision)
        return place;
    const bool translated = is_translated(*guesses[place].flow);
    const auto row = [&]<Family family, wire::IpProtocol protocol>(uint64_t places) {
        return translated ? repeat_row<family, protocol, true>(burst, guesses, place, ends(places), repeats)
                          : repeat_row<family, protocol, false>(burst, guesses, place, ends(places), repeats);
    };
    if ((ip4.datagrams & here) != 0)
        return row.operator()<Family::ip4, kUdp>(ip4.datagrams);
    if ((ip4.acks & here) != 0)
        return row.operator()<Family::ip4, kTcp>(ip4.acks);
    if ((ip6.datagrams & here) != 0)
        return row.operator()<Family::ip6, kUdp>(ip6.datagrams);
    return row.operator()<Family::ip6, kTcp>(ip6.acks);
}

// The last packet of the burst before is as good an example as any, if this one came the same way.
void Firewall::resume(routing::Context& context, const pipeline::Burst& burst, Repeats& repeats) {
    const uint64_t places = sound_places(burst);
    const KeptDecision decision(last_decision_.what);
    if (places == 0 || !decision.is_for(burst.meta[static_cast<size_t>(std::countr_zero(places))].in) ||
        last_decision_.made_from >> 32 != repeats.tables || context.worker.watch.packet != nullptr)
        return;
    repeats.exit.turn_to(context, decision.next_hop());
    if (!repeats.exit.is_open())
        return;
    repeats.path = decision.path();
    repeats.decision = last_decision_;
}

void Firewall::forward(routing::Context& context, pipeline::Burst& burst) {
    BurstFlows flows;
    Repeats repeats{.tables = tables_->generation, .round = tracker_.round(context.worker.now), .exit = {}};
    if (tables_->tracks) {
        find_flows(tracker_.table(), burst, flows);
        resume(context, burst, repeats);
    }
    if (begins_plainly_ && (translator_ != nullptr || large_chain_ != nullptr)) {
        if (const uint64_t beginning = flows.guessed_new(); beginning != 0) {
            if (large_chain_ != nullptr)
                prefetch_rules(*large_chain_, burst, beginning);
            if (translator_ != nullptr)
                prefetch_mappings(burst, beginning);
        }
    }
    for (size_t i = 0; i < burst.count; ++i) {
        if (repeats.decision != kNoDecision)
            i = repeat_like_the_last(burst, flows.guesses.values.data(), i, repeats);
        if (i == burst.count)
            break;
        const Found found = flows.at(tracker_.table(), burst, i);
        dpdk::Packet* packet = burst.packets[i];
        const auto& meta = burst.meta[i];
        if (found && repeat_decision(context, packet, meta, found, repeats)) [[likely]]
            continue;
        const auto verdict = forward_alone(context, packet, meta, begins_plainly_ && !found);
        if (verdict != Verdict::sent())
            pipeline::finish(context.worker, packet, meta.in, verdict);
    }
    count_path(repeats);
    repeats.add_to(context.worker.counters.protocol, conntrack_counters_);
    last_decision_ = repeats.decision;
}

}  // namespace sluice::filter
