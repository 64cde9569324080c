// What one worker gives arrives at the other as it was, in order, and no buffer is lost.
#include "pipeline/hand_over.hh"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <memory>
#include <numeric>
#include <thread>
#include <vector>

#include "dpdk/packet_pool.hh"
#include "dpdk/packet_ring.hh"
#include "pipeline/drops.hh"
#include "pipeline/test_eal.hh"

namespace sluice::pipeline {
namespace {

constexpr WorkerId kGiver{0};
constexpr WorkerId kTaker{1};
constexpr uint32_t kBuffers = 2400;
constexpr size_t kShort = HandedPacket::kMostCopied;

class HandOverTest : public WithEal {
  protected:
    void TearDown() override {
        rings_.reset();
        EXPECT_EQ(pool_.available(), kBuffers);
    }

    // `number` is its first byte and its place in the packet.
    dpdk::Packet* packet(size_t length, uint8_t number) const {
        std::vector<uint8_t> bytes(length);
        std::iota(bytes.begin(), bytes.end(), number);
        return pool_.copy_of(bytes);
    }
    static PacketMeta meta(uint8_t number) {
        return {.in = InterfaceId{1},
                .l3 = 14,
                .l3_length = number,
                .path = Path::ip4_fast,
                .link_multicast = false};
    }
    void give(size_t length, uint8_t number) {
        from_.give(giver_, packet(length, number), meta(number), kTaker);
    }
    static void expect_is(const Burst& burst, size_t place, size_t length, uint8_t number) {
        const auto bytes = dpdk::bytes(burst.packets[place]);
        ASSERT_EQ(bytes.size(), length);
        EXPECT_EQ(dpdk::total_length(burst.packets[place]), length);
        for (size_t i = 0; i < length; ++i)
            ASSERT_EQ(bytes[i], static_cast<uint8_t>(number + i)) << i;
        EXPECT_EQ(burst.meta[place].l3_length, number);
        EXPECT_EQ(burst.meta[place].in, InterfaceId{1});
    }
    static void free(const Burst& burst) {
        for (size_t i = 0; i < burst.count; ++i)
            rte_pktmbuf_free(burst.packets[i]);
    }

    dpdk::PacketPool pool_ = std::move(*dpdk::PacketPool::create("hand_over_test", kBuffers, 2048));
    dpdk::PacketRing to_control_ = std::move(*dpdk::PacketRing::create("to_control_test", 16));
    std::unique_ptr<HandOverRings> rings_ = std::make_unique<HandOverRings>(2);
    Worker giver_{kGiver, 2, 1, pool_, to_control_, 1};
    Worker taker_{kTaker, 2, 1, pool_, to_control_, 2};
    HandOver from_{*rings_, kGiver};
    HandOver to_{*rings_, kTaker};
    Burst burst_;
};

TEST_F(HandOverTest, FramesOfAnyLengthArriveAsTheyWere) {
    const std::vector<size_t> lengths{14, 60, kShort - 1, kShort, kShort + 1, 1500};
    for (size_t i = 0; i < lengths.size(); ++i)
        give(lengths[i], static_cast<uint8_t>(i));
    to_.take(taker_, 0, burst_);
    EXPECT_EQ(burst_.count, 0) << "nothing is given before the flush";
    giver_.burst_began = 7;
    from_.flush(giver_);
    to_.take(taker_, 0, burst_);
    ASSERT_EQ(burst_.count, lengths.size());
    for (size_t i = 0; i < lengths.size(); ++i)
        expect_is(burst_, i, lengths[i], static_cast<uint8_t>(i));
    EXPECT_EQ(giver_.loop.handed_over.read(), lengths.size());
    EXPECT_EQ(taker_.loop.taken_over.read(), lengths.size());
    free(burst_);
}

TEST_F(HandOverTest, ShortFramesLeaveTheirBuffersWithTheGiver) {
    auto* small = packet(60, 0);
    auto* large = packet(1500, 1);
    small->ol_flags |= RTE_MBUF_F_RX_IP_CKSUM_GOOD;
    giver_.burst_began = 7;
    from_.give(giver_, small, meta(0), kTaker);
    from_.give(giver_, large, meta(1), kTaker);
    from_.flush(giver_);
    EXPECT_EQ(pool_.available(), kBuffers - 1);
    // Somebody watches it.
    taker_.watch.packet = small;
    to_.take(taker_, 0, burst_);
    ASSERT_EQ(burst_.count, 2);
    EXPECT_EQ(taker_.watch.packet, burst_.packets[0]);
    EXPECT_TRUE(dpdk::ip4_checksum_is_good(burst_.packets[0]));
    EXPECT_EQ(burst_.packets[1], large);
    EXPECT_EQ(taker_.burst_began, 7U);
    free(burst_);
}

TEST_F(HandOverTest, ShortLargeFramesKeepTheirSegmentSize) {
    auto* large = packet(69, 0);
    large->ol_flags |= RTE_MBUF_F_RX_LRO;
    large->tso_segsz = 1;
    from_.give(giver_, large, meta(0), kTaker);
    from_.flush(giver_);
    to_.take(taker_, 0, burst_);
    ASSERT_EQ(burst_.count, 1);
    EXPECT_TRUE(dpdk::is_large(burst_.packets[0]));
    EXPECT_EQ(dpdk::segment_size(burst_.packets[0]), 1);
    free(burst_);
}

TEST_F(HandOverTest, ABurstGoesToItsOwners) {
    Burst burst;
    burst.count = 4;
    for (uint8_t i = 0; i < 4; ++i) {
        burst.packets[i] = packet(60, i);
        burst.meta[i] = meta(i);
    }
    constexpr std::array<WorkerId, 4> kOwners{kTaker, kGiver, kGiver, kTaker};
    constexpr std::array<uint8_t, 2> kPlaces{0, 3};
    from_.give(giver_, burst, kPlaces, kOwners);
    from_.flush(giver_);
    EXPECT_EQ(burst.meta[0].path, Path::done);
    EXPECT_EQ(burst.meta[1].path, Path::ip4_fast);
    EXPECT_EQ(burst.meta[3].path, Path::done);
    to_.take(taker_, 0, burst_);
    ASSERT_EQ(burst_.count, 2);
    expect_is(burst_, 0, 60, 0);
    expect_is(burst_, 1, 60, 3);
    free(burst_);
    rte_pktmbuf_free(burst.packets[1]);
    rte_pktmbuf_free(burst.packets[2]);
}

TEST_F(HandOverTest, FragmentsToBeCollectedAreTold) {
    give(60, 0);
    from_.give(giver_, packet(60, 1), meta(1), kTaker, true);
    from_.give(giver_, packet(1500, 2), meta(2), kTaker, true);
    from_.flush(giver_);
    to_.take(taker_, 0, burst_);
    EXPECT_EQ(to_.to_be_collected(), 0b110U);
    free(burst_);
    to_.take(taker_, 0, burst_);
    EXPECT_EQ(to_.to_be_collected(), 0U);
}

TEST_F(HandOverTest, WhatHasNoRoomIsDroppedAndCounted) {
    const size_t room = HandOverRings::capacity(2);
    for (size_t i = 0; i < room + 3; ++i)
        give(i % 2 == 0 ? 60 : 200, static_cast<uint8_t>(i));
    from_.flush(giver_);
    EXPECT_EQ(giver_.counters.totals().dropped, 3U);
    EXPECT_EQ(giver_.loop.handed_over.read(), room);
    size_t taken = 0;
    while (true) {
        to_.take(taker_, 0, burst_);
        if (burst_.count == 0)
            break;
        for (size_t i = 0; i < burst_.count; ++i, ++taken)
            expect_is(burst_, i, taken % 2 == 0 ? 60 : 200, static_cast<uint8_t>(taken));
        free(burst_);
    }
    EXPECT_EQ(taken, room);
    give(60, 0);
    from_.flush(giver_);
    EXPECT_EQ(giver_.counters.totals().dropped, 3U) << "there is room again";
}

TEST_F(HandOverTest, WhatFindsNoBufferWaitsInTheRing) {
    for (uint8_t i = 0; i < 8; ++i)
        give(i == 1 ? 200 : 60, i);
    from_.flush(giver_);
    std::vector<dpdk::Packet*> others;
    while (auto* other = pool_.allocate())
        others.push_back(other);
    for (size_t i = 0; i < 3; ++i) {
        rte_pktmbuf_free(others.back());
        others.pop_back();
    }
    to_.take(taker_, 0, burst_);
    ASSERT_EQ(burst_.count, 4);  // three copies, and one that needs none
    for (uint8_t i = 0; i < 4; ++i)
        expect_is(burst_, i, i == 1 ? 200 : 60, i);
    Burst later;
    to_.take(taker_, 0, later);
    EXPECT_EQ(later.count, 0);
    EXPECT_FALSE(to_.fall_asleep());
    free(burst_);
    to_.take(taker_, 0, later);
    ASSERT_EQ(later.count, 4);
    for (uint8_t i = 0; i < 4; ++i)
        expect_is(later, i, 60, static_cast<uint8_t>(i + 4));
    free(later);
    for (auto* other : others)
        rte_pktmbuf_free(other);
    EXPECT_TRUE(to_.fall_asleep());
}

TEST_F(HandOverTest, ToOneselfNothingIsCopied) {
    auto* own = packet(60, 0);
    from_.give(giver_, own, meta(0), kGiver);
    from_.flush(giver_);
    from_.take(giver_, 0, burst_);
    ASSERT_EQ(burst_.count, 1);
    EXPECT_EQ(burst_.packets[0], own);
    EXPECT_EQ(giver_.loop.handed_over.read(), 0U);
    EXPECT_EQ(giver_.loop.taken_over.read(), 0U);
    free(burst_);
}

// What nobody has taken at the end is freed: TearDown() counts.
TEST_F(HandOverTest, WhatIsLeftIsFreed) {
    give(60, 0);
    give(1500, 1);
    from_.flush(giver_);
}

TEST_F(HandOverTest, TwoThreadsLoseAndMixNothing) {
    constexpr uint32_t kPackets = 200'000;
    const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(60);
    uint32_t next = 0;
    std::thread taker([&] {
        while (next < kPackets && std::chrono::steady_clock::now() < deadline) {
            to_.take(taker_, 0, burst_);
            for (size_t i = 0; i < burst_.count; ++i, ++next) {
                uint32_t number = 0;
                std::memcpy(&number, dpdk::data(burst_.packets[i]), sizeof number);
                EXPECT_EQ(number, next);
                EXPECT_EQ(burst_.meta[i].l3_length, static_cast<uint16_t>(next));
                EXPECT_EQ(dpdk::length(burst_.packets[i]), next % 7 == 0 ? 300U : 20 + next % 69);
            }
            free(burst_);
        }
    });
    std::array<uint8_t, 300> bytes{};
    auto& ring = rings_->ring(0, 1);
    for (uint32_t number = 0; number < kPackets && std::chrono::steady_clock::now() < deadline;) {
        // So that nothing has to be dropped.
        if (ring.waiting() + kMaxBurst > HandOverRings::capacity(2)) {
            std::this_thread::yield();
            continue;
        }
        for (size_t i = 0; i < kMaxBurst / 2 && number < kPackets; ++i, ++number) {
            std::memcpy(bytes.data(), &number, sizeof number);
            auto* packet = pool_.copy_of(std::span(bytes).first(number % 7 == 0 ? 300 : 20 + number % 69));
            ASSERT_NE(packet, nullptr);
            PacketMeta meta = this->meta(0);
            meta.l3_length = static_cast<uint16_t>(number);
            from_.give(giver_, packet, meta, kTaker);
        }
        from_.flush(giver_);
    }
    taker.join();
    EXPECT_EQ(next, kPackets);
}

TEST(HandOverRings, ManyWorkersHaveSmallerRings) {
    EXPECT_EQ(HandOverRings::capacity(2), 1024U);
    EXPECT_EQ(HandOverRings::capacity(32), 256U);
    EXPECT_EQ(HandOverRings::capacity(127), 128U);
}

}  // namespace
}  // namespace sluice::pipeline
