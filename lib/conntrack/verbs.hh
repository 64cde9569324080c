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
#include "conntrack/flow_json.hh"
#include "conntrack/flow_walk.hh"

namespace sluice::conntrack {

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
