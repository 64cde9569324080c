// Sets: time of a lookup at every size, of loading a file, and memory. Bursts of 64 keys drawn at random, of
// which half or none are in the set.
//
//   set_bench [--benchmark_filter=...]
#include <benchmark/benchmark.h>
#include <unistd.h>

#include <cstdio>
#include <fstream>
#include <memory>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "base/random.hh"
#include "sets/body_builder.hh"
#include "sets/declaration.hh"
#include "sets/set.hh"

namespace sluice::sets {
namespace {

constexpr size_t kBurst = 64;  // as many as the packet path asks for at once
constexpr size_t kProbes = size_t{1} << 16;
constexpr Instant kNow = Instant(std::chrono::seconds(1));

void at_once(const std::function<void()>& fn) {
    fn();
}

uint32_t draw_host(Random& random) {
    return (1 + random.below(222)) << 24 | random.below(1 << 24);
}

// The prefix lengths of lists of networks to block, roughly.
uint8_t draw_length(Random& random) {
    static constexpr uint8_t kLengths[] = {16, 18, 19, 20, 20, 21, 22, 22, 23, 23, 24, 24, 24, 24, 24,
                                           24, 24, 25, 26, 27, 28, 29, 30, 32, 32, 32, 32, 32, 32, 32};
    return kLengths[random.below(sizeof kLengths)];
}

std::vector<std::string> draw_elements(const std::string& kind, size_t count) {
    Random random(count + kind.size());
    std::vector<std::string> result;
    std::set<std::string> seen;
    while (result.size() < count) {
        std::string text;
        if (kind == "ip6") {
            std::array<uint8_t, 16> bytes{0x20, 0x01};
            for (size_t i = 2; i < 16; ++i)
                bytes[i] = static_cast<uint8_t>(random.next() >> 24);
            text = Ip6Address(bytes).to_string();
        } else if (kind == "net") {
            const uint8_t length = draw_length(random);
            text = Ip4Address::from_host(draw_host(random) & (0xffffffffU << (32 - length))).to_string() +
                   "/" + std::to_string(length);
        } else {
            text = Ip4Address::from_host(draw_host(random)).to_string();
            if (kind == "ip,port")
                text += "," + std::to_string(1 + random.below(65535));
            else if (kind == "net,port")
                text = Ip4Address::from_host(draw_host(random) & 0xffffff00U).to_string() + "/24," +
                       std::to_string(1000 * (1 + random.below(50))) + "-" +
                       std::to_string(1000 * (51 + random.below(10)));
        }
        if (seen.insert(text).second)
            result.push_back(std::move(text));
    }
    return result;
}

SetType type_of(const std::string& kind) {
    return *SetType::parse(kind == "ip6" ? "ip" : kind);
}

struct Filled {
    explicit Filled(const std::string& kind, size_t count)
        : type(type_of(kind)), set("bench", options(), 7, at_once) {
        const auto elements = draw_elements(kind, count);
        BodyBuilder builder =
            set.builder(kind == "ip6" ? std::array<size_t, 2>{0, count} : std::array{count, size_t{0}});
        for (const auto& text : elements)
            (void)builder.add({*parse_element(type, text), std::nullopt, ""}, 0, kNow);
        builder.finish();
        set.load(builder);
        Random random(9);
        for (size_t i = 0; i < kProbes; ++i) {
            const auto value =
                *parse_element(type, elements[random.below(static_cast<uint32_t>(elements.size()))]);
            std::array<uint8_t, kMaxKeyBytes> key = value.low;
            inside.push_back(Fields::of_bytes(value.family, key.data(), type.key_bytes(value.family)));
            key[0] = static_cast<uint8_t>(224 + random.below(16));  // no element is there
            outside.push_back(Fields::of_bytes(value.family, key.data(), type.key_bytes(value.family)));
        }
    }
    [[nodiscard]] SetOptions options() const { return {.type = type, .size = 2'000'000}; }

    SetType type;
    Set set;
    std::vector<Fields> inside;
    std::vector<Fields> outside;
};

// Filled once for all benchmarks of a kind and size that follow one another.
const Filled& filled_with(const std::string& kind, size_t count) {
    static std::unique_ptr<const Filled> filled;
    static std::pair<std::string, size_t> what;
    if (const auto wanted = std::pair(kind, count); what != wanted) {
        filled.reset();
        filled = std::make_unique<const Filled>(kind, count);
        what = wanted;
    }
    return *filled;
}

void lookup(benchmark::State& state, const std::string& kind, bool hits) {
    const Filled& filled = filled_with(kind, static_cast<size_t>(state.range(0)));
    const auto& probes = hits ? filled.inside : filled.outside;
    size_t at = 0;
    uint64_t found = 0;
    for (auto _ : state) {
        found += static_cast<uint64_t>(
            __builtin_popcountll(filled.set.lookup_burst(std::span(&probes[at], kBurst), kNow)));
        at = (at + kBurst) % kProbes;
    }
    state.counters["ns/lookup"] =
        benchmark::Counter(static_cast<double>(state.iterations()) * kBurst / 1e9,
                           benchmark::Counter::kIsRate | benchmark::Counter::kInvert);
    state.counters["found"] =
        static_cast<double>(found) / static_cast<double>(state.iterations() * static_cast<int64_t>(kBurst));
}

void load(benchmark::State& state, const std::string& kind) {
    const auto elements = draw_elements(kind, static_cast<size_t>(state.range(0)));
    const std::string path = "/tmp/set_bench." + std::to_string(::getpid());
    {
        std::ofstream file(path);
        for (const auto& text : elements)
            file << text << '\n';
    }
    SetDeclaration declaration;
    declaration.name = "bench";
    declaration.options = {.type = type_of(kind), .size = 2'000'000};
    declaration.file = path;
    double memory = 0;
    for (auto _ : state) {
        config::Problems problems;
        const auto content = DeclaredContent::read(declaration, problems);
        const auto builder = content->build(declaration.options, 7, kNow, problems);
        Set set("bench", declaration.options, 7, at_once);
        set.load(*builder);
        memory = static_cast<double>(set.memory_bytes());
    }
    state.counters["MB"] = memory / 1e6;
    ::unlink(path.c_str());
}

void add_by_rule(benchmark::State& state) {
    SetOptions options{
        .type = type_of("ip"), .size = 1'000'000, .timeout = std::chrono::seconds(60), .dynamic = true};
    Set set("bench", options, 7, at_once);
    Random random(1);
    for (auto _ : state) {
        if (set.element_count() >= 900'000) {
            state.PauseTiming();
            set.flush();
            state.ResumeTiming();
        }
        benchmark::DoNotOptimize(
            set.add(Fields(Ip4Address::from_host(static_cast<uint32_t>(random.next()))), kNow, 64));
    }
}
BENCHMARK(add_by_rule);

const int kRegistered = [] {
    for (const char* kind : {"ip", "ip6", "net", "ip,port", "net,port"}) {
        for (const int count : {1000, 10'000, 100'000, 1'000'000}) {
            for (const bool hits : {true, false})
                benchmark::RegisterBenchmark(
                    (std::string("lookup/") + kind + (hits ? "/hit" : "/miss")).c_str(), lookup,
                    std::string(kind), hits)
                    ->Arg(count);
        }
        benchmark::RegisterBenchmark((std::string("load/") + kind).c_str(), load, std::string(kind))
            ->Arg(100'000)
            ->Arg(1'000'000)
            ->Unit(benchmark::kMillisecond);
    }
    return 0;
}();

}  // namespace
}  // namespace sluice::sets

BENCHMARK_MAIN();
