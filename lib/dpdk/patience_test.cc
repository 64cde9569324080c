#include "dpdk/patience.hh"

#include <gtest/gtest.h>
#include <sched.h>

#include <atomic>
#include <chrono>
#include <thread>

namespace sluice::dpdk {
namespace {

constexpr uint64_t kMicrosecond = 2'000;  // cycles

class PatienceTest : public testing::Test {
  protected:
    // A pause of so many microseconds that had a sleep in it.
    void slept_through(uint64_t microseconds) {
        patience.sleeps();
        patience.pause_ended(microseconds * kMicrosecond, preemptions);
    }
    // How many microseconds it waits before it sleeps.
    [[nodiscard]] uint64_t wait() const {
        uint64_t idle = 0;
        while (!patience.is_over(idle * kMicrosecond))
            ++idle;
        return idle;
    }
    uint64_t preemptions = 0;
    Patience patience{1'000'000 * kMicrosecond};
};

TEST_F(PatienceTest, has_none_at_first) {
    EXPECT_TRUE(patience.is_over(0));
}

TEST_F(PatienceTest, grows_with_sleeps_that_were_over_soon) {
    for (const uint64_t expected : {25U, 50U, 100U, 200U}) {
        slept_through(expected / 2 + 10);
        EXPECT_EQ(wait(), expected);
    }
}

TEST_F(PatienceTest, ends_with_a_long_pause) {
    slept_through(300);
    slept_through(300);
    EXPECT_EQ(wait(), 50U);
    slept_through(301);
    EXPECT_EQ(wait(), 0U);
}

TEST_F(PatienceTest, ends_when_the_longest_wait_was_not_enough) {
    for (int sleeps = 0; sleeps < 4; ++sleeps)
        slept_through(250);
    EXPECT_EQ(wait(), 200U);
    slept_through(250);
    EXPECT_EQ(wait(), 0U);
}

TEST_F(PatienceTest, is_not_for_a_cpu_that_others_want) {
    slept_through(40);
    slept_through(40);
    ++preemptions;
    slept_through(40);
    EXPECT_EQ(wait(), 0U);
    slept_through(40);
    EXPECT_EQ(wait(), 25U) << "wanted no longer";
}

TEST_F(PatienceTest, knows_whether_the_pause_had_a_sleep) {
    EXPECT_FALSE(patience.slept());
    patience.sleeps();
    EXPECT_TRUE(patience.slept());
    patience.pause_ended(0, 0);
    EXPECT_FALSE(patience.slept());
}

TEST(Preemptions, are_counted_where_two_threads_want_one_cpu) {
    cpu_set_t before;
    ASSERT_EQ(sched_getaffinity(0, sizeof before, &before), 0);
    cpu_set_t one;
    CPU_ZERO(&one);
    CPU_SET(sched_getcpu(), &one);
    ASSERT_EQ(sched_setaffinity(0, sizeof one, &one), 0);
    std::atomic<bool> stop{false};
    std::thread other([&stop] {  // on the same CPU, as it inherits that
        while (!stop.load(std::memory_order_relaxed)) {
        }
    });
    const uint64_t at_first = preemptions();
    const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(20);
    while (preemptions() == at_first && std::chrono::steady_clock::now() < deadline) {
    }
    EXPECT_GT(preemptions(), at_first);
    stop = true;
    other.join();
    sched_setaffinity(0, sizeof before, &before);
}

}  // namespace
}  // namespace sluice::dpdk
