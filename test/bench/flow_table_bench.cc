// The flow table against DPDK's rte_hash: time of a lookup in bursts of 32 and one at a time, of a lookup
// that finds nothing, and of a flow's beginning and end. Flows are IPv4 with both directions in the index;
// every lookup also adds to the counters of the flow it found, as tracking does.
//
//   flow_table_bench [--benchmark_filter=...]
#include <benchmark/benchmark.h>
#include <rte_eal.h>
#include <rte_hash.h>
#include <rte_hash_crc.h>

#include <algorithm>
#include <array>
#include <cstdio>
#include <cstring>
#include <memory>
#include <string>
#include <vector>

#include "base/random.hh"
#include "conntrack/flow_table.hh"

namespace sluice::conntrack {
namespace {

constexpr size_t kBurst = 32;
constexpr size_t kQueries = size_t{1} << 20;

// The number of a flow makes its tuple; those from `flows` on are of no flow.
Tuple tuple_for(uint64_t number) {
    Random random(number);
    const uint64_t bits = random.next();
    return {Ip4Address::from_host(0x0a000000 | static_cast<uint32_t>(bits & 0xffffff)),
            Ip4Address::from_host(static_cast<uint32_t>(number * 2654435761U) | 0x80000000),
            wire::IpProtocol::tcp, static_cast<uint16_t>(bits >> 32), 443};
}

std::vector<Tuple> queries(size_t flows, bool known) {
    Random random(3);
    std::vector<Tuple> result(std::min(kQueries, flows * 16));
    for (auto& tuple : result) {
        tuple = tuple_for(random.below(static_cast<uint32_t>(flows)) + (known ? 0 : flows));
        if (random.below(2) == 0)
            tuple = *inverted(tuple);
    }
    result.resize(result.size() / kBurst * kBurst);
    return result;
}

class Own {
  public:
    explicit Own(size_t flows) : table_(flows, TupleHash{{11, 22, 33, 44}}) {
        for (size_t number = 0; number + 1 < flows; ++number)
            begin(tuple_for(number));
    }
    using Key = Ip4PortsTuple;
    static Key key(const Tuple& tuple) {
        uint32_t source;
        uint32_t destination;
        std::memcpy(&source, tuple.source_bytes().data(), sizeof source);
        std::memcpy(&destination, tuple.destination_bytes().data(), sizeof destination);
        return {.addresses = uint64_t{destination} << 32 | source,
                .ports = uint32_t{tuple.dport} << 16 | tuple.sport,
                .protocol = tuple.protocol()};
    }
    Flow* begin(const Tuple& tuple) {
        Flow* flow = table_.create(tuple, *inverted(tuple), kNoInterface);
        table_.set_deadline(*flow, 1000);
        Found other;
        return table_.insert(*flow, 0, other) == FlowTable::Insert::done ? flow : nullptr;
    }
    void begin_and_end(const Tuple& tuple) {
        if (Flow* flow = begin(tuple)) {
            table_.erase(*flow);
            table_.reclaim();
        }
    }
    void look_up(const Key* keys) {
        std::array<uint64_t, kBurst> addresses;
        std::array<uint64_t, kBurst> rest;
        for (size_t i = 0; i < kBurst; ++i) {
            addresses[i] = keys[i].addresses;
            rest[i] = keys[i].rest();
        }
        std::array<Guess, kBurst> guesses;
        std::array<uint64_t, kBurst> hashes;
        table_.guess_burst({.addresses = addresses.data(), .rest = rest.data()}, (uint64_t{1} << kBurst) - 1,
                           guesses.data(), hashes.data());
        for (size_t i = 0; i < kBurst; ++i)
            touch(table_.find_guessed(guesses[i], keys[i], hashes[i]));
    }
    void look_up_one(const Key& key) { touch(table_.find(key)); }

  private:
    static void touch(const Found& found) {
        if (found)
            found.flow->counters(found.direction).add(1, 64);
    }
    FlowTable table_;
};

struct HashKey {
    uint32_t source;
    uint32_t destination;
    uint16_t sport;
    uint16_t dport;
    uint32_t protocol;
};
struct HashFlow {
    std::array<uint64_t, 2> packets{};
    std::array<uint8_t, sizeof(Flow) - 16> rest{};
};

class Rte {
  public:
    explicit Rte(size_t flows) : flows_(flows) {
        static int tables = 0;
        const std::string name = "flows" + std::to_string(tables++);
        rte_hash_parameters parameters{};
        parameters.name = name.c_str();
        parameters.entries = static_cast<uint32_t>(3 * flows);  // half full: it slows down when fuller
        parameters.key_len = sizeof(HashKey);
        parameters.hash_func = rte_hash_crc;
        parameters.extra_flag = RTE_HASH_EXTRA_FLAGS_EXT_TABLE;
        hash_ = rte_hash_create(&parameters);
        if (hash_ == nullptr)
            std::abort();
        for (size_t number = 0; number + 1 < flows; ++number)
            begin(tuple_for(number), number);
    }
    ~Rte() { rte_hash_free(hash_); }
    Rte(const Rte&) = delete;
    Rte& operator=(const Rte&) = delete;

    using Key = HashKey;
    static Key key(const Tuple& tuple) {
        Key result{};
        std::memcpy(&result.source, tuple.source_bytes().data(), 4);
        std::memcpy(&result.destination, tuple.destination_bytes().data(), 4);
        result.sport = tuple.sport;
        result.dport = tuple.dport;
        result.protocol = static_cast<uint32_t>(tuple.protocol());
        return result;
    }
    void begin(const Tuple& tuple, size_t place) {
        const Key original = key(tuple);
        const Key reply = key(*inverted(tuple));
        rte_hash_add_key_data(hash_, &original, data(place, 0));
        rte_hash_add_key_data(hash_, &reply, data(place, 1));
    }
    void begin_and_end(const Tuple& tuple) {
        begin(tuple, flows_.size() - 1);
        const Key original = key(tuple);
        const Key reply = key(*inverted(tuple));
        rte_hash_del_key(hash_, &original);
        rte_hash_del_key(hash_, &reply);
    }
    void look_up(const Key* keys) {
        std::array<const void*, kBurst> pointers;
        std::array<void*, kBurst> found{};
        for (size_t place = 0; place < kBurst; ++place)
            pointers[place] = keys + place;
        uint64_t hits = 0;
        rte_hash_lookup_bulk_data(hash_, pointers.data(), kBurst, &hits, found.data());
        for (size_t place = 0; place < kBurst; ++place)
            if ((hits >> place & 1) != 0)
                prefetch(flows_[number(found[place]) >> 1]);
        for (size_t place = 0; place < kBurst; ++place)
            if ((hits >> place & 1) != 0)
                touch(found[place]);
    }
    void look_up_one(const Key& key) {
        void* found = nullptr;
        if (rte_hash_lookup_data(hash_, &key, &found) >= 0)
            touch(found);
    }

  private:
    static void* data(size_t place, size_t direction) {
        return reinterpret_cast<void*>(place << 1 | direction);  // NOLINT: rte_hash keeps a word
    }
    // All of the flow, as FlowTable does it: tracking reads all of it.
    static void prefetch(const HashFlow& flow) {
        const auto* at = reinterpret_cast<const std::byte*>(&flow);
        for (size_t line = 0; line < sizeof flow; line += 64)
            __builtin_prefetch(at + line);
    }
    static size_t number(void* data) { return reinterpret_cast<size_t>(data); }
    void touch(void* data) { ++flows_[number(data) >> 1].packets[number(data) & 1]; }

    rte_hash* hash_ = nullptr;
    std::vector<HashFlow> flows_;
};

// Filled once for all benchmarks of a size.
template <typename Table>
Table& table_of(size_t flows) {
    static std::unique_ptr<Table> table;
    static size_t size = 0;
    if (size != flows) {
        table.reset();
        table = std::make_unique<Table>(flows);
        size = flows;
    }
    return *table;
}

template <typename Table>
std::vector<typename Table::Key> keys_for(size_t flows, bool known) {
    const auto tuples = queries(flows, known);
    std::vector<typename Table::Key> keys(tuples.size());
    std::ranges::transform(tuples, keys.begin(), Table::key);
    return keys;
}

template <typename Table>
void burst(benchmark::State& state, bool known) {
    const auto flows = static_cast<size_t>(state.range(0));
    auto& table = table_of<Table>(flows);
    const auto keys = keys_for<Table>(flows, known);
    size_t at = 0;
    for (auto _ : state) {
        table.look_up(keys.data() + at);
        at = at + kBurst < keys.size() ? at + kBurst : 0;
    }
    state.counters["per_packet"] =
        benchmark::Counter(static_cast<double>(state.iterations() * kBurst),
                           benchmark::Counter::kIsRate | benchmark::Counter::kInvert);
}

template <typename Table>
void hit(benchmark::State& state) {
    burst<Table>(state, true);
}
template <typename Table>
void miss(benchmark::State& state) {
    burst<Table>(state, false);
}

template <typename Table>
void single(benchmark::State& state) {
    const auto flows = static_cast<size_t>(state.range(0));
    auto& table = table_of<Table>(flows);
    const auto keys = keys_for<Table>(flows, true);
    size_t at = 0;
    for (auto _ : state) {
        table.look_up_one(keys[at]);
        at = at + 1 < keys.size() ? at + 1 : 0;
    }
}

template <typename Table>
void begin_and_end(benchmark::State& state) {
    const auto flows = static_cast<size_t>(state.range(0));
    auto& table = table_of<Table>(flows);
    const auto tuples = queries(flows, false);
    size_t at = 0;
    for (auto _ : state) {
        table.begin_and_end(tuples[at]);
        at = at + 1 < tuples.size() ? at + 1 : 0;
    }
}

template <typename Table>
void add(const std::string& name) {
    for (const int64_t flows : {1 << 10, 1 << 16, 1 << 20, 1 << 23}) {
        benchmark::RegisterBenchmark((name + "/burst").c_str(), hit<Table>)->Arg(flows);
        benchmark::RegisterBenchmark((name + "/burst_miss").c_str(), miss<Table>)->Arg(flows);
        benchmark::RegisterBenchmark((name + "/single").c_str(), single<Table>)->Arg(flows);
        benchmark::RegisterBenchmark((name + "/begin_and_end").c_str(), begin_and_end<Table>)->Arg(flows);
    }
}

}  // namespace
}  // namespace sluice::conntrack

int main(int argc, char** argv) {
    benchmark::Initialize(&argc, argv);
    std::array<std::string, 6> words{"bench", "--no-huge", "--no-pci", "-m", "6144", "--log-level=error"};
    std::array<char*, 6> arguments{};
    for (size_t place = 0; place < words.size(); ++place)
        arguments[place] = words[place].data();
    if (rte_eal_init(static_cast<int>(arguments.size()), arguments.data()) < 0) {
        std::fprintf(stderr, "DPDK does not start\n");
        return 1;
    }
    sluice::conntrack::add<sluice::conntrack::Own>("own");
    sluice::conntrack::add<sluice::conntrack::Rte>("rte_hash");
    benchmark::RunSpecifiedBenchmarks();
    return 0;
}
