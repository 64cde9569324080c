// The decision cache. What the hooks concluded for a packet is kept in its flow, for its direction; packets
// of the flow to which the same would happen go straight to their next hop, with every rule on the way
// counted.
#include <array>
#include <optional>

#include "filter/stage.hh"
#include "nat/flow_translation.hh"
#include "nat/rewrite.hh"
#include "routing/local.hh"
#include "routing/slow.hh"
#include "routing/stage.hh"

namespace sluice::filter {
namespace {

using conntrack::CtState;
using nat::Manip;
using pipeline::Path;
using pipeline::Verdict;
using telemetry::Protocol;

// What the hooks decided, as it stands in the 16 bytes that a flow has for each direction.
class KeptDecision {
  public:
    KeptDecision(PathId path, routing::NextHopIndex next_hop, InterfaceId in, CtState state, Hook last_hook,
                 bool reads_sets)
        : word_(kValid | uint64_t{reads_sets} << 62 | static_cast<uint64_t>(last_hook) << 59 |
                static_cast<uint64_t>(state) << 56 | uint64_t{index(in)} << 48 | uint64_t{path} << 32 |
                next_hop) {}
    explicit KeptDecision(uint64_t word) : word_(word) {}

    [[nodiscard]] uint64_t word() const { return word_; }
    [[nodiscard]] bool reads_sets() const { return (word_ >> 62 & 1) != 0; }
    [[nodiscard]] Hook last_hook() const { return static_cast<Hook>(word_ >> 59 & 7); }
    // Whether it was made for packets that came in like this.
    [[nodiscard]] bool is_for(InterfaceId in) const {
        return word_ >> 63 != 0 && (word_ >> 48 & 0xff) == index(in);
    }
    [[nodiscard]] CtState state() const { return static_cast<CtState>(word_ >> 56 & 7); }
    [[nodiscard]] PathId path() const { return static_cast<PathId>(word_ >> 32 & 0xffff); }
    [[nodiscard]] routing::NextHopIndex next_hop() const { return static_cast<routing::NextHopIndex>(word_); }

  private:
    static constexpr uint64_t kValid = uint64_t{1} << 63;
    static_assert(PathPool::kDefaultPaths <= 1U << 16 && kMaxInterfaces <= 256);
    uint64_t word_;
};

// What it was made from.
constexpr uint64_t made_from(uint32_t tables, uint32_t sets) {
    return uint64_t{tables} << 32 | sets;
}

// Whether rules see it as conntrack does (trail.hh).
bool has_ports(const wire::IpPacket& packet) {
    const bool is_plain = packet.family() == Family::ip4 || packet.upper_offset() == wire::kIpv6HeaderSize;
    return is_plain && !packet.is_fragment() &&
           (packet.protocol() == wire::IpProtocol::tcp || packet.protocol() == wire::IpProtocol::udp);
}

// The packets of a burst whose flows were looked up together.
struct Gathered {
    size_t count = 0;
    std::array<uint8_t, pipeline::kMaxBurst> places;
    std::array<conntrack::Tuple, pipeline::kMaxBurst> tuples;
    std::array<conntrack::Found, pipeline::kMaxBurst> found;
};

wire::IpPacket packet_of(const dpdk::Packet* packet, const pipeline::PacketMeta& meta) {
    const uint8_t* header = dpdk::data(packet) + meta.l3;
    return meta.path == Path::ip4_fast ? wire::IpPacket::of(wire::Ipv4View::unchecked(header))
                                       : wire::IpPacket::of(wire::Ipv6View::unchecked(header));
}

void gather(const pipeline::Burst& burst, Gathered& gathered) {
    for (uint16_t i = 0; i < burst.count; ++i) {
        const Path path = burst.meta[i].path;
        if (path != Path::ip4_fast && path != Path::ip6_fast)
            continue;
        const auto packet = packet_of(burst.packets[i], burst.meta[i]);
        if (!has_ports(packet))
            continue;
        if (const auto tuple = conntrack::tuple_of(packet)) {
            gathered.tuples[gathered.count] = *tuple;
            gathered.places[gathered.count++] = static_cast<uint8_t>(i);
        }
    }
}

}  // namespace

void Firewall::forward(routing::Context& context, pipeline::Burst& burst) {
    Gathered gathered;
    if (tables_->tracks && tables_->repeats) {
        gather(burst, gathered);
        tracker_.table().find_burst(std::span(gathered.tuples).first(gathered.count),
                                    std::span(gathered.found).first(gathered.count));
    }
    size_t next = 0;
    uint64_t received4 = 0;
    uint64_t received6 = 0;
    for (uint16_t i = 0; i < burst.count; ++i) {
        dpdk::Packet* packet = burst.packets[i];
        const auto& meta = burst.meta[i];
        std::optional<conntrack::Tracked> tracked;
        if (next < gathered.count && gathered.places[next] == i) {
            if (const auto found = gathered.found[next++]; found && has_decision(found, meta.in))
                tracked = tracker_.track_known(packet_of(burst.packets[i], burst.meta[i]), found,
                                               context.worker.now);
        }
        const auto* known = tracked ? &*tracked : nullptr;
        auto verdict = Verdict::sent();
        switch (meta.path) {
            case Path::ip4_fast:
                ++received4;
                if (known == nullptr || !repeat_decision(context, packet, meta, *known))
                    verdict = routing::slow_ip4(context, packet, meta, known);
                break;
            case Path::ip6_fast:
                ++received6;
                if (known == nullptr || !repeat_decision(context, packet, meta, *known))
                    verdict = routing::slow_ip6(context, packet, meta, known);
                break;
            case Path::ip4_slow:
                ++received4;
                verdict = routing::slow_ip4(context, packet, meta);
                break;
            case Path::ip6_slow:
                ++received6;
                verdict = routing::slow_ip6(context, packet, meta);
                break;
            case Path::neighbour:
                routing::send_to_resolver(context, packet, meta);
                verdict = Verdict::held();
                break;
            case Path::done:
                break;
        }
        if (verdict != Verdict::sent())
            pipeline::finish(context.worker, packet, meta.in, verdict);
    }
    auto& counters = context.worker.counters.protocol;
    counters.add(Protocol::IpInReceives, received4);
    counters.add(Protocol::Ip6InReceives, received6);
}

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
    flow->decision(passage.tracked.direction) = {decision.word(),
                                                 made_from(tables_->generation, sets_generation_)};
}

// A packet is tracked ahead of the rules only if they are known not to keep it from being tracked.
bool Firewall::has_decision(const conntrack::Found& found, InterfaceId in) const {
    const auto& kept = found.flow->decision(found.direction);
    const KeptDecision decision(kept[0]);
    const auto sets = decision.reads_sets() ? static_cast<uint32_t>(tables_->sets->generation())
                                            : static_cast<uint32_t>(kept[1]);
    return decision.is_for(in) && kept[1] == made_from(tables_->generation, sets);
}

bool Firewall::repeat_decision(routing::Context& context, dpdk::Packet* packet,
                               const pipeline::PacketMeta& meta, const conntrack::Tracked& tracked) {
    if (tracked.flow == nullptr || meta.link_multicast)
        return false;
    const auto& kept = tracked.flow->decision(tracked.direction);
    const KeptDecision decision(kept[0]);
    if (decision.state() != tracked.state)
        return false;
    const auto& hop = context.tables.fib->next_hop(decision.next_hop());
    const auto ip = packet_of(packet, meta);
    std::optional<nat::FlowTranslation> translation;
    if (translator_ != nullptr && tracked.flow->status.has_any(conntrack::kSnat | conntrack::kDnat))
        translation = nat::FlowTranslation::of(*tracked.flow, tracked.direction);
    const IpAddress to = translation ? translation->target(Manip::destination).address : ip.destination();
    const auto neighbour = routing::link_again(context, meta, hop, to);
    if (!neighbour.link.usable() || (translation && !translate_again(ip, packet, meta, *translation)))
        return false;
    state_->repeat(decision.path(), meta.l3_length, context.worker.now);
    routing::forward_again(context, packet, meta, hop, neighbour);
    conntrack_counters_.add(conntrack::Count::decision_repeated);
    judgement_ = {.decided = true,
                  .hook = decision.last_hook(),
                  .rule = state_->last_rule(decision.path()),
                  .tracked = true,
                  .state = tracked.state};
    return true;
}

// False if a header is too short to be changed; nothing has been then.
bool Firewall::translate_again(const wire::IpPacket& ip, dpdk::Packet* packet,
                               const pipeline::PacketMeta& meta, const nat::FlowTranslation& translation) {
    const wire::MutableBytes bytes(dpdk::data(packet) + meta.l3, meta.l3_length);
    for (const auto manip : {Manip::destination, Manip::source}) {
        if (translation.changes(manip) && !nat::rewrite(ip, bytes, manip, translation.target(manip)))
            return false;
    }
    if (translation.changes(Manip::source) && meta.path == Path::ip4_fast)
        translator_->renew_identification(bytes);
    return true;
}

}  // namespace sluice::filter
