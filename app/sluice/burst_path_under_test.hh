// Bursts through the firewall of one worker, without devices.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <memory>
#include <span>
#include <string_view>
#include <utility>
#include <vector>

#include "conntrack/tracker_fixture.hh"
#include "dpdk/packet_pool.hh"
#include "dpdk/packet_ring.hh"
#include "pipeline/parse.hh"
#include "pipeline/test_eal.hh"
#include "routing/neighbour_service.hh"
#include "sluice/firewall.hh"
#include "sluice/snapshot.hh"
#include "wire/bytes.hh"

namespace sluice::test {

inline GatewayConfig config_of(std::string_view text) {
    auto read = config::read_text<GatewayConfig>("test.yaml", text, "");
    EXPECT_TRUE(read.has_value()) << (read ? "" : read.error().text());
    return read ? std::move(*read) : GatewayConfig();
}

// The interfaces lan, guests and wan of a configuration are on the ports in that order.
class BurstPath : public pipeline::WithEal {
  protected:
    explicit BurstPath(std::string_view text) : config_(config_of(text)) {}
    void SetUp() override {
        for (uint8_t port = 0; port < 3; ++port)
            devices_.push_back({.mac = MacAddress({2, 0, 0, 0, 0, port})});
        auto built = build_snapshot(config_, 1, devices_, neighbours_, control_, Instant{});
        ASSERT_TRUE(built) << built.error().message;
        snapshot_ = std::move(*built);
        firewall().adopt(snapshot_->firewall.get());
        control_.adopt();
        neighbours_.perform();
    }
    filter::Firewall& firewall() { return control_.of(WorkerId{0}); }

    // An IP packet in a frame to the port.
    dpdk::Packet* frame(pipeline::PortId port, const conntrack::Bytes& ip) const {
        std::vector<uint8_t> frame(14 + ip.size());
        devices_[index(port)].mac.store(frame.data());
        MacAddress({2, 0, 0, 0, 1, 1}).store(frame.data() + 6);
        wire::write16(frame.data() + 12, ip[0] >> 4 == 4 ? 0x0800 : 0x86dd);
        std::ranges::copy(ip, frame.begin() + 14);
        return pool_.copy_of(frame);
    }
    dpdk::Packet* packet(pipeline::PortId port, const IpAddress& from, uint16_t sport, const IpAddress& to,
                         uint16_t dport) const {
        return frame(port, conntrack::udp(from, sport, to, dport));
    }
    // Adds a packet to a burst, as the worker that received it parsed it.
    void parsed(pipeline::Burst& burst, pipeline::PortId port, dpdk::Packet* packet) {
        pipeline::Burst one;
        one.count = 1;
        one.packets[0] = packet;
        pipeline::parse(worker_, snapshot_->tables.interfaces, port, one);
        burst.packets[burst.count] = one.packets[0];
        burst.meta[burst.count] = one.meta[0];
        ++burst.count;
    }
    // How many leave by wan.
    size_t forward(pipeline::Burst& burst) {
        pipeline::find_keys(burst);
        routing::Context context{worker_, state_, snapshot_->tables, &firewall()};
        firewall().forward(context, burst);
        size_t sent = 0;
        for (auto& egress : worker_.egress) {
            const auto frames = egress.packets();
            sent = &egress == &worker_.egress[index(kWan)] ? frames.size() : sent;
            rte_pktmbuf_free_bulk(frames.data(), static_cast<unsigned>(frames.size()));
            egress.clear();
        }
        return sent;
    }
    size_t forward(pipeline::PortId port, dpdk::Packet* packet) {
        pipeline::Burst burst;
        parsed(burst, port, packet);
        return forward(burst);
    }

    static constexpr pipeline::PortId kLan{0};
    static constexpr pipeline::PortId kGuests{1};
    static constexpr pipeline::PortId kWan{2};
    const IpAddress host_ = *IpAddress::parse("192.168.1.10");
    const IpAddress remote_ = *IpAddress::parse("198.51.100.1");
    GatewayConfig config_;
    std::vector<OpenedDevice> devices_;
    dpdk::PacketPool pool_ = std::move(*dpdk::PacketPool::create("burst_path_test", 255, 2048));
    dpdk::PacketRing to_control_ = std::move(*dpdk::PacketRing::create("burst_path_test", 64));
    pipeline::Worker worker_{WorkerId{0}, 3, 3, pool_, to_control_, 1};
    routing::WorkerState state_{1};
    telemetry::PacketCounters control_counters_{3};
    routing::NoGracePeriod grace_;
    routing::NeighbourService neighbours_{grace_,
                                          routing::NeighbourMode::derive,
                                          pool_,
                                          control_counters_,
                                          1,
                                          [](dpdk::Packet* packet) {
                                              rte_pktmbuf_free(packet);
                                              return true;
                                          },
                                          [](const routing::AddressConflict&) {}};
    FirewallControl control_{config_, 1, {}, 7, [](const std::function<void()>& run) { run(); }};
    std::unique_ptr<const Snapshot> snapshot_;
};

}  // namespace sluice::test
