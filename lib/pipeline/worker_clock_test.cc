#include "pipeline/worker_clock.hh"

#include <gtest/gtest.h>

namespace sluice::pipeline {
namespace {

constexpr uint64_t kPerSecond = 1'000'000'000;  // one a nanosecond

constexpr uint64_t kMost = static_cast<uint64_t>(WorkerClock::kCarriedOn.count());

void wait(Duration duration) {
    const Instant began = read_clock();
    while (read_clock() - began < duration) {
    }
}

TEST(WorkerClock, IsCarriedOnByTheCounter) {
    WorkerClock clock(kPerSecond);
    const uint64_t began = 1'000'000'000'000;
    const Instant first = clock.at(began);
    EXPECT_LE(first, read_clock());
    EXPECT_EQ(clock.at(began + 700), first + std::chrono::nanoseconds(700));
    EXPECT_EQ(clock.at(began + kMost - 1), first + std::chrono::nanoseconds(kMost - 1));
}

TEST(WorkerClock, IsAskedAgainAfterAWhile) {
    WorkerClock clock(kPerSecond);
    const uint64_t began = 1'000'000'000'000;
    clock.at(began);
    wait(3 * WorkerClock::kCarriedOn);
    const Instant asked = read_clock();
    EXPECT_LT(clock.at(began + kMost - 1), asked);
    EXPECT_GE(clock.at(began + kMost), asked);
}

// A counter that runs faster than was thought.
TEST(WorkerClock, WaitsForTheSystemsClockWhereItWasAhead) {
    WorkerClock clock(kPerSecond);
    const uint64_t began = 1'000'000'000'000;
    clock.at(began);
    const Instant ahead = clock.at(began + kMost - 1);
    ASSERT_GT(ahead, read_clock());
    EXPECT_EQ(clock.read(), ahead);
    wait(2 * WorkerClock::kCarriedOn);
    EXPECT_GT(clock.read(), ahead);
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
