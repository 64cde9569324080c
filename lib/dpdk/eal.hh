// DPDK's environment, started from the configuration: no command line, any number of instances side by side.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "base/error.hh"
#include "base/interface_id.hh"
#include "dpdk/config.hh"

namespace sluice::dpdk {

struct EalPlan {
    std::vector<uint32_t> worker_cpus;  // one worker each; a CPU may have several
    std::vector<uint32_t> control_cpus;
    std::vector<std::string> pci_devices;  // addresses that may be probed; none: no PCI at all
    uint32_t memory_mb = 256;              // what buffers and tables need
    Hugepages hugepages = Hugepages::automatic;
    std::vector<std::string> extra_args;
};

// The CPUs this process may use.
std::vector<uint32_t> allowed_cpus();

// Which CPUs the engine asks for, of those this process may use.
Expected<EalPlan> plan_cpus(const EngineConfig& engine);

// One per process, and only one in the life of a process: DPDK cannot be started again. Start-up and shutdown
// on the main thread, which becomes the main lcore.
class Eal {
  public:
    static Expected<std::unique_ptr<Eal>> start(const EalPlan& plan);
    ~Eal();
    Eal(const Eal&) = delete;
    Eal& operator=(const Eal&) = delete;

    [[nodiscard]] size_t workers() const { return worker_cpus_.size(); }
    [[nodiscard]] uint32_t cpu(WorkerId worker) const { return worker_cpus_[index(worker)]; }
    [[nodiscard]] bool uses_hugepages() const { return hugepages_; }

    // Runs the function on the worker's lcore. It must outlive the run.
    Expected<void> launch(WorkerId worker, const std::function<void()>& body) const;
    // Waits until all launched functions have returned.
    static void wait();

  private:
    Eal(std::vector<uint32_t> worker_cpus, bool hugepages)
        : worker_cpus_(std::move(worker_cpus)), hugepages_(hugepages) {}
    std::vector<uint32_t> worker_cpus_;
    bool hugepages_;
};

// Memory that DPDK has taken from the system, in bytes.
uint64_t eal_memory();

// Ticks of the CPU's time stamp counter, for measuring work.
inline uint64_t cycles() {
    return __builtin_ia32_rdtsc();
}
uint64_t cycles_per_second();

// Ticks as nanoseconds by a multiplication, right to some millionths; for stretches of up to an hour.
class TickLength {
  public:
    explicit TickLength(uint64_t ticks_per_second)
        : scaled_((uint64_t{1'000'000'000} << kShift) / ticks_per_second) {}
    [[nodiscard]] uint64_t nanoseconds(uint64_t ticks) const { return ticks * scaled_ >> kShift; }

  private:
    static constexpr unsigned kShift = 20;
    uint64_t scaled_;
};

}  // namespace sluice::dpdk
