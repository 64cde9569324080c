// What is known of links, over changes of the interfaces.
#include "routing/neighbour_service.hh"

#include <gtest/gtest.h>

#include <chrono>
#include <string_view>
#include <utility>
#include <vector>

#include "dpdk/packet_pool.hh"
#include "pipeline/test_eal.hh"

namespace sluice::routing {
namespace {

constexpr InterfaceId kWan{1};
constexpr InterfaceId kGuests{2};
constexpr Instant kNow{std::chrono::seconds(1)};

class NeighbourServiceTest : public pipeline::WithEal {
  protected:
    static pipeline::Interface interface(InterfaceId id, uint16_t port, uint16_t vlan,
                                         std::string_view address) {
        pipeline::Interface made;
        made.id = id;
        made.port = pipeline::PortId{port};
        made.vlan = vlan;
        made.mac = MacAddress({2, 0, 0, 0, 0, static_cast<uint8_t>(port)});
        made.addresses.push_back({*IpAddress::parse(address), 24});
        return made;
    }
    // lan, wan, and with them guests, a VLAN of wan.
    void configure(bool with_guests) {
        std::vector all{interface(InterfaceId{0}, 0, pipeline::kNoVlan, "192.168.1.1"),
                        interface(kWan, 1, pipeline::kNoVlan, "203.0.113.2")};
        if (with_guests)
            all.push_back(interface(kGuests, 1, 20, "192.168.20.1"));
        service_.configure(pipeline::Interfaces(std::move(all)), {}, kNow);
        service_.perform();
    }
    // Frames that ask for a host behind guests, for which there is a packet.
    size_t asks() {
        sent_ = 0;
        HeldPacket packet(pool_.allocate(),
                          [](void* one) noexcept { rte_pktmbuf_free(static_cast<dpdk::Packet*>(one)); });
        service_.resolver().resolve(kGuests, *IpAddress::parse("192.168.20.10"), std::move(packet), kNow);
        for (const auto& frame : service_.resolver().take_actions().frames)
            sent_ += frame.out == kGuests ? 1 : 0;
        return sent_;
    }

    dpdk::PacketPool pool_ = std::move(*dpdk::PacketPool::create("neighbour_service", 127, 2048));
    telemetry::PacketCounters counters_{3};
    NoGracePeriod grace_;
    size_t sent_ = 0;
    NeighbourService service_{grace_,
                              NeighbourMode::ask,
                              pool_,
                              counters_,
                              7,
                              [this](dpdk::Packet* packet) {
                                  ++sent_;
                                  rte_pktmbuf_free(packet);
                                  return true;
                              },
                              [](const AddressConflict&) {}};
};

TEST_F(NeighbourServiceTest, a_vlan_that_comes_back_has_its_devices_link) {
    configure(true);
    service_.set_link(kWan, false, kNow);
    service_.set_link(kGuests, false, kNow);
    EXPECT_EQ(asks(), 0U);
    configure(false);
    service_.set_link(kWan, true, kNow);
    configure(true);
    EXPECT_GT(asks(), 0U);
}

TEST_F(NeighbourServiceTest, a_vlan_of_a_device_that_is_down_is_down) {
    configure(false);
    service_.set_link(kWan, false, kNow);
    configure(true);
    EXPECT_EQ(asks(), 0U);
}

}  // namespace
}  // namespace sluice::routing
