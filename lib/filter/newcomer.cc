// The short way of a packet that begins a flow: what the slow path does about one like most others, without
// the questions whose answers are known. The rules are asked as ever. What many of them in a burst will read
// is asked for ahead.
#include "filter/masquerade.hh"
#include "filter/stage.hh"
#include "nat/flow_translation.hh"
#include "nat/rewrite_ports.hh"
#include "nat/translator_plain.hh"
#include "pipeline/places.hh"
#include "routing/send.hh"
#include "routing/slow.hh"

namespace sluice::filter {

using conntrack::Direction;
using pipeline::Verdict;

bool Firewall::begins_plainly() const {
    const auto& rules = *tables_->ruleset;
    const bool are_asked_elsewhere = rules.base(Table::raw, Hook::prerouting) != nullptr ||
                                     rules.base(Table::mangle, Hook::prerouting) != nullptr ||
                                     rules.base(Table::mangle, Hook::forward) != nullptr ||
                                     rules.base(Table::mangle, Hook::postrouting) != nullptr ||
                                     rules.base(Table::nat, Hook::prerouting) != nullptr;
    return tables_->tracks && !are_asked_elsewhere;
}

namespace {

template <Family family>
auto view_of(uint8_t* header) {
    if constexpr (family == Family::ip4)
        return wire::MutableIpv4View::unchecked(header);
    else
        return wire::MutableIpv6View::unchecked(header);
}

void count_hop(wire::MutableIpv4View header) {
    header.decrement_ttl();
}
void count_hop(wire::MutableIpv6View header) {
    header.decrement_hop_limit();
}

template <Family family>
constexpr auto kInReceives =
    family == Family::ip4 ? telemetry::Protocol::IpInReceives : telemetry::Protocol::Ip6InReceives;
template <Family family>
constexpr auto kForwarded =
    family == Family::ip4 ? telemetry::Protocol::IpForwDatagrams : telemetry::Protocol::Ip6OutForwDatagrams;

}  // namespace

// In the order of slow_ip4() and slow_ip6() and the hooks; what is looked at before the flow begins has no
// effects. On a fast path the addresses are ordinary ones, and hops are left.
template <Family family>
bool Firewall::begin_flow(routing::Context& context, dpdk::Packet* packet, const pipeline::PacketMeta& meta,
                          Verdict& verdict) {
    const auto& tables = context.tables;
    uint8_t* const header = dpdk::data(packet) + meta.l3;
    const auto view = view_of<family>(header);
    const auto& hop = routing::route_of(context, view, meta.in);
    const auto neighbour = routing::neighbour_of(tables.neighbours, hop, view.destination());
    // Without a mapping's address as destination there is none to be looked for.
    const bool may_be_mapped = translator_ != nullptr && translator_->is_external(view.destination());
    if (!neighbour.link.usable() || meta.l3_length > hop.mtu || may_be_mapped ||
        tables.source_filter.contains(view.source()) ||
        tables.interfaces[meta.in].rp_filter != pipeline::RpFilter::off) [[unlikely]]
        return false;
    auto begun = tracker_.begin_plainly<family>(header, meta.l3_length, meta.in, context.worker.now);
    if (begun.flow == nullptr) [[unlikely]]
        return false;

    context.worker.counters.protocol.add(kInReceives<family>);
    routing::Passage passage{.packet = wire::MutableBytes(header, meta.l3_length),
                             .in = meta.in,
                             .out = hop.out,
                             .mtu = hop.mtu,
                             .source_mac = dpdk::data(packet) + 6,
                             .tracked = {.flow = begun.flow, .state = conntrack::CtState::new_},
                             .next_hop = &hop,
                             .room = static_cast<uint16_t>(dpdk::room(packet) - meta.l3)};
    const routing::PassageScope scope(this, passage);
    trail_.begin();
    hairpin_ = {};
    sets_generation_ = static_cast<uint32_t>(tables_->sets->generation());
    judgement_.tracked = true;
    judgement_.state = passage.tracked.state;
    count_hop(view);
    const auto seen = wire::IpPacket::of(view);
    RulePacket asked = rule_packet(context, passage, seen);
    verdict = ask_about(context, passage, asked, Table::filter, Hook::forward);
    if (verdict == Verdict::next() && translator_ != nullptr)
        verdict = family == Family::ip4 ? translate_plainly(context, passage, asked, begun)
                                        : postrouting(context, passage);
    else if (verdict == Verdict::next())
        verdict = confirm_plainly(context, passage, begun);
    if (verdict != Verdict::next())
        return true;
    if (translator_ == nullptr)
        keep_decision(context, passage);
    context.worker.counters.protocol.add(kForwarded<family>);
    routing::send_counted(context, packet, meta, hop, neighbour, family);
    verdict = Verdict::sent();
    return true;
}

// What translate() and confirm() would do.
Verdict Firewall::translate_plainly(routing::Context& context, routing::Passage& passage, RulePacket& asked,
                                    conntrack::NewFlow& begun) {
    const NatStatement* statement = nullptr;
    const auto verdict = ask_about(context, passage, asked, Table::nat, Hook::postrouting, &statement);
    if (verdict != Verdict::next())
        return verdict;
    auto& flow = *begun.flow;
    if (statement == nullptr) {  // it keeps its source, since nobody else has its tuples
        flow.status.set(conntrack::kSnatDone);
        return confirm_plainly(context, passage, begun);
    }

    const Instant now = context.worker.now;
    const auto tuple = flow.half(Direction::original).tuple(flow.protocol());
    const auto remote = nat::Ip4Endpoint::destination_of(tuple);
    Ip4Address own;
    if (statement->rule.kind == nat::NatKind::masquerade)
        own = masquerade_ip4(context, passage.out, *passage.next_hop, remote.ip4());
    const auto& table = tracker_.table();
    conntrack::Found other;
    const auto is_free = [&](const nat::Ip4Endpoint& external) {
        const conntrack::Ip4PortsTuple answer{.addresses = uint64_t{external.address} << 32 | remote.address,
                                              .ports = uint32_t{external.port} << 16 | remote.port,
                                              .protocol = tuple.protocol};
        begun.reply_hash = table.hash_of(answer);
        other = table.find_rare(answer, begun.reply_hash);
        return !other || other.flow->is_expired(conntrack::ticks_at(now));
    };
    const bool has_own = statement->rule.kind != nat::NatKind::masquerade || !own.is_unspecified();
    const auto chosen =
        has_own ? translator_->choose_plainly(statement->rule, tuple, passage.out, own, is_free, now)
                : std::nullopt;
    if (!chosen) [[unlikely]]
        return translate_by(context, passage, statement);
    if (!*chosen) [[unlikely]]
        return refuse(context, passage, chosen->error());

    const auto& [external, mapping] = **chosen;
    flow.status.set(conntrack::kSnatDone | conntrack::kMappedSource);
    if (statement->rule.kind == nat::NatKind::masquerade)
        flow.status.set(nat::kMasqueraded);
    auto& answer = flow.half(Direction::reply);
    if (external != nat::Ip4Endpoint::source_of(tuple)) [[likely]] {
        flow.status.set(conntrack::kSnat);
        answer.addresses[1] = external.address;
        answer.ports[1] = external.port;
        uint8_t* const header = passage.packet.data();
        nat::rewrite_ip4_ports(header, header + wire::kIpv4HeaderSize, tuple.protocol,
                               {.addresses = uint64_t{remote.address} << 32 | external.address,
                                .ports = uint32_t{remote.port} << 16 | external.port});
        translator_->renew_identification(passage.packet);
    }
    if (other) [[unlikely]]  // its time is up
        return confirm(context, passage);
    if (!tracker_.confirm_plainly(passage.tracked, begun, now)) [[unlikely]]
        return refused(passage);
    translator_->flow_began(mapping, remote.ip4());
    return tell_of(passage, now);
}

// With what the rules said, for those that have more to say.
Verdict Firewall::translate_by(routing::Context& context, routing::Passage& passage,
                               const NatStatement* statement) {
    if (const auto verdict = choose_by(context, passage, statement, nat::Manip::source);
        verdict != Verdict::next())
        return verdict;
    passage.tracked.flow->status.set(conntrack::kSnatDone);
    const auto packet = wire::IpPacket::of(wire::Ipv4View::unchecked(passage.packet.data()));
    if (const auto verdict = exchange(passage, packet, false, nat::Manip::source); verdict != Verdict::next())
        return verdict;
    return confirm(context, passage);
}

// Packets of IPv4 that begin flows: what their mappings will be read from.
void Firewall::prefetch_mappings(const pipeline::Burst& burst, uint64_t places) const {
    constexpr size_t kMost = nat::Translator::kAhead;
    static_assert(pipeline::kMaxBurst <= kMost);
    std::array<conntrack::Ip4PortsTuple, kMost> leaving;
    size_t count = 0;
    const conntrack::Ip4PortsKeys keys{.addresses = burst.keys.addresses.data(),
                                       .rest = burst.keys.rest.data()};
    pipeline::for_each_place(places, [&](size_t i) { leaving[count++] = keys[i]; });
    std::array<conntrack::Ip4PortsTuple, kMost> answers;
    translator_->prefetch_beginnings(std::span(leaving).first(count), answers);
    for (const auto& answer : std::span(answers).first(count))
        tracker_.table().prefetch_entry(answer);
}

// The same packets: the rule of each that is found first, and what lies on the way there.
void Firewall::prefetch_rules(const CompiledChain& chain, const pipeline::Burst& burst,
                              uint64_t places) const {
    static_assert(pipeline::kMaxBurst <= Classifier::kMaxBurst);
    std::array<Point, pipeline::kMaxBurst> points;
    std::array<uint32_t, pipeline::kMaxBurst> found;
    size_t count = 0;
    pipeline::for_each_place(places, [&](size_t i) {
        const uint64_t addresses = burst.keys.addresses[i];
        const uint64_t rest = burst.keys.rest[i];
        // Where it leaves is not known yet. Few rules are found by that alone.
        points[count++] = Point::of_ip4({.saddr = __builtin_bswap32(static_cast<uint32_t>(addresses)),
                                         .daddr = __builtin_bswap32(static_cast<uint32_t>(addresses >> 32)),
                                         .sport = static_cast<uint16_t>(rest),
                                         .dport = static_cast<uint16_t>(rest >> 16),
                                         .proto = static_cast<uint8_t>(rest >> 32),
                                         .in = burst.meta[i].in,
                                         .ct = conntrack::CtState::new_});
    });
    chain.classifier.prefetch(std::span(points).first(count), found);
    const auto& rules = tables_->ruleset->rules().rules;
    const auto for_each_found = [&](auto&& fn) {
        for (const uint32_t place : std::span(found).first(count))
            if (place != Classifier::kNoPlace)
                fn(rules[chain.first_rule + place]);
    };
    for_each_found([](const CompiledRule& rule) { prefetch_line(&rule); });
    for_each_found([this](const CompiledRule& rule) { state_->prefetch(rule.id); });
}

template bool Firewall::begin_flow<Family::ip4>(routing::Context&, dpdk::Packet*, const pipeline::PacketMeta&,
                                                Verdict&);
template bool Firewall::begin_flow<Family::ip6>(routing::Context&, dpdk::Packet*, const pipeline::PacketMeta&,
                                                Verdict&);

}  // namespace sluice::filter
