#include "conntrack/verbs.hh"

#include <algorithm>
#include <boost/json.hpp>
#include <initializer_list>
#include <optional>

#include "conntrack/flow_walk.hh"
#include "conntrack/invalid_reason.hh"

namespace sluice::conntrack {
namespace {

namespace json = boost::json;

// The query's filter; `others` are names that mean something else.
Expected<FlowFilter> filter_of(const admin::Request& request,
                               std::initializer_list<std::string_view> others) {
    FlowFilter filter;
    for (const auto& [name, value] : request.query) {
        if (std::ranges::find(others, name) != others.end())
            continue;
        const auto known = filter.set(name, value);
        if (!known)
            return std::unexpected(known.error());
        if (!*known)
            return fail("?" + name + "= is not known here",
                        "it takes family, proto, src, dst, sport, dport, state, status, mark, id");
    }
    return filter;
}

// {"items": [...], "total": N} in pieces.
class Listing {
  public:
    Listing(std::shared_ptr<const FlowAccess> access, const FlowFilter& filter, uint64_t limit,
            uint64_t offset)
        : access_(std::move(access)),
          walk_(*access_, FlowAction::list, filter),
          limit_(limit),
          offset_(offset) {}

    std::optional<std::string> next() {
        if (ended_)
            return std::nullopt;
        std::string piece;
        if (!begun_)
            piece = "{\"items\":[";
        begun_ = true;
        if (FlowJob* job = walk_.poll()) {
            for (const auto& flow : job->records()) {
                const uint64_t place = seen_++;
                if (place < offset_ || place - offset_ >= limit_)
                    continue;
                piece += place == offset_ ? "" : ",";
                piece += json::serialize(flow_json(flow, walk_.worker(), access_->names));
            }
            walk_.go_on();
        }
        if (walk_.finished()) {
            piece += "],\"total\":" + std::to_string(seen_) + "}\n";
            ended_ = true;
        }
        return piece;
    }

  private:
    std::shared_ptr<const FlowAccess> access_;
    FlowWalk walk_;
    uint64_t limit_;
    uint64_t offset_;
    uint64_t seen_ = 0;
    bool begun_ = false;
    bool ended_ = false;
};

using Access = std::shared_ptr<const FlowAccess>;

admin::Response list(const Access& access, const admin::Request& request) {
    const auto limit = request.query_number("limit", UINT64_MAX / 2, UINT64_MAX / 2);
    const auto offset = request.query_number("offset", 0, UINT64_MAX / 2);
    if (!limit || !offset)
        return admin::Response::error(400, (limit ? offset : limit).error(), request.path);
    const auto filter = filter_of(request, {"limit", "offset"});
    if (!filter)
        return admin::Response::error(400, filter.error(), request.path);
    auto listing = std::make_shared<Listing>(access, *filter, *limit, *offset);
    return admin::Response::stream(admin::kJson, [listing] { return listing->next(); });
}

// Waits for all workers and then says {NAME: N}.
admin::Response total(const Access& access, const admin::Request& request, FlowAction action,
                      std::string_view name) {
    const auto filter = filter_of(request, {});
    if (!filter)
        return admin::Response::error(400, filter.error(), request.path);
    auto walk = std::make_shared<FlowWalk>(*access, action, *filter);
    auto ended = std::make_shared<bool>(false);
    return admin::Response::stream(
        admin::kJson, [access, walk, ended, name = std::string(name)]() -> std::optional<std::string> {
            if (*ended)
                return std::nullopt;
            if (walk->poll() != nullptr)
                walk->go_on();
            if (!walk->finished())
                return std::string();
            *ended = true;
            return json::serialize(json::object{{name, walk->matched()}}) + "\n";
        });
}

admin::Response count(const Access& access, const admin::Request& request) {
    if (!request.query.empty())
        return total(access, request, FlowAction::count, "count");
    uint64_t flows = 0;
    uint64_t most = 0;
    for (size_t worker = 0; worker < access->workers(); ++worker) {
        flows += access->counters(worker).flows.read();
        most += access->counters(worker).max.read();
    }
    return admin::Response::json(json::object{{"count", flows}, {"max", most}});
}

admin::Response stats(const Access& access, const admin::Request& request) {
    if (const auto known = request.only({}); !known)
        return admin::Response::error(400, known.error(), request.path);
    json::array items;
    for (size_t worker = 0; worker < access->workers(); ++worker) {
        const auto& counters = access->counters(worker);
        json::object object{{"worker", worker}};
        size_t place = 0;
        for (const auto& info : count_catalog())
            object[info.name] = counters.read(place++);
        json::object reasons;
        const auto catalog = invalid_reason_catalog();
        for (size_t reason = 1; reason < catalog.size(); ++reason)
            reasons[catalog[reason].name] = counters.read(InvalidReason{static_cast<uint8_t>(reason)});
        object["invalid_reasons"] = std::move(reasons);
        object["flows"] = counters.flows.read();
        object["max"] = counters.max.read();
        object["pressure"] = counters.pressure.read();
        items.push_back(std::move(object));
    }
    const size_t workers = items.size();
    return admin::Response::json(json::object{{"items", std::move(items)}, {"total", workers}});
}

}  // namespace

void EventFeeds::want(bool wanted) {
    for (EventQueue* queue : queues_())
        queue->want(wanted);
}

void EventFeeds::add(std::shared_ptr<admin::Feed> feed, const FlowFilter& filter) {
    if (listeners_.empty()) {
        // What nobody was there to hear is not told to the next one.
        FlowEvent stale;
        for (EventQueue* queue : queues_())
            while (queue->pop(stale)) {
            }
    }
    listeners_.push_back({std::move(feed), filter});
    want(true);
}

void EventFeeds::pump(size_t budget) {
    std::erase_if(listeners_, [](const Listener& one) { return one.feed->gone(); });
    if (listeners_.empty()) {
        want(false);
        return;
    }
    size_t worker = 0;
    for (EventQueue* queue : queues_()) {
        FlowEvent event;
        for (size_t count = 0; count < budget && queue->pop(event); ++count) {
            std::string line;
            for (const Listener& one : listeners_) {
                if (!one.filter.matches(event.flow))
                    continue;
                if (line.empty())
                    line = json::serialize(event_json(event, worker, names_)) + "\n";
                one.feed->push(line);
            }
        }
        ++worker;
    }
}

void add_verbs(admin::Verbs& verbs, FlowAccess access, EventFeeds& events) {
    const auto shared = std::make_shared<const FlowAccess>(std::move(access));
    verbs.add(
        "GET", "/v1/conntrack",
        "tracked flows: ?family= proto= src= dst= sport= dport= state= status= mark= id= limit= offset=",
        [shared](const admin::Request& request) { return list(shared, request); });
    verbs.add("DELETE", "/v1/conntrack", "ends the flows the same filters choose; without a filter all",
              [shared](const admin::Request& request) {
                  return total(shared, request, FlowAction::erase, "deleted");
              });
    verbs.add("GET", "/v1/conntrack/count", "how many flows there are, or how many the filters choose",
              [shared](const admin::Request& request) { return count(shared, request); });
    verbs.add("GET", "/v1/conntrack/stats", "counters of connection tracking by worker",
              [shared](const admin::Request& request) { return stats(shared, request); });
    verbs.add("GET", "/v1/conntrack/events", "flows as they begin, change and end, one JSON object a line",
              [&events](const admin::Request& request) {
                  const auto filter = filter_of(request, {});
                  if (!filter)
                      return admin::Response::error(400, filter.error(), request.path);
                  auto feed = std::make_shared<admin::Feed>();
                  events.add(feed, *filter);
                  return admin::Response::subscribe(admin::kJsonLines, std::move(feed));
              });
}

}  // namespace sluice::conntrack
