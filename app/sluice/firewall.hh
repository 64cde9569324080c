// The firewall from the control thread's side: makes what the workers read from a configuration, and keeps
// what outlives one: sets, the numbers of rules, each worker's flows and counters.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "config/problem.hh"
#include "filter/counters.hh"
#include "filter/program.hh"
#include "filter/stage.hh"
#include "nat/translator.hh"
#include "sets/registry.hh"
#include "sluice/config.hh"

namespace sluice {

// What a configuration without a section `conntrack` means.
conntrack::ConntrackConfig conntrack_of(const GatewayConfig& config);

// Whether anything asks for the firewall: rules, or tracking by itself.
bool has_firewall(const GatewayConfig& config);

// Checks sets and rules, files of elements included.
void check_firewall(const GatewayConfig& config, config::Problems& problems);

// The day it is in UTC, by the clock on the wall, or at a time of captures.
filter::Date today();
filter::Date day_of(Instant captured);

// What was read from files for a configuration, kept so that it can be in force again without them.
struct FirewallFiles {
    std::shared_ptr<const sets::SetTable> sets;
    std::shared_ptr<const filter::LoadedPrograms> programs;
};

class FirewallControl {
  public:
    // Takes address space for the flows of all workers. `places`: steering::places_for() these.
    FirewallControl(const GatewayConfig& config, size_t workers, std::vector<uint8_t> places, uint64_t seed,
                    sets::Retire retire, std::function<filter::Date()> calendar = today);

    // Null where the configuration has no firewall. Changes nothing that is in force. With the `files` of
    // that configuration none is read.
    Expected<std::unique_ptr<const filter::FirewallTables>> prepare(const GatewayConfig& config, Instant now,
                                                                    const FirewallFiles* files = nullptr);
    // Only the rules, to be asked in thought: neither counters nor sets of what is in force learn of them.
    [[nodiscard]] Expected<std::shared_ptr<const filter::Ruleset>> compile_aside(const GatewayConfig& config,
                                                                                 Instant now);
    // What prepare() gave last was published.
    void adopt();
    // Of the configuration in force.
    [[nodiscard]] FirewallFiles files() const { return {sets_.in_force(), programs_}; }
    // A rule in force has expired: the configuration is to be prepared anew.
    [[nodiscard]] bool has_expired() const { return next_expiry_ && calendar_() >= *next_expiry_; }

    [[nodiscard]] filter::Firewall& of(WorkerId worker) { return *workers_[index(worker)]; }
    [[nodiscard]] const filter::Firewall& of(WorkerId worker) const { return *workers_[index(worker)]; }
    [[nodiscard]] size_t workers() const { return workers_.size(); }
    [[nodiscard]] std::span<const uint8_t> places() const { return places_; }
    // Flows that all workers together have room for: `conntrack.max` at the start.
    [[nodiscard]] uint32_t capacity() const { return capacity_; }
    // A rule of NAT was in a configuration, now or before.
    [[nodiscard]] bool translates() const { return !translators_.empty() && translators_.front() != nullptr; }
    [[nodiscard]] sets::SetRegistry& sets() { return sets_; }
    [[nodiscard]] filter::RuleDirectory& rules() { return rules_; }
    [[nodiscard]] const filter::RuleDirectory& rules() const { return rules_; }
    [[nodiscard]] std::vector<const filter::RuleCounters*> rule_counters() const;

  private:
    [[nodiscard]] Expected<FirewallFiles> read_files(const GatewayConfig& config,
                                                     const filter::Rulebook& book, Instant now);
    void prepare_nat(const GatewayConfig& config, const filter::Rulebook& book,
                     filter::FirewallTables& tables, Instant now);

    std::vector<uint8_t> places_;
    uint32_t capacity_;
    Random random_;
    sets::SetRegistry sets_;
    std::function<filter::Date()> calendar_;
    std::shared_ptr<const sets::SetTable> prepared_sets_;
    std::shared_ptr<const filter::LoadedPrograms> prepared_programs_;
    std::shared_ptr<const filter::LoadedPrograms> programs_;  // of what is in force
    std::optional<filter::Date> prepared_expiry_;
    std::optional<filter::Date> next_expiry_;  // of what is in force
    filter::RuleDirectory rules_;
    std::vector<std::unique_ptr<filter::Firewall>> workers_;
    // By worker; made when a configuration first has rules of NAT, and kept with its mappings.
    std::vector<std::unique_ptr<nat::Translator>> translators_;
    uint32_t generation_ = 0;  // of what was prepared last
};

}  // namespace sluice
