#include "filter/program_round.hh"

#include "filter/packet.hh"

namespace sluice::filter {
namespace {

void describe(const wire::IpPacket& ip, uint16_t l3, bpf::PacketView& view) {
    const auto transport = Transport::of(ip);
    view.l3 = l3;
    const bool is_there = transport.known && !transport.later_fragment;
    view.l4 = is_there ? static_cast<uint16_t>(l3 + transport.offset) : 0;
    view.family = static_cast<uint8_t>(ip.family());
    view.protocol = transport.known ? static_cast<uint8_t>(transport.protocol) : 0;
    view.fragment = transport.later_fragment ? 1 : 0;
}

}  // namespace

ProgramRound::ProgramRound(const CompiledRules& rules, const CompiledRule& rule, RulesetState& state,
                           Instant now, const ProgramLookups* lookups)
    : program_(*rules.programs[rule.program].program),
      changes_(program_.changes_packets() && !rule.observe),
      observes_(rule.observe),
      host_{.program = rules.programs[rule.program],
            .index = rule.program,
            .state = state,
            .now = now,
            .window = program_.window(),
            .lookups = lookups} {
    run_.host = &host_;
    run_.packet.now = static_cast<uint64_t>(now.time_since_epoch().count());
}

void ProgramRound::ask(const wire::IpPacket& ip, std::span<uint8_t> frame, uint16_t l3, uint64_t place,
                       ProgramAnswer& answer) {
    host_.ip = &ip;
    host_.frame = frame;
    host_.changed = changes_ ? frame : std::span<uint8_t>();
    host_.place = place;
    host_.redirect = kNoInterface;
    host_.came.reset();
    describe(ip, l3, run_.packet);
    auto verdict = program_(run_, frame);
    if (verdict == bpf::Verdict::redirect && host_.redirect == kNoInterface)
        verdict = bpf::Verdict::aborted;
    said_.add(verdict, ip.length());
    answer.verdict = observes_ ? bpf::Verdict::pass : verdict;
    answer.redirect = host_.redirect;
    answer.changed = changes_;
    if (changes_)
        program_.write_back(run_, frame);
}

}  // namespace sluice::filter
