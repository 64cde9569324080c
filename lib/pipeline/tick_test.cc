#include <gtest/gtest.h>

#include "pipeline/loop.hh"

namespace sluice::pipeline::detail {
namespace {

TEST(TickTimer, WhatIsDueDoesNotWaitForTheNextTick) {
    constexpr Instant kNow{std::chrono::seconds(1'700'000'000)};
    constexpr Duration kRound = std::chrono::microseconds(10);
    TickTimer timers;
    ASSERT_TRUE(timers.is_due(kNow));
    timers.looked(kNow, false);
    EXPECT_TRUE(timers.is_due(kNow + kRound));
    timers.looked(kNow + kRound, true);
    EXPECT_FALSE(timers.is_due(kNow + kTickEvery));
    EXPECT_TRUE(timers.is_due(kNow + kRound + kTickEvery));
}

}  // namespace
}  // namespace sluice::pipeline::detail
