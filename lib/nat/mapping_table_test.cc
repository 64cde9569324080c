#include "nat/mapping_table.hh"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "nat/box_under_test.hh"

namespace sluice::nat {
namespace {

using wire::IpProtocol;

constexpr conntrack::TupleHash kHash{{1, 2, 3, 4}};

Mapping mapping_of(bool ip6, uint16_t number) {
    return {.inside = {ip(ip6 ? "fd00::1" : "10.0.0.1"), number},
            .external = {ip(ip6 ? "2001:db8::1" : "203.0.113.1"), static_cast<uint16_t>(number + 1)},
            .remote = {ip(ip6 ? "2001:db8:9::2" : "198.51.100.2"), 53},
            .protocol = IpProtocol::udp,
            .filtering = Dependence::address_dependent,
            .hairpin = true,
            .out = InterfaceId{7},
            .port_space = 3,
            .host = 4,
            .began = Instant{std::chrono::hours(1)}};
}

class AMapping : public testing::TestWithParam<bool> {
  protected:
    [[nodiscard]] IpAddress remote(int number) const {
        return ip((GetParam() ? "2001:db8:9::" : "198.51.100.") + std::to_string(number));
    }
    MappingTable table{100, kHash};
};

TEST_P(AMapping, IsFoundFromBothSidesAsItWasMade) {
    const Mapping made = mapping_of(GetParam(), 1000);
    const MappingRef ref = table.create(made);
    const Mapping kept = table[ref];
    EXPECT_EQ(kept.inside, made.inside);
    EXPECT_EQ(kept.external, made.external);
    EXPECT_EQ(kept.remote, made.remote);
    EXPECT_EQ(kept.protocol, made.protocol);
    EXPECT_EQ(kept.filtering, made.filtering);
    EXPECT_EQ(kept.hairpin, made.hairpin);
    EXPECT_EQ(kept.out, made.out);
    EXPECT_EQ(kept.port_space, made.port_space);
    EXPECT_EQ(kept.host, made.host);
    EXPECT_EQ(kept.began, made.began);
    EXPECT_FALSE(kept.had_flows);
    EXPECT_FALSE(kept.overlaps);
    EXPECT_EQ(table.external(ref), made.external);
    EXPECT_TRUE(table.has_inside(ref, made.inside));
    EXPECT_FALSE(table.has_inside(ref, made.external));
    EXPECT_EQ(table.first(made.inside, made.remote, IpProtocol::udp, false), ref);
    EXPECT_EQ(table.first(made.inside, made.remote, IpProtocol::udp, true), kNoMapping);
    EXPECT_EQ(table.first(made.inside, made.remote, IpProtocol::tcp, false), kNoMapping);
    EXPECT_EQ(table.first(made.inside, made.external, IpProtocol::udp, false), kNoMapping);
    EXPECT_EQ(table.by_external(made.external, IpProtocol::udp), ref);
    EXPECT_EQ(table.by_external(made.inside, IpProtocol::udp), kNoMapping);
    EXPECT_EQ(table.between(made.inside, made.external, IpProtocol::udp), ref);
    table.erase(ref);
    EXPECT_EQ(table.by_external(made.external, IpProtocol::udp), kNoMapping);
    EXPECT_EQ(table.first(made.inside, made.remote, IpProtocol::udp, false), kNoMapping);
}

TEST_P(AMapping, ThatIsKnownToBeTheFirstIsFoundLikeOthers) {
    const Mapping made = mapping_of(GetParam(), 1000);
    const MappingRef ref = table.create(made, true);
    EXPECT_EQ(table.first(made.inside, made.remote, IpProtocol::udp, false), ref);
    Mapping next = made;
    next.external.port = 5;
    EXPECT_EQ(table.next(ref), kNoMapping);
    const MappingRef second = table.create(next);
    EXPECT_EQ(table.next(ref), second);
}

TEST_P(AMapping, CountsTheFlowsWithOneRemoteAddress) {
    const MappingRef ref = table.create(mapping_of(GetParam(), 1000));
    EXPECT_FALSE(table.has_contact(ref, remote(1)));
    EXPECT_FALSE(table.end_contact(ref, remote(1)));
    EXPECT_TRUE(table.add_contact(ref, remote(1)));
    EXPECT_TRUE(table.add_contact(ref, remote(1)));
    EXPECT_FALSE(table.add_contact(ref, remote(2))) << "it has one already";
    EXPECT_FALSE(table.end_contact(ref, remote(2)));
    EXPECT_TRUE(table.end_contact(ref, remote(1)));
    EXPECT_TRUE(table.has_contact(ref, remote(1)));
    EXPECT_FALSE(table.has_contact(ref, remote(2)));
    EXPECT_TRUE(table.end_contact(ref, remote(1)));
    EXPECT_FALSE(table.has_contact(ref, remote(1)));
    EXPECT_TRUE(table.add_contact(ref, remote(2)));
    EXPECT_TRUE(table.has_contact(ref, remote(2)));
    EXPECT_FALSE(table.has_contact(ref, remote(1)));
}

TEST_P(AMapping, ThatIsMadeInAPlaceUsedBeforeHasNothingOfTheOther) {
    const MappingRef before = table.create(mapping_of(GetParam(), 1000));
    table.add_flow(before);
    EXPECT_TRUE(table.add_contact(before, remote(1)));
    EXPECT_FALSE(table.end_flow(before)) << "settle() will look at it";
    table.settle([&](MappingRef ref) { table.erase(ref); });
    const MappingRef ref = table.create(mapping_of(!GetParam(), 2000));
    ASSERT_EQ(ref, before);
    EXPECT_FALSE(table[ref].had_flows);
    EXPECT_EQ(table[ref].flows, 0U);
    EXPECT_EQ(table.next(ref), kNoMapping);
    EXPECT_FALSE(table.has_contact(ref, remote(1)));
    EXPECT_FALSE(table.has_inside(ref, mapping_of(GetParam(), 1000).inside));
}

// Those of which each is made for one inside endpoint and remote.
TEST_P(AMapping, StaysBehindTheOldestUnlessItOverlaps) {
    for (const bool overlaps : {false, true}) {
        const auto make = [&](uint16_t port) {
            Mapping mapping = mapping_of(GetParam(), 1000);
            mapping.external.port = port;
            mapping.overlaps = overlaps;
            const MappingRef ref = table.create(mapping);
            table.add_flow(ref);
            return ref;
        };
        const MappingRef first = make(1);
        const MappingRef second = make(2);
        const MappingRef third = make(3);
        const auto head = [&] {
            return table.first(mapping_of(GetParam(), 1000).inside, mapping_of(GetParam(), 1000).remote,
                               IpProtocol::udp, overlaps);
        };
        EXPECT_EQ(head(), overlaps ? third : first);
        table.add_flow(second);
        EXPECT_EQ(head(), overlaps ? second : first);
        table.erase(head());
        EXPECT_EQ(head(), third);
        EXPECT_EQ(table.next(third), overlaps ? first : second);
        table.erase(third);
        table.erase(head());
        EXPECT_EQ(head(), kNoMapping);
    }
    EXPECT_EQ(table.size(), 0U);
}

TEST_P(AMapping, WithoutFlowsIsGivenToSettleOnce) {
    const MappingRef idle = table.create(mapping_of(GetParam(), 1000));
    const MappingRef used = table.create(mapping_of(GetParam(), 2000));
    table.keep(idle);
    table.add_flow(used);
    std::vector<MappingRef> met;
    const auto meet = [&](MappingRef ref) { met.push_back(ref); };
    table.settle(meet);
    EXPECT_EQ(met, std::vector{idle});
    table.settle(meet);
    EXPECT_EQ(met.size(), 1U);
    EXPECT_TRUE(table.end_flow(used)) << "it is to be erased now";
    table.keep(used);
    table.add_flow(used);
    EXPECT_FALSE(table.end_flow(used));
    table.settle(meet);
    EXPECT_EQ(met.back(), used);
}

TEST(MappingTable, FindsWhatIsAskedForAhead) {
    MappingTable table(8, kHash);
    const Mapping made = mapping_of(false, 1000);
    const MappingRef ref = table.create(made);
    const uint64_t hash =
        table.hash_of_external(words_of(made.inside), words_of(made.external), IpProtocol::udp, false);
    table.prefetch_external(hash);
    EXPECT_EQ(table.prefetch_found(hash), ref);
    const auto held = table.prefetch_rest(ref);
    EXPECT_EQ(held.host, made.host);
    EXPECT_EQ(held.port_space, made.port_space);
    EXPECT_EQ(held.port, made.external.port);
    Mapping shared = mapping_of(false, 2000);
    shared.overlaps = true;
    const MappingRef other = table.create(shared);
    EXPECT_EQ(table.prefetch_found(table.hash_of_external(words_of(shared.inside), words_of(shared.external),
                                                          IpProtocol::udp, true)),
              other);
}

INSTANTIATE_TEST_SUITE_P(OfEachFamily, AMapping, testing::Bool(),
                         [](const auto& family) { return family.param ? "ip6" : "ip4"; });

TEST(MappingTable, IsBounded) {
    MappingTable table(2, kHash);
    const MappingRef first = table.create(mapping_of(false, 1));
    ASSERT_NE(first, kNoMapping);
    ASSERT_NE(table.create(mapping_of(false, 2)), kNoMapping);
    EXPECT_EQ(table.create(mapping_of(false, 3)), kNoMapping);
    EXPECT_EQ(table.by_external(mapping_of(false, 3).external, IpProtocol::udp), kNoMapping);
    table.settle([](MappingRef) {});
    table.erase(first);
    EXPECT_NE(table.create(mapping_of(false, 3)), kNoMapping);
}

}  // namespace
}  // namespace sluice::nat
