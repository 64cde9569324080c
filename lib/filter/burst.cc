// The decision cache. What the hooks concluded for a packet is kept in its flow, for its direction; packets
// of the flow to which the same would happen go straight to their next hop, with every rule on the way
// counted.
#include <bit>

#include "conntrack/tracker_repeat.hh"
#include "filter/burst_flows.hh"
#include "filter/burst_frames.hh"
#include "filter/kept_decision.hh"
#include "filter/stage.hh"
#include "nat/flow_translation.hh"
#include "nat/rewrite_ports.hh"
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
    const auto& [ip4, ip6, addresses, rest, frames] = burst.keys;
    return ip4.datagrams | ip4.acks | ip6.datagrams | ip6.acks;
}

// Whether a decision was made for packets that came in like the first of these.
bool is_for_first(const pipeline::Burst& burst, uint64_t places, const conntrack::Decision& decision) {
    return KeptDecision(decision.what).is_for(burst.meta[static_cast<size_t>(std::countr_zero(places))].in);
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

}  // namespace

// What packets of a burst that repeat decisions share: what holds for all of them, and what they add to
// counters.
struct Firewall::Repeats {
    uint32_t tables;  // their generation
    conntrack::Round round;
    routing::Exit& exit;
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
    if (repeats.path_packets == 0)
        return;
    if (last_path_.path() != repeats.path) [[unlikely]]
        last_path_ = state_->counters_of(repeats.path);
    if (last_path_.path() == repeats.path) [[likely]]
        last_path_.count(repeats.path_packets, repeats.path_bytes, repeats.round.now);
    else
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

// Tracks packets of a protocol of which nothing but their flows is left to be looked at, while these have the
// decision of the packet before them. Those before the first that is not like them; to that one and those
// behind nothing has happened. A function of its own, whose loop has all registers to itself.
template <Family family, wire::IpProtocol protocol, bool translated>
[[gnu::noinline]] uint64_t Firewall::accept(const pipeline::Burst& burst, const conntrack::Guess* guesses,
                                            uint64_t places, const Repeats& repeats) {
    constexpr auto kRefused = translated ? conntrack::Status{} : conntrack::kSnat | conntrack::kDnat;
    const auto& decision = repeats.decision;
    const auto& round = repeats.round;
    return pipeline::while_each_place(places, [&](size_t place) {
        const auto [flow, half] = guesses[place];
        const uint8_t* const header = burst.keys.frames[place] + pipeline::kEthernetHeader;
        return flow != nullptr && half->decision == decision && (!translated || is_translated(*flow)) &&
               has_key<family>(*flow, *half, header, burst, place) &&
               tracker_.repeat_sound<family, protocol>(*flow, *half, kRefused, header,
                                                       burst.meta[place].l3_length, round);
    });
}

// The same, and what becomes of them but that they are sent. Flows are translated if that of the first is.
template <Family family, wire::IpProtocol protocol>
[[gnu::always_inline]] inline uint64_t Firewall::repeat_of(const pipeline::Burst& burst,
                                                           const conntrack::Guess* guesses, uint64_t places,
                                                           const Repeats& repeats) {
    if (places == 0)
        return 0;
    const auto [flow, half] = guesses[std::countr_zero(places)];
    if (flow == nullptr || half->decision != repeats.decision)
        return 0;
    const bool translated = is_translated(*flow);
    places = translated ? accept<family, protocol, true>(burst, guesses, places, repeats)
                        : accept<family, protocol, false>(burst, guesses, places, repeats);
    if (places == 0)
        return 0;
    const routing::FrameAddresses addresses = repeats.exit.addresses();
    if (!translated)
        pass_on<family>(burst, places, addresses);
    else if constexpr (family == Family::ip4)
        translate_ip4<protocol>(burst, guesses, places, addresses, translator_->identifications());
    else
        translate_ip6<protocol>(burst, guesses, places, addresses);
    return places;
}

// Of the packets that are left of a burst, those that do what the packet before them did. They may overtake
// others, but none of their flow: what is repeated comes before the first packet of which more is to be
// looked at, and of a family and protocol before the first that is not repeated. All whose keys are sound
// came in alike; of a burst that other workers have handed over, the packet before them may have come in
// otherwise.
[[gnu::always_inline]] inline uint64_t Firewall::repeat_like_the_last(const pipeline::Burst& burst,
                                                                      const conntrack::Guess* guesses,
                                                                      uint64_t left, Repeats& repeats) {
    constexpr auto kUdp = wire::IpProtocol::udp;
    constexpr auto kTcp = wire::IpProtocol::tcp;
    const uint64_t others = left & ~sound_places(burst);
    const uint64_t before = others == 0 ? left : left & (place_bit(std::countr_zero(others)) - 1);
    if (before == 0 || repeats.exit.room() < pipeline::kMaxBurst ||
        !is_for_first(burst, before, repeats.decision))
        return 0;
    const auto& [ip4, ip6, addresses, rest, frames] = burst.keys;
    const uint64_t repeated4 = repeat_of<Family::ip4, kUdp>(burst, guesses, before & ip4.datagrams, repeats) |
                               repeat_of<Family::ip4, kTcp>(burst, guesses, before & ip4.acks, repeats);
    const uint64_t repeated6 = repeat_of<Family::ip6, kUdp>(burst, guesses, before & ip6.datagrams, repeats) |
                               repeat_of<Family::ip6, kTcp>(burst, guesses, before & ip6.acks, repeats);
    const uint64_t repeated = repeated4 | repeated6;
    if (repeated == 0)
        return 0;
    repeats.repeated4 += static_cast<uint64_t>(std::popcount(repeated4));
    repeats.repeated6 += static_cast<uint64_t>(std::popcount(repeated6));
    repeats.path_packets += static_cast<uint64_t>(std::popcount(repeated));
    repeats.path_bytes += repeats.exit.send(burst, repeated);
    return repeated;
}

// The last packet of the burst before is as good an example as any, if this one came the same way.
void Firewall::resume(routing::Context& context, const pipeline::Burst& burst, Repeats& repeats) {
    const uint64_t places = sound_places(burst);
    const KeptDecision decision(last_decision_.what);
    if (places == 0 || !is_for_first(burst, places, last_decision_) ||
        last_decision_.made_from >> 32 != repeats.tables || context.worker.watch.packet != nullptr)
        return;
    if (decision.next_hop() != repeats.exit.next_hop()) [[unlikely]]
        repeats.exit.turn_to(context, decision.next_hop());
    if (!repeats.exit.is_open())
        return;
    repeats.path = decision.path();
    repeats.decision = last_decision_;
}

void Firewall::forward(routing::Context& context, pipeline::Burst& burst) {
    BurstFlows flows;
    Repeats repeats{
        .tables = tables_->generation, .round = tracker_.round(context.worker.now), .exit = last_exit_};
    if (tables_->tracks) {
        find_flows(tracker_.table(), burst, flows);
        last_exit_.renew(context);
        resume(context, burst, repeats);
    }
    if (begins_plainly_ && flows.new4 != 0) {
        if (large_chain_ != nullptr)
            prefetch_rules(*large_chain_, burst, flows.new4);
        if (translator_ != nullptr)
            prefetch_mappings(burst, flows.new4);
    }
    uint64_t left = pipeline::first_places(burst.count);
    while (left != 0) {
        if (repeats.decision != kNoDecision) {
            left &= ~repeat_like_the_last(burst, flows.guesses.values.data(), left, repeats);
            if (left == 0)
                break;
        }
        const auto i = static_cast<size_t>(std::countr_zero(left));
        left &= left - 1;
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
    if ((repeats.repeated4 | repeats.repeated6) != 0)
        last_exit_.note_use(context);
    repeats.add_to(context.worker.counters.protocol, conntrack_counters_);
    last_decision_ = repeats.decision;
}

}  // namespace sluice::filter
