#include "dpdk/config.hh"

#include <algorithm>

#include "base/interface_id.hh"
#include "config/compound.hh"

namespace sluice {
namespace {

void check_workers(const dpdk::EngineConfig& engine, config::Context& context) {
    if (const auto* cpus = std::get_if<std::vector<uint32_t>>(&engine.workers)) {
        auto sorted = *cpus;
        std::ranges::sort(sorted);
        if (sorted.empty() || sorted.size() > kMaxWorkers)
            context.problem_at("workers", "names " + std::to_string(sorted.size()) + " CPUs",
                               "expected 1 to " + std::to_string(kMaxWorkers));
        if (std::ranges::adjacent_find(sorted) != sorted.end())
            context.problem_at("workers", "names a CPU twice", "expected each CPU once");
    } else if (const auto* count = std::get_if<uint32_t>(&engine.workers)) {
        if (*count == 0 || *count > kMaxWorkers)
            context.problem_at("workers", "is " + std::to_string(*count),
                               "expected a number from 1 to " + std::to_string(kMaxWorkers));
    }
}

}  // namespace

const config::Mapping<dpdk::EngineConfig>& config::Schema<dpdk::EngineConfig>::get() {
    using dpdk::EngineConfig;
    static const auto mapping =
        Mapping<EngineConfig>("the engine")
            .optional(
                "workers", &EngineConfig::workers,
                "how many workers, at most 64, on which CPUs ([1, 2]), or `auto`: one for each CPU but one")
            .optional(
                "poll", &EngineConfig::poll,
                "`adaptive` polls while there is work, then sleeps on rx interrupts, descriptors or short "
                "timers; `busy` never sleeps")
            .optional("budget", &EngineConfig::budget,
                      "packets taken from one queue before the next gets its turn")
            .range<uint16_t, uint16_t>(1, 4096)
            .optional("steering", &EngineConfig::steering,
                      "how packets are spread: `auto` over the queues a device has, `rss` refuses devices "
                      "with fewer queues than workers, `software` takes one queue; whatever comes to another "
                      "worker than its own is handed over")
            .optional("hugepages", &EngineConfig::hugepages,
                      "`auto` uses hugepages if enough are free; `required` refuses to start without")
            .optional("mbufs", &EngineConfig::mbufs, "packet buffers, all devices and workers together")
            .range<uint32_t, uint32_t>(1024, 8388608)
            .optional("eal_args", &EngineConfig::eal_args, "arguments passed to DPDK as they are")
            .check(check_workers);
    return mapping;
}

}  // namespace sluice
