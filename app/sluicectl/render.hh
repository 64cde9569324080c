// Answers of the API as text for people: one function for each command. Pure, for the tests.
#pragma once

#include <boost/json/value.hpp>
#include <string>

namespace sluice::sluicectl {

struct Look {
    bool colours = false;
};

std::string render_status(const boost::json::value& status, const Look& look);
std::string render_interfaces(const boost::json::value& list, const Look& look);
// All there is to know of one item of the list.
std::string render_interface(const boost::json::value& interface, const Look& look);
std::string render_workers(const boost::json::value& list, const Look& look);
// Drops of the same reason and interface are summed over the workers; most packets first, zeros left out.
std::string render_drops(const boost::json::value& list, const Look& look);
// Counters that are not zero, or all.
std::string render_counters(const boost::json::value& counters, bool zeros, const Look& look);
std::string render_routes(const boost::json::value& list, const Look& look);
std::string render_neighbours(const boost::json::value& list, const Look& look);

// A flow as conntrack -L prints it, on a line of its own; an event as conntrack -E; counters as conntrack -S.
std::string render_flow(const boost::json::value& flow, bool with_timeout);
std::string render_flow_event(const boost::json::value& event);
std::string render_conntrack_stats(const boost::json::value& list);

// Chain by chain. `now`, in seconds since 1970, tells how long ago a rule was hit last.
std::string render_rules(const boost::json::value& list, double now, const Look& look);

std::string render_mappings(const boost::json::value& answer, const Look& look);
// Ports by address and protocol, those nearest to their end first, and the top holders.
std::string render_nat_ports(const boost::json::value& answer, const Look& look);
// Times in UTC.
std::string render_who(const boost::json::value& answer, const Look& look);

std::string render_sets(const boost::json::value& list, const Look& look);
// One element as a line that can be loaded again; what it counted stands in a remark.
std::string render_element(const boost::json::value& element);
// What adding, removing, loading and flushing are answered.
std::string render_set_change(const boost::json::value& answer);
std::string render_set_test(const boost::json::value& answer, const std::string& name);

// The configuration in force: its text if the answer has one, otherwise what the answer holds, as YAML.
std::string render_config(const boost::json::value& answer);
// What `config check`, `diff`, `apply`, `confirm`, `rollback` and `reload` are answered.
std::string render_check(const boost::json::value& answer, const Look& look);
std::string render_diff(const boost::json::value& answer, const Look& look);
std::string render_applied(const boost::json::value& answer, const Look& look);

// The one line for stderr, "message (hint)", from the body of a refusal; lines of its "problems", if it has
// such, follow. A body that is no such error is said with its status.
std::string render_refusal(int status, const std::string& body);

}  // namespace sluice::sluicectl
