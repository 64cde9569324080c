// What packets in a row share is good for as long as their neighbour is what it was.
#include "routing/exit.hh"

#include <gtest/gtest.h>

#include <memory>
#include <utility>
#include <vector>

#include "config/problem.hh"
#include "dpdk/packet_pool.hh"
#include "dpdk/packet_ring.hh"
#include "pipeline/test_eal.hh"

namespace sluice::routing {
namespace {

constexpr InterfaceId kWan{0};
constexpr MacAddress kFirst{2, 0, 0, 0, 0, 1};
constexpr MacAddress kSecond{2, 0, 0, 0, 0, 2};

class ExitTest : public pipeline::WithEal {
  protected:
    ExitTest() : tables_(interfaces(), fib(), neighbours_) {
        next_hop_ = tables_.fib->lookup(kMainTable, *Ip4Address::parse("198.51.100.7"));
        gateway_ = tables_.fib->next_hop(next_hop_).neighbour;
    }
    static pipeline::Interfaces interfaces() {
        pipeline::Interface wan;
        wan.id = kWan;
        wan.port = pipeline::PortId{0};
        std::vector<pipeline::Interface> all;
        all.push_back(std::move(wan));
        return pipeline::Interfaces(std::move(all));
    }
    std::unique_ptr<const Fib> fib() {
        const std::vector<FibInterface> known{{.id = kWan,
                                               .name = "wan",
                                               .mtu = 1500,
                                               .addresses = {*InterfaceAddress::parse("192.0.2.2/24")}}};
        std::vector<RouteConfig> routes(1);
        routes[0].via = *IpAddress::parse("192.0.2.1");
        const FibInput input{.interfaces = known,
                             .routes = routes,
                             .rules = {},
                             .interfaces_named = [](std::string_view) { return std::vector<InterfaceId>{}; },
                             .pin_neighbour =
                                 [this](InterfaceId interface, const IpAddress& address) {
                                     return *neighbours_.insert({interface, address});
                                 }};
        config::Problems problems;
        auto built = Fib::build(input, problems);
        EXPECT_TRUE(problems.empty());
        return built;
    }
    void know(MacAddress mac) { neighbours_.set_link(gateway_, NeighbourLink::usable(mac)); }
    // What a frame that leaves by the exit begins with.
    [[nodiscard]] static MacAddress destination_by(const Exit& exit) {
        std::array<uint8_t, 16> frame{};
        exit.addresses().write(frame.data());
        return MacAddress::load(frame.data());
    }

    dpdk::PacketPool pool_ = std::move(*dpdk::PacketPool::create("exit_test", 64, 2048));
    dpdk::PacketRing to_control_ = std::move(*dpdk::PacketRing::create("exit_test", 8));
    pipeline::Worker worker_{WorkerId{0}, 1, 1, pool_, to_control_, 1};
    WorkerState state_{1};
    NeighbourTable neighbours_;
    Tables tables_;
    Context context_{worker_, state_, tables_};
    NextHopIndex next_hop_{};
    NeighbourIndex gateway_{};
    Exit exit_;
};

TEST_F(ExitTest, StaysOpenWhileItsNeighbourIsTheSame) {
    know(kFirst);
    exit_.turn_to(context_, next_hop_);
    ASSERT_TRUE(exit_.is_open());
    exit_.renew(context_);
    EXPECT_TRUE(exit_.is_open());
    EXPECT_EQ(exit_.next_hop(), next_hop_);
    EXPECT_EQ(destination_by(exit_), kFirst);
}

TEST_F(ExitTest, IsForgottenWhenItsNeighbourHasAnotherAddressOrNone) {
    know(kFirst);
    exit_.turn_to(context_, next_hop_);
    know(kSecond);
    exit_.renew(context_);
    EXPECT_NE(exit_.next_hop(), next_hop_);
    exit_.turn_to(context_, next_hop_);
    EXPECT_EQ(destination_by(exit_), kSecond);

    neighbours_.set_link(gateway_, {});
    exit_.renew(context_);
    EXPECT_FALSE(exit_.is_open());
}

TEST_F(ExitTest, OneThatWasClosedIsLookedAtAgain) {
    exit_.turn_to(context_, next_hop_);
    ASSERT_FALSE(exit_.is_open());
    know(kFirst);
    exit_.renew(context_);
    EXPECT_NE(exit_.next_hop(), next_hop_) << "or nobody would turn to it";
}

TEST_F(ExitTest, ANeighbourIsUsedWhenSomethingLeaves) {
    know(kFirst);
    exit_.turn_to(context_, next_hop_);
    EXPECT_TRUE(neighbours_.take_used(gateway_));
    exit_.renew(context_);
    EXPECT_FALSE(neighbours_.used(gateway_));
    exit_.note_use(context_);
    EXPECT_TRUE(neighbours_.used(gateway_));
}

}  // namespace
}  // namespace sluice::routing
