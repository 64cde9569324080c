// Packets that end in a burst are counted where they came in, and their buffers go back, however they are
// held.
#include "pipeline/burst_end.hh"

#include <gtest/gtest.h>

#include <array>
#include <span>
#include <utility>
#include <vector>

#include "dpdk/packet_pool.hh"
#include "dpdk/packet_ring.hh"
#include "pipeline/drops.hh"
#include "pipeline/interfaces.hh"
#include "pipeline/parse.hh"
#include "pipeline/places.hh"
#include "pipeline/test_eal.hh"

namespace sluice::pipeline {
namespace {

constexpr uint32_t kBuffers = 512;

class BurstEndTest : public WithEal {
  protected:
    void TearDown() override {
        EXPECT_EQ(pool_.available(), kBuffers);
        EXPECT_EQ(other_pool_.available(), kBuffers);
    }

    static dpdk::Packet* packet(const dpdk::PacketPool& pool) {
        return pool.copy_of(std::array<uint8_t, 60>{});
    }
    // Packets of 60 bytes that came by this interface, at the end of the burst.
    void add(uint16_t count, InterfaceId in, const dpdk::PacketPool& pool) {
        for (uint16_t i = 0; i < count; ++i, ++burst_.count) {
            burst_.packets[burst_.count] = packet(pool);
            burst_.meta[burst_.count] = {.in = in,
                                         .l3 = 14,
                                         .l3_length = burst_.count,
                                         .path = Path::ip4_fast,
                                         .link_multicast = false};
            burst_.keys.addresses[burst_.count] = burst_.count;
            burst_.keys.rest[burst_.count] = burst_.count;
            burst_.keys.frames[burst_.count] = dpdk::data(burst_.packets[burst_.count]);
            burst_.keys.ip4.all |= place_bit(burst_.count);
        }
    }
    void drop(uint64_t places) { pipeline::drop(worker_, burst_, places, drops::other_host); }
    void free_others() {
        for (size_t i = 0; i < burst_.count; ++i)
            rte_pktmbuf_free(burst_.packets[i]);
    }
    [[nodiscard]] uint64_t dropped(uint16_t in) const {
        return worker_.counters.drops(InterfaceId{in}, drops::other_host).packets.read();
    }

    dpdk::PacketPool pool_ = std::move(*dpdk::PacketPool::create("burst_end_test", kBuffers, 2048));
    dpdk::PacketPool other_pool_ = std::move(*dpdk::PacketPool::create("burst_end_other", kBuffers, 2048));
    dpdk::PacketRing to_control_ = std::move(*dpdk::PacketRing::create("burst_end_control", 16));
    Worker worker_{WorkerId{0}, 3, 1, pool_, to_control_, 1};
    Burst burst_;
};

TEST_F(BurstEndTest, CountsByTheInterfaceAPacketCameBy) {
    add(3, InterfaceId{1}, pool_);
    add(2, InterfaceId{2}, pool_);
    add(1, InterfaceId{1}, pool_);
    drop(first_places(6));
    EXPECT_EQ(dropped(1), 4U);
    EXPECT_EQ(dropped(2), 2U);
    EXPECT_EQ(worker_.counters.drops(InterfaceId{2}, drops::other_host).bytes.read(), 120U);
    EXPECT_EQ(burst_.keys.ip4.all, 0U);
    close_gaps(burst_);
    EXPECT_EQ(burst_.count, 0U);
}

TEST_F(BurstEndTest, ClosesTheGapsThatOthersLeave) {
    add(kMaxBurst, InterfaceId{1}, pool_);
    drop(~uint64_t{0} & ~(place_bit(5) | place_bit(63)));
    close_gaps(burst_);
    ASSERT_EQ(burst_.count, 2U);
    EXPECT_EQ(burst_.keys.ip4.all, first_places(2));
    for (const auto& [place, was] : {std::pair<size_t, uint16_t>{0, 5}, {1, 63}}) {
        EXPECT_EQ(burst_.meta[place].l3_length, was);
        EXPECT_EQ(burst_.keys.addresses[place], was);
        EXPECT_EQ(burst_.keys.rest[place], was);
        EXPECT_EQ(burst_.keys.frames[place], dpdk::data(burst_.packets[place]));
    }
    free_others();
}

TEST_F(BurstEndTest, FreesWhatIsHeldElsewhereTooIsChainedOrOfAnotherPool) {
    add(2, InterfaceId{1}, pool_);
    dpdk::Packet* const held = burst_.packets[1];
    rte_mbuf_refcnt_update(held, 1);
    drop(first_places(2));
    EXPECT_EQ(pool_.available(), kBuffers - 1);
    rte_pktmbuf_free(held);

    burst_.count = 0;
    add(2, InterfaceId{1}, pool_);
    ASSERT_EQ(rte_pktmbuf_chain(burst_.packets[0], packet(pool_)), 0);
    drop(first_places(2));
    EXPECT_EQ(pool_.available(), kBuffers);

    burst_.count = 0;
    add(2, InterfaceId{1}, pool_);
    add(2, InterfaceId{1}, other_pool_);
    drop(first_places(4));
}

TEST_F(BurstEndTest, KeysOfTheBurstBeforeEndWithIt) {
    add(3, InterfaceId{0}, pool_);
    drop_frames(worker_, InterfaceId{0}, std::span(burst_.packets).first(3), drops::other_host);
    burst_.count = 0;
    ASSERT_EQ(burst_.keys.ip4.all, first_places(3));
    std::vector<Interface> one;
    one.push_back({.id = InterfaceId{0}, .mac = {}, .name = "lan", .parent = "", .addresses = {}});
    parse(worker_, Interfaces(std::move(one)), PortId{0}, burst_);
    EXPECT_EQ(burst_.keys.ip4.all, 0U);
}

TEST_F(BurstEndTest, FramesThatAreNotParsedAreCountedAsReceived) {
    add(5, InterfaceId{1}, pool_);
    drop_frames(worker_, InterfaceId{2}, std::span(burst_.packets).first(5), drops::other_host);
    EXPECT_EQ(dropped(2), 5U);
    EXPECT_EQ(worker_.counters.received.read(), 5U);
    EXPECT_EQ(worker_.counters.interface(InterfaceId{2}).rx_packets.read(), 5U);
    EXPECT_EQ(worker_.counters.interface(InterfaceId{2}).rx_bytes.read(), 300U);
}

TEST_F(BurstEndTest, FreesWhatBorrowsTheBytesOfAnother) {
    add(1, InterfaceId{1}, pool_);
    dpdk::Packet* const lender = packet(other_pool_);
    rte_pktmbuf_attach(burst_.packets[0], lender);
    rte_pktmbuf_free(lender);
    EXPECT_EQ(other_pool_.available(), kBuffers - 1);
    drop(first_places(1));
}

}  // namespace
}  // namespace sluice::pipeline
