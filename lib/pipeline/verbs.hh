// GET /v1/interfaces, /v1/workers, /v1/drops, /v1/counters.
#pragma once

#include <boost/json/object.hpp>
#include <functional>

#include "admin/verbs.hh"
#include "pipeline/observed.hh"

namespace sluice::pipeline {

// Seconds: mean, quantiles, the longest; and of how many packets.
boost::json::object latency_json(const telemetry::LatencyCounts& counts);

void add_verbs(admin::Verbs& verbs, const std::function<Observed()>& observe);

}  // namespace sluice::pipeline
