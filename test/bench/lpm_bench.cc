// Longest-prefix match against DPDK's: time of a lookup, of building, and memory. Bursts of 32 destinations,
// either random over all addresses the routes cover, or 4096 of them again and again.
//
//   lpm_bench [--benchmark_filter=...]
#include <benchmark/benchmark.h>
#include <rte_eal.h>
#include <rte_fib.h>
#include <rte_fib6.h>
#include <rte_malloc.h>

#include <algorithm>
#include <cstdio>
#include <ctime>
#include <map>
#include <memory>
#include <set>
#include <vector>

#include "base/prefix.hh"
#include "base/random.hh"
#include "table/lpm.hh"

namespace sluice {
namespace {

constexpr size_t kBurst = 32;
constexpr size_t kNextHops = 256;
constexpr size_t kDestinations = size_t{1} << 20;  // of which a "repeated" run uses the first 4096

struct Range {
    uint8_t length;
    uint32_t share;  // of 1000
};
// Roughly the lengths of the global tables.
constexpr Range kLengths4[] = {{16, 15}, {18, 15},  {19, 25},  {20, 45},
                               {21, 55}, {22, 110}, {23, 100}, {24, 635}};
constexpr Range kLengths6[] = {{29, 20}, {32, 120}, {36, 40}, {40, 90},
                               {44, 90}, {46, 50},  {47, 40}, {48, 550}};

template <size_t N>
uint8_t draw_length(const Range (&lengths)[N], Random& random) {
    uint32_t at = random.below(1000);
    for (const auto& range : lengths) {
        if (at < range.share)
            return range.length;
        at -= range.share;
    }
    return lengths[N - 1].length;
}

template <typename Address>
Address draw_address(Random& random);
template <>
Ip4Address draw_address(Random& random) {
    return Ip4Address::from_host((1 + random.below(222)) << 24 | random.below(1 << 24));
}
// Clustered as in the global table: a few thousand /32 hold everything.
template <>
Ip6Address draw_address(Random& random) {
    std::array<uint8_t, 16> bytes;
    for (auto& byte : bytes)
        byte = static_cast<uint8_t>(random.next() >> 16);
    bytes[0] = 0x20 | (bytes[0] & 0x0f);
    bytes[1] &= 0x1f;
    bytes[2] &= 0x1f;
    bytes[3] &= 0x07;
    return Ip6Address(bytes);
}

template <typename Address>
std::vector<table::LpmEntry<Address>> draw_routes(size_t count) {
    Random random(count);
    std::set<std::pair<Address, uint8_t>> seen;
    std::vector<table::LpmEntry<Address>> routes;
    while (routes.size() < count) {
        uint8_t length;
        if constexpr (std::is_same_v<Address, Ip4Address>) {
            length = draw_length(kLengths4, random);
        } else {
            length = draw_length(kLengths6, random);
        }
        const Address prefix = masked(draw_address<Address>(random), length);
        if (seen.emplace(prefix, length).second)
            routes.push_back({prefix, length, 1 + random.below(kNextHops)});
    }
    return routes;
}

// Half inside a route, half anywhere.
template <typename Address>
std::vector<Address> draw_destinations(const std::vector<table::LpmEntry<Address>>& routes) {
    Random random(99);
    std::vector<Address> result;
    for (size_t i = 0; i < kDestinations; ++i) {
        const Address anywhere = draw_address<Address>(random);
        if (i % 2 == 0) {
            result.push_back(anywhere);
            continue;
        }
        const auto& route = routes[random.below(static_cast<uint32_t>(routes.size()))];
        if constexpr (std::is_same_v<Address, Ip4Address>) {
            result.push_back(Ip4Address::from_host(
                route.prefix.host() |
                (anywhere.host() & static_cast<uint32_t>(0xffffffffULL >> route.length))));
        } else {
            auto bytes = route.prefix.bytes();
            for (size_t byte = static_cast<size_t>(route.length + 7) / 8; byte < 16; ++byte)
                bytes[byte] = anywhere.bytes()[byte];
            result.push_back(Ip6Address(bytes));
        }
    }
    return result;
}

// Made once per size, and shared by the runs that need it.
template <typename Address>
struct Scene {
    std::vector<table::LpmEntry<Address>> routes;
    std::vector<Address> destinations;
    explicit Scene(size_t count)
        : routes(draw_routes<Address>(count)), destinations(draw_destinations(routes)) {}
    static const Scene& of(size_t count) {
        static std::map<size_t, std::unique_ptr<Scene>> scenes;
        auto& scene = scenes[count];
        if (!scene)
            scene = std::make_unique<Scene>(count);
        return *scene;
    }
};

double cpu_milliseconds() {
    return static_cast<double>(std::clock()) * 1e3 / CLOCKS_PER_SEC;
}

size_t dpdk_heap() {
    rte_malloc_socket_stats stats{};
    rte_malloc_get_socket_stats(0, &stats);
    return stats.heap_allocsz_bytes;
}

template <typename Address>
struct Sluice {
    table::Lpm<Address> lpm;
    explicit Sluice(const Scene<Address>& scene) : lpm(table::Lpm<Address>::build(scene.routes)) {}
    [[nodiscard]] size_t memory() const { return lpm.memory_bytes(); }
    void lookup(const uint32_t* from, uint32_t* to) const
        requires std::is_same_v<Address, Ip4Address>
    {
        lpm.lookup_burst(from, to, kBurst);
    }
    void lookup(const Ip6Address* from, uint32_t* to) const
        requires std::is_same_v<Address, Ip6Address>
    {
        const uint8_t* pointers[kBurst];
        for (size_t i = 0; i < kBurst; ++i)
            pointers[i] = from[i].bytes().data();
        lpm.lookup_burst(pointers, to, kBurst);
    }
};

struct Fib4 {
    size_t heap_before = dpdk_heap();
    std::unique_ptr<rte_fib, decltype(&rte_fib_free)> fib{nullptr, &rte_fib_free};
    explicit Fib4(const Scene<Ip4Address>& scene) {
        rte_fib_conf conf{};
        conf.type = RTE_FIB_DIR24_8;
        conf.max_routes = static_cast<int>(scene.routes.size() + 1024);
        conf.dir24_8.nh_sz = RTE_FIB_DIR24_8_4B;
        conf.dir24_8.num_tbl8 = 1 << 16;
        fib.reset(rte_fib_create("bench4", 0, &conf));
        if (!fib)
            return;
        for (const auto& route : scene.routes)
            rte_fib_add(fib.get(), route.prefix.host(), route.length, route.value);
    }
    [[nodiscard]] size_t memory() const { return dpdk_heap() - heap_before; }
    void lookup(const uint32_t* from, uint32_t* to) const {
        uint64_t found[kBurst];
        rte_fib_lookup_bulk(fib.get(), const_cast<uint32_t*>(from), found, kBurst);
        for (size_t i = 0; i < kBurst; ++i)
            to[i] = static_cast<uint32_t>(found[i]);
    }
};

struct Fib6 {
    size_t heap_before = dpdk_heap();
    std::unique_ptr<rte_fib6, decltype(&rte_fib6_free)> fib{nullptr, &rte_fib6_free};
    explicit Fib6(const Scene<Ip6Address>& scene) {
        rte_fib6_conf conf{};
        conf.type = RTE_FIB6_TRIE;
        conf.max_routes = static_cast<int>(scene.routes.size() + 1024);
        conf.trie.nh_sz = RTE_FIB6_TRIE_4B;
        conf.trie.num_tbl8 = 1 << 19;
        fib.reset(rte_fib6_create("bench6", 0, &conf));
        if (!fib)
            return;
        for (const auto& route : scene.routes)
            rte_fib6_add(fib.get(), route.prefix.bytes().data(), route.length, route.value);
    }
    [[nodiscard]] size_t memory() const { return dpdk_heap() - heap_before; }
    void lookup(const Ip6Address* from, uint32_t* to) const {
        uint8_t addresses[kBurst][16];
        uint64_t found[kBurst];
        for (size_t i = 0; i < kBurst; ++i)
            from[i].store(addresses[i]);
        rte_fib6_lookup_bulk(fib.get(), addresses, found, kBurst);
        for (size_t i = 0; i < kBurst; ++i)
            to[i] = static_cast<uint32_t>(found[i]);
    }
};

// A table stays for the repetitions of its runs; there is memory for one at a time.
template <typename Table>
struct Built {
    std::unique_ptr<Table> table;
    size_t routes = 0;
    double milliseconds = 0;

    template <typename Address>
    static const Built& of(const Scene<Address>& scene) {
        static Built built;
        if (built.routes != scene.routes.size()) {
            built.table.reset();
            const double begin = cpu_milliseconds();
            built.table = std::make_unique<Table>(scene);
            built.milliseconds = cpu_milliseconds() - begin;
            built.routes = scene.routes.size();
        }
        return built;
    }
};

template <typename Table, typename Address>
void lookups(benchmark::State& state) {
    const auto& scene = Scene<Address>::of(static_cast<size_t>(state.range(0)));
    const size_t used = state.range(1) != 0 ? 4096 : kDestinations;
    const auto& built = Built<Table>::of(scene);
    const Table& table = *built.table;
    if constexpr (requires { table.fib; }) {
        if (!table.fib)
            return state.SkipWithError("no memory for it");
    }
    using Key = std::conditional_t<std::is_same_v<Address, Ip4Address>, uint32_t, Ip6Address>;
    std::vector<Key> keys;
    for (size_t i = 0; i < used; ++i) {
        if constexpr (std::is_same_v<Address, Ip4Address>) {
            keys.push_back(scene.destinations[i].host());
        } else {
            keys.push_back(scene.destinations[i]);
        }
    }
    uint32_t found[kBurst];
    size_t at = 0;
    for (auto _ : state) {
        table.lookup(keys.data() + at, found);
        benchmark::DoNotOptimize(found);
        benchmark::ClobberMemory();
        at = (at + kBurst) & (used - 1);
    }
    state.counters["build_ms"] = built.milliseconds;
    state.counters["MB"] = static_cast<double>(table.memory()) / 1e6;
    state.counters["lookup"] = benchmark::Counter(static_cast<double>(state.iterations() * kBurst),
                                                  benchmark::Counter::kIsRate | benchmark::Counter::kInvert);
}

// The best of many short runs: on a machine that others use too, it is the one that says something.
void repeat(benchmark::internal::Benchmark* run, std::initializer_list<int64_t> sizes) {
    run->ArgNames({"routes", "repeated"})->MinTime(0.03)->Repetitions(15)->ReportAggregatesOnly();
    run->ComputeStatistics("min", [](const std::vector<double>& runs) { return std::ranges::min(runs); });
    for (const int64_t routes : sizes) {
        for (const int64_t repeated : {0, 1})
            run->Args({routes, repeated});
    }
}
void sizes4(benchmark::internal::Benchmark* run) {
    repeat(run, {1'000, 100'000, 1'000'000});
}
void sizes6(benchmark::internal::Benchmark* run) {
    repeat(run, {1'000, 200'000});
}

BENCHMARK(lookups<Sluice<Ip4Address>, Ip4Address>)->Name("lpm4")->Apply(sizes4);
BENCHMARK(lookups<Fib4, Ip4Address>)->Name("rte_fib")->Apply(sizes4);
BENCHMARK(lookups<Sluice<Ip6Address>, Ip6Address>)->Name("lpm6")->Apply(sizes6);
BENCHMARK(lookups<Fib6, Ip6Address>)->Name("rte_fib6")->Apply(sizes6);

}  // namespace
}  // namespace sluice

int main(int argc, char** argv) {
    const char* eal[] = {"lpm_bench",      "--no-huge", "--no-shconf", "--no-pci",
                         "--no-telemetry", "-m",        "2048",        "--log-level=4"};
    if (rte_eal_init(std::size(eal), const_cast<char**>(eal)) < 0) {
        std::fputs("lpm_bench: EAL does not start\n", stderr);
        return 1;
    }
    benchmark::Initialize(&argc, argv);
    benchmark::RunSpecifiedBenchmarks();
    rte_eal_cleanup();
    return 0;
}
