#include "steering/flow_directory.hh"

#include <gtest/gtest.h>

#include <array>
#include <atomic>
#include <thread>
#include <vector>

#include "steering/flow_homes.hh"

namespace sluice::steering {
namespace {

using conntrack::Tuple;

Tuple tuple_of(uint32_t number) {
    return {Ip4Address::from_host(0x0a000000U + number), Ip4Address::from_host(0xcb007102U),
            wire::IpProtocol::tcp, static_cast<uint16_t>(number), 443};
}

class DirectoryTest : public testing::Test {
  protected:
    Random random_{3};
};

TEST_F(DirectoryTest, finds_what_was_published_until_it_is_withdrawn) {
    constexpr uint32_t kFlows = 10000;
    FlowDirectory directory(kFlows, random_);
    EXPECT_FALSE(directory.is_used());
    for (uint32_t i = 0; i < kFlows; ++i)
        ASSERT_TRUE(directory.publish(directory.hash(tuple_of(i)), static_cast<WorkerId>(i % 4)));
    EXPECT_TRUE(directory.is_used());
    for (uint32_t i = 0; i < kFlows; i += 2)
        directory.withdraw(directory.hash(tuple_of(i)), static_cast<WorkerId>(i % 4));
    for (uint32_t i = 0; i < kFlows; ++i) {
        const auto owner = directory.find(directory.hash(tuple_of(i)));
        ASSERT_EQ(owner.has_value(), i % 2 == 1) << i;
        ASSERT_EQ(index(owner.value_or(static_cast<WorkerId>(i % 4))), i % 4);
    }
}

TEST_F(DirectoryTest, what_is_published_twice_is_withdrawn_at_once) {
    FlowDirectory directory(16, random_);
    const auto hash = directory.hash(tuple_of(1));
    ASSERT_TRUE(directory.publish(hash, WorkerId{1}));
    ASSERT_TRUE(directory.publish(hash, WorkerId{1}));
    directory.withdraw(hash, WorkerId{1});
    EXPECT_FALSE(directory.find(hash));
}

TEST_F(DirectoryTest, others_cannot_withdraw) {
    FlowDirectory directory(16, random_);
    const auto hash = directory.hash(tuple_of(1));
    ASSERT_TRUE(directory.publish(hash, WorkerId{1}));
    directory.withdraw(hash, WorkerId{2});
    EXPECT_EQ(directory.find(hash), WorkerId{1});
}

TEST_F(DirectoryTest, what_is_claimed_is_one_workers) {
    FlowDirectory directory(16, random_);
    const auto hash = directory.hash(tuple_of(1));
    ASSERT_TRUE(directory.claim(hash, WorkerId{1}));
    EXPECT_TRUE(directory.claim(hash, WorkerId{1})) << "its own";
    EXPECT_FALSE(directory.is_taken(hash, WorkerId{1}));
    EXPECT_FALSE(directory.claim(hash, WorkerId{2}));
    EXPECT_TRUE(directory.is_taken(hash, WorkerId{2}));
    directory.withdraw(hash, WorkerId{1});
    EXPECT_FALSE(directory.find(hash)) << "who was refused left nothing";
    EXPECT_TRUE(directory.claim(hash, WorkerId{2}));
}

TEST_F(DirectoryTest, of_workers_that_claim_at_once_one_gets_it_at_most) {
    constexpr uint32_t kTuples = 5'000;
    FlowDirectory directory(kTuples, random_);
    std::array<std::vector<bool>, 2> had;
    std::array<std::thread, 2> workers;
    std::atomic<uint32_t> begun{0};  // of both
    for (uint32_t worker = 0; worker < 2; ++worker) {
        workers[worker] = std::thread([&directory, &begun, worker, &had] {
            for (uint32_t i = 0; i < kTuples; ++i) {
                const auto hash = directory.hash(tuple_of(i));
                ++begun;
                for (uint32_t spins = 0; begun < 2 * (i + 1); ++spins) {
                    if (spins % 1024 == 1023)
                        std::this_thread::yield();
                }
                had[worker].push_back(directory.claim(hash, static_cast<WorkerId>(worker)));
            }
        });
    }
    for (auto& worker : workers)
        worker.join();
    for (uint32_t i = 0; i < kTuples; ++i) {
        const auto owner = directory.find(directory.hash(tuple_of(i)));
        ASSERT_FALSE(had[0][i] && had[1][i]) << i;
        ASSERT_EQ(owner.has_value(), had[0][i] || had[1][i]) << i;
    }
}

TEST_F(DirectoryTest, refuses_what_has_no_room) {
    FlowDirectory directory(2, random_);
    uint32_t published = 0;
    while (published < 100 && directory.publish(directory.hash(tuple_of(published)), WorkerId{0}))
        ++published;
    EXPECT_EQ(published, 16);
    for (uint32_t i = 0; i < published; ++i)
        EXPECT_TRUE(directory.find(directory.hash(tuple_of(i))));
}

TEST_F(DirectoryTest, workers_publish_at_once) {
    constexpr uint32_t kEach = 5000;
    constexpr uint32_t kWorkers = 4;
    FlowDirectory directory(kEach * kWorkers, random_);
    std::vector<std::thread> workers;
    for (uint32_t worker = 0; worker < kWorkers; ++worker) {
        workers.emplace_back([&directory, worker] {
            for (uint32_t round = 0; round < 3; ++round) {
                for (uint32_t i = 0; i < kEach; ++i)
                    ASSERT_TRUE(directory.publish(directory.hash(tuple_of(i * kWorkers + worker)),
                                                  static_cast<WorkerId>(worker)));
                for (uint32_t i = round == 2 ? kEach : 0; i < kEach; ++i)
                    directory.withdraw(directory.hash(tuple_of(i * kWorkers + worker)),
                                       static_cast<WorkerId>(worker));
            }
        });
    }
    for (auto& worker : workers)
        worker.join();
    for (uint32_t i = 0; i < kEach * kWorkers; ++i)
        ASSERT_EQ(directory.find(directory.hash(tuple_of(i))), static_cast<WorkerId>(i % kWorkers)) << i;
}

}  // namespace
}  // namespace sluice::steering
