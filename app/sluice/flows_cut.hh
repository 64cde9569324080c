// The live flows that a set of rules would not have let begin: counted, listed, ended.
#pragma once

#include <boost/json.hpp>
#include <memory>

#include "admin/response.hh"
#include "conntrack/flow_walk.hh"
#include "filter/ruleset.hh"
#include "sluice/gateway.hh"

namespace sluice {

// More are only counted.
inline constexpr size_t kMostFlowsListed = 100;

// Which flows these rules would not have let begin, on the ways that are in force now.
conntrack::FlowCondition not_let_begin(const Gateway& gateway, std::shared_ptr<const filter::Ruleset> rules);

// Waits for all workers and then says `answer` with "flows_cut", how many flows the condition holds for, and
// with the action `list` "flows", the first of them.
admin::Response with_flows_cut(boost::json::object answer, conntrack::FlowAction action,
                               conntrack::FlowAccess access, conntrack::FlowCondition condition);

}  // namespace sluice
