// The short way chooses, keeps and ends what the general one does.
#include "nat/translator_plain.hh"

#include <gtest/gtest.h>

#include <map>
#include <vector>

#include "nat/box_under_test.hh"

namespace sluice::nat {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using wire::IpProtocol;

// All that can be seen of mappings, by their places.
struct State {
    std::vector<Mapping> mappings;
    std::map<IpAddress, std::pair<IpAddress, uint32_t>> hosts;
    std::vector<std::array<uint64_t, 5>> spaces;
    std::vector<bool> contacts;

    explicit State(const BoxUnderTest& box) {
        const Translator& nat = box.nat();
        for (MappingCursor cursor; !cursor.done;)
            nat.mappings().visit(cursor, 100, [&](const Mapping& mapping) { mappings.push_back(mapping); });
        for (HostCursor cursor; !cursor.done;)
            nat.hosts().visit(cursor, 100, [&](const InsideHost& host) {
                hosts[host.address] = {host.paired, host.mappings};
            });
        nat.port_spaces().visit([&](const IpAddress&, IpProtocol, const PortSpace& space) {
            spaces.push_back(
                {space.in_use(), space.held(), space.limit(), space.refused(), space.is_shared()});
        });
        for (const auto& mapping : mappings)
            for (uint32_t remote = 0; remote < 4; ++remote) {
                const conntrack::Tuple from_outside(Ip4Address::from_host(0xc6336400 + remote),
                                                    mapping.external.address, mapping.protocol, 99,
                                                    mapping.external.port);
                contacts.push_back(nat.inbound(from_outside, kWan).has_value());
            }
    }
};

bool are_alike(const Mapping& a, const Mapping& b) {
    return a.inside == b.inside && a.external == b.external && a.remote == b.remote &&
           a.protocol == b.protocol && a.filtering == b.filtering && a.hairpin == b.hairpin &&
           a.had_flows == b.had_flows && a.overlaps == b.overlaps && a.out == b.out && a.flows == b.flows &&
           a.port_space == b.port_space && a.host == b.host && a.began == b.began;
}

void compare(const BoxUnderTest& general, const BoxUnderTest& plain) {
    const State expected(general);
    const State seen(plain);
    ASSERT_EQ(seen.mappings.size(), expected.mappings.size());
    for (size_t place = 0; place < seen.mappings.size(); ++place)
        ASSERT_TRUE(are_alike(seen.mappings[place], expected.mappings[place])) << place;
    ASSERT_EQ(seen.hosts, expected.hosts);
    ASSERT_EQ(seen.spaces, expected.spaces);
    ASSERT_EQ(seen.contacts, expected.contacts);
    ASSERT_EQ(plain.nat().contacts().size(), general.nat().contacts().size());
    ASSERT_EQ(plain.nat().mappings_made(), general.nat().mappings_made());
    ASSERT_EQ(plain.nat().mappings_ended(), general.nat().mappings_ended());
    ASSERT_EQ(plain.nat().who_log().written(), general.nat().who_log().written());
}

// What the log says of an endpoint.
std::vector<WhoRecord> told(const BoxUnderTest& box, const Endpoint& external, IpProtocol protocol) {
    std::vector<WhoRecord> result;
    for (WhoCursor cursor; !cursor.done;)
        box.nat().who(external, protocol, {}, cursor, 100,
                      [&](const WhoRecord& record) { result.push_back(record); });
    return result;
}

NatRule any_rule(Random& random) {
    NatRule rule;
    if (random.below(3) == 0)
        rule.kind = NatKind::masquerade;
    else
        rule.targets = {target("203.0.113.1"), target("2001:db8::1", "2001:db8::2"),
                        target("203.0.113.8", "203.0.113.9")};
    if (rule.targets.size() > 1 && random.below(4) == 0)
        rule.targets[0].ports = PortRange{1000, 1008};
    if (random.below(3) == 0)
        rule.ports = PortRange{1000, static_cast<uint16_t>(1000 + random.below(64))};
    if (random.below(2) == 0)
        rule.mapping = static_cast<Dependence>(random.below(3));
    if (random.below(2) == 0)
        rule.filtering = static_cast<Dependence>(random.below(3));
    if (random.below(2) == 0)
        rule.pooling = static_cast<Pooling>(random.below(2));
    if (random.below(3) == 0)
        rule.port_overlap = random.below(2) == 0;
    rule.hairpin = random.below(2) == 0;
    rule.parity = random.below(4) == 0;
    rule.random = random.below(4) == 0;
    rule.persistent = random.below(2) == 0;
    rule.ports_per_host = random.below(4) == 0 ? 5 : 0;
    return rule;
}

class AnyFlows : public testing::TestWithParam<uint64_t> {};

TEST_P(AnyFlows, HaveTheSameMappingsByTheShortWay) {
    Random random(GetParam());
    NatSettings settings;
    settings.hold_down = random.below(3) != 0 ? seconds(5) : Duration::zero();
    settings.hold_down_tcp = random.below(2) == 0;
    settings.hold_down_filtered = random.below(2) == 0;
    settings.hold_down_at_start = random.below(3) == 0;
    const PortShare share{.worker = 0, .workers = static_cast<uint16_t>(1 + random.below(2))};
    BoxUnderTest general(settings, 200, share, GetParam());
    BoxUnderTest plain(settings, 200, share, GetParam());
    plain.goes_short_way = true;
    const auto both = [&](auto&& what) {
        const auto expected = what(general);
        const auto seen = what(plain);
        ASSERT_EQ(seen, expected);
    };
    NatRule rule = any_rule(random);
    for (int step = 0; step < 1500; ++step) {
        const Endpoint inside{Ip4Address::from_host(0x0a000000 + random.below(8)),
                              static_cast<uint16_t>(1000 + random.below(40))};
        const Endpoint remote{Ip4Address::from_host(0xc6336400 + random.below(4)),
                              static_cast<uint16_t>(50 + random.below(3))};
        const auto protocol = random.below(3) == 0 ? IpProtocol::tcp : IpProtocol::udp;
        const uint32_t which = random.below(1000);
        const uint32_t what = random.below(16);
        if (what == 0) {
            rule = any_rule(random);
        } else if (what == 1) {
            both([&](BoxUnderTest& box) {
                box.pass(milliseconds(which));
                return 0;
            });
        } else if (what < 6) {
            both([&](BoxUnderTest& box) {
                if (!box.flows.empty())
                    box.close(std::next(box.flows.begin(), which % box.flows.size()));
                return box.flows.size();
            });
        } else if (what == 6) {  // somebody else's flow has the answers to come
            both([&](BoxUnderTest& box) {
                box.occupy(BoxUnderTest::tuple_between(
                    {ip("203.0.113.1"), static_cast<uint16_t>(1000 + which % 40)}, remote, protocol));
                return 0;
            });
        } else if (what == 7 && which < 100) {
            const auto changed = NatSettings::of(static_cast<conntrack::Profile>(which % 4 == 0 ? 1 : 0));
            both([&](BoxUnderTest& box) {
                box.nat().apply(changed);
                return 0;
            });
        } else {
            both([&](BoxUnderTest& box) -> std::pair<Endpoint, int> {
                const auto flow = box.open(rule, inside, remote, protocol);
                return flow ? std::pair{(*flow)->seen_source(), -1}
                            : std::pair{Endpoint(), static_cast<int>(flow.error())};
            });
        }
        if (HasFatalFailure())
            FAIL() << "step " << step;
        if (step % 30 == 0) {
            ASSERT_NO_FATAL_FAILURE(compare(general, plain)) << "step " << step;
            const Endpoint external{ip("203.0.113.1"), inside.port};
            ASSERT_EQ(told(plain, external, protocol), told(general, external, protocol));
        }
    }
    EXPECT_EQ(general.went_short_way, 0U);
    if (!settings.hold_down_at_start) {
        EXPECT_GT(plain.went_short_way, 100U) << "nearly nothing was compared";
    }
    general.close_all();
    plain.close_all();
    both([&](BoxUnderTest& box) {
        box.pass(seconds(1));
        return box.ports_in_use();
    });
    compare(general, plain);
    both([&](BoxUnderTest& box) {
        box.pass(seconds(121));
        return box.nat().port_spaces().held();
    });
    EXPECT_EQ(plain.nat().mappings().size(), 0U);
    EXPECT_EQ(plain.nat().hosts().size(), 0U);
    EXPECT_EQ(plain.nat().contacts().size(), 0U);
    EXPECT_EQ(plain.nat().port_spaces().held(), 0U);
}

INSTANTIATE_TEST_SUITE_P(Seeds, AnyFlows, testing::Range(uint64_t{1}, uint64_t{17}));

// Whatever has had a port is external, and of the others hardly any is looked up.
TEST(PortSpaces, MayHaveWhatTheyHave) {
    PortSpaces spaces(400, 16, {}, {{1, 2, 3, 4}});
    for (uint32_t number = 0; number < 300; ++number)
        ASSERT_NE(spaces.open(Ip4Address::from_host(0xcb007100 + number), IpProtocol::udp), kNoPortSpace);
    int others = 0;
    for (uint32_t number = 0; number < 300; ++number) {
        EXPECT_TRUE(spaces.may_have(Ip4Address::from_host(0xcb007100 + number)));
        others += spaces.may_have(Ip4Address::from_host(0x08000000 + number * 7919)) ? 1 : 0;
    }
    EXPECT_LT(others, 60);
}

}  // namespace
}  // namespace sluice::nat
