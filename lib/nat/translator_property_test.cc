// Whatever comes in whatever order: ports in use are mappings, no two mappings collide, and nothing is left
// when all flows have ended.
#include <gtest/gtest.h>

#include <array>
#include <map>
#include <tuple>
#include <vector>

#include "nat/box_under_test.hh"

namespace sluice::nat {
namespace {

using std::chrono::seconds;
using wire::IpProtocol;

class AnyInterleaving : public testing::TestWithParam<uint64_t> {};

using Key = std::tuple<IpAddress, uint16_t, IpProtocol>;

Key key_of(const Endpoint& endpoint, IpProtocol protocol) {
    return {endpoint.address, endpoint.port, protocol};
}

std::vector<Mapping> mappings_of(const Translator& nat) {
    std::vector<Mapping> result;
    for (MappingCursor cursor; !cursor.done;)
        nat.mappings().visit(cursor, 100, [&](const Mapping& mapping) { result.push_back(mapping); });
    return result;
}

void check(BoxUnderTest& box) {
    const Translator& nat = box.nat();
    const auto mappings = mappings_of(nat);
    ASSERT_EQ(mappings.size(), nat.mappings().size());

    std::map<Key, const Mapping*> alone;
    std::map<Key, std::map<Key, int>> shared;
    std::map<IpAddress, uint32_t> by_host;
    uint32_t ports = 0;
    for (const auto& mapping : mappings) {
        const auto key = key_of(mapping.external, mapping.protocol);
        ++by_host[mapping.inside.address];
        if (mapping.overlaps) {
            ports += shared[key].empty() && has_port(mapping.protocol) ? 1 : 0;
            ASSERT_EQ(++shared[key][key_of(mapping.inside, mapping.protocol)], 1);
        } else {
            ASSERT_TRUE(alone.emplace(key, &mapping).second) << "two mappings have one endpoint";
            ++ports;
        }
    }
    for (const auto& [key, sharers] : shared)
        ASSERT_FALSE(alone.contains(key)) << "a port is shared with one who has it alone";
    ASSERT_EQ(box.ports_in_use(), ports);

    size_t hosts = 0;
    for (HostCursor cursor; !cursor.done;)
        nat.hosts().visit(cursor, 100, [&](const InsideHost& host) {
            ++hosts;
            EXPECT_EQ(host.mappings, by_host[host.address]);
        });
    ASSERT_EQ(hosts, by_host.size());

    size_t references = 0;
    size_t ends = 0;
    for (const auto& mapping : mappings)
        references += mapping.flows;
    for (const auto& flow : box.flows)
        ends += (flow.ends.source ? 1U : 0U) + (flow.ends.destination ? 1U : 0U);
    ASSERT_EQ(references, ends);
}

NatRule any_rule(Random& random) {
    NatRule rule;
    if (random.below(3) == 0)
        rule.kind = NatKind::masquerade;
    else
        rule.targets = {target("203.0.113.1"), target("203.0.113.8", "203.0.113.9")};
    if (random.below(3) == 0)
        rule.ports = PortRange{1000, static_cast<uint16_t>(1000 + random.below(64))};
    rule.mapping = static_cast<Dependence>(random.below(3));
    rule.filtering = static_cast<Dependence>(random.below(3));
    rule.pooling = static_cast<Pooling>(random.below(2));
    rule.port_overlap = random.below(2) == 0;
    rule.parity = random.below(4) == 0;
    rule.random = random.below(4) == 0;
    rule.persistent = random.below(2) == 0;
    rule.ports_per_host = random.below(4) == 0 ? 5 : 0;
    return rule;
}

// For a flow that may begin and for all that there are.
void ask_ahead(const BoxUnderTest& box, const conntrack::Tuple& leaving) {
    std::array<conntrack::Ip4PortsTuple, 1> answers;
    box.nat().prefetch_beginnings(std::array{words_of(leaving)}, answers);
    EXPECT_EQ(answers[0].ports, words_of(leaving).turned_around().ports);
    std::vector<Translator::TranslatedFlow> flows;
    for (const auto& flow : box.flows)
        if (flow.ends.source && flows.size() < Translator::kAhead)
            flows.push_back({.original = words_of(flow.original), .reply = words_of(flow.reply)});
    box.nat().prefetch_ends(flows);
}

TEST_P(AnyInterleaving, PortsInUseAreMappings) {
    Random random(GetParam());
    NatSettings settings;
    settings.hold_down_tcp = random.below(2) == 0;
    BoxUnderTest box(settings, 300, {}, GetParam());
    NatRule rule = any_rule(random);
    std::vector<Endpoint> seen{{ip("203.0.113.1"), 1000}};
    constexpr std::array kProtocols{IpProtocol::udp, IpProtocol::tcp, IpProtocol::icmp, IpProtocol::esp};
    const auto inside = [&] {
        return Endpoint{Ip4Address::from_host(0x0a000000 + random.below(8)),
                        static_cast<uint16_t>(1000 + random.below(16))};
    };
    const auto remote = [&] {
        return Endpoint{Ip4Address::from_host(0xc6336400 + random.below(4)),
                        static_cast<uint16_t>(50 + random.below(3))};
    };
    for (int step = 0; step < 3000; ++step) {
        const auto protocol = kProtocols[random.below(kProtocols.size())];
        const auto from = protocol == IpProtocol::esp ? Endpoint{inside().address, 0} : inside();
        const auto to = protocol == IpProtocol::esp ? Endpoint{remote().address, 0} : remote();
        const auto& external = seen[random.below(static_cast<uint32_t>(seen.size()))];
        switch (random.below(16)) {
            default:
                if (const auto flow = box.open(rule, from, to, protocol); flow && seen.size() < 1000)
                    seen.push_back((*flow)->seen_source());
                break;
            case 0:
            case 1:
                static_cast<void>(box.open_inbound(to, external, protocol));
                break;
            case 2:
            case 3:
                static_cast<void>(box.open_hairpin(from, external, protocol));
                break;
            case 4:
            case 5:
            case 6:
            case 7:
                if (!box.flows.empty())
                    box.close(
                        std::next(box.flows.begin(), random.below(static_cast<uint32_t>(box.flows.size()))));
                break;
            case 8:
                rule = any_rule(random);
                break;
            case 9:
                box.pass(seconds(random.below(40)));
                break;
            case 10:
                if (random.below(20) == 0)
                    box.nat().apply(NatSettings::of(static_cast<conntrack::Profile>(random.below(2))));
                break;
            case 11:  // chosen, and then the packet was dropped
                static_cast<void>(
                    box.nat().choose_source(rule,
                                            {.tuple = BoxUnderTest::tuple_between(from, to, protocol),
                                             .out = kWan,
                                             .out_addresses = box.addresses},
                                            box.probe(), box.now));
                break;
            case 13:  // changes nothing, whatever is asked for
                ask_ahead(box, BoxUnderTest::tuple_between(from, to, protocol));
                break;
            case 12:
                if (random.below(30) == 0)
                    for (uint32_t flood = 0; flood < 400; ++flood)
                        static_cast<void>(
                            box.open(rule, {Ip4Address::from_host(0x0a000000 + flood), 7}, to, protocol));
                break;
        }
        if (step % 40 == 0) {
            ASSERT_NO_FATAL_FAILURE(check(box)) << "step " << step;
        }
    }
    box.close_all();
    box.pass(seconds(1));
    check(box);
    EXPECT_EQ(box.nat().mappings().size(), 0U);
    EXPECT_EQ(box.nat().hosts().size(), 0U);
    EXPECT_EQ(box.nat().contacts().size(), 0U);
    EXPECT_EQ(box.ports_in_use(), 0U);
    box.pass(seconds(121));
    EXPECT_EQ(box.nat().port_spaces().held(), 0U);
}

INSTANTIATE_TEST_SUITE_P(Seeds, AnyInterleaving, testing::Range(uint64_t{1}, uint64_t{17}));

}  // namespace
}  // namespace sluice::nat
