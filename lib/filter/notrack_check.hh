// Rules that keep packets from being tracked which rules of NAT mean to translate.
#pragma once

#include "config/problem.hh"
#include "filter/rule.hh"
#include "filter/rule_check.hh"

namespace sluice::filter {

// Reports each `notrack` rule with a NAT rule for the same packets, unless what both say of interfaces,
// family, protocol, addresses or ports excludes that a packet matches both.
void check_notrack(const Rulebook& book, const KnownNames& known, config::Problems& problems);

}  // namespace sluice::filter
