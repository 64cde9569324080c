// The rules of a configuration, compiled: immutable, read by all workers. What a worker remembers for them is
// its RulesetState (ruleset_state.hh); evaluate.hh asks them.
#pragma once

#include <array>
#include <bitset>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/address.hh"
#include "base/interface_id.hh"
#include "filter/classifier.hh"
#include "filter/compiled_rule.hh"
#include "filter/counters.hh"
#include "filter/hook.hh"
#include "filter/rule.hh"
#include "sets/registry.hh"

namespace sluice::filter {

// A chain's rules that count on the day it was compiled for, in order.
struct CompiledChain {
    std::string name;  // chain_name()
    bool is_base = false;
    Policy policy = Policy::accept;
    RuleId policy_id = kNoRule;  // counts what falls to the policy
    uint32_t first_rule = 0;     // into Ruleset::rules()
    uint32_t rule_count = 0;
    Classifier classifier;
};

// A rule of the section `early` that can be asked for a whole burst at once: "in X, saddr @set, drop", or a
// program for all that comes by some interfaces.
struct EarlyStep {
    const CompiledRule* rule = nullptr;
    std::bitset<kMaxInterfaces> in;    // packets of these are asked about
    const SetCheck* lookup = nullptr;  // of the source or the destination; null: the rule has a program
};

struct LoadedProgram;

// What the names in rules mean.
struct Names {
    // The interfaces of a zone, or the one of that name.
    std::function<std::vector<InterfaceId>(std::string_view)> interfaces;
    // The addresses of the same.
    std::function<std::vector<IpAddress>(std::string_view)> addresses = {};
    std::shared_ptr<const sets::SetTable> sets;
    // By the names of their rules; null: rules with a program let everything pass.
    const std::map<std::string, LoadedProgram, std::less<>>* programs = nullptr;
    Date today{};  // in UTC: rules that expired before do not count
};

class Ruleset {
  public:
    // `book` has passed check_rules(); std::logic_error otherwise. Calls directory.number() for every rule
    // and policy, expired ones too.
    static std::shared_ptr<const Ruleset> compile(std::shared_ptr<const Rulebook> book, const Names& names,
                                                  RuleDirectory& directory);

    // Null if there is no chain: everything is accepted.
    [[nodiscard]] const CompiledChain* base(Table table, Hook hook) const {
        return at(base_[static_cast<size_t>(table)][static_cast<size_t>(hook)]);
    }
    [[nodiscard]] const CompiledChain* early() const { return at(early_); }
    // The early rules up to the first that is no step. The others follow for each packet.
    [[nodiscard]] const std::vector<EarlyStep>& early_steps() const { return early_steps_; }
    // Those at the front whose look-ups have no effects: frames may be asked about them as they come.
    [[nodiscard]] std::span<const EarlyStep> frame_steps() const {
        return std::span(early_steps_).first(frame_steps_);
    }
    [[nodiscard]] const CompiledChain& chain(ChainIndex index) const { return chains_[index]; }
    [[nodiscard]] const std::vector<CompiledChain>& chains() const { return chains_; }
    [[nodiscard]] const CompiledRules& rules() const { return rules_; }
    [[nodiscard]] const Rulebook& book() const { return *book_; }
    // Limits of all rules, in the order of CompiledRule::limit; likewise connlimits.
    [[nodiscard]] const std::vector<Limit>& limits() const { return limits_; }
    [[nodiscard]] const std::vector<Connlimit>& connlimits() const { return connlimits_; }
    // The first day on which a rule that counts now will not: the ruleset is to be compiled anew.
    [[nodiscard]] std::optional<Date> next_expiry() const { return next_expiry_; }

  private:
    friend class RulesetBuilder;
    [[nodiscard]] const CompiledChain* at(ChainIndex index) const {
        return index == kNoChain ? nullptr : &chains_[index];
    }
    std::shared_ptr<const Rulebook> book_;
    std::shared_ptr<const sets::SetTable> sets_;  // rules point into it
    std::array<std::array<ChainIndex, kHooks>, kTables> base_{};
    ChainIndex early_ = kNoChain;
    std::vector<EarlyStep> early_steps_;
    size_t frame_steps_ = 0;
    CompiledRules rules_;
    std::vector<CompiledChain> chains_;
    std::vector<Limit> limits_;
    std::vector<Connlimit> connlimits_;
    std::optional<Date> next_expiry_;
};

}  // namespace sluice::filter
