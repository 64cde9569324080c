#include "filter/stage.hh"

#include <algorithm>
#include <array>

#include "conntrack/drops.hh"
#include "conntrack/tcp_tracker.hh"
#include "filter/drops.hh"
#include "filter/mss.hh"
#include "filter/reject.hh"
#include "nat/drops.hh"
#include "pipeline/drops.hh"
#include "routing/icmp_output.hh"
#include "routing/output.hh"

namespace sluice::filter {
namespace {

using conntrack::Refusal;
using pipeline::Verdict;
using routing::Context;
using routing::Passage;

// More than can begin meanwhile, and so few that packets hardly wait.
constexpr size_t kExpiredAtOnce = 512;

wire::IpPacket packet_of(const Passage& passage) {
    const uint8_t* data = passage.packet.data();
    return data[0] >> 4 == 4 ? wire::IpPacket::of(wire::Ipv4View::unchecked(data))
                             : wire::IpPacket::of(wire::Ipv6View::unchecked(data));
}

PacketFlow flow_of(const conntrack::Tracked& tracked, const conntrack::FlowTable& table) {
    PacketFlow result;
    result.state = tracked.state;
    result.direction = tracked.direction;
    if (tracked.flow != nullptr) {
        result.status = tracked.flow->status;
        result.mark = &tracked.flow->mark;
        result.id = static_cast<uint64_t>(table.handle(*tracked.flow));
    }
    return result;
}

telemetry::DropReason reason_of(Refusal refusal) {
    switch (refusal) {
        case Refusal::source_limit:
            return conntrack::drops::conntrack_source_limit;
        case Refusal::insert_failed:
            return conntrack::drops::conntrack_insert_failed;
        case Refusal::protocol:
            return conntrack::drops::conntrack_protocol;
        case Refusal::table_full:
        case Refusal::none:
            break;
    }
    return conntrack::drops::conntrack_full;
}

// The smaller MTU of the way out and the way back, as nftables' `rt mtu` means it.
uint16_t path_mtu(const Context& context, const Passage& passage, const wire::IpPacket& packet) {
    const auto& fib = *context.tables.fib;
    const auto& back = fib.next_hop(fib.route({.saddr = packet.destination(), .daddr = packet.source()}));
    return back.mtu == 0 ? passage.mtu : std::min(passage.mtu, back.mtu);
}

bool is_to_group(const Context& context, const wire::IpPacket& packet) {
    const auto to = packet.destination();
    if (to.is_ip6() || to.is_multicast() || to.ip4().is_limited_broadcast())
        return to.is_multicast() || to.is_ip4();
    const auto& fib = *context.tables.fib;
    return fib.next_hop(fib.lookup(routing::kMainTable, to)).kind == routing::NextHopKind::broadcast;
}

void send_icmp(Context& context, const Passage& passage, RejectKind kind) {
    const routing::Offence how{
        .in = passage.in, .link_group = passage.link_group, .tracked = &passage.tracked};
    if (passage.packet[0] >> 4 == 4) {
        using enum routing::Icmp4ErrorKind;
        const auto error = kind == RejectKind::host_unreachable   ? host_unreachable
                           : kind == RejectKind::admin_prohibited ? admin_prohibited
                                                                  : port_unreachable;
        send_error(context, routing::Icmp4Error{.kind = error},
                   wire::Ipv4View::unchecked(passage.packet.data()), how);
        return;
    }
    using enum routing::Icmp6ErrorKind;
    const auto error = kind == RejectKind::host_unreachable   ? address_unreachable
                       : kind == RejectKind::admin_prohibited ? admin_prohibited
                                                              : port_unreachable;
    send_error(context, routing::Icmp6Error{.kind = error}, wire::Ipv6View::unchecked(passage.packet.data()),
               how);
}

}  // namespace

Firewall::Firewall(WorkerId worker, const conntrack::Limits& limits, const conntrack::Settings& settings,
                   Random& random)
    : worker_(worker), tracker_(limits, settings, random, conntrack_counters_) {
    tracker_.watch_ends(
        {.ended = &Firewall::flow_ended,
         .ends_soon = &Firewall::flows_end_soon,
         .context = this,
         .of = conntrack::kMappedSource | conntrack::kMappedDestination | steering::kPublished});
}

void Firewall::adopt(const FirewallTables* tables) {
    tables_ = tables;
    state_ = tables == nullptr ? nullptr : tables->states[index(worker_)].get();
    last_exit_ = {};
    last_path_ = {};
    if (tables == nullptr)
        return;
    tracker_.apply(tables->limits[index(worker_)], tables->settings);
    translator_ = tables->translators.empty() ? nullptr : tables->translators[index(worker_)];
    if (translator_ != nullptr)
        translator_->apply(tables->nat);
    begins_plainly_ = begins_plainly();
    follow_members();
    constexpr uint32_t kManyRules = 2048;  // measured: at 1000 nothing is gained
    const auto* const chain = tables->ruleset->base(Table::filter, Hook::forward);
    large_chain_ = chain != nullptr && chain->rule_count >= kManyRules ? chain : nullptr;
}

Verdict Firewall::prerouting(Context& context, Passage& passage) {
    trail_.begin();
    hairpin_ = {};
    sets_generation_ = static_cast<uint32_t>(tables_->sets->generation());
    if (const auto verdict = ask(context, passage, Table::raw, Hook::prerouting); verdict != Verdict::next())
        return verdict;
    if (const auto verdict = track(context, passage); verdict != Verdict::next())
        return verdict;
    if (const auto verdict = ask(context, passage, Table::mangle, Hook::prerouting);
        verdict != Verdict::next())
        return verdict;
    return translate(context, passage, Hook::prerouting);
}

Verdict Firewall::input(Context& context, Passage& passage) {
    for (const auto table : {Table::mangle, Table::filter}) {
        if (const auto verdict = ask(context, passage, table, Hook::input); verdict != Verdict::next())
            return verdict;
    }
    if (is_unsolicited_syn(context, passage)) {
        hold_syn(context, passage);
        return Verdict::drop(nat::drops::nat_unsolicited);
    }
    if (const auto verdict = translate(context, passage, Hook::input); verdict != Verdict::next())
        return verdict;
    return confirm(context, passage);
}

Verdict Firewall::forward(Context& context, Passage& passage) {
    if (const auto verdict = ask(context, passage, Table::mangle, Hook::forward); verdict != Verdict::next())
        return verdict;
    return ask(context, passage, Table::filter, Hook::forward);
}

Verdict Firewall::output(Context& context, Passage& passage) {
    if (passage.about != nullptr)
        passage.tracked = conntrack::Tracker::related_to(*passage.about);
    if (const auto verdict = ask(context, passage, Table::raw, Hook::output); verdict != Verdict::next())
        return verdict;
    if (const auto verdict = track(context, passage); verdict != Verdict::next())
        return verdict;
    if (const auto verdict = ask(context, passage, Table::mangle, Hook::output); verdict != Verdict::next())
        return verdict;
    if (const auto verdict = translate(context, passage, Hook::output); verdict != Verdict::next())
        return verdict;
    return ask(context, passage, Table::filter, Hook::output);
}

Verdict Firewall::postrouting(Context& context, Passage& passage) {
    if (const auto verdict = ask(context, passage, Table::mangle, Hook::postrouting);
        verdict != Verdict::next())
        return verdict;
    if (const auto verdict = translate(context, passage, Hook::postrouting); verdict != Verdict::next())
        return verdict;
    const auto verdict = confirm(context, passage);
    if (verdict == Verdict::next() && passage.next_hop != nullptr)
        keep_decision(context, passage);
    return verdict;
}

void Firewall::done(Passage& passage) {
    if (tables_->tracks)
        tracker_.release(passage.tracked);
}

bool Firewall::expire(Instant now) {
    if (homes_ != nullptr)
        homes_->expire(now);
    const bool all = tracker_.expire(now, kExpiredAtOnce);
    return (translator_ == nullptr || translator_->expire(now, kExpiredAtOnce)) && all;
}

Verdict Firewall::track(Context& context, Passage& passage) {
    const bool is_related = passage.about != nullptr && passage.tracked.flow != nullptr;
    if (!tables_->tracks || is_related)
        return Verdict::next();
    if (passage.notrack) {
        passage.tracked = conntrack::Tracker::notrack();
    } else {
        const bool own = passage.in == kNoInterface;
        passage.tracked = tracker_.track(packet_of(passage), passage.in, own, context.worker.now);
    }
    if (passage.in != kNoInterface) {
        judgement_.tracked = true;
        judgement_.state = passage.tracked.state;
    }
    return passage.tracked.refusal == Refusal::none ? Verdict::next()
                                                    : Verdict::drop(reason_of(passage.tracked.refusal));
}

Verdict Firewall::confirm(Context& context, Passage& passage) {
    if (!tables_->tracks)
        return Verdict::next();
    if (const auto verdict = help(context, passage); verdict != Verdict::next())
        return verdict;
    const auto* const begun = passage.tracked.flow;
    const bool begins = begun != nullptr && !begun->is_confirmed();
    if (!tracker_.confirm(passage.tracked, packet_of(passage), context.worker.now))
        return Verdict::drop(reason_of(passage.tracked.refusal));
    if (begins && passage.tracked.flow == begun && begun->is_confirmed())
        return flow_began(passage, context.worker.now);
    return Verdict::next();
}

Verdict Firewall::confirm_plainly(Context& context, Passage& passage, const conntrack::NewFlow& begun) {
    if (!tracker_.confirm_plainly(passage.tracked, begun, context.worker.now)) [[unlikely]]
        return refused(passage);
    return tell_of(passage, context.worker.now);
}

Verdict Firewall::refused(const Passage& passage) {
    return Verdict::drop(reason_of(passage.tracked.refusal));
}

void Firewall::bring_home(conntrack::FlowCursor& cursor, size_t budget, Instant now) {
    tracker_.table().visit(cursor, budget, [&](conntrack::Flow& flow) {
        if (!homes_->began(flow))
            tracker_.erase(flow, now);
    });
}

Verdict Firewall::ask(Context& context, Passage& passage, Table table, Hook hook,
                      const NatStatement** statement) {
    if (tables_->ruleset->base(table, hook) == nullptr)
        return Verdict::next();
    const auto packet = packet_of(passage);
    RulePacket asked = rule_packet(context, passage, packet);
    return ask_about(context, passage, asked, table, hook, statement);
}

RulePacket Firewall::rule_packet(const Context& context, const Passage& passage,
                                 const wire::IpPacket& packet) const {
    RulePacket asked(packet, context.worker.now);
    asked.in = passage.in;
    asked.out = passage.out;
    asked.mark = passage.mark;
    asked.ct = flow_of(passage.tracked, tracker_.table());
    if (passage.source_mac != nullptr)
        asked.mac_saddr.emplace(MacAddress::load(passage.source_mac));
    return asked;
}

Verdict Firewall::ask_about(Context& context, Passage& passage, RulePacket& asked, Table table, Hook hook,
                            const NatStatement** statement) {
    const auto& ruleset = *tables_->ruleset;
    const auto* const chain = ruleset.base(table, hook);
    if (chain == nullptr)
        return Verdict::next();
    const auto& packet = asked.ip;
    Trail unused;
    Trail& trail = passage.in == kNoInterface || table == Table::nat ? unused : trail_;
    if (table == Table::nat)
        trail_.varied();  // the flow's next packets are not asked about here
    const auto outcome = evaluate(ruleset, *state_, table, hook, asked, trail);
    passage.mark = asked.mark;
    passage.notrack = passage.notrack || outcome.notrack;
    if (outcome.clamp_mss || outcome.mss != 0) {
        uint16_t mss = outcome.mss == 0 ? UINT16_MAX : outcome.mss;
        if (outcome.clamp_mss)
            mss = std::min(mss, mss_for_mtu(path_mtu(context, passage, packet), packet.family()));
        lower_mss(packet, passage.packet, mss);
    }
    if (table == Table::nat && outcome.conclusion == Conclusion::accept) {
        *statement = outcome.nat;
        return Verdict::next();
    }
    note(passage, hook, outcome);
    switch (outcome.conclusion) {
        case Conclusion::accept:
            if (passage.tracked.flow != nullptr && !passage.tracked.flow->is_confirmed())
                passage.tracked.flow->rule = outcome.rule;
            return Verdict::next();
        case Conclusion::drop:
            tracker_.take_back(passage.tracked);
            break;
        case Conclusion::reject:
            tracker_.take_back(passage.tracked);
            reject(context, passage, outcome.reject);
            return Verdict::drop(drops::rule_reject);
    }
    return Verdict::drop(outcome.rule == chain->policy_id ? drops::chain_policy : drops::rule);
}

// A packet of the box's own has nobody to be told.
void Firewall::reject(Context& context, const Passage& passage, RejectKind asked) {
    if (passage.in == kNoInterface)
        return;
    const auto packet = packet_of(passage);
    const auto kind = reject_kind(asked, packet);
    const RejectContext how{.group_destination = is_to_group(context, packet)};
    if (kind != RejectKind::tcp_reset) {
        if (!refuses_icmp(packet, how))
            send_icmp(context, passage, kind);
        return;
    }
    std::array<uint8_t, kResetMaxSize> reset;
    const auto size = build_reset(packet, how, reset);
    if (!size)
        return;
    tracker_.close(passage.tracked, context.worker.now);
    routing::originate(context, wire::MutableBytes(reset).first(*size), passage.in, &passage.tracked);
}

void Firewall::note(const Passage& passage, Hook hook, const Outcome& outcome) {
    if (passage.in == kNoInterface)
        return;
    judgement_.decided = true;
    judgement_.hook = hook;
    judgement_.rule = outcome.rule;
}

bool Firewall::is_alive(const void* firewall, uint64_t flow) {
    const auto& table = static_cast<const Firewall*>(firewall)->tracker_.table();
    const auto* found = table.find(conntrack::FlowHandle{flow});
    if (found == nullptr)
        return false;
    if (found->protocol() != wire::IpProtocol::tcp)
        return true;
    const auto state = found->track<conntrack::TcpTrack>().state;
    return state != conntrack::TcpState::time_wait && state != conntrack::TcpState::close;
}

}  // namespace sluice::filter
