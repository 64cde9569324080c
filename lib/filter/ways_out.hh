// Where the packets of a rule leave.
#pragma once

#include <bitset>
#include <optional>

#include "base/interface_id.hh"
#include "filter/compiled_rule.hh"

namespace sluice::filter {

// The interfaces that a rule is for by its `out`; nothing if it names none.
std::optional<std::bitset<kMaxInterfaces>> ways_out(const CompiledRules& rules, const CompiledRule& rule);

// Those that rules of source NAT name: who comes in there is outside.
std::bitset<kMaxInterfaces> ways_outside(const CompiledRules& rules);

}  // namespace sluice::filter
