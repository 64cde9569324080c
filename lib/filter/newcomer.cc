// The short way of a packet that begins a flow: what the slow path does about one like most others, without
// the questions whose answers are known. The rules are asked as ever.
#include "filter/stage.hh"
#include "routing/send.hh"
#include "routing/slow.hh"

namespace sluice::filter {

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
std::optional<Verdict> Firewall::begin_flow(routing::Context& context, dpdk::Packet* packet,
                                            const pipeline::PacketMeta& meta) {
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
        return std::nullopt;
    const auto begun = tracker_.begin_plainly<family>(header, meta.l3_length, meta.in, context.worker.now);
    if (begun.flow == nullptr) [[unlikely]]
        return std::nullopt;

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
    auto verdict = ask(context, passage, Table::filter, Hook::forward);
    if (verdict == Verdict::next() && translator_ != nullptr)
        verdict = postrouting(context, passage);
    else if (verdict == Verdict::next())
        verdict = confirm_plainly(context, passage, begun);
    if (verdict != Verdict::next())
        return verdict;
    if (translator_ == nullptr)
        keep_decision(context, passage);
    context.worker.counters.protocol.add(kForwarded<family>);
    routing::send_counted(context, packet, meta, hop, neighbour, family);
    return Verdict::sent();
}

template std::optional<Verdict> Firewall::begin_flow<Family::ip4>(routing::Context&, dpdk::Packet*,
                                                                  const pipeline::PacketMeta&);
template std::optional<Verdict> Firewall::begin_flow<Family::ip6>(routing::Context&, dpdk::Packet*,
                                                                  const pipeline::PacketMeta&);

}  // namespace sluice::filter
