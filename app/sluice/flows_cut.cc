#include "sluice/flows_cut.hh"

#include <optional>
#include <string>
#include <utility>

#include "filter/flow_review.hh"

namespace sluice {
namespace {

namespace json = boost::json;
using routing::NextHopKind;

filter::FlowRoute route_of(const routing::Fib& fib, InterfaceId in, const conntrack::Tuple& tuple) {
    using enum filter::FlowRoute::To;
    const bool has_ports = !tuple.is_icmp();
    const auto& hop = fib.next_hop(fib.route({.in = in,
                                              .saddr = tuple.source(),
                                              .daddr = tuple.destination(),
                                              .proto = static_cast<uint8_t>(tuple.protocol()),
                                              .has_ports = has_ports,
                                              .sport = has_ports ? tuple.sport : uint16_t{0},
                                              .dport = has_ports ? tuple.dport : uint16_t{0}}));
    switch (hop.kind) {
        case NextHopKind::local:
        case NextHopKind::broadcast:
            return {.to = box};
        case NextHopKind::connected:
        case NextHopKind::gateway:
            return {.to = link, .out = hop.out};
        default:
            return {};
    }
}

class FlowsCut {
  public:
    FlowsCut(json::object answer, conntrack::FlowAction action, conntrack::FlowAccess access,
             conntrack::FlowCondition condition)
        : answer_(std::move(answer)),
          lists_(action == conntrack::FlowAction::list),
          access_(std::move(access)),
          walk_(access_, action, {}, std::move(condition)) {}
    FlowsCut(const FlowsCut&) = delete;
    FlowsCut& operator=(const FlowsCut&) = delete;

    // Nothing yet, then the answer, then the end.
    std::optional<std::string> next() {
        if (ended_)
            return std::nullopt;
        if (auto* job = walk_.poll()) {
            for (const auto& flow : job->records()) {
                if (flows_.size() < kMostFlowsListed)
                    flows_.push_back(flow_json(flow, walk_.worker(), access_.names));
            }
            walk_.go_on();
        }
        if (!walk_.finished())
            return std::string();
        ended_ = true;
        answer_["flows_cut"] = walk_.matched();
        if (lists_)
            answer_["flows"] = std::move(flows_);
        return json::serialize(answer_) + "\n";
    }

  private:
    json::object answer_;
    bool lists_;
    json::array flows_;
    conntrack::FlowAccess access_;
    conntrack::FlowWalk walk_;
    bool ended_ = false;
};

}  // namespace

conntrack::FlowCondition not_let_begin(const Gateway& gateway, std::shared_ptr<const filter::Ruleset> rules) {
    const auto review = std::make_shared<const filter::FlowReview>(
        std::move(rules),
        [snapshot = gateway.snapshot_to_keep()](InterfaceId in, const conntrack::Tuple& tuple) {
            return route_of(*snapshot->tables.fib, in, tuple);
        });
    return [review](const conntrack::Flow& flow, Instant now) { return !review->lets_begin(flow, now); };
}

admin::Response with_flows_cut(json::object answer, conntrack::FlowAction action,
                               conntrack::FlowAccess access, conntrack::FlowCondition condition) {
    const auto cut =
        std::make_shared<FlowsCut>(std::move(answer), action, std::move(access), std::move(condition));
    return admin::Response::stream(admin::kJson, [cut] { return cut->next(); });
}

}  // namespace sluice
