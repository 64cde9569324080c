#include "conntrack/flow_job.hh"

#include <algorithm>

namespace sluice::conntrack {

bool FlowJob::run(Tracker& tracker, Instant now, size_t budget) {
    const Ticks tick = ticks_at(now);
    // A slice never yields more records than there is room for.
    if (action_ == FlowAction::list)
        budget = std::min(budget, kBatch - records_.size());
    if (condition_)
        budget = std::min(budget, kConditionsAtOnce);
    tracker.table().visit(cursor_, budget, [&](Flow& flow) {
        if (flow.is_expired(tick) || !filter_.matches(flow) || (condition_ && !condition_(flow, now)))
            return;
        ++matched_;
        switch (action_) {
            case FlowAction::list:
                records_.push_back(FlowRecord::of(flow, tick));
                break;
            case FlowAction::erase:
                tracker.erase(flow, now);
                break;
            case FlowAction::count:
                break;
        }
    });
    const bool give_back = cursor_.done || records_.size() == kBatch;
    if (give_back)
        back_.store(true, std::memory_order_release);
    return give_back;
}

}  // namespace sluice::conntrack
