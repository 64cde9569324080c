#include "table/timer_wheel.hh"

#include <gtest/gtest.h>

#include <algorithm>
#include <functional>
#include <iterator>
#include <map>
#include <vector>

#include "base/random.hh"

namespace sluice::table {
namespace {

// Entries with deadlines, as an owner keeps them.
struct Clock {
    explicit Clock(size_t entries, uint32_t now = 0) : wheel(now), links(entries), deadlines(entries) {}
    auto link() {
        return [this](uint32_t entry) -> TimerLink& { return links[entry]; };
    }
    void add(uint32_t entry, uint32_t deadline) {
        deadlines[entry] = deadline;
        wheel.add(entry, deadline, link());
    }
    void move(uint32_t entry, uint32_t deadline) {
        deadlines[entry] = deadline;
        wheel.update(entry, deadline, link());
    }
    std::vector<uint32_t> advance(uint32_t now, size_t budget = SIZE_MAX) {
        std::vector<uint32_t> due;
        complete = wheel.advance(
            now, budget, link(), [](uint32_t) {}, [this](uint32_t entry) { return deadlines[entry]; },
            [&](uint32_t entry) {
                due.push_back(entry);
                on_due(entry);
            });
        return due;
    }

    TimerWheel wheel;
    std::vector<TimerLink> links;
    std::vector<uint32_t> deadlines;
    std::function<void(uint32_t)> on_due = [](uint32_t) {};
    bool complete = false;
};

TEST(TimerWheel, GivesEachEntryAtItsTick) {
    Clock clock(8);
    const std::vector<uint32_t> deadlines{1, 255, 256, 257, 65535, 65536, 16777216, 40000000};
    for (uint32_t entry = 0; entry < deadlines.size(); ++entry)
        clock.add(entry, deadlines[entry]);
    for (uint32_t entry = 0; entry < deadlines.size(); ++entry) {
        EXPECT_TRUE(clock.advance(deadlines[entry] - 1).empty()) << deadlines[entry];
        EXPECT_EQ(clock.advance(deadlines[entry]), std::vector<uint32_t>{entry});
    }
    EXPECT_EQ(clock.wheel.size(), 0U);
}

TEST(TimerWheel, WhatIsPastIsDueAtOnce) {
    Clock clock(2, 1000);
    clock.add(0, 10);
    clock.add(1, 1000);
    EXPECT_EQ(clock.advance(1000).size(), 2U);
}

TEST(TimerWheel, ProlongingIsNoticedWhenTheSlotComesUp) {
    Clock clock(1);
    clock.add(0, 300);
    clock.deadlines[0] = 70000;  // nobody told the wheel
    EXPECT_TRUE(clock.advance(69999).empty());
    EXPECT_EQ(clock.advance(70000).size(), 1U);
}

TEST(TimerWheel, WhoIsDueMayRemoveOthersThatAreDue) {
    Clock clock(100);
    for (uint32_t entry = 0; entry < 100; ++entry)
        clock.add(entry, 7);
    clock.on_due = [&](uint32_t entry) { clock.wheel.remove(entry ^ 1, clock.link()); };
    EXPECT_EQ(clock.advance(7).size(), 50U);
    EXPECT_EQ(clock.wheel.size(), 0U);
}

TEST(TimerWheel, WhoIsDueMayProlongOthersThatAreDue) {
    Clock clock(2);
    clock.add(0, 7);
    clock.add(1, 7);
    clock.on_due = [&](uint32_t entry) { clock.move(entry ^ 1, 9); };
    const auto first = clock.advance(7);
    ASSERT_EQ(first.size(), 1U);
    EXPECT_EQ(clock.advance(9), std::vector<uint32_t>{first[0] ^ 1});
}

TEST(TimerWheel, ShorteningTakesEffect) {
    Clock clock(1);
    clock.add(0, 40'000'000);
    EXPECT_TRUE(clock.advance(5000).empty());
    clock.move(0, 5010);
    EXPECT_TRUE(clock.advance(5009).empty());
    EXPECT_EQ(clock.advance(5010).size(), 1U);
}

TEST(TimerWheel, TimeGoesRound) {
    Clock clock(2, 0xffffff00);
    clock.add(0, 0x00000010);
    clock.add(1, 0x00100000);
    EXPECT_TRUE(clock.advance(0x0000000f).empty());
    EXPECT_EQ(clock.advance(0x00000010), std::vector<uint32_t>{0});
    EXPECT_TRUE(clock.advance(0x000fffff).empty());
    EXPECT_EQ(clock.advance(0x00100000), std::vector<uint32_t>{1});
}

TEST(TimerWheel, TheBudgetBoundsOneCall) {
    Clock clock(1000);
    for (uint32_t entry = 0; entry < 1000; ++entry)
        clock.add(entry, 100'000 + entry % 3);
    size_t due = 0;
    size_t calls = 0;
    do {
        const auto now = clock.advance(200'000, 64);
        EXPECT_LE(now.size(), 64U);
        due += now.size();
        ++calls;
    } while (!clock.complete);
    EXPECT_EQ(due, 1000U);
    EXPECT_GE(calls, 16U);
}

// Whichever it is: the first one left of a list takes the place of those that were taken before it.
TEST(TimerWheel, WhatTheBudgetHasLeftMayBeRemoved) {
    constexpr uint32_t kEntries = 64;
    for (uint32_t removed = 0; removed < kEntries; ++removed) {
        Clock clock(kEntries);
        for (uint32_t entry = 0; entry < kEntries; ++entry)
            clock.add(entry, 5);
        auto due = clock.advance(5, 20);
        const bool was_due = std::ranges::count(due, removed) != 0;
        if (!was_due)
            clock.wheel.remove(removed, clock.link());
        std::ranges::copy(clock.advance(5), std::back_inserter(due));
        std::ranges::sort(due);
        EXPECT_EQ(std::ranges::adjacent_find(due), due.end()) << removed;
        EXPECT_EQ(due.size(), kEntries - (was_due ? 0 : 1)) << removed;
        EXPECT_EQ(clock.wheel.size(), 0U);
    }
}

// Against a sorted map, over a day in ticks of a millisecond: never early, never late, nothing lost.
TEST(TimerWheel, AgreesWithASortedMapOverADay) {
    constexpr uint32_t kEntries = 500;
    Clock clock(kEntries, 0xf0000000);
    std::map<uint32_t, uint64_t> expected;  // entry, deadline
    Random random(11);
    constexpr uint64_t kStart = 0xf0000000;
    uint64_t now = kStart;
    const auto draw = [&] { return uint64_t{random.below(1U << random.below(27))}; };
    while (now < kStart + 86'400'000) {
        now += draw() >> 6;
        const auto due = clock.advance(static_cast<uint32_t>(now));
        for (const uint32_t entry : due) {
            ASSERT_TRUE(expected.contains(entry));
            ASSERT_LE(expected[entry], now);
            expected.erase(entry);
        }
        for (const auto& [entry, deadline] : expected)
            ASSERT_GT(deadline, now);
        for (int change = 0; change < 20; ++change) {
            const uint32_t entry = random.below(kEntries);
            const uint64_t deadline = now + 1 + draw();
            if (!expected.contains(entry)) {
                clock.add(entry, static_cast<uint32_t>(deadline));
                expected[entry] = deadline;
            } else if (random.below(4) == 0) {
                clock.wheel.remove(entry, clock.link());
                expected.erase(entry);
            } else {
                clock.move(entry, static_cast<uint32_t>(deadline));
                expected[entry] = deadline;
            }
        }
        ASSERT_EQ(clock.wheel.size(), expected.size());
    }
}

}  // namespace
}  // namespace sluice::table
