// Flows and their events as the admin API and replay write them.
#pragma once

#include <boost/json/fwd.hpp>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>

#include "base/interface_id.hh"
#include "conntrack/event.hh"
#include "conntrack/flow_record.hh"

namespace sluice::conntrack {

// Words for the numbers a flow carries. An empty name becomes null.
struct FlowNames {
    std::function<std::string(uint32_t)> rule;
    std::function<std::string(InterfaceId)> interface;
};

// {family, proto, state, timeout, status, original, reply, mark, worker, rule, id, in, master, helper}
boost::json::object flow_json(const FlowRecord& flow, size_t worker, const FlowNames& names);
// The same with {"event": "new" | "update" | "destroy"} before it.
boost::json::object event_json(const FlowEvent& event, size_t worker, const FlowNames& names);

}  // namespace sluice::conntrack
