// New mappings: time from a flow's first packet to its end, at a number of mappings that live, and at a share
// of one address's ports in use, where a free one has to be found.
//
//   nat_bench [--benchmark_filter=...]
#include <benchmark/benchmark.h>

#include <algorithm>
#include <cstdint>
#include <vector>

#include "base/random.hh"
#include "nat/manip.hh"
#include "nat/port_search.hh"
#include "nat/translator.hh"

namespace sluice::nat {
namespace {

constexpr UsedProbe kNeverUsed{.used = [](const void*, const conntrack::Tuple&) { return false; },
                               .context = nullptr};
const IpAddress kRemote = Ip4Address::from_host(0xc6336401);

// Inside hosts of a pool of external addresses, each of which has room for most of 64512 ports.
class Load {
  public:
    Load(size_t mappings, uint32_t addresses)
        : nat_({.mappings = mappings + 16, .port_spaces = 4096, .hold_down = 1024, .history = 65536}, {}, {},
               random_, Instant{}) {
        const auto first = Ip4Address::from_host(0xcb007100);
        rule_.targets = {
            {.first = first, .last = Ip4Address::from_host(first.host() + addresses - 1), .ports = {}}};
        rule_.pooling = Pooling::soft;
        for (size_t number = 0; number < mappings; ++number)
            begin();
    }
    // Ends the mapping that has lived longest and begins another.
    void replace() {
        auto& flow = flows_[next_];
        nat_.flow_ended(flow.original, flow.reply, {.source = true}, Instant{});
        flow = make();
        next_ = next_ + 1 < flows_.size() ? next_ + 1 : 0;
        static_cast<void>(nat_.expire(Instant{}, 16));
    }
    [[nodiscard]] size_t refused() const { return refused_; }

  private:
    struct Flow {
        conntrack::Tuple original;
        conntrack::Tuple reply;
    };
    Flow make() {
        for (;;) {
            const auto number = static_cast<uint32_t>(random_.next());
            const conntrack::Tuple tuple(Ip4Address::from_host(0x0a000000 | (number & 0xffff)), kRemote,
                                         wire::IpProtocol::udp,
                                         static_cast<uint16_t>(1024 + (number >> 16) % 64512), 53);
            const auto source = nat_.choose_source(
                rule_, {.tuple = tuple, .out = kNoInterface, .out_addresses = {}}, kNeverUsed, Instant{});
            if (!source) {
                ++refused_;
                continue;
            }
            const auto reply = conntrack::inverted(with_endpoint(tuple, Manip::source, *source));
            nat_.flow_began(tuple, *reply, {.source = true});
            return {tuple, *reply};
        }
    }
    void begin() {
        flows_.push_back(make());
        static_cast<void>(nat_.expire(Instant{}, 16));
    }

    Random random_{7};
    NatRule rule_;
    Translator nat_;
    std::vector<Flow> flows_;
    size_t next_ = 0;
    size_t refused_ = 0;
};

void run(benchmark::State& state, Load& load) {
    for (auto _ : state)
        load.replace();
    state.counters["mappings"] =
        benchmark::Counter(static_cast<double>(state.iterations()), benchmark::Counter::kIsRate);
    state.counters["refused"] = static_cast<double>(load.refused());
}

void living(benchmark::State& state) {
    const auto mappings = static_cast<size_t>(state.range(0));
    Load load(mappings, static_cast<uint32_t>(mappings / 30000 + 1));
    run(state, load);
}
BENCHMARK(living)->Arg(1 << 10)->Arg(1 << 16)->Arg(1 << 20);

void ports_in_use(benchmark::State& state) {
    Load load(64512 * static_cast<size_t>(state.range(0)) / 100, 1);
    run(state, load);
}
BENCHMARK(ports_in_use)->ArgName("percent")->Arg(10)->Arg(90)->Arg(99);

}  // namespace
}  // namespace sluice::nat

BENCHMARK_MAIN();
