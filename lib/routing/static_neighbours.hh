// From the section `neighbours` to what the resolver takes.
#pragma once

#include <functional>
#include <span>
#include <string_view>
#include <vector>

#include "base/interface_id.hh"
#include "config/problem.hh"
#include "routing/config.hh"
#include "routing/neighbour_resolver.hh"

namespace sluice::routing {

// Half of what the neighbour table holds by default; the rest is for those that are asked for.
inline constexpr size_t kMaxStaticNeighbours = 2048;

// `id_of` gives kNoInterface for an unknown name. Unknown interfaces and neighbours given twice go to
// `problems`.
std::vector<StaticNeighbour> static_neighbours(std::span<const NeighbourConfig> neighbours,
                                               const std::function<InterfaceId(std::string_view)>& id_of,
                                               config::Problems& problems);

}  // namespace sluice::routing
