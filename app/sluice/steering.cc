#include "sluice/steering.hh"

#include <algorithm>
#include <bitset>

#include "filter/ways_out.hh"

namespace sluice {
namespace {

// Whether all flows of an inside host are one worker's matter: they share external endpoints, or count
// towards one limit.
bool needs_whole_hosts(const nat::NatRule& rule, const nat::NatSettings& settings) {
    const bool overlaps =
        rule.port_overlap.value_or(settings.port_overlap) &&
        rule.mapping.value_or(settings.mapping) == nat::Dependence::address_and_port_dependent;
    return !overlaps || rule.ports_per_host.value_or(settings.ports_per_host) != 0;
}

}  // namespace

SharedSteering::SharedSteering(size_t workers, size_t flows, uint64_t seed)
    : random(seed), rings(workers), directory(flows, random) {}

bool may_own_unequally(const filter::Ruleset& ruleset) {
    const auto& rules = ruleset.rules();
    return ruleset.limits().empty() && ruleset.connlimits().empty() &&
           std::ranges::none_of(rules.nat, [](const auto& nat) {
               return nat::gives_sources(nat.rule.kind) || nat.rule.hairpin.value_or(false);
           });
}

steering::PlanOptions plan_options(size_t workers, std::span<const uint8_t> places,
                                   const filter::FirewallTables* firewall,
                                   const pipeline::Interfaces& interfaces) {
    steering::PlanOptions options{.workers = static_cast<uint16_t>(workers)};
    if (firewall == nullptr)
        return options;
    options.tracks = firewall->tracks;
    options.settings = firewall->settings;
    if (may_own_unequally(*firewall->ruleset))
        options.places.assign(places.begin(), places.end());
    options.by_addresses = !firewall->settings.helpers.empty();
    const auto& rules = firewall->ruleset->rules();
    const auto all = std::bitset<kMaxInterfaces>().set();
    bool has_external = false;
    for (const auto& rule : rules.rules) {
        if (rule.nat == filter::kNoIndex)
            continue;
        const auto& nat = rules.nat[rule.nat].rule;
        has_external = has_external || nat::gives_sources(nat.kind) || nat.hairpin.value_or(false);
        if (!nat::gives_sources(nat.kind))
            continue;
        for (const auto& target : nat.targets)
            options.external.push_back({target.first, target.last});
        if (needs_whole_hosts(nat, firewall->nat))
            options.outside |= filter::ways_out(rules, rule).value_or(all);
    }
    if (has_external) {
        for (const auto& interface : interfaces.all()) {
            for (const auto& own : interface.addresses)
                options.external.push_back({own.address, own.address});
        }
    }
    std::ranges::sort(options.external);
    const auto repeated = std::ranges::unique(options.external);
    options.external.erase(repeated.begin(), repeated.end());
    return options;
}

}  // namespace sluice
