#include "filter/program.hh"
#include "filter/program_helpers.hh"

namespace sluice::filter {
namespace {

void describe(const RulePacket& packet, uint16_t l3, bpf::PacketView& view) {
    const Transport& transport = packet.transport;
    view.now = static_cast<uint64_t>(packet.now.time_since_epoch().count());
    view.l3 = l3;
    const bool is_there = transport.known && !transport.later_fragment;
    view.l4 = is_there ? static_cast<uint16_t>(l3 + transport.offset) : 0;
    view.family = static_cast<uint8_t>(packet.ip.family());
    view.protocol = transport.known ? static_cast<uint8_t>(transport.protocol) : 0;
    view.fragment = transport.later_fragment ? 1 : 0;
}

}  // namespace

void run_program(const CompiledRules& rules, const CompiledRule& rule, RulesetState& state,
                 const RulePacket& packet, std::span<uint8_t> frame, uint16_t l3, ProgramRound& round,
                 uint64_t place, ProgramAnswer& answer) {
    const CompiledProgram& compiled = rules.programs[rule.program];
    const bpf::Program& program = *compiled.program;
    const bool changes = program.changes_packets() && !rule.observe;
    ProgramHost host{.program = compiled,
                     .index = rule.program,
                     .state = state,
                     .packet = packet,
                     .frame = frame,
                     .window = program.window(),
                     .changed = changes ? frame : std::span<uint8_t>(),
                     .lookups = round.lookups,
                     .place = place};
    bpf::Run run;
    run.host = &host;
    describe(packet, l3, run.packet);
    auto verdict = program(run, frame);
    if (verdict == bpf::Verdict::redirect && host.redirect == kNoInterface)
        verdict = bpf::Verdict::aborted;
    round.said.add(verdict, packet.ip.length());
    answer.verdict = rule.observe ? bpf::Verdict::pass : verdict;
    answer.redirect = host.redirect;
    answer.changed = changes;
    if (changes)
        program.write_back(run, frame);
}

}  // namespace sluice::filter
