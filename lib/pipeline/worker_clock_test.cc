#include "pipeline/worker_clock.hh"

#include <gtest/gtest.h>

#include "pipeline/test_eal.hh"

namespace sluice::pipeline {
namespace {

// The counter's frequency is known once DPDK runs.
class WorkerClockTest : public WithEal {};

constexpr uint64_t kPerSecond = 1'000'000'000;  // one a nanosecond

constexpr uint64_t kMost = static_cast<uint64_t>(WorkerClock::kCarriedOn.count());

void wait(Duration duration) {
    const Instant began = read_clock();
    while (read_clock() - began < duration) {
    }
}

// Whether something holds that an interruption of the test may spoil.
template <typename Holds>
bool soon(Holds&& holds) {
    for (int attempt = 0; attempt < 100; ++attempt) {
        if (holds())
            return true;
    }
    return false;
}

TEST_F(WorkerClockTest, IsCarriedOnByTheCounter) {
    EXPECT_TRUE(soon([] {
        WorkerClock clock(kPerSecond);
        clock.read();
        const uint64_t began = dpdk::cycles();
        const Instant first = clock.at(began);
        return clock.at(began + 700) == first + std::chrono::nanoseconds(700);
    }));
}

TEST_F(WorkerClockTest, IsAskedAgainAfterAWhile) {
    WorkerClock clock(kPerSecond);
    clock.read();
    wait(3 * WorkerClock::kCarriedOn);
    const Instant asked = read_clock();
    EXPECT_GE(clock.at(dpdk::cycles() + kMost), asked);
}

// A counter that runs faster than was thought.
TEST_F(WorkerClockTest, WaitsForTheSystemsClockWhereItWasAhead) {
    EXPECT_TRUE(soon([] {
        WorkerClock clock(kPerSecond);
        clock.read();
        const Instant ahead = clock.at(dpdk::cycles() + kMost / 2);
        const bool waits = clock.read() == ahead && read_clock() < ahead;
        wait(2 * WorkerClock::kCarriedOn);
        return waits && clock.read() > ahead;
    }));
}

// Between the counter and the clock the worker may have been interrupted.
TEST_F(WorkerClockTest, IsNotAheadAfterAnInterruption) {
    EXPECT_TRUE(soon([] {
        WorkerClock clock;
        const uint64_t before = dpdk::cycles();
        wait(WorkerClock::kCarriedOn / 2);
        clock.at(before);
        return clock.at(dpdk::cycles()) < read_clock() + WorkerClock::kCarriedOn / 10;
    }));
}

TEST_F(WorkerClockTest, NeverGoesBack) {
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
