#include "dpdk/eal.hh"

#include <rte_cycles.h>
#include <rte_eal.h>
#include <rte_errno.h>
#include <rte_launch.h>
#include <rte_lcore.h>
#include <rte_malloc.h>
#include <sched.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <fstream>

namespace sluice::dpdk {
namespace {

uint64_t free_hugepage_mb() {
    std::ifstream file("/sys/kernel/mm/hugepages/hugepages-2048kB/free_hugepages");
    uint64_t pages = 0;
    file >> pages;
    return file ? pages * 2 : 0;
}

std::string joined(const std::vector<uint32_t>& numbers) {
    std::string text;
    for (const uint32_t number : numbers) {
        if (!text.empty())
            text += ',';
        text += std::to_string(number);
    }
    return text;
}

// Lcore 0 is the control thread, lcore n+1 worker n.
std::string lcores(const EalPlan& plan) {
    std::string text = "0@(" + joined(plan.control_cpus) + ")";
    for (size_t i = 0; i < plan.worker_cpus.size(); ++i)
        text += "," + std::to_string(i + 1) + "@" + std::to_string(plan.worker_cpus[i]);
    return text;
}

Expected<bool> decide_hugepages(const EalPlan& plan) {
    if (plan.hugepages == Hugepages::off)
        return false;
    const uint64_t free_mb = geteuid() == 0 ? free_hugepage_mb() : 0;
    if (free_mb >= plan.memory_mb)
        return true;
    if (plan.hugepages == Hugepages::automatic)
        return false;
    return fail(
        "engine.hugepages is 'required' but " + std::to_string(free_mb) + " MB of hugepages are free and " +
            std::to_string(plan.memory_mb) + " MB are needed",
        "sysctl vm.nr_hugepages=" + std::to_string((plan.memory_mb + 1) / 2 + 16) + ", or hugepages: auto");
}

std::vector<std::string> arguments(const EalPlan& plan, bool hugepages) {
    std::vector<std::string> args{"sluice",         "--lcores=" + lcores(plan),
                                  "--main-lcore=0", "--no-telemetry",
                                  "--log-level=4",  "--iova-mode=va"};
    const std::string memory = std::to_string(plan.memory_mb);
    if (hugepages) {
        args.insert(args.end(), {"--in-memory", "-m", memory});
    } else {
        args.insert(args.end(), {"--no-huge", "--no-shconf", "-m", memory});
    }
    if (plan.pci_devices.empty())
        args.emplace_back("--no-pci");
    for (const auto& address : plan.pci_devices)
        args.insert(args.end(), {"-a", address});
    args.insert(args.end(), plan.extra_args.begin(), plan.extra_args.end());
    return args;
}

// What a launch hands to a worker's thread, and what its return hands back, said in C++'s terms: how EAL does
// it is inside its library, where the thread sanitizer does not look. EAL too exists once in a process.
std::atomic<uint64_t> launches{0};
std::atomic<uint64_t> returns{0};

int run_body(void* argument) {
    launches.load(std::memory_order_acquire);
    (*static_cast<const std::function<void()>*>(argument))();
    returns.fetch_add(1, std::memory_order_release);
    return 0;
}

}  // namespace

std::vector<uint32_t> allowed_cpus() {
    cpu_set_t set;
    CPU_ZERO(&set);
    sched_getaffinity(0, sizeof set, &set);
    std::vector<uint32_t> cpus;
    for (uint32_t cpu = 0; cpu < CPU_SETSIZE; ++cpu) {
        if (CPU_ISSET(cpu, &set))
            cpus.push_back(cpu);
    }
    return cpus;
}

Expected<EalPlan> plan_cpus(const EngineConfig& engine) {
    const auto cpus = allowed_cpus();
    EalPlan plan;
    if (const auto* chosen = std::get_if<std::vector<uint32_t>>(&engine.workers)) {
        for (const uint32_t cpu : *chosen) {
            if (std::ranges::find(cpus, cpu) == cpus.end())
                return fail(
                    "engine.workers names CPU " + std::to_string(cpu) + ", which this process may not use",
                    "CPUs " + joined(cpus) + " can be used");
        }
        plan.worker_cpus = *chosen;
    } else {
        const auto* number = std::get_if<uint32_t>(&engine.workers);
        const size_t count = number != nullptr ? *number : std::max<size_t>(cpus.size() - 1, 1);
        // From the last CPU backwards, so that the first, busiest with the system's own work, comes last.
        for (size_t i = 0; i < count; ++i)
            plan.worker_cpus.push_back(cpus[cpus.size() - 1 - i % cpus.size()]);
    }
    for (const uint32_t cpu : cpus) {
        if (std::ranges::find(plan.worker_cpus, cpu) == plan.worker_cpus.end())
            plan.control_cpus.push_back(cpu);
    }
    if (plan.control_cpus.empty())
        plan.control_cpus = cpus;
    plan.hugepages = engine.hugepages;
    plan.extra_args = engine.eal_args;
    return plan;
}

Expected<std::unique_ptr<Eal>> Eal::start(const EalPlan& plan) {
    const auto hugepages = decide_hugepages(plan);
    if (!hugepages)
        return std::unexpected(hugepages.error());
    // DPDK keeps pointers into its arguments.
    static std::vector<std::string> args;
    static std::vector<char*> argv;
    args = arguments(plan, *hugepages);
    argv.clear();
    for (auto& arg : args)
        argv.push_back(arg.data());
    argv.push_back(nullptr);
    if (rte_eal_init(static_cast<int>(args.size()), argv.data()) < 0)
        return fail(
            std::string("DPDK did not start: ") + rte_strerror(rte_errno),
            "its own messages above say more; check engine.eal_args, engine.hugepages and the free memory");
    return std::unique_ptr<Eal>(new Eal(plan.worker_cpus, *hugepages));
}

Eal::~Eal() {
    rte_eal_cleanup();
}

Expected<void> Eal::launch(WorkerId worker, const std::function<void()>& body) const {
    const auto lcore = static_cast<unsigned>(index(worker) + 1);
    launches.fetch_add(1, std::memory_order_release);
    if (rte_eal_remote_launch(run_body, const_cast<std::function<void()>*>(&body), lcore) != 0)
        return fail("worker " + std::to_string(index(worker)) + " is busy and cannot be launched");
    return {};
}

void Eal::wait() {
    rte_eal_mp_wait_lcore();
    returns.load(std::memory_order_acquire);
}

uint64_t eal_memory() {
    rte_malloc_socket_stats stats{};
    uint64_t sum = 0;
    for (unsigned socket = 0; socket < rte_socket_count(); ++socket) {
        if (rte_malloc_get_socket_stats(rte_socket_id_by_idx(socket), &stats) == 0)
            sum += stats.heap_totalsz_bytes;
    }
    return sum;
}

uint64_t cycles_per_second() {
    return rte_get_tsc_hz();
}

}  // namespace sluice::dpdk
