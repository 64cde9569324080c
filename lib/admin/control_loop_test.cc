#include "admin/control_loop.hh"

#include <gtest/gtest.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <csignal>
#include <optional>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

namespace sluice::admin {
namespace {

using std::chrono::milliseconds;

class ControlLoopTest : public testing::Test {
  protected:
    std::vector<std::string> complaints;
    ControlLoop loop{[this](std::string_view where, std::string_view what) {
        complaints.push_back(std::string(where) + ": " + std::string(what));
    }};
};

TEST_F(ControlLoopTest, posted_calls_run_in_order_until_stop) {
    std::vector<int> order;
    std::thread other([&] {
        for (int i = 0; i < 100; ++i)
            loop.post([&order, i] { order.push_back(i); });
        loop.stop();
    });
    loop.run();
    other.join();
    ASSERT_EQ(order.size(), 100U);
    EXPECT_TRUE(std::ranges::is_sorted(order));
}

TEST_F(ControlLoopTest, exceptions_are_complained_of_and_the_loop_goes_on) {
    loop.post([] { throw std::runtime_error("one"); });
    loop.post([] { throw 5; });
    auto timer = loop.after(milliseconds(1), [this] {
        loop.stop();
        throw std::runtime_error("three");
    });
    loop.run();
    EXPECT_EQ(complaints,
              (std::vector<std::string>{"posted call: one", "posted call: something that is no exception",
                                        "timer: three"}));
}

TEST_F(ControlLoopTest, periodic_timer_until_cancelled_from_inside) {
    int calls = 0;
    ControlLoop::Registration timer;
    ControlLoop::Registration end;
    timer = loop.every(milliseconds(1), [&] {
        if (++calls == 3) {
            timer.cancel();
            end = loop.after(milliseconds(10), [&] { loop.stop(); });
        }
    });
    EXPECT_TRUE(timer.active());
    loop.run();
    EXPECT_EQ(calls, 3);
    EXPECT_FALSE(timer.active());
}

TEST_F(ControlLoopTest, a_late_periodic_timer_does_not_catch_up) {
    int calls = 0;
    const auto start = std::chrono::steady_clock::now();
    auto timer = loop.every(milliseconds(5), [&] {
        if (++calls == 1)
            std::this_thread::sleep_until(start + milliseconds(52));  // plays a handler that takes long
        else
            loop.stop();
    });
    loop.run();
    EXPECT_EQ(calls, 2);
    EXPECT_GE(std::chrono::steady_clock::now() - start, milliseconds(55));
}

TEST_F(ControlLoopTest, one_timer_runs_once_and_dropped_ones_never) {
    int calls = 0;
    auto once = loop.after(milliseconds(1), [&] { ++calls; });
    loop.after(milliseconds(1), [&] { calls += 100; }).cancel();
    loop.after(milliseconds(2), [&] { ++calls; }).keep();
    auto end = loop.after(milliseconds(20), [&] { loop.stop(); });
    loop.run();
    EXPECT_EQ(calls, 2);
    EXPECT_FALSE(once.active());
}

TEST_F(ControlLoopTest, readable_descriptor) {
    const int fd = eventfd(0, EFD_NONBLOCK);
    int calls = 0;
    auto watch = loop.on_readable(fd, [&] {
        eventfd_t value = 0;
        EXPECT_EQ(eventfd_read(fd, &value), 0);
        if (++calls == 2)
            loop.stop();
        else
            eventfd_write(fd, 1);
    });
    ASSERT_TRUE(watch);
    eventfd_write(fd, 1);
    loop.run();
    EXPECT_EQ(calls, 2);
    watch->cancel();
    EXPECT_EQ(eventfd_write(fd, 1), 0) << "the descriptor stays the caller's";
    close(fd);
    EXPECT_FALSE(loop.on_readable(-1, [] {}));
}

TEST_F(ControlLoopTest, signal) {
    auto watch = loop.on_signal(SIGUSR1, [&] { loop.stop(); });
    ASSERT_TRUE(watch);
    raise(SIGUSR1);
    loop.run();
    EXPECT_FALSE(loop.on_signal(-1, [] {}));
}

TEST(ControlLoop, registrations_may_outlive_the_loop) {
    ControlLoop::Registration timer;
    Expected<ControlLoop::Registration> signal;
    {
        ControlLoop loop({});
        timer = loop.every(milliseconds(1), [] {});
        signal = loop.on_signal(SIGUSR1, [] {});
        loop.after(std::chrono::hours(1), [] {}).keep();
    }
    EXPECT_FALSE(timer.active());
    timer.cancel();
    EXPECT_TRUE(signal);
}

}  // namespace
}  // namespace sluice::admin
