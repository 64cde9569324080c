#include "routing/verbs.hh"

#include <boost/json.hpp>

namespace sluice::routing {
namespace {

namespace json = boost::json;

// The most items of an answer that asks for no number, so that a million routes are asked for knowingly.
constexpr uint64_t kMaxPage = 1'000'000;

json::value name_or_null(const Tables& tables, InterfaceId id) {
    return id == kNoInterface ? json::value() : json::value(tables.interfaces[id].name);
}

json::value route_json(const Tables& tables, const RouteStatus& route) {
    const auto& hop = route.next_hop;
    const bool sends = hop.kind == NextHopKind::connected || hop.kind == NextHopKind::gateway;
    json::object object{{"to", route.to.to_string()}};
    if (hop.kind == NextHopKind::gateway)
        object["via"] = hop.gateway.to_string();
    object["interface"] = name_or_null(tables, hop.out);
    object["type"] = sends ? "unicast" : to_string(hop.kind);
    object["table"] =
        route.source == RouteStatus::Source::local ? kLocalTableName : tables.fib->table_name(route.table);
    object["metric"] = route.metric;
    object["source"] = to_string(route.source);
    return object;
}

admin::Response routes(const RoutingView& view, const admin::Request& request) {
    const auto limit = request.query_number("limit", kMaxPage, kMaxPage);
    const auto offset = request.query_number("offset", 0, UINT64_MAX / 2);
    if (!limit || !offset)
        return admin::Response::error(400, (limit ? offset : limit).error(), request.path);
    const auto& tables = *view.tables;
    const size_t total = tables.fib->route_count();
    json::array items;
    for (size_t place = *offset; place < total && items.size() < *limit; ++place)
        items.push_back(route_json(tables, tables.fib->route_at(place)));
    return admin::Response::json(json::value{{"items", std::move(items)}, {"total", total}});
}

admin::Response neighbours(const RoutingView& view, const admin::Request& request) {
    json::array items;
    for (const auto& neighbour : view.neighbours->resolver().list(view.now)) {
        json::object object{{"interface", name_or_null(*view.tables, neighbour.key.interface)},
                            {"ip", neighbour.key.address.to_string()},
                            {"mac", nullptr},
                            {"state", to_string(neighbour.state)},
                            {"router", neighbour.router},
                            {"gateway", neighbour.gateway},
                            {"age", seconds(neighbour.age)}};
        if (neighbour.mac)
            object["mac"] = neighbour.mac->to_string();
        if (neighbour.expires)
            object["expires"] = seconds(*neighbour.expires);
        items.push_back(std::move(object));
    }
    return admin::paged(request, std::move(items));
}

}  // namespace

void add_verbs(admin::Verbs& verbs, const std::function<RoutingView()>& view) {
    verbs.add("GET", "/v1/routes", "routes of all tables: local, connected and static",
              [view](const admin::Request& request) { return routes(view(), request); });
    verbs.add("GET", "/v1/neighbours", "neighbours as resolved by ARP and ND, and static ones",
              [view](const admin::Request& request) { return neighbours(view(), request); });
}

}  // namespace sluice::routing
