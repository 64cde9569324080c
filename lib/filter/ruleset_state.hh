// What one worker remembers for one ruleset: its limits, its lists of flows, its paths. Made by the control
// thread with the ruleset, used by that worker alone; counters outlive it (counters.hh).
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "base/time.hh"
#include "filter/connlimit.hh"
#include "filter/counters.hh"
#include "filter/limit.hh"
#include "filter/log_event.hh"
#include "filter/ruleset.hh"
#include "filter/trail.hh"

namespace sluice::filter {

struct StateOptions {
    size_t workers = 1;       // limits are shared equally among so many
    uint64_t seed = 0;        // of hashes
    Instant now;              // when limits start, full
    FlowProbe alive;          // needed if a rule has a connlimit
    LogRing* logs = nullptr;  // null: log statements are silent
};

class RulesetState {
  public:
    // Reserves counters for the ruleset. Both must outlive this.
    RulesetState(const Ruleset& ruleset, RuleCounters& counters, const StateOptions& options);

    // The path of a cacheable trail, or kNoPath.
    PathId intern(const Trail& trail) { return trail.cacheable() ? paths_.intern(trail.rules()) : kNoPath; }
    // Asks memory for what a packet needs that this rule alone decides.
    void prefetch(RuleId rule) const {
        counters_->prefetch(rule);
        paths_.prefetch_of_one(rule);
    }
    // Counts what traversals with this path by so many packets would.
    void repeat(PathId path, uint64_t packets, uint64_t bytes, Instant now) {
        for (const RuleId rule : paths_.rules(path))
            counters_->of(rule).count(packets, bytes, now);
    }
    // For paths that are repeated again and again.
    [[nodiscard]] PathCounters counters_of(PathId path) { return {path, paths_.rules(path), *counters_}; }
    // The rule that the path ends with; kNoRule of an empty one.
    [[nodiscard]] RuleId last_rule(PathId path) const {
        const auto rules = paths_.rules(path);
        return rules.empty() ? kNoRule : rules.back();
    }

    [[nodiscard]] RuleCounters& counters() { return *counters_; }
    [[nodiscard]] LogRing* logs() { return logs_; }
    // For evaluate(): whether limit `index` holds for the packet (its key within, or with `over` beyond, the
    // rate).
    bool limit_holds(size_t index, const RulePacket& packet);
    bool connlimit_holds(size_t index, const RulePacket& packet);
    // Limit `limit` of program `program`.
    [[nodiscard]] KeyedLimit& program_limit(size_t program, size_t limit) {
        return program_limits_[program][limit];
    }
    // Packets a limit or connlimit could not judge since its table was full.
    [[nodiscard]] uint64_t full_count() const;

  private:
    struct LimitState {
        Limit limit;
        LimitTerms terms;
        LimitBucket bucket;                 // of a limit for the rule
        std::unique_ptr<KeyedLimit> keyed;  // of others
    };
    struct ConnlimitState {
        Connlimit connlimit;
        std::unique_ptr<ConnlimitTable> table;
    };
    RuleCounters* counters_;
    LogRing* logs_;
    FlowProbe alive_;
    PathPool paths_;
    std::vector<LimitState> limits_;
    std::vector<ConnlimitState> connlimits_;
    std::vector<std::vector<KeyedLimit>> program_limits_;  // by program
};

}  // namespace sluice::filter
