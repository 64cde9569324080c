// Asks the rules about a packet, as nf_tables does: chains at the hooks, jumps, goto, return, policies.
//
// A rule's matches are tried in the order of Field; when all hold it is counted, its statements run in the
// contract's order (log, mark, ct_mark, notrack, mss, add_to), then its NAT statement or its action. A match
// on a field the packet does not have does not hold, negated or not.
#pragma once

#include <cstdint>
#include <optional>

#include "filter/compiled_rule.hh"
#include "filter/counters.hh"
#include "filter/hook.hh"
#include "filter/packet.hh"
#include "filter/rule.hh"
#include "filter/ruleset.hh"
#include "filter/ruleset_state.hh"
#include "filter/trail.hh"

namespace sluice::filter {

enum class Conclusion : uint8_t { accept, drop, reject };

struct Outcome {
    Conclusion conclusion = Conclusion::accept;  // accept: on to the next table at this hook
    RejectKind reject{};                         // of reject; never automatic
    bool notrack = false;                        // a rule in raw said so
    bool clamp_mss = false;                      // the MSS is at most what the path's MTU leaves (mss.hh)
    uint16_t mss = 0;                            // and at most this; 0: no matter
    const NatStatement* nat = nullptr;           // of the rule that decided, in nat
    RuleId rule = kNoRule;  // that decided: a rule's, a policy's, kNoRule without a chain
    // Early, whose program is to be asked (program.hh); if that passes the packet on, the next rule follows
    // at `resume`.
    const CompiledRule* asks = nullptr;
    uint32_t resume = 0;
};

// One table at one hook. Marks are written to the packet and its flow; log lines go to the state's ring.
// Nothing on this way allocates or waits. `trail` collects over all tables and hooks of a packet.
Outcome evaluate(const Ruleset& ruleset, RulesetState& state, Table table, Hook hook, RulePacket& packet,
                 Trail& trail);

// The early list from rule number `from`: before conntrack, fragments as they come. Accept passes the packet
// on, unless a program is to be asked first.
Outcome evaluate_early(const Ruleset& ruleset, RulesetState& state, RulePacket& packet, uint32_t from = 0);

// What they would conclude, changing nothing but the packet's marks: nothing is counted, logged or added to a
// set. Limits are taken as if nothing had passed them yet, connlimits as if this were the only flow, programs
// as if they let all pass.
Outcome foresee(const Ruleset& ruleset, Table table, Hook hook, RulePacket& packet);
Outcome foresee_early(const Ruleset& ruleset, RulePacket& packet);

// The same by trying every rule: what the classifier is held to. For tests and measurements.
Outcome evaluate_linear(const Ruleset& ruleset, RulesetState& state, Table table, Hook hook,
                        RulePacket& packet, Trail& trail);

// The first match of a rule that does not hold; Field::none if all do. Limits are not asked. Changes nothing.
Field first_mismatch(const Ruleset& ruleset, const CompiledRule& rule, const RulePacket& packet);

}  // namespace sluice::filter
