#include <chrono>

#include "conntrack/verbs.hh"
#include "filter/verbs.hh"
#include "nat/verbs.hh"
#include "sets/verbs.hh"
#include "sluice/verbs.hh"

namespace sluice {
namespace {

double wall_clock(Instant at) {
    const auto now = std::chrono::duration<double>(std::chrono::system_clock::now().time_since_epoch());
    return now.count() - seconds(pipeline::read_clock() - at);
}

filter::RulesView rules_of(Gateway& gateway) {
    const auto& tables = gateway.snapshot().firewall;
    return {.ruleset = tables ? tables->ruleset.get() : nullptr,
            .directory = &gateway.firewall().rules(),
            .workers = gateway.firewall().rule_counters(),
            .wall_clock = wall_clock};
}

}  // namespace

conntrack::FlowNames flow_names(Gateway& gateway) {
    return {.rule = [&gateway](uint32_t rule) { return std::string(gateway.firewall().rules().label(rule)); },
            .interface =
                [&gateway](InterfaceId id) {
                    const auto& interfaces = gateway.snapshot().tables.interfaces;
                    return interfaces.has(id) ? interfaces[id].name : std::string();
                }};
}

conntrack::FlowAccess flow_access(Gateway& gateway) {
    return {.workers = [&gateway] { return gateway.firewall().workers(); },
            .hand_over =
                [&gateway](size_t worker, std::shared_ptr<conntrack::FlowJob> job) {
                    gateway.ask(worker, std::move(job));
                },
            .counters = [&gateway](size_t worker) -> const conntrack::Counters& {
                return gateway.firewall().of(static_cast<WorkerId>(worker)).conntrack_counters();
            },
            .names = flow_names(gateway)};
}

nat::NatAccess nat_access(Gateway& gateway) {
    return {
        .workers = [&gateway] { return gateway.firewall().workers(); },
        .hand_over = [&gateway](size_t worker,
                                std::shared_ptr<nat::NatJob> job) { gateway.ask(worker, std::move(job)); },
        .interface = flow_names(gateway).interface,
        .now = pipeline::read_clock};
}

void add_firewall_verbs(admin::Verbs& verbs, Box& box) {
    auto& gateway = box.gateway;
    conntrack::add_verbs(verbs, flow_access(gateway), box.events);
    nat::add_verbs(verbs, nat_access(gateway));
    filter::add_verbs(verbs, [&gateway] { return rules_of(gateway); });
    sets::add_verbs(verbs, gateway.firewall().sets(), pipeline::read_clock);
}

}  // namespace sluice
