// What rules cost by their number: one traversal of filter.forward, by the classifier and by trying every
// rule; and all of a new flow, which is looked up, asked about, and put into the flow table. Each packet
// matches a rule drawn at random.
//
//   rules_bench [--benchmark_repetitions=11 --benchmark_enable_random_interleaving=true]
#include <benchmark/benchmark.h>

#include "base/prefix.hh"
#include "base/random.hh"
#include "conntrack/tracker.hh"
#include "filter/evaluate.hh"

namespace sluice::filter {
namespace {

constexpr size_t kPackets = 4096;
constexpr size_t kPacketSize = 40;
constexpr uint32_t kUdp = 17;
// New flows before the table is emptied: as many as source ports, so that no two are the same.
constexpr size_t kFlows = 65536;

Ip4Address source_of(uint32_t rule) {
    return Ip4Address::from_host(0x0a000000 | rule << 8 | 7);
}
uint16_t port_of(uint32_t rule) {
    return static_cast<uint16_t>(1000 + rule % 500);
}

Rule rule_number(uint32_t number) {
    Rule rule;
    rule.name = "r" + std::to_string(number);
    const IpPrefix network(source_of(number), 24);
    rule.saddr.emplace();
    rule.saddr->ranges = {{network.address(), Ip4Address::from_host(network.address().ip4().host() | 255)}};
    rule.proto.emplace();
    rule.proto->ranges = {{kUdp, kUdp}};
    rule.dport.emplace();
    rule.dport->ranges = {{port_of(number), port_of(number)}};
    rule.action.kind = ActionKind::accept;
    return rule;
}

class World {
  public:
    explicit World(uint32_t rules) {
        auto book = std::make_shared<Rulebook>();
        auto& chain = book->base[{Table::filter, Hook::forward}];
        for (uint32_t i = 0; i < rules; ++i)
            chain.rules.push_back(rule_number(i));
        ruleset = Ruleset::compile(book, {}, directory);
        state = std::make_unique<RulesetState>(*ruleset, counters, StateOptions{});
        Random random(1);
        for (auto& packet : packets) {
            const uint32_t rule = random.below(rules);
            wire::Ipv4Header header;
            header.protocol = wire::IpProtocol::udp;
            header.source = source_of(rule);
            header.destination = Ip4Address::from_host(0xc0000201);
            header.payload_length = kPacketSize - wire::kIpv4HeaderSize;
            header.emit(packet);
            wire::write16(packet.data() + 24, header.payload_length);
            wire::write16(packet.data() + 22, port_of(rule));
        }
    }
    RuleDirectory directory;
    RuleCounters counters;
    std::shared_ptr<const Ruleset> ruleset;
    std::unique_ptr<RulesetState> state;
    std::array<std::array<uint8_t, kPacketSize>, kPackets> packets{};
};

template <auto kEvaluate>
void traverse(benchmark::State& run) {
    World world(static_cast<uint32_t>(run.range(0)));
    size_t next = 0;
    for (auto _ : run) {
        const auto ip =
            wire::IpPacket::of(wire::Ipv4View::unchecked(world.packets[next++ % kPackets].data()));
        RulePacket packet(ip, Instant{});
        packet.ct.state = conntrack::CtState::new_;
        Trail trail;
        benchmark::DoNotOptimize(
            kEvaluate(*world.ruleset, *world.state, Table::filter, Hook::forward, packet, trail));
    }
}

// As the stages do it, without what belongs to routing.
void new_flow(benchmark::State& run) {
    World world(static_cast<uint32_t>(run.range(0)));
    conntrack::Counters counters;
    Random random(2);
    conntrack::Tracker tracker({.max = 2 * kFlows}, conntrack::Settings(), random, counters);
    const Instant now(std::chrono::seconds(1));
    size_t next = 0;
    uint64_t accepted = 0;
    for (auto _ : run) {
        auto& bytes = world.packets[next % kPackets];
        wire::write16(bytes.data() + 20, static_cast<uint16_t>(next));
        const auto ip = wire::IpPacket::of(wire::Ipv4View::unchecked(bytes.data()));
        auto tracked = tracker.track(ip, InterfaceId{0}, false, now);
        RulePacket packet(ip, now);
        packet.ct.state = tracked.state;
        Trail trail;
        const auto outcome =
            evaluate(*world.ruleset, *world.state, Table::filter, Hook::forward, packet, trail);
        accepted += outcome.rule != world.ruleset->base(Table::filter, Hook::forward)->policy_id;
        accepted += tracker.confirm(tracked, ip, now);
        if (++next == kFlows) {
            run.PauseTiming();
            next = 0;
            tracker.flush(now);
            tracker.expire(now, kFlows);
            run.ResumeTiming();
        }
    }
    if (accepted != 2 * static_cast<uint64_t>(run.iterations()))
        run.SkipWithError("a packet did not pass");
}

BENCHMARK(new_flow)->RangeMultiplier(10)->Range(10, 10000);
BENCHMARK(traverse<evaluate>)->Name("classifier")->RangeMultiplier(10)->Range(10, 10000);
BENCHMARK(traverse<evaluate_linear>)->Name("linear")->RangeMultiplier(10)->Range(10, 10000);

}  // namespace
}  // namespace sluice::filter

BENCHMARK_MAIN();
