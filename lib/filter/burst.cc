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
#include "nat/rewrite_ports.hh"
#include "pipeline/large.hh"
#include "pipeline/places.hh"
#include "routing/exit.hh"
#include "routing/large.hh"
#include "routing/send.hh"
#include "routing/stage.hh"

namespace sluice::filter {
namespace {

using conntrack::CtState;
using conntrack::Found;
using conntrack::Ip4PortsTuple;
using nat::Manip;
using pipeline::for_each_place;
using pipeline::Path;
using pipeline::place_bit;
using pipeline::Verdict;
using telemetry::Protocol;

// What it was made from.
constexpr uint64_t made_from(uint32_t tables, uint32_t sets) {
    return uint64_t{tables} << 32 | sets;
}

bool has_ports(uint8_t protocol) {
    return protocol == static_cast<uint8_t>(wire::IpProtocol::tcp) ||
           protocol == static_cast<uint8_t>(wire::IpProtocol::udp);
}

// By place, and not initialised: whoever makes it fills as many places as there are packets.
template <typename T>
struct ByPlace {
    ByPlace() {}
    T& operator[](size_t place) { return values[place]; }
    const T& operator[](size_t place) const { return values[place]; }
    union {
        std::array<T, pipeline::kMaxBurst> values;
    };
};

conntrack::Ip4PortsKeys keys_of(const pipeline::Burst& burst) {
    return {.addresses = burst.keys.addresses.data(), .rest = burst.keys.rest.data()};
}

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

// The flows of a burst. Of packets that rules might see otherwise than conntrack does (trail.hh) there are
// none.
struct BurstFlows {
    // Places with a key have a guess and a hash, those of IPv6 where their addresses are.
    uint64_t ip4 = 0;
    uint64_t ip6 = 0;
    ByPlace<conntrack::Guess> guesses;
    ByPlace<uint64_t> hashes;
    ByPlace<const uint8_t*> addresses6;

    // Places of IPv4 with a key whose packets probably begin a flow.
    [[nodiscard]] uint64_t guessed_new() const {
        uint64_t result = 0;
        for_each_place(ip4,
                       [&](size_t place) { result |= uint64_t{guesses[place].flow == nullptr} << place; });
        return result;
    }
    [[nodiscard]] conntrack::Ip6PortsKeys keys6_of(const pipeline::Burst& burst) const {
        return {.addresses = addresses6.values.data(), .rest = burst.keys.rest.data()};
    }
    [[nodiscard]] Found at(const conntrack::FlowTable& table, const pipeline::Burst& burst,
                           size_t place) const {
        if ((ip4 >> place & 1) != 0) [[likely]]
            return table.find_guessed(guesses[place], keys_of(burst)[place], hashes[place]);
        if ((ip6 >> place & 1) != 0)
            return table.find_guessed(guesses[place], keys6_of(burst), place, hashes[place]);
        return {};
    }
};

[[gnu::noinline]] void find_ip6_flows(const conntrack::FlowTable& table, const pipeline::Burst& burst,
                                      BurstFlows& flows) {
    constexpr size_t kAddresses = 8;  // where they stand in the header
    for_each_place(flows.ip6, [&](size_t i) {
        flows.addresses6[i] = dpdk::data(burst.packets[i]) + burst.meta[i].l3 + kAddresses;
    });
    table.guess_burst(flows.keys6_of(burst), flows.ip6, flows.guesses.values.data(),
                      flows.hashes.values.data());
}

// Of packets that the parser has not found plain: tagged ones, and those of other workers.
[[gnu::noinline]] void complete_keys(pipeline::Burst& burst, uint64_t places) {
    for_each_place(places, [&](size_t i) {
        const auto& meta = burst.meta[i];
        const uint8_t* const header = dpdk::data(burst.packets[i]) + meta.l3;
        Ip4PortsTuple tuple;
        conntrack::Tuple tuple6;
        if (meta.path == Path::ip4_fast && read_tuple(header, meta.l3_length, tuple)) {
            burst.keys.addresses[i] = tuple.addresses;
            burst.keys.rest[i] = tuple.rest();
            burst.keys.ip4.all |= place_bit(i);
        } else if (meta.path == Path::ip6_fast && read_tuple(header, meta.l3_length, tuple6)) {
            burst.keys.rest[i] = tuple6.rest();
            burst.keys.ip6.all |= place_bit(i);
        }
    });
}

void find_flows(const conntrack::FlowTable& table, pipeline::Burst& burst, BurstFlows& flows) {
    const uint64_t without = pipeline::first_places(burst.count) & ~(burst.keys.ip4.all | burst.keys.ip6.all);
    if (without != 0) [[unlikely]]
        complete_keys(burst, without);
    flows.ip4 = burst.keys.ip4.all;
    flows.ip6 = burst.keys.ip6.all;
    table.guess_burst(keys_of(burst), flows.ip4, flows.guesses.values.data(), flows.hashes.values.data());
    if (flows.ip6 != 0)
        find_ip6_flows(table, burst, flows);
}

// Packets of whose transport header nothing is left to be checked.
uint64_t sound_places(const pipeline::Burst& burst) {
    const auto& [ip4, ip6, addresses, rest] = burst.keys;
    return ip4.datagrams | ip4.acks | ip6.datagrams | ip6.acks;
}

bool is_translated(const conntrack::Flow& flow) {
    return flow.status.has_any(conntrack::kSnat | conntrack::kDnat);
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

// How packets of a direction leave: as an answer comes, turned around.
nat::Ip4Ends ends_after(const conntrack::Flow& flow, conntrack::Direction direction) {
    const auto& answer = flow.half(opposite(direction));
    return {.addresses = std::rotr(std::bit_cast<uint64_t>(answer.addresses), 32),
            .ports = std::rotr(std::bit_cast<uint32_t>(answer.ports), 16)};
}

nat::Ip6Ends ip6_ends_after(const conntrack::Flow& flow, conntrack::Direction direction) {
    const auto answer = opposite(direction);
    return {.answer = static_cast<const conntrack::Flow6&>(flow).addresses(answer),
            .ports = std::rotr(std::bit_cast<uint32_t>(flow.half(answer).ports), 16)};
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

// None that a flow ever has: it is not valid, nor zero.
constexpr conntrack::Decision kNoDecision{1, 1};

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
    // Those that read no set hold while the tables do.
    if (kept.made_from >> 32 != repeats.tables ||
        (decision.reads_sets() && static_cast<uint32_t>(kept.made_from) !=
                                      static_cast<uint32_t>(tables_->sets->generation()))) [[unlikely]]
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
                               ends_after(*found.flow, found.direction));
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

// A large frame of an open connection, whose segments would all repeat one decision. False if some of them
// have to ask for themselves; nothing has happened then.
template <Family family>
bool Firewall::repeat_large(routing::Context& context, dpdk::Packet* packet,
                            const pipeline::PacketMeta& meta) {
    constexpr bool kIp4 = family == Family::ip4;
    uint8_t* const header = dpdk::data(packet) + meta.l3;
    std::conditional_t<kIp4, Ip4PortsTuple, conntrack::Tuple> tuple;
    if (!tables_->tracks || !read_tuple(header, meta.l3_length, tuple))
        return false;
    const Found found = tracker_.table().find(tuple);
    if (!found)
        return false;
    conntrack::Flow& flow = *found.flow;
    const auto& kept = flow.decision(found.direction);
    const KeptDecision decision(kept.what);
    const auto sets = static_cast<uint32_t>(tables_->sets->generation());
    if (!decision.is_for(meta.in) || kept.made_from >> 32 != tables_->generation ||
        (decision.reads_sets() && static_cast<uint32_t>(kept.made_from) != sets))
        return false;
    const auto& hop = context.tables.fib->next_hop(decision.next_hop());
    const bool translated = is_translated(flow);
    const auto neighbour = neighbour_of<family>(context, found, header, translated, hop);
    const auto parts = pipeline::LargeFrame::of(packet, meta.l3);
    if (!neighbour.link.usable() || parts.largest() > hop.mtu)
        return false;
    // Each segment would get an identification of its own.
    if (kIp4 && nat::FlowTranslation::changes(flow.status, found.direction, Manip::source) &&
        !wire::Ipv4View::unchecked(header).dont_fragment())
        return false;
    const uint32_t segments = parts.segments();
    const wire::Bytes tcp_header(dpdk::data(packet) + parts.tcp, size_t{parts.headers} - parts.tcp);
    if (!tracker_.repeat_segments(found, tcp_header,
                                  {.count = segments,
                                   .payload = parts.payload,
                                   .size = parts.segment_size,
                                   .bytes = parts.ip_bytes()},
                                  tracker_.round(context.worker.now)))
        return false;
    if (translated)
        translate_headers(packet, meta, parts, found);
    state_->repeat(decision.path(), segments, parts.ip_bytes(), context.worker.now);
    conntrack_counters_.add(conntrack::Count::found, segments);
    conntrack_counters_.add(conntrack::Count::decision_repeated, segments);
    auto& protocol = context.worker.counters.protocol;
    protocol.add(kIp4 ? Protocol::IpInReceives : Protocol::Ip6InReceives, segments);
    protocol.add(kIp4 ? Protocol::IpForwDatagrams : Protocol::Ip6OutForwDatagrams, segments);
    routing::send_large(context, packet, meta, hop, neighbour, family);
    return true;
}

// The TCP checksum becomes whatever it does: it is made anew for each segment.
void Firewall::translate_headers(dpdk::Packet* packet, const pipeline::PacketMeta& meta,
                                 const pipeline::LargeFrame& parts, const Found& found) {
    const wire::MutableBytes bytes(dpdk::data(packet) + meta.l3, meta.l3_length);
    if (meta.path == Path::ip4_large) {
        nat::rewrite_ip4_ports(bytes.data(), dpdk::data(packet) + parts.tcp, found.flow->protocol(),
                               ends_after(*found.flow, found.direction));
        return;
    }
    nat::rewrite_ip6_ports(bytes.data(), dpdk::data(packet) + parts.tcp, found.flow->protocol(),
                           ip6_ends_after(*found.flow, found.direction));
}

// Packets in a row, the first at `place`, whose flows have the decision of the packet before them; of these
// protocols nothing of a packet but its flow is left to be looked at. They are tracked and counted; the place
// of the first that is not like them, to which nothing has happened. This and send_row() are functions of
// their own, whose loops have all registers to themselves.
template <Family family, wire::IpProtocol protocol, bool translated>
[[gnu::noinline]] size_t Firewall::accept_row(const pipeline::Burst& burst, const conntrack::Guess* guesses,
                                              size_t place, size_t end, Repeats& repeats) {
    uint64_t bytes = 0;
    const size_t first = place;
    for (; place < end; ++place) {
        const auto [flow, half] = guesses[place];
        const uint8_t* const header = dpdk::data(burst.packets[place]) + pipeline::kEthernetHeader;
        const uint16_t length = burst.meta[place].l3_length;
        if (flow == nullptr || half->decision != repeats.decision || is_translated(*flow) != translated ||
            !has_key<family>(*flow, *half, header, burst, place) ||
            !tracker_.repeat_sound<family, protocol>(*flow, *half, header, length, repeats.round))
            [[unlikely]]
            break;
        bytes += length;
    }
    const size_t count = place - first;
    (family == Family::ip4 ? repeats.repeated4 : repeats.repeated6) += count;
    repeats.path_packets += count;
    repeats.path_bytes += bytes;
    return place;
}

// Those that accept_row() has accepted.
template <Family family, wire::IpProtocol protocol, bool translated>
[[gnu::noinline]] void Firewall::send_row(const pipeline::Burst& burst, const conntrack::Guess* guesses,
                                          size_t place, size_t end, const Repeats& repeats) {
    auto* const identifications = translated ? translator_->identifications() : nullptr;
    uint64_t bytes = 0;
    routing::Exit::Row row(repeats.exit);
    for (; place < end; ++place) {
        dpdk::Packet* const packet = burst.packets[place];
        uint8_t* const frame = dpdk::data(packet);
        uint8_t* const header = frame + pipeline::kEthernetHeader;
        const auto length = static_cast<uint16_t>(burst.meta[place].l3_length + pipeline::kEthernetHeader);
        if constexpr (translated) {
            const auto [flow, half] = guesses[place];
            const auto direction = flow->direction_of(*half);
            if constexpr (family == Family::ip4) {
                const bool renews = nat::FlowTranslation::changes(flow->status, direction, Manip::source);
                nat::rewrite_ip4_and_count_hop(header, protocol, ends_after(*flow, direction),
                                               renews ? identifications : nullptr);
            } else {
                nat::rewrite_ip6_ports(header, header + wire::kIpv6HeaderSize, protocol,
                                       ip6_ends_after(*flow, direction));
                routing::count_hop(header, family);
            }
        } else {
            routing::count_hop(header, family);
        }
        bytes += length;
        row.send(packet, frame, length);
    }
    row.commit(bytes);
}

template <Family family, wire::IpProtocol protocol, bool translated>
size_t Firewall::repeat_row(const pipeline::Burst& burst, const conntrack::Guess* guesses, size_t place,
                            size_t end, Repeats& repeats) {
    end = accept_row<family, protocol, translated>(burst, guesses, place, end, repeats);
    if (end != place)
        send_row<family, protocol, translated>(burst, guesses, place, end, repeats);
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
