// GET and DELETE /v1/conntrack, GET /v1/conntrack/count, /stats and /events.
#pragma once

#include <cstddef>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "admin/feed.hh"
#include "admin/verbs.hh"
#include "conntrack/counters.hh"
#include "conntrack/event.hh"
#include "conntrack/flow_job.hh"
#include "conntrack/flow_json.hh"

namespace sluice::conntrack {

// How the verbs reach what workers own. All of it is called on the control thread.
struct FlowAccess {
    std::function<size_t()> workers;
    // Hands a job (after FlowJob::send()) to a worker and keeps it alive until it is back.
    std::function<void(size_t worker, std::shared_ptr<FlowJob> job)> hand_over;
    std::function<const Counters&(size_t worker)> counters;
    // Of the configuration in force; none while there is none to name.
    FlowNames names;
};

// The clients that listen to events. The owner calls pump() now and then, every few milliseconds.
class EventFeeds {
  public:
    // `queues` gives each worker's queue.
    EventFeeds(std::function<std::vector<EventQueue*>()> queues, FlowNames names)
        : queues_(std::move(queues)), names_(std::move(names)) {}

    void add(std::shared_ptr<admin::Feed> feed, const FlowFilter& filter);
    // Takes what has happened out of the queues, at most `budget` events of each, and tells those who listen.
    void pump(size_t budget = 1024);
    [[nodiscard]] bool anybody() const { return !listeners_.empty(); }

  private:
    struct Listener {
        std::shared_ptr<admin::Feed> feed;
        FlowFilter filter;
    };
    void want(bool wanted);

    std::function<std::vector<EventQueue*>()> queues_;
    FlowNames names_;
    std::vector<Listener> listeners_;
};

// Both live as long as the verbs.
void add_verbs(admin::Verbs& verbs, FlowAccess access, EventFeeds& events);

}  // namespace sluice::conntrack
