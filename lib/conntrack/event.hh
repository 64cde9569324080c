// What happens to flows, told to the control thread.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "conntrack/counters.hh"
#include "conntrack/flow_record.hh"
#include "table/spsc_ring.hh"

namespace sluice::conntrack {

enum class EventKind : uint8_t {
    new_,
    update,   // its protocol's state, its status or its mark is another
    destroy,  // with its last counters
};

struct FlowEvent {
    EventKind kind{};
    FlowRecord flow;
};

// From one worker to the control thread. Costs a load while nobody listens.
class EventQueue {
  public:
    EventQueue(size_t capacity, Counters& counters) : ring_(capacity), counters_(&counters) {}

    // The worker's. An event that finds the queue full is lost and counted.
    [[nodiscard]] bool wanted() const { return wanted_.load(std::memory_order_relaxed); }
    void push(EventKind kind, const Flow& flow, Ticks now) {
        if (wanted() && !ring_.push({kind, FlowRecord::of(flow, now)}))
            counters_->add(Count::event_lost);
    }

    // The control thread's.
    void want(bool wanted) { wanted_.store(wanted, std::memory_order_relaxed); }
    bool pop(FlowEvent& event) { return ring_.pop(event); }

  private:
    table::SpscRing<FlowEvent> ring_;
    std::atomic<bool> wanted_{false};
    Counters* counters_;
};

}  // namespace sluice::conntrack
