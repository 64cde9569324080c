// What is wrong with rules that no single one shows: names, where a key has no meaning, loops of chains.
#pragma once

#include <functional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/interface_id.hh"
#include "config/problem.hh"
#include "filter/rule.hh"
#include "sets/registry.hh"
#include "sets/type.hh"

namespace sluice::filter {

struct KnownSet {
    std::string name;
    sets::SetType type;
};

// What rules may refer to.
struct KnownNames {
    std::vector<std::string> interfaces;  // zones too
    // Those of a zone, or the one of that name.
    std::function<std::vector<InterfaceId>(std::string_view)> members = {};
    std::vector<KnownSet> sets;
};

// Chains deeper than this, counting the one at the hook, are refused, as nftables does.
inline constexpr size_t kMaxChainDepth = 16;

// Every mistake, at its place: unknown interfaces, sets and chains, sets of the wrong type, keys that mean
// nothing at a hook from which the rule is reached, contradictions within a rule, names used twice, loops.
void check_rules(const Rulebook& book, const KnownNames& known, config::Problems& problems);

// Which rules name which sets, for the sets' registry.
std::vector<sets::SetUse> set_uses(const Rulebook& book);

}  // namespace sluice::filter
