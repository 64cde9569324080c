// How many places of the table from hashes to workers each worker gets. Where devices have fewer queues than
// there are workers, some workers receive for the others: finding owners and handing over is their work too,
// and so they own fewer flows.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "base/interface_id.hh"

namespace sluice::steering {

// Places of the table, as many as the redirection table of a usual device.
inline constexpr size_t kBuckets = 128;

// `queues`: how many queues each worker receives from, of devices that have fewer than there are workers.
// Empty where all come to the same: each worker owns as much as any other.
std::vector<uint8_t> places_for(std::span<const size_t> queues);

// The table with so many places for each worker, empty: equally many. Those of a worker are spread over it.
std::array<WorkerId, kBuckets> lay_out(std::span<const uint8_t> places, size_t workers);

}  // namespace sluice::steering
