// What every rule counts: packets, bytes, last hit. Counters belong to a rule's label and outlive rulesets,
// so that a reload loses nothing and the path of a packet never meets a counter that is being moved.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/prefetch.hh"
#include "base/time.hh"
#include "telemetry/counter.hh"

namespace sluice::filter {

// The number of a label, the same on all workers and over reloads. 0: no rule.
using RuleId = uint32_t;
inline constexpr RuleId kNoRule = 0;
inline constexpr size_t kMaxRules = 1U << 20;

struct RuleCounts {
    uint64_t packets = 0;
    uint64_t bytes = 0;            // of IP packets
    Instant last_hit = Instant{};  // the epoch: never
    bool operator==(const RuleCounts&) const = default;
};

// Counters of one worker. The worker counts; the control thread makes room and reads.
class RuleCounters {
  public:
    // Of one rule, on one line of memory.
    class alignas(32) OfRule {
      public:
        void count(uint64_t packets, uint64_t bytes, Instant now) {
            packets_.add(packets);
            bytes_.add(bytes);
            last_hit_.set(static_cast<uint64_t>(now.time_since_epoch().count()));
        }
        [[nodiscard]] RuleCounts read() const;

      private:
        telemetry::Counter packets_;
        telemetry::Counter bytes_;
        telemetry::Counter last_hit_;
    };

    RuleCounters();
    // Control thread: room for ids below `end`, before a ruleset that has them is published.
    void reserve(RuleId end);
    void count(RuleId rule, uint32_t bytes, Instant now) { count(rule, 1, bytes, now); }
    void count(RuleId rule, uint64_t packets, uint64_t bytes, Instant now) {
        of(rule).count(packets, bytes, now);
    }
    // Stays where it is.
    [[nodiscard]] OfRule& of(RuleId rule) { return chunks_[rule / kChunk][rule % kChunk]; }
    void prefetch(RuleId rule) const { prefetch_line_to_write(&chunks_[rule / kChunk][rule % kChunk]); }
    // Any thread. Zeros for an id without room.
    [[nodiscard]] RuleCounts read(RuleId rule) const;

  private:
    static constexpr size_t kChunk = 1024;
    // A fixed array, so that it can grow while the worker reads.
    std::array<std::unique_ptr<OfRule[]>, kMaxRules / kChunk> chunks_;
};

// Which label has which number. Control thread.
class RuleDirectory {
  public:
    // The label's number, a new one if it has none. Numbers of labels that end() gave up come back one reload
    // later, when no worker counts them any more; what was counted before is then not shown.
    RuleId number(std::string_view label);
    // Begins a new ruleset: labels that are not asked for until end() are given up.
    void begin();
    void end(const std::vector<const RuleCounters*>& workers);
    // Empty for numbers that mean nothing now.
    [[nodiscard]] std::string_view label(RuleId rule) const;
    [[nodiscard]] RuleId find(std::string_view label) const;  // kNoRule if there is none
    [[nodiscard]] RuleId size() const { return static_cast<RuleId>(labels_.size()); }  // ids are below

    // Sums over workers since the last reset.
    [[nodiscard]] RuleCounts sum(RuleId rule, const std::vector<const RuleCounters*>& workers) const;
    // From now on counts of this rule begin at zero.
    void reset(RuleId rule, const std::vector<const RuleCounters*>& workers);

  private:
    struct Label {
        std::string text;
        uint64_t generation = 0;  // of the last ruleset that has it
        RuleCounts before;        // what the workers had counted when it was reset
    };
    std::vector<Label> labels_{1};  // by number; 0 is no rule
    std::map<std::string, RuleId, std::less<>> numbers_;
    std::vector<RuleId> given_up_;  // by the last end(); free at the next
    std::vector<RuleId> free_;
    uint64_t generation_ = 0;
};

}  // namespace sluice::filter
