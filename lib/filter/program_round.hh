// A program asked about packets one after the other.
#pragma once

#include <cstdint>
#include <span>

#include "base/time.hh"
#include "bpf/packet.hh"
#include "filter/compiled_rule.hh"
#include "filter/program.hh"
#include "filter/program_helpers.hh"
#include "filter/ruleset_state.hh"
#include "wire/ip_packet.hh"

namespace sluice::filter {

// On a worker's stack, for a rule of one ruleset. What is the same for all packets is written once: a program
// can change the frame alone (bpf/verify.hh).
class ProgramRound {
  public:
    // `lookups`: of these packets, null if there are none.
    ProgramRound(const CompiledRules& rules, const CompiledRule& rule, RulesetState& state, Instant now,
                 const ProgramLookups* lookups);
    ProgramRound(const ProgramRound&) = delete;
    ProgramRound& operator=(const ProgramRound&) = delete;

    // About a packet in a frame, whose IP header is at `l3`, and whose bit in the look-ups is `place`. An
    // observing rule passes the packet on as it is. Fills the answer, which is read in pieces and so must not
    // come in one register.
    void ask(const wire::IpPacket& ip, std::span<uint8_t> frame, uint16_t l3, uint64_t place,
             ProgramAnswer& answer);
    // What it said of all of them, once.
    void count() { said_.count(host_.program, host_.state.counters(), host_.now); }

  private:
    const bpf::Program& program_;
    bool changes_;
    bool observes_;
    VerdictTally said_;
    ProgramHost host_;
    bpf::Run run_;
};

}  // namespace sluice::filter
