// The decision cache. What the hooks concluded for a packet is kept in its flow, for its direction; packets
// of the flow to which the same would happen go straight to their next hop, with every rule on the way
// counted.
#include <algorithm>
#include <array>
#include <bit>
#include <cstring>

#include "conntrack/tracker_repeat.hh"
#include "filter/stage.hh"
#include "nat/flow_translation.hh"
#include "nat/rewrite.hh"
#include "nat/rewrite_ports.hh"
#include "routing/exit.hh"
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
// conntrack does (trail.hh). Not initialised: whoever makes it fills as many places as there are packets.
struct BurstFlows {
    BurstFlows() {}
    Found& operator[](size_t place) { return found[place]; }
    union {
        std::array<Found, pipeline::kMaxBurst> found;
    };
};

// Which packets of a burst are looked up together.
struct Places {
    size_t count = 0;
    std::array<uint8_t, pipeline::kMaxBurst> of;

    void scatter(const BurstFlows& found, BurstFlows& flows) const {
        for (size_t i = 0; i < count; ++i)
            flows[of[i]] = found.found[i];
    }
};

// False for fragments, and for what has no ports. On its fast path a packet has no options.
bool read_tuple(const uint8_t* header, uint16_t length, Ip4PortsTuple& tuple) {
    constexpr size_t kHeader = 20;
    constexpr size_t kPorts = 8;                 // so much there must be of the upper layer
    constexpr uint64_t kFragment = 0xff3f'0000;  // more fragments, or an offset
    uint64_t middle;                             // from the identification on
    std::memcpy(&middle, header + 4, sizeof middle);
    const auto protocol = static_cast<uint8_t>(middle >> 40);
    if (!has_ports(protocol) || (middle & kFragment) != 0 || length < kHeader + kPorts)
        return false;
    tuple = Ip4PortsTuple::of_plain(header);
    return true;
}

bool read_tuple(const uint8_t* header, uint16_t length, conntrack::Tuple& tuple) {
    constexpr size_t kPorts = 8;
    if (!has_ports(header[6]) || length < wire::kIpv6HeaderSize + kPorts)
        return false;
    tuple = conntrack::Tuple::of_plain(header);
    return true;
}

[[gnu::noinline]] void find_ip6_flows(const conntrack::FlowTable& table, const pipeline::Burst& burst,
                                      BurstFlows& flows) {
    Places places;
    std::array<conntrack::Tuple, pipeline::kMaxBurst> tuples;
    for (uint16_t i = 0; i < burst.count; ++i) {
        const auto& meta = burst.meta[i];
        const uint8_t* header = dpdk::data(burst.packets[i]) + meta.l3;
        if (meta.path == Path::ip6_fast && read_tuple(header, meta.l3_length, tuples[places.count])) {
            places.of[places.count++] = static_cast<uint8_t>(i);
        }
    }
    BurstFlows found;
    table.find_burst(std::span(tuples).first(places.count), found.found.data());
    places.scatter(found, flows);
}

void find_flows(const conntrack::FlowTable& table, const pipeline::Burst& burst, BurstFlows& flows) {
    Places places;
    std::array<Ip4PortsTuple, pipeline::kMaxBurst> tuples;
    bool has_ip6 = false;
    for (uint16_t i = 0; i < burst.count; ++i) {
        const auto& meta = burst.meta[i];
        const uint8_t* header = dpdk::data(burst.packets[i]) + meta.l3;
        if (meta.path == Path::ip4_fast && read_tuple(header, meta.l3_length, tuples[places.count]))
            [[likely]] {
            places.of[places.count++] = static_cast<uint8_t>(i);
        } else {
            flows[i] = {};
            has_ip6 = has_ip6 || meta.path == Path::ip6_fast;
        }
    }
    const auto wanted = std::span(tuples).first(places.count);
    if (places.count == burst.count) [[likely]] {
        table.find_burst(wanted, flows.found.data());
        return;
    }
    if (places.count != 0) {
        BurstFlows found;
        table.find_burst(wanted, found.found.data());
        places.scatter(found, flows);
    }
    if (has_ip6)
        find_ip6_flows(table, burst, flows);
}

// How packets of a direction leave: as an answer comes, turned around.
nat::Ip4Ends ends_after(const conntrack::Flow& flow, conntrack::Direction direction) {
    const auto& answer = flow.half(opposite(direction));
    return {.addresses = std::rotr(std::bit_cast<uint64_t>(answer.addresses), 32),
            .ports = std::rotr(std::bit_cast<uint32_t>(answer.ports), 16)};
}

template <Family family>
routing::NeighbourTable::Found neighbour_of(const routing::Context& context, const Found& found,
                                            const uint8_t* header, bool translated,
                                            const routing::NextHop& hop) {
    const auto& neighbours = context.tables.neighbours;
    if constexpr (family == Family::ip4)
        return routing::neighbour_of(neighbours, hop,
                                     translated ? ends_after(*found.flow, found.direction).destination()
                                                : Ip4Address::load(header + 16));
    else
        return routing::neighbour_of(neighbours, hop,
                                     translated ? found.flow->tuple(opposite(found.direction)).source().ip6()
                                                : Ip6Address::load(header + 24));
}

}  // namespace

// What the hooks decided, as it stands in the 16 bytes that a flow has for each direction.
class Firewall::KeptDecision {
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
        return (word_ >> 48 & 0x80ff) == (0x8000U | static_cast<uint32_t>(index(in)));
    }
    [[nodiscard]] CtState state() const { return static_cast<CtState>(word_ >> 56 & 7); }
    [[nodiscard]] PathId path() const { return static_cast<PathId>(word_ >> 32 & 0xffff); }
    [[nodiscard]] routing::NextHopIndex next_hop() const { return static_cast<routing::NextHopIndex>(word_); }

  private:
    static constexpr uint64_t kValid = uint64_t{1} << 63;
    static_assert(PathPool::kDefaultPaths <= 1U << 16 && kMaxInterfaces <= 256);
    uint64_t word_;
};

// What packets of a burst that repeat decisions share: what holds for all of them, and what they add to
// counters.
struct Firewall::Repeats {
    uint32_t tables;  // their generation
    conntrack::Round round;
    routing::Exit exit;
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
    const KeptDecision decision(kept[0]);
    if (!decision.is_for(meta.in))
        return false;
    // Those that read no set hold while the tables do.
    if (kept[1] >> 32 != repeats.tables ||
        (decision.reads_sets() &&
         static_cast<uint32_t>(kept[1]) != static_cast<uint32_t>(tables_->sets->generation()))) [[unlikely]]
        return false;
    auto& exit = repeats.exit;
    if (decision.next_hop() != exit.next_hop()) [[unlikely]]
        exit.turn_to(context, decision.next_hop());
    if (meta.path != Path::ip4_fast || !exit.is_open() || meta.l3 != pipeline::kEthernetHeader) [[unlikely]]
        return meta.path == Path::ip4_fast
                   ? repeat_by_its_neighbour<Family::ip4>(context, packet, meta, found, repeats)
                   : repeat_by_its_neighbour<Family::ip6>(context, packet, meta, found, repeats);

    uint8_t* const header = dpdk::data(packet) + pipeline::kEthernetHeader;
    if (meta.l3_length > exit.mtu() ||
        !tracker_.repeat<Family::ip4>(found, header, meta.l3_length, repeats.round))
        return false;
    if (found.flow->status.has_any(conntrack::kSnat | conntrack::kDnat))
        translate_again(packet, meta, found);
    repeated(packet, decision, meta.l3_length, context.worker, repeats);
    ++repeats.repeated4;
    routing::count_hop(header, Family::ip4);
    exit.send(context, packet);
    return true;
}

// The same for packets that share no exit with others, and for those of IPv6. A call, so that the loop over a
// burst keeps its registers.
template <Family family>
[[gnu::noinline]] bool Firewall::repeat_by_its_neighbour(routing::Context& context, dpdk::Packet* packet,
                                                         const pipeline::PacketMeta& meta, Found found,
                                                         Repeats& repeats) {
    conntrack::Flow& flow = *found.flow;
    const KeptDecision decision(flow.decision(found.direction)[0]);
    const auto& hop = context.tables.fib->next_hop(decision.next_hop());
    uint8_t* const header = dpdk::data(packet) + meta.l3;
    const bool translated = flow.status.has_any(conntrack::kSnat | conntrack::kDnat);
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
    const uint8_t* const header = dpdk::data(packet) + meta.l3;
    if (may_begin && meta.path == Path::ip4_fast) {
        Ip4PortsTuple tuple;
        if (read_tuple(header, meta.l3_length, tuple))
            if (const auto verdict = begin_flow<Family::ip4>(context, packet, meta))
                return *verdict;
    } else if (may_begin && meta.path == Path::ip6_fast) {
        conntrack::Tuple tuple;
        if (read_tuple(header, meta.l3_length, tuple))
            if (const auto verdict = begin_flow<Family::ip6>(context, packet, meta))
                return *verdict;
    }
    return routing::forward_slowly(context, packet, meta);
}

void Firewall::prefetch_mappings(const pipeline::Burst& burst, std::span<const Found> flows) const {
    if (std::ranges::all_of(flows, [](const Found& found) { return static_cast<bool>(found); })) [[likely]]
        return;
    constexpr size_t kMost = nat::Translator::kAhead;
    static_assert(pipeline::kMaxBurst <= kMost);
    std::array<Ip4PortsTuple, kMost> leaving;
    size_t count = 0;
    for (size_t i = 0; i < flows.size(); ++i) {
        const auto& meta = burst.meta[i];
        if (!flows[i] && meta.path == Path::ip4_fast &&
            read_tuple(dpdk::data(burst.packets[i]) + meta.l3, meta.l3_length, leaving[count]))
            ++count;
    }
    std::array<Ip4PortsTuple, kMost> answers;
    translator_->prefetch_beginnings(std::span(leaving).first(count), answers);
    for (const auto& answer : std::span(answers).first(count))
        tracker_.table().prefetch_entry(answer);
}

void Firewall::forward(routing::Context& context, pipeline::Burst& burst) {
    BurstFlows flows;
    if (tables_->tracks)
        find_flows(tracker_.table(), burst, flows);
    else
        std::fill_n(flows.found.begin(), burst.count, Found());
    if (begins_plainly_ && translator_ != nullptr)
        prefetch_mappings(burst, std::span(flows.found).first(burst.count));
    Repeats repeats{.tables = tables_->generation, .round = tracker_.round(context.worker.now), .exit = {}};
    for (uint16_t i = 0; i < burst.count; ++i) {
        dpdk::Packet* packet = burst.packets[i];
        const auto& meta = burst.meta[i];
        if (flows[i] && repeat_decision(context, packet, meta, flows[i], repeats)) [[likely]]
            continue;
        const auto verdict = forward_alone(context, packet, meta, begins_plainly_ && !flows[i]);
        if (verdict != Verdict::sent())
            pipeline::finish(context.worker, packet, meta.in, verdict);
    }
    count_path(repeats);
    repeats.add_to(context.worker.counters.protocol, conntrack_counters_);
}

}  // namespace sluice::filter
