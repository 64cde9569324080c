// Readers on other threads while sets change: what they may see, and nothing else.
#include <gtest/gtest.h>

#include <array>
#include <atomic>
#include <mutex>
#include <thread>
#include <vector>

#include "sets/body_builder.hh"
#include "sets/set_test_support.hh"

namespace sluice::sets {
namespace {

// Grace periods of threads that say when they hold nothing.
class Readers {
  public:
    static constexpr size_t kReaders = 2;

    Retire retire() {
        return [this](std::function<void()> fn) {
            const std::scoped_lock held(lock_);
            Waiting waiting{std::move(fn), {}};
            for (size_t i = 0; i < kReaders; ++i)
                waiting.since[i] = quiescent_[i].load(std::memory_order_seq_cst);
            waiting_.push_back(std::move(waiting));
        };
    }
    // Of a reader, between two rounds. An even number: it has left.
    void pass(size_t reader) { quiescent_[reader].fetch_add(2, std::memory_order_seq_cst); }
    void leave(size_t reader) { quiescent_[reader].fetch_add(1, std::memory_order_seq_cst); }
    // Runs what no reader can hold any more; in order.
    void collect() {
        for (;;) {
            std::function<void()> fn;
            {
                const std::scoped_lock held(lock_);
                if (waiting_.empty() || !is_over(waiting_.front()))
                    return;
                fn = std::move(waiting_.front().fn);
                waiting_.pop_front();
            }
            fn();
        }
    }
    // Until nothing waits any more.
    void wait() {
        for (;;) {
            collect();
            {
                const std::scoped_lock held(lock_);
                if (waiting_.empty())
                    return;
            }
            std::this_thread::yield();
        }
    }
    ~Readers() { collect(); }

  private:
    struct Waiting {
        std::function<void()> fn;
        std::array<uint64_t, kReaders> since;
    };
    bool is_over(const Waiting& waiting) const {
        for (size_t i = 0; i < kReaders; ++i) {
            const uint64_t now = quiescent_[i].load(std::memory_order_seq_cst);
            if (now % 2 != 0 && now < waiting.since[i] + 2)
                return false;
        }
        return true;
    }
    // Odd while they read.
    std::array<std::atomic<uint64_t>, kReaders> quiescent_{1, 1};
    std::mutex lock_;
    std::deque<Waiting> waiting_;
};

Element single(uint32_t host) {
    return {ElementValue::of(Fields(Ip4Address::from_host(host))), std::nullopt, ""};
}

TEST(SetConcurrency, ReadersSeeWholeChanges) {
    constexpr uint32_t kGroup = 0x0a000000;
    constexpr uint32_t kStable = 0xc0000200;
    constexpr size_t kSize = 16;
    constexpr int kRounds = 400;
    Readers readers;
    {
        Set set("test", {.type = type_of("ip")}, 3, readers.retire());
        std::vector<Element> group;
        std::vector<ElementValue> values;
        std::vector<Fields> probes;
        for (uint32_t i = 0; i < kSize; ++i) {
            group.push_back(single(kGroup + i * 77777));
            values.push_back(group.back().value);
            probes.emplace_back(Ip4Address::from_host(kGroup + i * 77777));
            ASSERT_TRUE(set.add(std::vector{single(kStable + i)}, at(1)));
        }
        std::atomic<bool> stop = false;
        std::atomic<int> torn = 0;
        std::atomic<int> missing = 0;
        std::vector<std::thread> threads;
        for (size_t reader = 0; reader < Readers::kReaders; ++reader)
            threads.emplace_back([&, reader] {
                while (!stop.load(std::memory_order_relaxed)) {
                    const uint64_t found = set.lookup_burst(probes, at(1));
                    if (found != 0 && found != (uint64_t{1} << kSize) - 1)
                        torn.fetch_add(1);
                    for (uint32_t i = 0; i < kSize; ++i)
                        if (!set.contains(Fields(Ip4Address::from_host(kStable + i)), at(1)))
                            missing.fetch_add(1);
                    readers.pass(reader);
                }
                readers.leave(reader);
            });
        for (int round = 0; round < kRounds; ++round) {
            const auto added = set.add(group, at(1));
            EXPECT_TRUE(added) << added.error().text() << ", round " << round;
            readers.collect();
            // Some come and go beside, so that the index grows and shrinks.
            const std::vector extra{single(static_cast<uint32_t>(0x20000000 + round))};
            EXPECT_TRUE(set.add(extra, at(1)));
            EXPECT_TRUE(set.remove(values, at(1)));
            // A reader may be without a CPU for long, and what it might hold of an element that comes and
            // goes lies in one chain, which is bounded.
            if (round % 20 == 0)
                readers.wait();
            else
                readers.collect();
        }
        stop = true;
        for (auto& thread : threads)
            thread.join();
        EXPECT_EQ(torn.load(), 0);
        EXPECT_EQ(missing.load(), 0);
        readers.collect();
    }
}

TEST(SetConcurrency, WorkersAddWhileTheOperatorChanges) {
    constexpr uint32_t kEach = 3000;
    Readers readers;
    {
        Set set("test",
                {.type = type_of("ip"),
                 .size = 20'000,
                 .timeout = std::chrono::hours(1),
                 .counters = true,
                 .dynamic = true},
                3, readers.retire());
        std::atomic<int> lost = 0;
        std::vector<std::thread> workers;
        for (size_t worker = 0; worker < Readers::kReaders; ++worker)
            workers.emplace_back([&, worker] {
                for (uint32_t i = 0; i < kEach; ++i) {
                    const Fields fields(Ip4Address::from_host(static_cast<uint32_t>(worker + 1) << 24 | i));
                    if (!set.add(fields, at(1), 64) || !set.contains(fields, at(1)))
                        lost.fetch_add(1);
                    readers.pass(worker);
                }
                readers.leave(worker);
            });
        for (uint32_t i = 0; i < 300; ++i) {
            const std::vector some{single(0x70000000 + i), single(0x71000000 + i)};
            EXPECT_TRUE(set.add(some, at(1)));
            if (i % 2 == 0) {
                const std::vector gone{some[0].value, some[1].value};
                EXPECT_TRUE(set.remove(gone, at(1)));
            }
            set.sweep(at(1), 100);
            readers.collect();
        }
        for (auto& worker : workers)
            worker.join();
        readers.collect();
        EXPECT_EQ(lost.load(), 0);
        EXPECT_EQ(set.element_count(), 2 * kEach + 300);
        uint64_t packets = 0;
        SetCursor cursor;
        while (set.for_each(cursor, 1000, at(1),
                            [&](const ElementStatus& status) { packets += status.packets; })) {
        }
        EXPECT_EQ(packets, 2 * kEach);
    }
}

// What an operator adds with others is not seen before all of them are there. If a rule adds it meanwhile, it
// is there at once, is there once, and stays whatever becomes of the others. `more` elements make the set too
// full.
void add_the_same(uint32_t more, uint32_t size) {
    constexpr uint32_t kSame = 4000;
    constexpr uint32_t kFirst = 0x0a000000;
    const auto fields = [](uint32_t i) { return Fields(Ip4Address::from_host(kFirst + i)); };
    Readers readers;
    readers.leave(1);
    Set set("test", {.type = type_of("ip"), .size = size, .timeout = std::chrono::hours(1), .dynamic = true},
            3, readers.retire());
    std::vector<Element> elements;
    for (uint32_t i = 0; i < kSame + more; ++i)
        elements.push_back(single(kFirst + i));
    std::atomic<bool> begun = false;
    uint32_t added_from = kSame;
    std::thread worker([&] {
        begun = true;
        // Where there was no room for all, it is given back after a while.
        while (added_from != 0 && set.add(fields(added_from - 1), at(1), 64)) {
            --added_from;
            EXPECT_TRUE(set.contains(fields(added_from), at(1))) << added_from;
        }
        readers.leave(0);
    });
    while (!begun.load())
        std::this_thread::yield();
    EXPECT_EQ(set.add(elements, at(1)).has_value(), more == 0);
    worker.join();
    readers.collect();
    EXPECT_TRUE(added_from == 0 || more != 0);
    EXPECT_EQ(set.element_count(), kSame - added_from);
    std::vector<ElementValue> values;
    for (uint32_t i = added_from; i < kSame; ++i) {
        ASSERT_TRUE(set.contains(fields(i), at(1))) << i;
        values.push_back(elements[i].value);
    }
    EXPECT_TRUE(set.remove(values, at(1)));
    for (uint32_t i = 0; i < kSame; ++i)
        ASSERT_FALSE(set.contains(fields(i), at(1))) << i;
    EXPECT_EQ(set.element_count(), 0U);
    readers.collect();
}

TEST(SetConcurrency, WorkersAndTheOperatorAddTheSame) {
    for (int round = 0; round < 20; ++round)
        add_the_same(0, 20'000);
}

TEST(SetConcurrency, WhatWorkersAddedStaysWhereTheOperatorsRequestIsRefused) {
    for (int round = 0; round < 20; ++round)
        add_the_same(2000, 5000);
}

TEST(SetConcurrency, AContentIsReplacedUnderReaders) {
    Readers readers;
    {
        Set set("test", {.type = type_of("net")}, 3, readers.retire());
        const auto load = [&](const char* text) {
            BodyBuilder builder = set.builder({1, 0});
            ASSERT_TRUE(builder.add(element(set.options().type, text), 1, at(1)));
            set.load(builder);
        };
        load("10.0.0.0/8");
        std::atomic<bool> stop = false;
        std::atomic<int> wrong = 0;
        std::vector<std::thread> threads;
        for (size_t reader = 0; reader < Readers::kReaders; ++reader)
            threads.emplace_back([&, reader] {
                const std::array probes{Fields(Ip4Address::from_host(0x0a000001)),
                                        Fields(Ip4Address::from_host(0x0b000001))};
                while (!stop.load(std::memory_order_relaxed)) {
                    const uint64_t found = set.lookup_burst(probes, at(1));
                    if (found != 1 && found != 2)
                        wrong.fetch_add(1);
                    readers.pass(reader);
                }
                readers.leave(reader);
            });
        for (int round = 0; round < 300; ++round) {
            load(round % 2 == 0 ? "11.0.0.0/8" : "10.0.0.0/8");
            readers.collect();
        }
        stop = true;
        for (auto& thread : threads)
            thread.join();
        EXPECT_EQ(wrong.load(), 0);
    }
}

}  // namespace
}  // namespace sluice::sets
