#include "conntrack/verbs.hh"
#include "sluice/verbs.hh"

namespace sluice {

conntrack::FlowNames flow_names(Gateway& gateway) {
    return {.rule = [&gateway](uint32_t rule) { return std::string(gateway.firewall().rules().label(rule)); },
            .interface =
                [&gateway](InterfaceId id) {
                    return id == kNoInterface ? std::string() : gateway.snapshot().tables.interfaces[id].name;
                }};
}

void add_firewall_verbs(admin::Verbs& verbs, Box& box) {
    auto& gateway = box.gateway;
    conntrack::add_verbs(
        verbs,
        {.workers = [&gateway] { return gateway.firewall().workers(); },
         .hand_over = [&gateway](
                          size_t worker,
                          std::shared_ptr<conntrack::FlowJob> job) { gateway.ask(worker, std::move(job)); },
         .counters = [&gateway](size_t worker) -> const conntrack::Counters& {
             return gateway.firewall().of(static_cast<WorkerId>(worker)).conntrack_counters();
         },
         .names = flow_names(gateway)},
        box.events);
}

}  // namespace sluice
