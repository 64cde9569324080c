// GET /v1/rules, POST /v1/rules/reset.
#pragma once

#include <boost/json/fwd.hpp>
#include <functional>
#include <vector>

#include "admin/verbs.hh"
#include "base/time.hh"
#include "filter/counters.hh"
#include "filter/ruleset.hh"

namespace sluice::filter {

// Asked for at every request; good for the length of the answer.
struct RulesView {
    const Ruleset* ruleset = nullptr;  // null: no rules
    RuleDirectory* directory = nullptr;
    std::vector<const RuleCounters*> workers;
    // Seconds since 1970 of an instant of the packet clock.
    std::function<double(Instant)> wall_clock;
};

// The chains with their rules, as GET /v1/rules lists them.
boost::json::array rules_json(const RulesView& view);

void add_verbs(admin::Verbs& verbs, const std::function<RulesView()>& view);

}  // namespace sluice::filter
