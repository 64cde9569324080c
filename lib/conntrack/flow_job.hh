// A question about all flows of a worker, which it answers itself in slices between bursts.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <utility>
#include <vector>

#include "conntrack/flow_filter.hh"
#include "conntrack/flow_table.hh"
#include "conntrack/tracker.hh"

namespace sluice::conntrack {

enum class FlowAction : uint8_t {
    list,   // copies matching flows into `records`
    count,  // only counts them
    erase,  // ends them
};

// What else must hold of a flow. Called by the worker, so it must bear that; destroyed by the control thread.
using FlowCondition = std::function<bool(const Flow&, Instant now)>;

// Belongs to the control thread until it is handed to a worker, to the worker until is_back(). The control
// thread takes the records out and, unless it is done(), hands it over again: so memory is bounded and the
// walk goes on at the pace of whoever reads.
class FlowJob {
  public:
    static constexpr size_t kBatch = 512;

    FlowJob(FlowAction action, const FlowFilter& filter, FlowCondition condition = nullptr)
        : action_(action), filter_(filter), condition_(std::move(condition)) {
        if (action == FlowAction::list)
            records_.reserve(kBatch);
    }

    // The control thread's, before each handing over.
    void send() { back_.store(false, std::memory_order_relaxed); }
    // The control thread's, while the job is with a worker; afterwards everything else may be read.
    [[nodiscard]] bool is_back() const { return back_.load(std::memory_order_acquire); }

    // The worker's: looks at `budget` places of its table. True once the job has been given back and must not
    // be touched any more: a batch is full or the table is through.
    bool run(Tracker& tracker, Instant now, size_t budget);

    [[nodiscard]] bool done() const { return cursor_.done; }
    [[nodiscard]] uint64_t matched() const { return matched_; }  // so far
    // To be cleared by the reader.
    [[nodiscard]] std::vector<FlowRecord>& records() { return records_; }

  private:
    static constexpr size_t kConditionsAtOnce = 32;  // they may cost as much as a packet each

    FlowAction action_;
    FlowFilter filter_;
    FlowCondition condition_;
    FlowCursor cursor_;
    uint64_t matched_ = 0;
    std::vector<FlowRecord> records_;
    std::atomic<bool> back_{true};
};

}  // namespace sluice::conntrack
