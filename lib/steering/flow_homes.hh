// What a worker does so that the packets of its flows come to it: publishes tuples that the plan would bring
// elsewhere.
#pragma once

#include <cstdint>
#include <vector>

#include "base/time.hh"
#include "conntrack/expectation.hh"
#include "conntrack/flow.hh"
#include "conntrack/flow_table.hh"
#include "steering/flow_directory.hh"
#include "steering/plan.hh"

namespace sluice::steering {

// Of a flow that has published a tuple.
inline constexpr conntrack::Status kPublished{1U << 27};

// The tuple under which a flow is published that is expected from whatever source.
conntrack::Tuple from_anywhere(const conntrack::Tuple& tuple);

// One worker's.
class FlowHomes {
  public:
    FlowHomes(WorkerId self, FlowDirectory& directory) : self_(self), directory_(directory) {}

    // Between two bursts, before it is steered by.
    void adopt(const Plan& plan) { plan_ = &plan; }

    // A flow was confirmed. False if there is no room to publish it, or if another worker has a flow whose
    // answers look like its: it cannot live.
    [[nodiscard]] bool began(conntrack::Flow& flow);
    // Whether another worker has published that tuple.
    [[nodiscard]] bool is_taken(const conntrack::Tuple& tuple) const {
        return directory_.is_used() && directory_.is_taken(directory_.hash(tuple), self_);
    }
    // A flow with kPublished has ended.
    void ended(const conntrack::Flow& flow);

    // Packets that meet the expectation are to come here. False if there is no room.
    [[nodiscard]] bool expects(const conntrack::Expectation& expectation, Instant now);
    // Expectations that are over are published no longer.
    void expire(Instant now);

  private:
    [[nodiscard]] bool is_home(const conntrack::Tuple& tuple) const {
        return plan_->owner_of(tuple) == self_;
    }
    struct Expected {
        FlowDirectory::Hash hash;
        Instant until;
    };

    WorkerId self_;
    FlowDirectory& directory_;
    const Plan* plan_ = nullptr;
    std::vector<Expected> expected_;  // a ring, in the order of their ends
    size_t first_ = 0;
    size_t count_ = 0;
};

}  // namespace sluice::steering
