// Time of one traversal of filter.forward by the number of its rules, by the classifier and by trying every
// rule. Each packet matches a rule drawn at random.
#include <benchmark/benchmark.h>

#include "base/prefix.hh"
#include "base/random.hh"
#include "filter/evaluate.hh"

namespace sluice::filter {
namespace {

constexpr size_t kPackets = 4096;
constexpr uint32_t kTcp = 6;

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
    rule.proto->ranges = {{kTcp, kTcp}};
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
            header.protocol = wire::IpProtocol::tcp;
            header.source = source_of(rule);
            header.destination = Ip4Address::from_host(0xc0000201);
            header.payload_length = 20;
            header.emit(packet);
            wire::write16(packet.data() + 22, port_of(rule));
        }
    }
    RuleDirectory directory;
    RuleCounters counters;
    std::shared_ptr<const Ruleset> ruleset;
    std::unique_ptr<RulesetState> state;
    std::array<std::array<uint8_t, 40>, kPackets> packets{};
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

BENCHMARK(traverse<evaluate>)->Name("classifier")->RangeMultiplier(10)->Range(10, 10000);
BENCHMARK(traverse<evaluate_linear>)->Name("linear")->RangeMultiplier(10)->Range(10, 10000);

}  // namespace
}  // namespace sluice::filter

BENCHMARK_MAIN();
