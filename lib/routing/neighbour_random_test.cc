// Whatever happens in whatever order: no packet disappears, and readers see a usable link exactly where the
// state says so.
#include "routing/neighbour_fixture.hh"

namespace sluice::routing {
namespace {

class NeighbourRandomTest : public NeighbourTest {
  protected:
    [[nodiscard]] IpAddress draw_address() {
        if (random_.below(2) == 0)
            return Ip4Address::from_host(ip4("192.168.1.0").host() + random_.below(40));
        auto bytes = ip6("fd00:1::").bytes();
        bytes[15] = static_cast<uint8_t>(random_.below(40));
        return Ip6Address(bytes);
    }
    [[nodiscard]] MacAddress draw_mac() {
        MacAddress result = kHostMac;
        result.bytes[5] = static_cast<uint8_t>(random_.below(4));
        if (random_.below(30) == 0)
            result.bytes[0] = static_cast<uint8_t>(random_.next());
        return result;
    }
    void hear_arp(const IpAddress& sender) {
        const auto target = random_.below(2) == 0 ? ip4("192.168.1.1") : sender.ip4();
        receive_arp({random_.below(2) == 0 ? wire::ArpOperation::request : wire::ArpOperation::reply,
                     draw_mac(), sender.ip4(), kLanMac, target},
                    random_.below(2) == 0 ? kLanMac : kBroadcastMac);
    }
    void hear_nd(const IpAddress& sender) {
        const std::optional<MacAddress> option =
            random_.below(4) == 0 ? std::nullopt : std::optional(draw_mac());
        if (random_.below(2) == 0) {
            receive_nd({.source = sender.ip6(), .destination = ip6("fd00:1::1")},
                       wire::NeighbourSolicitation{ip6("fd00:1::1"), option});
        } else {
            receive_nd({.source = sender.ip6(), .destination = ip6("fd00:1::1")},
                       wire::NeighbourAdvertisement{.target = sender.ip6(),
                                                    .router = random_.below(2) == 0,
                                                    .solicited = random_.below(2) == 0,
                                                    .override_cache = random_.below(2) == 0,
                                                    .target_mac = option});
        }
    }
    void step() {
        const IpAddress address = draw_address();
        switch (random_.below(12)) {
            case 0:
            case 1:
            case 2:
            case 3:
                return resolve(random_.below(10) == 0 ? kWan : kLan, address);
            case 4:
            case 5:
                return address.is_ip4() ? hear_arp(address) : hear_nd(address);
            case 6:
                return pins_.push_back(resolver_->pin(kLan, address, now_));
            case 7:
                if (!pins_.empty() && pins_.back() != kNoNeighbour)
                    resolver_->unpin(pins_.back());
                if (!pins_.empty())
                    pins_.pop_back();
                return;
            case 8:
                if (random_.below(20) == 0)
                    resolver_->on_link_down(kLan, now_);
                else
                    resolver_->on_link_up(kLan, now_);
                return;
            case 9:
                if (const auto found = table_->find(kLan, address); found.index != kNoNeighbour)
                    table_->mark_used(found.index);
                return;
            case 10: {
                if (random_.below(10) != 0)
                    return;
                const StaticNeighbour neighbour{{kLan, address}, kOtherMac};
                return resolver_->configure(interfaces(), {&neighbour, 1}, now_);
            }
            default:
                return wait(std::chrono::milliseconds(random_.below(3000)), std::chrono::milliseconds(500));
        }
    }
    void check() {
        collect();
        ASSERT_EQ(actions_.released.size() + actions_.dropped.size() + resolver_->waiting_packets(),
                  static_cast<size_t>(packets_));
        ASSERT_LE(table_->size(), table_->max_entries());
        size_t incomplete = 0;
        for (const auto& each : resolver_->list(now_)) {
            const bool usable =
                each.state != NeighbourState::incomplete && each.state != NeighbourState::failed;
            const auto found = table_->find(each.key.interface, each.key.address);
            ASSERT_NE(found.index, kNoNeighbour);
            ASSERT_EQ(found.link.usable(), usable) << to_string(each.state);
            if (usable) {
                ASSERT_TRUE(found.link.mac().is_unicast());
            }
            incomplete += each.state == NeighbourState::incomplete && each.key.interface == kLan;
        }
        ASSERT_LE(incomplete, 6U);
    }

    std::vector<NeighbourIndex> pins_;
};

TEST_F(NeighbourRandomTest, KeepsItsInvariants) {
    start(NeighbourMode::ask,
          {.packets_per_neighbour = 2,
           .packets = 4,
           .incomplete_per_interface = 6,
           .new_per_second = 5,
           .keep = 4},
          32);
    for (size_t i = 0; i < 10000; ++i) {
        step();
        check();
        if (HasFatalFailure())
            return;
    }
    EXPECT_FALSE(actions_.released.empty());
    std::array<size_t, 6> by_reason{};
    for (const auto& dropped : actions_.dropped)
        ++by_reason[static_cast<size_t>(dropped.reason)];
    for (const size_t count : by_reason)
        EXPECT_GT(count, 0U) << "every bound was met";
}

}  // namespace
}  // namespace sluice::routing
