// The decision cache. What the hooks concluded for a packet is kept in its flow, for its direction; packets
// of the flow to which the same would happen go straight to their next hop, with every rule on the way
// counted.
#include <array>
#include <bit>
#include <cstring>

#include "conntrack/tracker_repeat.hh"
#include "filter/stage.hh"
#include "nat/flow_translation.hh"
#include "nat/rewrite.hh"
#include "nat/rewrite_ports.hh"
#include "routing/send.hh"
#include "routing/stage.hh"

namespace sluice::filter {
namespace {

using conntrack::CtState;
using conntrack::Found;
using conntrack::Ip4PortsTuple;
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

wire::IpPacket ip6_of(const dpdk::Packet* packet, const pipeline::PacketMeta& meta) {
    return wire::IpPacket::of(wire::Ipv6View::unchecked(dpdk::data(packet) + meta.l3));
}

bool has_ports(uint8_t protocol) {
    return protocol == static_cast<uint8_t>(wire::IpProtocol::tcp) ||
           protocol == static_cast<uint8_t>(wire::IpProtocol::udp);
}

// The flows of a burst by place; none where there is none, or where rules might see the packet otherwise than
// conntrack does (trail.hh).
using BurstFlows = std::array<Found, pipeline::kMaxBurst>;

// The packets of a burst whose flows are looked up together.
template <typename Tuple>
struct Gathered {
    size_t count = 0;
    std::array<uint8_t, pipeline::kMaxBurst> places;
    std::array<Tuple, pipeline::kMaxBurst> tuples;

    void add(size_t place, const Tuple& tuple) {
        places[count] = static_cast<uint8_t>(place);
        tuples[count++] = tuple;
    }
    void find(const conntrack::FlowTable& table, BurstFlows& flows) const {
        BurstFlows found;
        table.find_burst(std::span(tuples).first(count), std::span(found).first(count));
        for (size_t i = 0; i < count; ++i)
            flows[places[i]] = found[i];
    }
};

// False for fragments, and for what has no ports. On its fast path a packet has no options.
bool read_tuple(const uint8_t* header, uint16_t length, Ip4PortsTuple& tuple) {
    constexpr size_t kHeader = 20;
    constexpr size_t kPorts = 8;  // so much there must be of the upper layer
    const bool is_fragment = ((header[6] & 0x3f) | header[7]) != 0;
    if (!has_ports(header[9]) || is_fragment || length < kHeader + kPorts)
        return false;
    uint32_t ports;
    std::memcpy(&tuple.addresses, header + 12, sizeof tuple.addresses);
    std::memcpy(&ports, header + kHeader, sizeof ports);
    tuple.ports = (ports & 0x00ff00ff) << 8 | (ports >> 8 & 0x00ff00ff);
    tuple.protocol = wire::IpProtocol{header[9]};
    return true;
}

void find_flows(const conntrack::FlowTable& table, const pipeline::Burst& burst, BurstFlows& flows) {
    Gathered<Ip4PortsTuple> ip4;
    Gathered<conntrack::Tuple> ip6;
    for (uint16_t i = 0; i < burst.count; ++i) {
        const auto& meta = burst.meta[i];
        const uint8_t* header = dpdk::data(burst.packets[i]) + meta.l3;
        flows[i] = {};
        if (meta.path == Path::ip4_fast) {
            if (Ip4PortsTuple tuple; read_tuple(header, meta.l3_length, tuple))
                ip4.add(i, tuple);
        } else if (meta.path == Path::ip6_fast && has_ports(header[6])) {
            if (const auto tuple = conntrack::tuple_of(ip6_of(burst.packets[i], meta)))
                ip6.add(i, *tuple);
        }
    }
    if (ip4.count != 0)
        ip4.find(table, flows);
    if (ip6.count != 0)
        ip6.find(table, flows);
}

// How packets of a direction leave: as an answer comes, turned around.
nat::Ip4Ends ends_after(const conntrack::Flow& flow, conntrack::Direction direction) {
    const auto& answer = flow.half(opposite(direction));
    return {.addresses = std::rotr(std::bit_cast<uint64_t>(answer.addresses), 32),
            .ports = std::rotr(std::bit_cast<uint32_t>(answer.ports), 16)};
}

}  // namespace

// What a burst adds to counters.
struct Firewall::Tally {
    uint64_t repeated4 = 0;
    uint64_t repeated6 = 0;
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
    flow->decision(passage.tracked.direction) = {decision.word(),
                                                 made_from(tables_->generation, sets_generation_)};
}

void Firewall::count_path(Tally& tally, Instant now) {
    if (tally.path_packets != 0)
        state_->repeat(tally.path, tally.path_packets, tally.path_bytes, now);
    tally.path_packets = tally.path_bytes = 0;
}

// False if the packet has to ask for itself; nothing has happened then.
template <Family family>
[[gnu::always_inline]] inline bool Firewall::repeat_decision(routing::Context& context, dpdk::Packet* packet,
                                                             const pipeline::PacketMeta& meta,
                                                             const Found& found, Tally& tally) {
    conntrack::Flow& flow = *found.flow;
    const auto& kept = flow.decision(found.direction);
    const KeptDecision decision(kept[0]);
    const auto sets = decision.reads_sets() ? static_cast<uint32_t>(tables_->sets->generation())
                                            : static_cast<uint32_t>(kept[1]);
    if (!decision.is_for(meta.in) || kept[1] != made_from(tables_->generation, sets) ||
        decision.state() != conntrack::Tracker::state_of(flow, found.direction))
        return false;

    const auto& neighbours = context.tables.neighbours;
    const auto& hop = context.tables.fib->next_hop(decision.next_hop());
    uint8_t* const header = dpdk::data(packet) + meta.l3;
    const bool translated = flow.status.has_any(conntrack::kSnat | conntrack::kDnat);
    routing::NeighbourTable::Found neighbour;
    if constexpr (family == Family::ip4)
        neighbour = routing::neighbour_of(
            neighbours, hop,
            translated ? ends_after(flow, found.direction).destination() : Ip4Address::load(header + 16));
    else
        neighbour = routing::neighbour_of(neighbours, hop,
                                          translated ? flow.tuple(opposite(found.direction)).source().ip6()
                                                     : Ip6Address::load(header + 24));
    if (!neighbour.link.usable() || meta.l3_length > hop.mtu ||
        !tracker_.repeat<family>(found, header, meta.l3_length, context.worker.now))
        return false;

    if (translated)
        translate_again(packet, meta, found);
    if (decision.path() != tally.path) {
        count_path(tally, context.worker.now);
        tally.path = decision.path();
    }
    ++tally.path_packets;
    tally.path_bytes += meta.l3_length;
    routing::send_to(context, packet, meta, hop, neighbour, family);
    if (context.worker.watch.packet == packet) [[unlikely]]
        judgement_ = {.decided = true,
                      .hook = decision.last_hook(),
                      .rule = state_->last_rule(decision.path()),
                      .tracked = true,
                      .state = decision.state()};
    return true;
}

// The transport header has been checked: it is long enough to be changed.
void Firewall::translate_again(dpdk::Packet* packet, const pipeline::PacketMeta& meta, const Found& found) {
    const wire::MutableBytes bytes(dpdk::data(packet) + meta.l3, meta.l3_length);
    if (meta.path == Path::ip4_fast) {
        nat::rewrite_ip4_ports(bytes.data(), bytes.data() + wire::kIpv4HeaderSize, found.flow->protocol(),
                               ends_after(*found.flow, found.direction));
        if (nat::FlowTranslation::changes(found.flow->status, found.direction, Manip::source))
            translator_->renew_identification(bytes);
        return;
    }
    const auto ip = ip6_of(packet, meta);
    const auto translation = nat::FlowTranslation::of(*found.flow, found.direction);
    for (const auto manip : {Manip::destination, Manip::source})
        if (translation.changes(manip))
            (void)nat::rewrite(ip, bytes, manip, translation.target(manip));
}

// A packet whose flow's decision is not repeated.
Verdict Firewall::forward_alone(routing::Context& context, dpdk::Packet* packet,
                                const pipeline::PacketMeta& meta, bool may_begin) {
    Ip4PortsTuple tuple;
    if (may_begin && meta.path == Path::ip4_fast &&
        read_tuple(dpdk::data(packet) + meta.l3, meta.l3_length, tuple))
        if (const auto verdict = begin_flow(context, packet, meta, tuple))
            return *verdict;
    return routing::forward_slowly(context, packet, meta);
}

void Firewall::forward(routing::Context& context, pipeline::Burst& burst) {
    BurstFlows flows;
    const bool repeats = tables_->tracks && tables_->repeats;
    if (tables_->tracks)
        find_flows(tracker_.table(), burst, flows);
    Tally tally;
    for (uint16_t i = 0; i < burst.count; ++i) {
        dpdk::Packet* packet = burst.packets[i];
        const auto& meta = burst.meta[i];
        if (repeats && flows[i]) {
            if (meta.path == Path::ip4_fast &&
                repeat_decision<Family::ip4>(context, packet, meta, flows[i], tally)) [[likely]] {
                ++tally.repeated4;
                continue;
            }
            if (meta.path == Path::ip6_fast &&
                repeat_decision<Family::ip6>(context, packet, meta, flows[i], tally)) {
                ++tally.repeated6;
                continue;
            }
        }
        const auto verdict = forward_alone(context, packet, meta, begins_plainly_ && !flows[i]);
        if (verdict != Verdict::sent())
            pipeline::finish(context.worker, packet, meta.in, verdict);
    }
    count_path(tally, context.worker.now);
    tally.add_to(context.worker.counters.protocol, conntrack_counters_);
}

}  // namespace sluice::filter
