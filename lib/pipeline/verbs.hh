// GET /v1/interfaces, /v1/workers, /v1/drops, /v1/counters.
#pragma once

#include <functional>

#include "admin/verbs.hh"
#include "pipeline/observed.hh"

namespace sluice::pipeline {

void add_verbs(admin::Verbs& verbs, std::function<Observed()> observe);

}  // namespace sluice::pipeline
