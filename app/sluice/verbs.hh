// The admin API of the running gateway: status, configuration, log, stop, metrics, and the verbs of every
// folder.
#pragma once

#include <functional>

#include "admin/verbs.hh"
#include "conntrack/verbs.hh"
#include "nat/nat_walk.hh"
#include "pipeline/observed.hh"
#include "sluice/gateway.hh"
#include "sluice/nat_watch.hh"
#include "sluice/running_config.hh"

namespace sluice {

// What the verbs work on; outlives them.
struct Box {
    Gateway& gateway;
    RunningConfig& config;
    admin::ControlLoop& loop;
    telemetry::Log& log;
    const telemetry::DropCatalog& catalog;
    Instant started;
    conntrack::EventFeeds& events;
    const NatWatch& nat;
};

// Words for what flows carry as numbers.
conntrack::FlowNames flow_names(Gateway& gateway);

// How questions about flows and NAT reach the workers.
conntrack::FlowAccess flow_access(Gateway& gateway);
nat::NatAccess nat_access(Gateway& gateway);

void add_verbs(admin::Verbs& verbs, Box& box);

pipeline::Observed observe(const Box& box);

// The parts of the above, each in a file of its own.
void add_config_verbs(admin::Verbs& verbs, Box& box);
void add_firewall_verbs(admin::Verbs& verbs, Box& box);
void add_metrics(admin::Verbs& verbs, Box& box);

}  // namespace sluice
