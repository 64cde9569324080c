// New mappings: time from a flow's first packet to its end, at a number of mappings that live, one after the
// other and in bursts whose memory is asked for beforehand, and at a share of one address's ports in use,
// where a free one has to be found. That alone is `next_free`.
//
//   nat_bench [--benchmark_filter=...]
#include <benchmark/benchmark.h>

#include <algorithm>
#include <array>
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
        flow = make(draw());
        next_ = next_ + 1 < flows_.size() ? next_ + 1 : 0;
        static_cast<void>(nat_.expire(Instant{}, 16));
    }
    // The same for so many as a burst has.
    static constexpr size_t kBurst = 32;
    void replace_burst() {
        std::array<Translator::TranslatedFlow, kBurst> over;
        std::array<conntrack::Tuple, kBurst> first;
        std::array<conntrack::Ip4PortsTuple, kBurst> leaving;
        std::array<conntrack::Ip4PortsTuple, kBurst> answers;
        for (size_t i = 0; i < kBurst; ++i) {
            const auto& flow = flows_[next_ + i];
            over[i] = {.original = short_of(flow.original), .reply = short_of(flow.reply)};
        }
        nat_.prefetch_ends(over);
        for (size_t i = 0; i < kBurst; ++i)
            nat_.flow_ended(flows_[next_ + i].original, flows_[next_ + i].reply, {.source = true}, Instant{});
        for (size_t i = 0; i < kBurst; ++i) {
            first[i] = draw();
            leaving[i] = short_of(first[i]);
        }
        nat_.prefetch_beginnings(leaving, answers);
        for (size_t i = 0; i < kBurst; ++i)
            flows_[next_ + i] = make(first[i]);
        next_ = next_ + 2 * kBurst <= flows_.size() ? next_ + kBurst : 0;
        static_cast<void>(nat_.expire(Instant{}, 16));
    }
    [[nodiscard]] size_t refused() const { return refused_; }

  private:
    struct Flow {
        conntrack::Tuple original;
        conntrack::Tuple reply;
    };
    static conntrack::Ip4PortsTuple short_of(const conntrack::Tuple& tuple) {
        return {.addresses = uint64_t{tuple.destination().ip4().wire().wire()} << 32 |
                             tuple.source().ip4().wire().wire(),
                .ports = uint32_t{tuple.dport} << 16 | tuple.sport,
                .protocol = tuple.protocol()};
    }
    conntrack::Tuple draw() {
        const auto number = static_cast<uint32_t>(random_.next());
        return {Ip4Address::from_host(0x0a000000 | (number & 0xffff)), kRemote, wire::IpProtocol::udp,
                static_cast<uint16_t>(1024 + (number >> 16) % 64512), 53};
    }
    // Of another first packet if that one is refused.
    Flow make(conntrack::Tuple tuple) {
        for (;; tuple = draw()) {
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
        flows_.push_back(make(draw()));
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

void living_in_bursts(benchmark::State& state) {
    const auto mappings = static_cast<size_t>(state.range(0));
    Load load(mappings, static_cast<uint32_t>(mappings / 30000 + 1));
    for (auto _ : state)
        load.replace_burst();
    state.counters["mappings"] = benchmark::Counter(static_cast<double>(state.iterations() * Load::kBurst),
                                                    benchmark::Counter::kIsRate);
    state.counters["refused"] = static_cast<double>(load.refused());
}
BENCHMARK(living_in_bursts)->Arg(1 << 10)->Arg(1 << 16)->Arg(1 << 20);

void ports_in_use(benchmark::State& state) {
    Load load(64512 * static_cast<size_t>(state.range(0)) / 100, 1);
    run(state, load);
}
BENCHMARK(ports_in_use)->ArgName("percent")->Arg(10)->Arg(90)->Arg(99);

// A free port taken in place of one given back.
void next_free(benchmark::State& state) {
    Random random(7);
    PortSpace space({});
    const PortRange range = port_class(1024);
    std::vector<uint16_t> taken(range.size() * static_cast<size_t>(state.range(0)) / 100);
    const auto take = [&] {
        const auto from = static_cast<uint16_t>(range.first + random.below(range.size()));
        const uint16_t port = *space.next_free(range, from);
        space.take(port);
        return port;
    };
    std::ranges::generate(taken, take);
    for (auto _ : state) {
        uint16_t& port = taken[random.below(static_cast<uint32_t>(taken.size()))];
        space.give_back(port);
        port = take();
    }
}
BENCHMARK(next_free)->ArgName("percent")->Arg(10)->Arg(90)->Arg(99);

}  // namespace
}  // namespace sluice::nat

BENCHMARK_MAIN();
