// Moments by the clock on the wall, as people write them.
#pragma once

#include <string_view>

#include "base/error.hh"

namespace sluice {

// Seconds since 1970-01-01 UTC from a number of them, "1767225600.5", or from ISO 8601,
// "2026-01-01T00:00:00Z": the T may be a space, seconds and their fraction may be left out, the zone is Z or
// +HH:MM, and UTC without. From 1970 to 2199.
Expected<double> parse_wall_time(std::string_view text);

}  // namespace sluice
