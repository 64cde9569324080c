#include "routing/source_filter.hh"

#include <gtest/gtest.h>

#include <array>

namespace sluice::routing {
namespace {

constexpr std::array<const char*, 2> kOwn{"192.168.1.1/24", "fd00:1::1/64"};

SourceFilter filter() {
    std::vector<InterfaceAddress> own;
    for (const char* text : kOwn)
        own.push_back(*InterfaceAddress::parse(text));
    return SourceFilter(own);
}

TEST(SourceFilter, HasTheBoxAndItsBroadcasts) {
    const auto own = filter();
    for (const char* text : {"192.168.1.1", "192.168.1.0", "192.168.1.255"}) {
        const auto address = *Ip4Address::parse(text);
        EXPECT_TRUE(own.contains(address)) << text;
        EXPECT_TRUE(own.may_have<Family::ip4>(reinterpret_cast<const uint8_t*>(&address))) << text;
    }
    const auto address = *Ip6Address::parse("fd00:1::1");
    EXPECT_TRUE(own.contains(address));
    EXPECT_TRUE(own.may_have<Family::ip6>(address.bytes().data()));
}

// Whose packets would not go in rows otherwise.
TEST(SourceFilter, NeighboursOfTheBoxAreHardlyEverAskedAbout) {
    const auto own = filter();
    int asked4 = 0;
    int asked6 = 0;
    for (uint8_t last = 2; last < 255; ++last) {
        const std::array<uint8_t, 4> ip4{192, 168, 1, last};
        std::array<uint8_t, 16> ip6 = Ip6Address::parse("fd00:1::")->bytes();
        ip6[15] = last;
        EXPECT_FALSE(own.contains(Ip4Address::load(ip4.data())));
        EXPECT_FALSE(own.contains(Ip6Address(ip6)));
        asked4 += own.may_have<Family::ip4>(ip4.data());
        asked6 += own.may_have<Family::ip6>(ip6.data());
    }
    EXPECT_LT(asked4, 10);
    EXPECT_LT(asked6, 10);
}

}  // namespace
}  // namespace sluice::routing
