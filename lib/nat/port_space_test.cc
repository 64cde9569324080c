#include "nat/port_space.hh"

#include <gtest/gtest.h>

#include <array>
#include <set>

#include "base/random.hh"
#include "nat/port_spaces.hh"

namespace sluice::nat {
namespace {

constexpr PortRange kAll{0, 65535};
const IpAddress kAddress = Ip4Address::from_host(0xcb007101);

TEST(PortSpace, PortsAreInUseUntilGivenBack) {
    PortSpace space({});
    EXPECT_EQ(space.size(), 65536U);
    EXPECT_TRUE(space.is_free(5000));
    space.take(5000);
    EXPECT_FALSE(space.is_free(5000));
    EXPECT_EQ(space.in_use(), 1U);
    space.give_back(5000);
    EXPECT_TRUE(space.is_free(5000));
    EXPECT_TRUE(space.is_idle());
}

TEST(PortSpace, TheNextFreePortIsTheOneThatLookingAtEachFinds) {
    Random random(5);
    PortSpace space({});
    std::set<uint16_t> taken;
    for (int round = 0; round < 40000; ++round) {
        const auto port = static_cast<uint16_t>(random.below(3000) + 60000);
        if (taken.insert(port).second) {
            space.take(port);
        } else if (random.below(8) == 0) {
            taken.erase(port);
            space.give_back(port);
        }
        if (round % 50 != 0)
            continue;
        const auto first = static_cast<uint16_t>(59900 + random.below(2000));
        const PortRange range{first, static_cast<uint16_t>(first + random.below(3000))};
        const auto from = static_cast<uint16_t>(range.first + random.below(range.size()));
        const auto parity = static_cast<Parity>(random.below(3));
        std::optional<uint16_t> expected;
        for (uint32_t step = 0; step < range.size() && !expected; ++step) {
            const auto at = static_cast<uint16_t>(range.first + (from - range.first + step) % range.size());
            const bool fits = parity == Parity::any || (at % 2 == 0) == (parity == Parity::even);
            if (fits && !taken.contains(at))
                expected = at;
        }
        EXPECT_EQ(space.next_free(range, from, parity), expected);
    }
}

TEST(PortSpace, TheLastFreePortIsFoundFromAnywhere) {
    PortSpace space({});
    for (uint32_t port = 0; port < 65536; ++port)
        if (port != 43210)
            space.take(static_cast<uint16_t>(port));
    for (const auto from : std::to_array<uint16_t>({0, 1, 43209, 43210, 43211, 65535}))
        EXPECT_EQ(space.next_free(kAll, from), 43210);
    EXPECT_EQ(space.next_free(kAll, 0, Parity::odd), std::nullopt);
    EXPECT_EQ(space.next_free({1, 1023}, 7), std::nullopt);
    space.take(43210);
    EXPECT_EQ(space.next_free(kAll, 100), std::nullopt);
}

TEST(PortSpace, WorkersDivideThePortsBetweenThem) {
    constexpr uint16_t kWorkers = 3;
    for (uint32_t port = 0; port < 65536; port += 13) {
        int owners = 0;
        for (uint16_t worker = 0; worker < kWorkers; ++worker)
            owners += PortSpace({worker, kWorkers}).is_free(static_cast<uint16_t>(port)) ? 1 : 0;
        ASSERT_EQ(owners, 1) << port;
        if (port > 4000)
            port += 977;
    }
    EXPECT_EQ(
        PortSpace({0, kWorkers}).size() + PortSpace({1, kWorkers}).size() + PortSpace({2, kWorkers}).size(),
        65536U);
}

TEST(PortSpace, SharedPortsCountOnceAndAreNobodysAlone) {
    PortSpace space({});
    EXPECT_TRUE(space.share(7));
    EXPECT_TRUE(space.share(7));
    EXPECT_EQ(space.in_use(), 1U);
    EXPECT_FALSE(space.is_free(7));
    space.take(8);
    EXPECT_FALSE(space.share(8));
    space.unshare(7);
    EXPECT_FALSE(space.is_free(7));
    space.unshare(7);
    EXPECT_TRUE(space.is_free(7));
}

TEST(PortSpaces, HeldPortsAreNeitherFreeNorInUseUntilTheirTime) {
    PortSpaces spaces(4, 16, {}, {{1, 2, 3, 4}});
    const auto ref = spaces.open(kAddress, wire::IpProtocol::udp);
    spaces[ref].take(99);
    const Instant until{std::chrono::seconds(120)};
    spaces.hold(ref, 99, until);
    EXPECT_EQ(spaces[ref].in_use(), 0U);
    EXPECT_EQ(spaces[ref].held(), 1U);
    EXPECT_TRUE(spaces.expire(until - Duration(1), 10));
    EXPECT_FALSE(spaces[ref].is_free(99));
    EXPECT_TRUE(spaces.expire(until, 10));
    EXPECT_TRUE(spaces[ref].is_free(99));
}

TEST(PortSpaces, TooManyHeldPortsFreeTheOldest) {
    PortSpaces spaces(4, 2, {}, {{1, 2, 3, 4}});
    const auto ref = spaces.open(kAddress, wire::IpProtocol::udp);
    for (const auto port : std::to_array<uint16_t>({1, 2, 3})) {
        spaces[ref].take(port);
        spaces.hold(ref, port, Instant(std::chrono::seconds(120)));
    }
    EXPECT_TRUE(spaces[ref].is_free(1));
    EXPECT_FALSE(spaces[ref].is_free(2));
    EXPECT_FALSE(spaces[ref].is_free(3));
    EXPECT_EQ(spaces.cut_short(), 1U);
    EXPECT_FALSE(spaces.expire(Instant(std::chrono::hours(1)), 1));
    EXPECT_TRUE(spaces.expire(Instant(std::chrono::hours(1)), 1));
    EXPECT_TRUE(spaces[ref].is_idle());
}

TEST(PortSpaces, AnIdleSpaceMakesRoomAndABusyOneDoesNot) {
    PortSpaces spaces(2, 2, {}, {{1, 2, 3, 4}});
    const auto udp = spaces.open(kAddress, wire::IpProtocol::udp);
    const auto tcp = spaces.open(kAddress, wire::IpProtocol::tcp);
    EXPECT_NE(udp, tcp);
    EXPECT_EQ(spaces.open(kAddress, wire::IpProtocol::udp), udp);
    spaces[udp].take(1);
    spaces[tcp].take(1);
    EXPECT_EQ(spaces.open(kAddress, wire::IpProtocol::sctp), kNoPortSpace);
    spaces[tcp].give_back(1);
    EXPECT_NE(spaces.open(kAddress, wire::IpProtocol::sctp), kNoPortSpace);
    EXPECT_EQ(spaces.find(kAddress, wire::IpProtocol::tcp), kNoPortSpace);
    EXPECT_EQ(spaces.find(kAddress, wire::IpProtocol::udp), udp);
}

TEST(PortSpace, ItsLimitIsTheWidestRangeOffered) {
    const PortShare share{.worker = 1, .workers = 2};
    PortSpace space(share);
    EXPECT_EQ(space.limit(), 0U);
    space.offer({1024, 1123}, share);
    EXPECT_EQ(space.limit(), 36U) << "1024-1087 are the other worker's";
    space.offer({1024, 1300}, share);
    EXPECT_EQ(space.limit(), 128U);
    space.offer({1088, 1100}, share);
    EXPECT_EQ(space.limit(), 128U);
    PortSpace alone{PortShare{}};
    alone.offer({0, 65535}, {});
    EXPECT_EQ(alone.limit(), 65536U);
}

}  // namespace
}  // namespace sluice::nat
