#include "steering/places.hh"

#include <algorithm>
#include <cmath>
#include <numeric>

namespace sluice::steering {
namespace {

// What receiving and handing over a packet costs of what owning one costs that was handed over:
// docs/performance.md has the figures.
constexpr double kReceiving = 0.4;

}  // namespace

std::vector<uint8_t> places_for(std::span<const size_t> queues) {
    const size_t all = std::accumulate(queues.begin(), queues.end(), size_t{0});
    if (std::ranges::adjacent_find(queues, std::ranges::not_equal_to()) == queues.end())
        return {};
    const double even = (1 + kReceiving) / static_cast<double>(queues.size());
    std::vector<double> shares;
    for (const size_t own : queues)
        shares.push_back(
            std::max(even - kReceiving * static_cast<double>(own) / static_cast<double>(all), 0.0));
    const double sum = std::accumulate(shares.begin(), shares.end(), 0.0);
    std::vector<uint8_t> places;
    double before = 0;
    size_t given = 0;
    for (const double share : shares) {
        before += share;
        const auto up_to = static_cast<size_t>(std::lround(before / sum * kBuckets));
        places.push_back(static_cast<uint8_t>(up_to - given));
        given = up_to;
    }
    return places;
}

std::array<WorkerId, kBuckets> lay_out(std::span<const uint8_t> places, size_t workers) {
    std::array<WorkerId, kBuckets> table;
    if (places.empty()) {
        for (size_t i = 0; i < table.size(); ++i)
            table[i] = static_cast<WorkerId>(i % workers);
        return table;
    }
    // Each place goes to whoever is furthest behind its share.
    std::vector<int> behind(workers);
    for (auto& place : table) {
        for (size_t i = 0; i < workers; ++i)
            behind[i] += places[i];
        const auto most = std::ranges::max_element(behind);
        *most -= static_cast<int>(kBuckets);
        place = static_cast<WorkerId>(most - behind.begin());
    }
    return table;
}

}  // namespace sluice::steering
