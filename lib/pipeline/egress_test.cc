// What leaves is counted on the interface it leaves as, and on the device; what the device does not take is
// dropped there.
#include "pipeline/egress.hh"

#include <gtest/gtest.h>

#include <array>
#include <span>
#include <tuple>
#include <utility>
#include <vector>

#include "dpdk/packet_pool.hh"
#include "dpdk/packet_ring.hh"
#include "pipeline/drops.hh"
#include "pipeline/interfaces.hh"
#include "pipeline/test_eal.hh"
#include "pipeline/transmit.hh"

namespace sluice::pipeline {
namespace {

constexpr uint32_t kBuffers = 2048;
constexpr InterfaceId kDevice{0};
constexpr InterfaceId kVlan5{1};
constexpr InterfaceId kVlan7{2};

Interfaces one_device_with_vlans() {
    const auto make = [](InterfaceId id, uint16_t vlan) {
        Interface made;
        made.id = id;
        made.port = PortId{0};
        made.vlan = vlan;
        return made;
    };
    std::vector<Interface> all{make(kDevice, kNoVlan), make(kVlan5, 5), make(kVlan7, 7)};
    return Interfaces(std::move(all));
}

class EgressTest : public WithEal {
  protected:
    void TearDown() override { EXPECT_EQ(pool_.available(), kBuffers); }

    [[nodiscard]] dpdk::Packet* packet(uint16_t length) const {
        return pool_.copy_of(std::vector<uint8_t>(length));
    }
    void push(InterfaceId out, uint16_t length) { ASSERT_TRUE(queue_.push(packet(length), out)); }
    // As a device that takes the first ones.
    void send(size_t sent) {
        for (dpdk::Packet* each : queue_.packets().first(sent))
            rte_pktmbuf_free(each);
        settle(worker_, interfaces_, PortId{0}, sent);
        EXPECT_TRUE(queue_.empty());
    }
    struct Counts {
        uint64_t packets = 0;
        uint64_t bytes = 0;
        bool operator==(const Counts&) const = default;
    };
    [[nodiscard]] Counts sent(InterfaceId id) const {
        const auto& counters = worker_.counters.interface(id);
        return {counters.tx_packets.read(), counters.tx_bytes.read()};
    }
    [[nodiscard]] Counts dropped(InterfaceId id) const {
        const auto& counters = worker_.counters.drops(id, drops::egress_full);
        return {counters.packets.read(), counters.bytes.read()};
    }

    dpdk::PacketPool pool_ = std::move(*dpdk::PacketPool::create("egress_test", kBuffers, 2048));
    dpdk::PacketRing to_control_ = std::move(*dpdk::PacketRing::create("egress_test", 8));
    Interfaces interfaces_ = one_device_with_vlans();
    Worker worker_{WorkerId{0}, 3, 1, pool_, to_control_, 1};
    Egress& queue_ = worker_.egress[0];
};

TEST_F(EgressTest, ADeviceCountsItsFrames) {
    push(kDevice, 60);
    push(kDevice, 100);
    EXPECT_FALSE(queue_.is_mixed());
    send(2);
    EXPECT_EQ(sent(kDevice), (Counts{2, 160}));
    EXPECT_EQ(worker_.counters.sent.read(), 2U);
}

TEST_F(EgressTest, AVlanCountsBesidesItsDevice) {
    push(kVlan5, 64);
    push(kVlan5, 104);
    EXPECT_FALSE(queue_.is_mixed());
    send(2);
    EXPECT_EQ(sent(kVlan5), (Counts{2, 168}));
    EXPECT_EQ(sent(kDevice), (Counts{2, 168}));
}

TEST_F(EgressTest, FramesOfSeveralInterfacesAreToldApart) {
    push(kDevice, 60);
    push(kDevice, 61);
    push(kVlan5, 70);
    push(kVlan7, 80);
    push(kVlan5, 71);
    push(kDevice, 62);
    EXPECT_TRUE(queue_.is_mixed());
    for (const auto& [place, out, length] : {std::tuple{0, kDevice, 60},
                                             {1, kDevice, 61},
                                             {2, kVlan5, 70},
                                             {3, kVlan7, 80},
                                             {4, kVlan5, 71},
                                             {5, kDevice, 62}}) {
        EXPECT_EQ(queue_.out(static_cast<size_t>(place)), out) << place;
        EXPECT_EQ(queue_.length(static_cast<size_t>(place)), length) << place;
    }
    send(6);
    EXPECT_EQ(sent(kDevice), (Counts{6, 404}));
    EXPECT_EQ(sent(kVlan5), (Counts{2, 141}));
    EXPECT_EQ(sent(kVlan7), (Counts{1, 80}));
}

TEST_F(EgressTest, WhatIsNotTakenIsDroppedWhereItShouldHaveLeft) {
    push(kVlan5, 70);
    push(kVlan7, 80);
    push(kVlan5, 71);
    send(1);
    EXPECT_EQ(sent(kDevice), (Counts{1, 70}));
    EXPECT_EQ(sent(kVlan5), (Counts{1, 70}));
    EXPECT_EQ(sent(kVlan7), Counts{});
    EXPECT_EQ(dropped(kVlan7), (Counts{1, 80}));
    EXPECT_EQ(dropped(kVlan5), (Counts{1, 71}));

    push(kDevice, 60);
    push(kDevice, 61);
    EXPECT_FALSE(queue_.is_mixed()) << "in another burst";
    send(1);
    EXPECT_EQ(sent(kDevice), (Counts{2, 130}));
    EXPECT_EQ(dropped(kDevice), (Counts{1, 61}));
    EXPECT_EQ(sent(kVlan5), (Counts{1, 70}));
}

// Rows of frames, and frames one by one with the count kept aside, are as those that are pushed.
TEST_F(EgressTest, ManyAtOnceAreToldApartToo) {
    const auto append = [this](InterfaceId out, const std::vector<uint16_t>& lengths) {
        std::vector<dpdk::Packet*> packets;
        for (const uint16_t length : lengths)
            packets.push_back(packet(length));
        return queue_.append(packets, out, [&](size_t i) { return lengths[i]; });
    };
    const auto follow = [this](InterfaceId out, const std::vector<uint16_t>& lengths) {
        Egress::Tail tail(queue_, out);
        uint64_t bytes = 0;
        for (const uint16_t length : lengths) {
            tail.push(packet(length), length);
            bytes += length;
        }
        tail.commit(bytes);
    };
    EXPECT_EQ(append(kVlan5, {70, 71}), 141U);
    follow(kVlan5, {72});
    EXPECT_FALSE(queue_.is_mixed());
    follow(kVlan7, {80, 81});
    EXPECT_EQ(append(kDevice, {60, 61}), 121U);
    EXPECT_EQ(append(kVlan5, {73}), 73U);
    EXPECT_TRUE(queue_.is_mixed());
    send(7);
    EXPECT_EQ(sent(kVlan5), (Counts{3, 213}));
    EXPECT_EQ(sent(kVlan7), (Counts{2, 161}));
    EXPECT_EQ(sent(kDevice), (Counts{7, 495}));
    EXPECT_EQ(dropped(kVlan5), (Counts{1, 73}));
}

TEST_F(EgressTest, AFullQueueTakesNoMore) {
    for (size_t i = 0; i < Egress::kCapacity; ++i)
        push(kDevice, 60);
    EXPECT_TRUE(queue_.full());
    EXPECT_EQ(queue_.room(), 0U);
    const dpdk::PacketOwner left(packet(60));
    EXPECT_FALSE(queue_.push(left.get(), kVlan5));
    EXPECT_EQ(queue_.bytes(), 60U * Egress::kCapacity);
    send(Egress::kCapacity);
}

}  // namespace
}  // namespace sluice::pipeline
