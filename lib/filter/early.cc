// The section `early`: sets, programs and all other early rules, before anything is remembered of a packet.
// The rules in front that are about a set or a program alone are asked for the whole burst, one rule after
// the other; from the first other rule on each packet goes its own way.
#include <array>
#include <bit>
#include <cstring>

#include "filter/drops.hh"
#include "filter/program.hh"
#include "filter/stage.hh"
#include "pipeline/parse.hh"
#include "pipeline/places.hh"
#include "wire/bytes.hh"

namespace sluice::filter {
namespace {

using pipeline::Burst;
using pipeline::for_each_place;
using pipeline::PacketMeta;
using pipeline::Path;
using pipeline::place_bit;
using pipeline::Verdict;

constexpr size_t kMacs = 12;  // bytes of the two addresses in front of a frame
constexpr uint16_t kVlanType = 0x8100;
constexpr uint16_t kServiceVlanType = 0x88a8;

wire::IpPacket packet_at(const Burst& burst, size_t place) {
    const uint8_t* header = dpdk::data(burst.packets[place]) + burst.meta[place].l3;
    return header[0] >> 4 == 4 ? wire::IpPacket::of(wire::Ipv4View::unchecked(header))
                               : wire::IpPacket::of(wire::Ipv6View::unchecked(header));
}

IpAddress address_at(const Burst& burst, size_t place, Field field) {
    const uint8_t* header = dpdk::data(burst.packets[place]) + burst.meta[place].l3;
    const bool is_source = field == Field::saddr;
    return header[0] >> 4 == 4 ? IpAddress(Ip4Address::load(header + (is_source ? 12 : 16)))
                               : IpAddress(Ip6Address::load(header + (is_source ? 8 : 24)));
}

bool is_ip(const PacketMeta& meta) {
    return meta.path != Path::done && meta.path != Path::neighbour;
}

RulePacket asked_about(const Burst& burst, size_t place, const wire::IpPacket& ip, Instant now) {
    RulePacket asked(ip, now);
    asked.in = burst.meta[place].in;
    asked.mac_saddr = MacAddress::load(dpdk::data(burst.packets[place]) + 6);
    return asked;
}

void end(routing::Context& context, Burst& burst, size_t place, telemetry::DropReason reason) {
    pipeline::finish(context.worker, burst.packets[place], burst.meta[place].in, Verdict::drop(reason));
    burst.meta[place].path = Path::done;
    burst.keys.forget(place);
}

}  // namespace

void Firewall::early(routing::Context& context, Burst& burst) {
    const Ruleset& ruleset = *tables_->ruleset;
    uint64_t open = 0;
    for (size_t place = 0; place < burst.count; ++place) {
        if (is_ip(burst.meta[place]))
            open |= place_bit(place);
    }
    for (const EarlyStep& step : ruleset.early_steps()) {
        uint64_t wanted = 0;
        for_each_place(open, [&](size_t place) {
            if (step.in[index(burst.meta[place].in)])
                wanted |= place_bit(place);
        });
        if (step.lookup != nullptr) {
            open &= ~drop_listed(context, burst, step, wanted);
            continue;
        }
        for_each_place(wanted, [&](size_t place) {
            state_->counters().count(step.rule->id, burst.meta[place].l3_length, context.worker.now);
            if (!ask_program(context, burst, place, *step.rule))
                open &= ~place_bit(place);
        });
    }
    const auto asked = static_cast<uint32_t>(ruleset.early_steps().size());
    for_each_place(open, [&](size_t place) { ask_early(context, burst, place, asked); });
}

uint64_t Firewall::drop_listed(routing::Context& context, Burst& burst, const EarlyStep& step,
                               uint64_t wanted) {
    const Field field = step.lookup->fields[0];
    sets::Set& set = *step.lookup->set;
    std::array<sets::Fields, pipeline::kMaxBurst> probes;
    static_assert(pipeline::kMaxBurst <= sets::kMaxSetBurst);
    for_each_place(wanted, [&](size_t place) { probes[place].add(address_at(burst, place, field)); });
    const Instant now = context.worker.now;
    const uint64_t listed =
        wanted == 0 ? 0 : set.lookup_burst(std::span(probes).first(burst.count), now, wanted) & wanted;
    for_each_place(listed, [&](size_t place) {
        const uint32_t length = burst.meta[place].l3_length;
        if (set.options().counters)
            set.contains(probes[place], now, length);
        state_->counters().count(step.rule->id, length, now);
        judgement_ = {.decided = true, .hook = Hook::prerouting, .rule = step.rule->id};
        end(context, burst, place, drops::early_rule);
    });
    return listed;
}

void Firewall::ask_early(routing::Context& context, Burst& burst, size_t place, uint32_t from) {
    const Ruleset& ruleset = *tables_->ruleset;
    const CompiledChain& chain = *ruleset.early();
    if (from == chain.rule_count) {
        state_->counters().count(chain.policy_id, burst.meta[place].l3_length, context.worker.now);
        return;
    }
    while (is_ip(burst.meta[place])) {
        const auto ip = packet_at(burst, place);
        auto asked = asked_about(burst, place, ip, context.worker.now);
        const auto outcome = evaluate_early(ruleset, *state_, asked, from);
        if (outcome.asks != nullptr) {
            if (!ask_program(context, burst, place, *outcome.asks))
                return;
            from = outcome.resume;
            continue;
        }
        if (outcome.conclusion == Conclusion::accept)
            return;
        judgement_ = {.decided = true, .hook = Hook::prerouting, .rule = outcome.rule};
        end(context, burst, place, drops::early_rule);
        return;
    }
}

bool Firewall::ask_program(routing::Context& context, Burst& burst, size_t place, const CompiledRule& rule) {
    PacketMeta& meta = burst.meta[place];
    dpdk::Packet* const packet = burst.packets[place];
    const auto ip = packet_at(burst, place);
    const auto asked = asked_about(burst, place, ip, context.worker.now);
    const auto answer =
        run_program(tables_->ruleset->rules(), rule, *state_, asked, dpdk::bytes(packet), meta.l3);
    const auto& interfaces = context.tables.interfaces;
    if (answer.verdict == bpf::Verdict::pass) {
        if (!answer.changed)
            return true;
        burst.keys.forget(place);
        const auto parsed = pipeline::parse_packet(interfaces, interfaces[meta.in].port, packet, meta);
        if (parsed != Verdict::next()) {
            pipeline::finish(context.worker, packet, meta.in, parsed);
            meta.path = Path::done;
        }
        return is_ip(meta);
    }
    judgement_ = {.decided = true, .hook = Hook::prerouting, .rule = rule.id};
    switch (answer.verdict) {
        case bpf::Verdict::drop:
            end(context, burst, place, drops::program);
            return false;
        case bpf::Verdict::tx:
            pipeline::transmit(context.worker, interfaces[meta.in].port, meta.in, packet);
            break;
        case bpf::Verdict::redirect:
            if (!redirect(context, packet, answer.redirect)) {
                end(context, burst, place, drops::program_redirect);
                return false;
            }
            break;
        case bpf::Verdict::aborted:
        case bpf::Verdict::pass:
            end(context, burst, place, drops::program_aborted);
            return false;
    }
    meta.path = Path::done;
    burst.keys.forget(place);
    return false;
}

// The frame leaves as it is but for its VLAN tag, which is that of the interface. False if it is too long.
bool Firewall::redirect(routing::Context& context, dpdk::Packet* packet, InterfaceId to) {
    const auto& out = context.tables.interfaces[to];
    const uint16_t type = wire::read16(dpdk::data(packet) + kMacs);
    const bool is_tagged = (type == kVlanType || type == kServiceVlanType) &&
                           dpdk::length(packet) >= pipeline::kEthernetHeader + pipeline::kVlanTag;
    const int header = pipeline::kEthernetHeader + (is_tagged ? pipeline::kVlanTag : 0);
    if (dpdk::length(packet) - header > out.mtu)
        return false;
    if (const int grows = static_cast<int>(out.link_header()) - header; grows != 0) {
        const uint8_t* const former = dpdk::data(packet);
        dpdk::move_start(packet, -grows);
        std::memmove(dpdk::data(packet), former, kMacs);
    }
    if (out.vlan != pipeline::kNoVlan) {
        wire::write16(dpdk::data(packet) + kMacs, kVlanType);
        wire::write16(dpdk::data(packet) + kMacs + 2, out.vlan);
    }
    pipeline::transmit(context.worker, out.port, out.id, packet);
    return true;
}

}  // namespace sluice::filter
