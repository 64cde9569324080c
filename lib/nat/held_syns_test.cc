#include "nat/held_syns.hh"

#include <gtest/gtest.h>

#include <chrono>
#include <vector>

namespace sluice::nat {
namespace {

using std::chrono::seconds;

constexpr Instant kStart{seconds(100)};

conntrack::Tuple from(uint16_t port) {
    return {Ip4Address::from_host(0xc6336407), Ip4Address::from_host(0xcb007102), wire::IpProtocol::tcp, port,
            80};
}

class HeldSynsTest : public testing::Test {
  protected:
    void hold(uint16_t port, Instant at) {
        const std::vector<uint8_t> packet(40, static_cast<uint8_t>(port));
        held_.hold(from(port), InterfaceId{3}, packet, at + seconds(6));
    }
    std::vector<uint16_t> due(Instant now) {
        std::vector<uint16_t> ports;
        while (const auto* syn = held_.take_due(now))
            ports.push_back(syn->tuple.sport);
        return ports;
    }
    HeldSyns held_;
};

TEST_F(HeldSynsTest, EachComesOutAtItsTime) {
    EXPECT_FALSE(held_.next());
    hold(1, kStart);
    hold(2, kStart + seconds(1));
    EXPECT_EQ(held_.next(), kStart + seconds(6));
    EXPECT_TRUE(due(kStart + seconds(6) - Duration(1)).empty());
    const auto* syn = held_.take_due(kStart + seconds(6));
    ASSERT_NE(syn, nullptr);
    EXPECT_EQ(syn->in, InterfaceId{3});
    EXPECT_EQ(syn->bytes().size(), 40U);
    EXPECT_EQ(syn->bytes()[39], 1);
    EXPECT_EQ(due(kStart + seconds(7)), std::vector<uint16_t>{2});
    EXPECT_TRUE(held_.empty());
}

TEST_F(HeldSynsTest, RepetitionsDoNotWaitAnew) {
    hold(1, kStart);
    hold(1, kStart + seconds(3));
    EXPECT_EQ(due(kStart + seconds(6)), std::vector<uint16_t>{1});
    EXPECT_TRUE(held_.empty());
}

TEST_F(HeldSynsTest, WhatBeganFromInsideIsForgotten) {
    for (uint16_t port = 1; port <= 3; ++port)
        hold(port, kStart);
    held_.forget(from(2));
    held_.forget(from(4));
    EXPECT_EQ(due(kStart + seconds(6)), (std::vector<uint16_t>{1, 3}));
    hold(5, kStart);
    held_.forget(from(5));
    EXPECT_TRUE(held_.empty());
    EXPECT_FALSE(held_.next());
}

TEST_F(HeldSynsTest, AFloodFindsNoPlaceAndDisturbsNobody) {
    for (int round = 0; round < 3; ++round) {
        for (uint16_t port = 1; port <= 2 * HeldSyns::kMost; ++port)
            hold(port, kStart);
        const auto ports = due(kStart + seconds(6));
        ASSERT_EQ(ports.size(), HeldSyns::kMost);
        EXPECT_EQ(ports.back(), HeldSyns::kMost);
    }
    const std::vector<uint8_t> large(HeldSyn::kMaxSize + 1);
    held_.hold(from(1), InterfaceId{3}, large, kStart);
    EXPECT_TRUE(held_.empty());
}

}  // namespace
}  // namespace sluice::nat
