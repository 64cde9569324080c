// GET /v1/routes, /v1/neighbours.
#pragma once

#include <functional>

#include "admin/verbs.hh"
#include "routing/neighbour_service.hh"
#include "routing/tables.hh"

namespace sluice::routing {

// Asked for at every request; good for the length of the answer.
struct RoutingView {
    const Tables* tables = nullptr;
    const NeighbourService* neighbours = nullptr;
    Instant now;
};

void add_verbs(admin::Verbs& verbs, const std::function<RoutingView()>& view);

}  // namespace sluice::routing
