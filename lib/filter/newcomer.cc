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

// In the order of slow_ip4() and the hooks; what is looked at before the flow begins has no effects.
std::optional<Verdict> Firewall::begin_flow(routing::Context& context, dpdk::Packet* packet,
                                            const pipeline::PacketMeta& meta,
                                            const conntrack::Ip4PortsTuple& tuple) {
    const auto& tables = context.tables;
    uint8_t* const header = dpdk::data(packet) + meta.l3;
    const auto view = wire::Ipv4View::unchecked(header);
    const auto& hop = routing::route_of(context, view, meta.in);
    const auto neighbour = routing::neighbour_of(tables.neighbours, hop, view.destination());
    // Without a mapping's address as destination there is none to be looked for.
    const bool may_be_mapped = translator_ != nullptr && translator_->is_external(view.destination());
    if (!neighbour.link.usable() || meta.l3_length > hop.mtu || may_be_mapped ||
        tables.source_filter.contains(view.source()) ||
        tables.interfaces[meta.in].rp_filter != pipeline::RpFilter::off) [[unlikely]]
        return std::nullopt;
    auto* const flow = tracker_.begin_plainly(tuple, header, meta.l3_length, meta.in, context.worker.now);
    if (flow == nullptr) [[unlikely]]
        return std::nullopt;

    context.worker.counters.protocol.add(telemetry::Protocol::IpInReceives);
    routing::Passage passage{.packet = wire::MutableBytes(header, meta.l3_length),
                             .in = meta.in,
                             .out = hop.out,
                             .mtu = hop.mtu,
                             .source_mac = dpdk::data(packet) + 6,
                             .tracked = {.flow = flow, .state = conntrack::CtState::new_},
                             .next_hop = &hop,
                             .room = static_cast<uint16_t>(dpdk::room(packet) - meta.l3)};
    const routing::PassageScope scope(this, passage);
    trail_ = {};
    hairpin_ = {};
    sets_generation_ = static_cast<uint32_t>(tables_->sets->generation());
    judgement_.tracked = true;
    judgement_.state = passage.tracked.state;
    wire::MutableIpv4View::unchecked(header).decrement_ttl();
    auto verdict = ask(context, passage, Table::filter, Hook::forward);
    if (verdict == Verdict::next() && translator_ != nullptr)
        verdict = postrouting(context, passage);
    else if (verdict == Verdict::next())
        verdict = confirm_plainly(context, passage);
    if (verdict != Verdict::next())
        return verdict;
    if (translator_ == nullptr)
        keep_decision(context, passage);
    context.worker.counters.protocol.add(telemetry::Protocol::IpForwDatagrams);
    routing::send_counted(context, packet, meta, hop, neighbour, Family::ip4);
    return Verdict::sent();
}

}  // namespace sluice::filter
