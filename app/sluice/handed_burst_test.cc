// Bursts that other workers have handed over hold packets of several interfaces.
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

namespace sluice {
namespace {

constexpr std::string_view kConfig = R"(
interfaces:
  lan: {device: net_null0, addresses: [192.168.1.1/24]}
  guests: {device: net_null1, addresses: [192.168.2.1/24]}
  wan: {device: net_null2, addresses: [203.0.113.2/24]}
routes: [{to: default, via: 203.0.113.1}]
filter:
  forward:
    policy: drop
    rules:
      - {name: lan-out, in: lan, out: wan, action: accept}
      - {name: answers, in: wan, action: accept}
)";
constexpr pipeline::PortId kLan{0};
constexpr pipeline::PortId kGuests{1};
constexpr pipeline::PortId kWan{2};

GatewayConfig config_of(std::string_view text) {
    auto read = config::read_text<GatewayConfig>("test.yaml", text, "");
    EXPECT_TRUE(read.has_value()) << (read ? "" : read.error().text());
    return read ? std::move(*read) : GatewayConfig();
}

class HandedBurstTest : public pipeline::WithEal {
  protected:
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

    dpdk::Packet* packet(pipeline::PortId port, const IpAddress& from, uint16_t sport, const IpAddress& to,
                         uint16_t dport) const {
        const auto ip = conntrack::udp(from, sport, to, dport);
        std::vector<uint8_t> frame(14 + ip.size());
        devices_[index(port)].mac.store(frame.data());
        MacAddress({2, 0, 0, 0, 1, 1}).store(frame.data() + 6);
        frame[12] = 8;
        std::ranges::copy(ip, frame.begin() + 14);
        return pool_.copy_of(frame);
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

    const IpAddress host_ = *IpAddress::parse("192.168.1.10");
    const IpAddress remote_ = *IpAddress::parse("198.51.100.1");
    GatewayConfig config_ = config_of(kConfig);
    std::vector<OpenedDevice> devices_;
    dpdk::PacketPool pool_ = std::move(*dpdk::PacketPool::create("handed_burst_test", 255, 2048));
    dpdk::PacketRing to_control_ = std::move(*dpdk::PacketRing::create("handed_burst_test", 64));
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

TEST_F(HandedBurstTest, a_packet_by_another_interface_has_not_the_decision_of_the_one_before_it) {
    // Two flows by lan, streams whose decisions are one and the same, and repeated.
    for (const uint16_t sport : {uint16_t{1000}, uint16_t{1001}}) {
        for (int n = 0; n < 4; ++n) {
            worker_.now += std::chrono::seconds(1);
            ASSERT_EQ(forward(kLan, packet(kLan, host_, sport, remote_, 53)), 1U);
            ASSERT_EQ(forward(kWan, packet(kWan, remote_, 53, host_, sport)), 0U);
        }
    }
    const uint64_t repeated = firewall().conntrack_counters().read(conntrack::Count::decision_repeated);
    pipeline::Burst burst;
    parsed(burst, kGuests, packet(kGuests, *IpAddress::parse("192.168.2.10"), 7, remote_, 53));
    parsed(burst, kLan, packet(kLan, host_, 1001, remote_, 53));
    parsed(burst, kGuests, packet(kGuests, host_, 1000, remote_, 53));  // who pretends to be a host of lan
    EXPECT_EQ(forward(burst), 1U);
    EXPECT_EQ(firewall().conntrack_counters().read(conntrack::Count::decision_repeated), repeated + 1);
}

}  // namespace
}  // namespace sluice
