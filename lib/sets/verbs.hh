// GET /v1/sets and all below it.
#pragma once

#include <functional>

#include "admin/verbs.hh"
#include "base/time.hh"
#include "sets/registry.hh"

namespace sluice::sets {

// The registry outlives the verbs; `now` is PacketClock's.
void add_verbs(admin::Verbs& verbs, SetRegistry& registry, std::function<Instant()> now);

}  // namespace sluice::sets
