#include "dpdk/sleeper.hh"

#include <gtest/gtest.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <memory>
#include <regex>
#include <string>
#include <utility>

namespace sluice::dpdk {
namespace {

using namespace std::chrono_literals;

// What a queue's descriptor is like: readable while there is something.
class Queue {
  public:
    Queue() : event_(eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC)) {}
    ~Queue() { close(event_); }
    Queue(const Queue&) = delete;
    Queue& operator=(const Queue&) = delete;
    void fill() const { eventfd_write(event_, 1); }
    void empty() const {
        eventfd_t count = 0;
        eventfd_read(event_, &count);
    }
    [[nodiscard]] std::array<int, 1> descriptors() const { return {event_}; }

  private:
    int event_;
};

class SleeperTest : public testing::Test {
  protected:
    SleeperTest() : sleeper(std::move(*Sleeper::create())) {
        sleeper.watch(one.descriptors());
        sleeper.watch(other.descriptors());
    }
    // Wake-ups for nothing until the first sleep that lasts; as many as `most` if none does.
    int false_alarms(int most) {
        int alarms = 0;
        while (alarms < most && sleeper.sleep(1us))
            ++alarms;
        return alarms;
    }
    Queue one;
    Queue other;
    Sleeper sleeper;
};

TEST_F(SleeperTest, wakes_for_a_packet_of_any_queue) {
    EXPECT_FALSE(sleeper.sleep(1us));
    other.fill();
    EXPECT_TRUE(sleeper.sleep(10s));
    other.empty();
    one.fill();
    EXPECT_TRUE(sleeper.sleep(10s));
    one.empty();
    EXPECT_FALSE(sleeper.sleep(1us));
}

TEST_F(SleeperTest, the_bell_ends_one_sleep) {
    sleeper.bell().ring();
    sleeper.bell().ring();
    EXPECT_TRUE(sleeper.sleep(10s));
    EXPECT_FALSE(sleeper.sleep(1us));
}

// What the system tells each packet of a socket to, asleep or not.
bool is_in_an_epoll_instance(int descriptor) {
    const std::regex target("tfd: +" + std::to_string(descriptor) + " ");
    const std::filesystem::directory_iterator open("/proc/self/fdinfo");
    return std::ranges::any_of(open, [&target](const auto& entry) {
        std::ifstream file(entry.path());
        const std::string info{std::istreambuf_iterator<char>(file), {}};
        return std::regex_search(info, target);
    });
}

TEST_F(SleeperTest, is_told_of_packets_only_while_it_sleeps) {
    EXPECT_FALSE(sleeper.sleep(1us));
    EXPECT_FALSE(is_in_an_epoll_instance(one.descriptors()[0]));
}

TEST_F(SleeperTest, needs_no_second_look_without_interrupts) {
    EXPECT_TRUE(sleeper.arm());
}

TEST_F(SleeperTest, leaves_alone_what_wakes_for_nothing_and_hears_the_others) {
    one.fill();
    EXPECT_LT(false_alarms(1000), 100);
    EXPECT_FALSE(sleeper.sleep(1us));
    other.fill();
    EXPECT_TRUE(sleeper.sleep(10s));
    other.empty();
    sleeper.gave(1);
    EXPECT_FALSE(sleeper.sleep(1us)) << "what the other queue gave excuses this one";
}

TEST_F(SleeperTest, listens_again_to_a_queue_that_gave_something) {
    one.fill();
    false_alarms(1000);
    sleeper.gave(0);
    EXPECT_EQ(sleeper.longest(), 200ms);
    EXPECT_TRUE(sleeper.sleep(10s));
    one.empty();
    EXPECT_FALSE(sleeper.sleep(1us));
}

TEST_F(SleeperTest, dozes_while_something_is_left_alone_and_tries_it_again) {
    one.fill();
    EXPECT_EQ(sleeper.longest(), 200ms);
    false_alarms(1000);
    EXPECT_EQ(sleeper.longest(), 1ms);
    int sleeps = 0;
    while (sleeps < 100'000 && !sleeper.sleep(1us))
        ++sleeps;
    EXPECT_LT(sleeps, 100'000) << "never listened to again";
    EXPECT_EQ(false_alarms(1000), 0) << "one false alarm more is enough";
}

TEST_F(SleeperTest, naps_grow_to_a_millisecond_while_there_is_nothing_to_do) {
    sleeper.watch(Duration(300us));
    sleeper.watch(Duration(200us));
    EXPECT_EQ(sleeper.longest(), 200us);
    Duration before = sleeper.longest();
    for (int i = 0; i < 1000; ++i) {
        sleeper.sleep(1us);
        EXPECT_GE(sleeper.longest(), before);
        before = sleeper.longest();
    }
    EXPECT_EQ(sleeper.longest(), 1ms);
    sleeper.found_work();
    EXPECT_EQ(sleeper.longest(), 200us);
    one.fill();
    EXPECT_TRUE(sleeper.sleep()) << "what has a descriptor ends a nap";
}

TEST_F(SleeperTest, naps_that_are_long_already_stay_as_they_are) {
    sleeper.watch(Duration(5ms));
    for (int i = 0; i < 1000; ++i)
        sleeper.sleep(1us);
    EXPECT_EQ(sleeper.longest(), 5ms);
}

TEST_F(SleeperTest, false_alarms_far_apart_are_none) {
    for (int i = 0; i < 100; ++i) {
        one.fill();
        EXPECT_TRUE(sleeper.sleep(10s)) << i;
        one.empty();
        EXPECT_FALSE(sleeper.sleep(1us)) << i;
    }
}

}  // namespace
}  // namespace sluice::dpdk
