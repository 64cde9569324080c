// The section `early`: sets, programs and all other early rules, before anything is remembered of a packet.
// While the sets in front drop most frames, they are asked before these are parsed (early_frames.cc).
// The rules in front that are about a set or a program alone are asked for the whole burst, one rule after
// the other; from the first other rule on, or the first about a set to which early rules add, each packet
// goes its own way.
#include <array>
#include <bit>
#include <cstring>

#include "filter/drops.hh"
#include "filter/early_addresses.hh"
#include "filter/program_round.hh"
#include "filter/stage.hh"
#include "pipeline/burst_end.hh"
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

[[gnu::always_inline]] inline wire::IpPacket packet_at(const Burst& burst, size_t place) {
    const uint8_t* header = dpdk::data(burst.packets[place]) + burst.meta[place].l3;
    return header[0] >> 4 == 4 ? wire::IpPacket::of(wire::Ipv4View::unchecked(header))
                               : wire::IpPacket::of(wire::Ipv6View::unchecked(header));
}

size_t offset_of(Field field, Family family) {
    const bool is_source = field == Field::saddr;
    return family == Family::ip4 ? (is_source ? 12 : 16) : (is_source ? 8 : 24);
}

bool is_ip(const PacketMeta& meta) {
    return meta.path != Path::done && meta.path != Path::neighbour;
}

[[gnu::always_inline]] inline RulePacket asked_about(const Burst& burst, size_t place,
                                                     const wire::IpPacket& ip, Instant now) {
    RulePacket asked(ip, now);
    asked.in = burst.meta[place].in;
    asked.mac_saddr = MacAddress::load(dpdk::data(burst.packets[place]) + 6);
    return asked;
}

// Which of these packets have an address in the set.
uint64_t listed_in(const sets::Set& set, const Burst& burst, Field field, uint64_t wanted, Instant now) {
    static_assert(pipeline::kMaxBurst <= sets::kMaxSetBurst);
    std::array<Ip4Address, pipeline::kMaxBurst> addresses;
    // Of packets without keys, too: they are written over below, or nobody asks.
    take_addresses(std::span(burst.keys.addresses).first(burst.count), field, addresses.data());
    uint64_t ip6 = 0;
    for_each_place(wanted & ~burst.keys.ip4.all, [&](size_t place) {
        const uint8_t* const header = dpdk::data(burst.packets[place]) + burst.meta[place].l3;
        if (header[0] >> 4 == 4)
            addresses[place] = Ip4Address::load(header + offset_of(field, Family::ip4));
        else
            ip6 |= place_bit(place);
    });
    uint64_t listed = 0;
    if (wanted != ip6)
        listed = set.lookup_burst(std::span(addresses).first(burst.count), now, wanted & ~ip6);
    if (ip6 != 0) {
        std::array<sets::Fields, pipeline::kMaxBurst> probes;
        for_each_place(ip6, [&](size_t place) {
            const uint8_t* const header = dpdk::data(burst.packets[place]) + burst.meta[place].l3;
            probes[place].add(Ip6Address::load(header + offset_of(field, Family::ip6)));
        });
        listed |= set.lookup_burst(std::span(probes).first(burst.count), now, ip6);
    }
    return listed;
}

// Asks a program's sets about all packets that it will be asked about. Where a look-up counts at the element,
// it is the program's to make.
void look_up(const CompiledProgram& program, const Burst& burst, uint64_t wanted, Instant now,
             ProgramLookups& lookups) {
    for (size_t number = 0; number < program.sets.size(); ++number) {
        const sets::Set& set = *program.sets[number];
        const bool is_of_addresses = sets::is_address(set.options().type[0]);
        if (!is_of_addresses || set.options().counters)
            continue;
        if (program.asks_source) {
            lookups.by_source |= place_bit(number);
            lookups.sources[number] = listed_in(set, burst, Field::saddr, wanted, now);
        }
        if (program.asks_destination) {
            lookups.by_destination |= place_bit(number);
            lookups.destinations[number] = listed_in(set, burst, Field::daddr, wanted, now);
        }
    }
}

// Of the IP packets at these places.
uint64_t ip_bytes(const Burst& burst, uint64_t places) {
    uint64_t bytes = 0;
    for (size_t place = 0; place < burst.count; ++place)
        bytes += burst.meta[place].l3_length & -(places >> place & 1);
    return bytes;
}

// What early rules are asked about, and by which interface it came, if all of it came by one.
struct Arrived {
    uint64_t ip = 0;
    InterfaceId in = kNoInterface;
    bool by_one = true;

    static Arrived of(const Burst& burst) {
        Arrived arrived;
        arrived.ip = burst.keys.ip4.all | burst.keys.ip6.all;
        for_each_place(pipeline::first_places(burst.count) & ~arrived.ip,
                       [&](size_t place) { arrived.ip |= uint64_t{is_ip(burst.meta[place])} << place; });
        arrived.see_interfaces(burst);
        return arrived;
    }
    void see_interfaces(const Burst& burst) {
        in = burst.meta[0].in;
        by_one = true;
        for (size_t place = 0; place < burst.count; ++place)
            by_one = by_one & (burst.meta[place].in == in);
    }
    // Of these packets those that came by interfaces of the step.
    [[nodiscard]] uint64_t by_interfaces(const EarlyStep& step, const Burst& burst, uint64_t places) const {
        if (by_one)
            return step.in[index(in)] ? places : 0;
        uint64_t result = 0;
        for_each_place(
            places, [&](size_t place) { result |= uint64_t{step.in[index(burst.meta[place].in)]} << place; });
        return result;
    }
};

}  // namespace

void Firewall::early(routing::Context& context, Burst& burst, uint64_t asked) {
    if (burst.count == 0)
        return;
    const Ruleset& ruleset = *tables_->ruleset;
    auto arrived = Arrived::of(burst);
    uint64_t open = arrived.ip;
    const uint64_t plain = burst.keys.ip4.all;
    uint64_t dropped = 0;  // that early_frames() would have dropped
    const auto& steps = ruleset.early_steps();
    for (size_t number = 0; number < steps.size(); ++number) {
        const EarlyStep& step = steps[number];
        const bool in_front = number < ruleset.frame_steps().size();
        const uint64_t unasked = in_front ? open & ~asked : open;
        const uint64_t wanted = arrived.by_interfaces(step, burst, unasked);
        if (wanted == 0)
            continue;
        const uint64_t ended = step.lookup != nullptr ? drop_listed(context, burst, step, wanted)
                                                      : end_by_program(context, burst, *step.rule, wanted);
        // A program may have given packets another tag.
        if (step.lookup == nullptr && ruleset.rules().programs[step.rule->program].program->changes_packets())
            arrived.see_interfaces(burst);
        open &= ~ended;
        dropped |= in_front ? ended & plain : 0;
    }
    frames_first_ = frames_first_ || are_most(dropped, burst.count);
    const auto left = static_cast<uint32_t>(steps.size());
    for_each_place(open, [&](size_t place) {
        if (!ask_early(context, burst, place, left))
            open &= ~place_bit(place);
    });
    if (open != arrived.ip)
        pipeline::close_gaps(burst);
}

uint64_t Firewall::drop_listed(routing::Context& context, Burst& burst, const EarlyStep& step,
                               uint64_t wanted) {
    const Field field = step.lookup->fields[0];
    sets::Set& set = *step.lookup->set;
    const Instant now = context.worker.now;
    const uint64_t listed = listed_in(set, burst, field, wanted, now);
    if (listed == 0)
        return 0;
    if (set.options().counters) {
        for_each_place(listed, [&](size_t place) {
            const auto ip = packet_at(burst, place);
            const sets::Fields probe(field == Field::saddr ? ip.source() : ip.destination());
            set.contains(probe, now, burst.meta[place].l3_length);
        });
    }
    state_->counters().count(step.rule->id, static_cast<uint64_t>(std::popcount(listed)),
                             ip_bytes(burst, listed), now);
    judgement_ = {.decided = true, .hook = Hook::prerouting, .rule = step.rule->id};
    pipeline::drop(context.worker, burst, listed, drops::early_rule);
    return listed;
}

uint64_t Firewall::end_by_program(routing::Context& context, Burst& burst, const CompiledRule& rule,
                                  uint64_t wanted) {
    uint64_t ended = 0;
    uint64_t dropped = 0;
    state_->counters().count(rule.id, static_cast<uint64_t>(std::popcount(wanted)), ip_bytes(burst, wanted),
                             context.worker.now);
    const CompiledProgram& program = tables_->ruleset->rules().programs[rule.program];
    ProgramLookups lookups;
    look_up(program, burst, wanted, context.worker.now, lookups);
    ProgramRound round(tables_->ruleset->rules(), rule, *state_, context.worker.now, &lookups);
    for_each_place(wanted, [&](size_t place) {
        const auto after = ask_program(context, burst, place, rule, round);
        ended |= uint64_t{after != AfterProgram::goes_on} << place;
        dropped |= uint64_t{after == AfterProgram::dropped} << place;
    });
    pipeline::drop(context.worker, burst, dropped, drops::program);
    round.count();
    return ended;
}

// False if the packet has ended.
bool Firewall::ask_early(routing::Context& context, Burst& burst, size_t place, uint32_t from) {
    const Ruleset& ruleset = *tables_->ruleset;
    const CompiledChain& chain = *ruleset.early();
    if (from == chain.rule_count) {
        state_->counters().count(chain.policy_id, burst.meta[place].l3_length, context.worker.now);
        return true;
    }
    while (is_ip(burst.meta[place])) {
        const auto ip = packet_at(burst, place);
        auto asked = asked_about(burst, place, ip, context.worker.now);
        const auto outcome = evaluate_early(ruleset, *state_, asked, from);
        if (outcome.asks != nullptr) {
            ProgramRound round(ruleset.rules(), *outcome.asks, *state_, context.worker.now, nullptr);
            const auto after = ask_program(context, burst, place, *outcome.asks, round);
            round.count();
            if (after == AfterProgram::dropped)
                pipeline::drop(context.worker, burst, place_bit(place), drops::program);
            if (after != AfterProgram::goes_on)
                return false;
            from = outcome.resume;
            continue;
        }
        if (outcome.conclusion == Conclusion::accept)
            return true;
        judgement_ = {.decided = true, .hook = Hook::prerouting, .rule = outcome.rule};
        pipeline::drop(context.worker, burst, place_bit(place), drops::early_rule);
        return false;
    }
    return false;
}

Firewall::AfterProgram Firewall::ask_program(routing::Context& context, Burst& burst, size_t place,
                                             const CompiledRule& rule, ProgramRound& round) {
    PacketMeta& meta = burst.meta[place];
    dpdk::Packet* const packet = burst.packets[place];
    const auto ip = packet_at(burst, place);
    ProgramAnswer answer;
    round.ask(ip, dpdk::bytes(packet), meta.l3, place_bit(place), answer);
    const auto& interfaces = context.tables.interfaces;
    if (answer.verdict == bpf::Verdict::pass) {
        if (!answer.changed)
            return AfterProgram::goes_on;
        burst.keys.forget(place);
        dpdk::forget_ip4_checksum(packet);
        const auto parsed = pipeline::parse_packet(interfaces, interfaces[meta.in].port, packet, meta);
        if (parsed != Verdict::next()) {
            pipeline::finish(context.worker, packet, meta.in, parsed);
            meta.path = Path::done;
        }
        return is_ip(meta) ? AfterProgram::goes_on : AfterProgram::gone;
    }
    judgement_ = {.decided = true, .hook = Hook::prerouting, .rule = rule.id};
    switch (answer.verdict) {
        case bpf::Verdict::drop:
            return AfterProgram::dropped;
        case bpf::Verdict::tx:
            pipeline::transmit(context.worker, interfaces[meta.in].port, meta.in, packet);
            break;
        case bpf::Verdict::redirect:
            if (!redirect(context, packet, answer.redirect)) {
                pipeline::drop(context.worker, burst, place_bit(place), drops::program_redirect);
                return AfterProgram::gone;
            }
            break;
        case bpf::Verdict::aborted:
        case bpf::Verdict::pass:
            pipeline::drop(context.worker, burst, place_bit(place), drops::program_aborted);
            return AfterProgram::gone;
    }
    meta.path = Path::done;
    burst.keys.forget(place);
    return AfterProgram::gone;
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
