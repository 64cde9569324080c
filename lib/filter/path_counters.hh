// Where the rules of one path are counted, found once for packets that take it again and again.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>

#include "base/time.hh"
#include "filter/counters.hh"

namespace sluice::filter {

// A list of rules kept by a PathPool; fits beside other things in a decision. 0: none.
using PathId = uint32_t;
inline constexpr PathId kNoPath = 0;

// One worker's own, for as long as its ruleset.
class PathCounters {
  public:
    // Of longer paths there are none; most have one rule or two.
    static constexpr size_t kMostRules = 6;

    PathCounters() = default;
    PathCounters(PathId path, std::span<const RuleId> rules, RuleCounters& counters) {
        if (rules.size() > kMostRules)
            return;
        path_ = path;
        for (const RuleId rule : rules)
            rules_[size_++] = &counters.of(rule);
    }
    // kNoPath of those that were too long.
    [[nodiscard]] PathId path() const { return path_; }
    void prefetch() const {
        for (size_t i = 0; i < size_; ++i)
            prefetch_line_to_write(rules_[i]);
    }
    void count(uint64_t packets, uint64_t bytes, Instant now) const {
        for (size_t i = 0; i < size_; ++i)
            rules_[i]->count(packets, bytes, now);
    }

  private:
    PathId path_ = kNoPath;
    uint32_t size_ = 0;
    std::array<RuleCounters::OfRule*, kMostRules> rules_;
};

}  // namespace sluice::filter
