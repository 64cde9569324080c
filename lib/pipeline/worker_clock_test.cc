#include "pipeline/worker_clock.hh"

#include <gtest/gtest.h>

namespace sluice::pipeline {
namespace {

constexpr uint64_t kPerSecond = 1'000'000'000;  // one a nanosecond

TEST(WorkerClock, IsAskedAgainWhenEnoughHasPassed) {
    WorkerClock clock(kPerSecond);
    const uint64_t began = 1'000'000;
    const Instant first = clock.at(began);
    EXPECT_LE(first, read_clock());
    while (read_clock() - first < std::chrono::microseconds(50)) {
    }
    EXPECT_EQ(clock.at(began + WorkerClock::kBehind - 1), first);
    const Instant second = clock.at(began + WorkerClock::kBehind);
    EXPECT_GE(second - first, std::chrono::microseconds(50));
    EXPECT_EQ(clock.at(began + WorkerClock::kBehind), second);
}

TEST(WorkerClock, NeverGoesBack) {
    WorkerClock clock;
    Instant last = clock.read();
    for (int round = 0; round < 10'000; ++round) {
        const Instant now = round % 7 == 0 ? clock.read() : clock.at(dpdk::cycles());
        ASSERT_GE(now, last);
        last = now;
    }
}

}  // namespace
}  // namespace sluice::pipeline
