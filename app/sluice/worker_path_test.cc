// A worker uses the snapshot that was published last.
#include "sluice/worker_path.hh"

#include <gtest/gtest.h>

#include <memory>
#include <optional>
#include <string_view>
#include <utility>

#include "dpdk/packet_pool.hh"
#include "dpdk/packet_ring.hh"
#include "pipeline/test_eal.hh"
#include "sluice/firewall.hh"

namespace sluice {
namespace {

constexpr std::string_view kWithEarly = R"(
interfaces: {lan: {device: net_null0}}
early:
  - {name: nobody, saddr: 192.0.2.1, action: drop}
)";
constexpr std::string_view kWithout = R"(
interfaces: {lan: {device: net_null0}}
filter: {forward: {policy: drop}}
)";

GatewayConfig config_of(std::string_view text) {
    auto read = config::read_text<GatewayConfig>("test.yaml", text, "");
    EXPECT_TRUE(read.has_value()) << (read ? "" : read.error().text());
    return read ? std::move(*read) : GatewayConfig();
}

class WorkerPathTest : public pipeline::WithEal {
  protected:
    // In the place of the one before.
    void publish(std::string_view text) {
        auto tables = control_.prepare(config_of(text), Instant{});
        ASSERT_TRUE(tables) << tables.error().message;
        snapshot_.reset();
        config::Problems problems;
        pipeline::Interfaces none(std::vector<pipeline::Interface>{});
        auto fib = routing::Fib::build({}, problems);
        snapshot_.emplace(1U, routing::Tables(std::move(none), std::move(fib), neighbours_),
                          routing::IcmpConfig{}, std::move(*tables), nullptr);
        control_.adopt();
        published_.publish(*snapshot_);
    }

    dpdk::PacketPool pool_ = std::move(*dpdk::PacketPool::create("worker_path_test", 128, 2048));
    dpdk::PacketRing to_control_ = std::move(*dpdk::PacketRing::create("worker_path_test", 8));
    pipeline::Worker worker_{WorkerId{0}, 1, 1, pool_, to_control_, 1};
    routing::NeighbourTable neighbours_{16};
    FirewallControl control_{
        config_of(kWithEarly), 1, {}, 7, [](const std::function<void()>& run) { run(); }};
    std::optional<Snapshot> snapshot_;
    PublishedSnapshot published_;
    WorkerPath path_{worker_, 1, 1, control_.of(WorkerId{0}), nullptr, published_, {}};
};

TEST_F(WorkerPathTest, takes_a_snapshot_that_lies_where_the_last_one_was) {
    publish(kWithEarly);
    path_.begin_round();
    EXPECT_TRUE(control_.of(WorkerId{0}).has_early());
    publish(kWithout);
    path_.begin_round();
    EXPECT_FALSE(control_.of(WorkerId{0}).has_early());
}

}  // namespace
}  // namespace sluice
