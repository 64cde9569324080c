// Flows publish the directions that the hash would take elsewhere, and no others.
#include "steering/flow_homes.hh"

#include <gtest/gtest.h>

#include <memory>

#include "base/random.hh"
#include "routing/fib.hh"

namespace sluice::steering {
namespace {

using conntrack::Direction;
using conntrack::Tuple;

Tuple flow_number(uint32_t number) {
    return {Ip4Address::from_host(0x0a000000U + number), Ip4Address::from_host(0xc0000200U),
            wire::IpProtocol::udp, static_cast<uint16_t>(number), 53};
}

class FlowHomesTest : public testing::Test {
  protected:
    FlowHomesTest() : fib_(empty_fib()), plan_({.workers = 2, .tracks = true}, *fib_) { homes_.adopt(plan_); }

    static std::unique_ptr<const routing::Fib> empty_fib() {
        config::Problems problems;
        return routing::Fib::build(
            {.interfaces = {},
             .routes = {},
             .rules = {},
             .interfaces_named = [](std::string_view) { return std::vector<InterfaceId>{}; },
             .pin_neighbour = [](InterfaceId, const IpAddress&) { return routing::NeighbourIndex{0}; }},
            problems);
    }
    // The first flow from `number` on that belongs to the worker by its hash.
    [[nodiscard]] Tuple flow_of(WorkerId worker, uint32_t number) const {
        while (plan_.owner_of(flow_number(number)) != worker)
            ++number;
        return flow_number(number);
    }
    conntrack::Flow& begin(const Tuple& tuple) {
        return *flows_.create(tuple, *inverted(tuple), InterfaceId{0});
    }
    [[nodiscard]] std::optional<WorkerId> published(const Tuple& tuple) const {
        return directory_.find(directory_.hash(tuple));
    }

    static constexpr WorkerId kSelf{0};
    static constexpr WorkerId kOther{1};

    Random random_{7};
    std::unique_ptr<const routing::Fib> fib_;
    Plan plan_;
    FlowDirectory directory_{1024, random_};
    FlowHomes homes_{kSelf, directory_};
    conntrack::FlowTable flows_{64, conntrack::TupleHash{{1, 2, 3, 4}}};
};

TEST_F(FlowHomesTest, a_flow_at_home_is_not_published) {
    ASSERT_TRUE(homes_.began(begin(flow_of(kSelf, 1))));
    EXPECT_FALSE(directory_.is_used());
}

// As the box itself begins them.
TEST_F(FlowHomesTest, a_flow_begun_elsewhere_is_published_both_ways) {
    const Tuple tuple = flow_of(kOther, 1);
    ASSERT_TRUE(homes_.began(begin(tuple)));
    EXPECT_EQ(published(tuple), kSelf);
    EXPECT_EQ(published(*inverted(tuple)), kSelf);
}

TEST_F(FlowHomesTest, of_a_translated_flow_the_answers_are_published) {
    const Tuple tuple = flow_of(kSelf, 1);
    const Tuple reply = *inverted(flow_of(kOther, 100));
    auto& flow = begin(tuple);
    flow.set_tuple(Direction::reply, reply);
    flow.status.set(conntrack::kSnat);
    ASSERT_TRUE(homes_.began(flow));
    EXPECT_EQ(published(tuple), std::nullopt);
    EXPECT_EQ(published(reply), kSelf);
    EXPECT_TRUE(flow.status.has(kPublished));
    homes_.ended(flow);
    EXPECT_EQ(published(reply), std::nullopt);
}

// Packets to two destinations go to one, and their answers look alike.
TEST_F(FlowHomesTest, answers_of_one_tuple_are_one_workers) {
    const Tuple reply = *inverted(flow_of(kSelf, 100));
    auto& flow = begin(flow_of(kSelf, 1));
    flow.set_tuple(Direction::reply, reply);
    flow.status.set(conntrack::kDnat);
    ASSERT_TRUE(homes_.began(flow));
    EXPECT_EQ(published(reply), kSelf) << "though it is at home";
    EXPECT_FALSE(homes_.is_taken(reply));

    FlowHomes other(kOther, directory_);
    other.adopt(plan_);
    EXPECT_TRUE(other.is_taken(reply));
    auto& second = begin(flow_of(kOther, 1));
    second.set_tuple(Direction::reply, reply);
    second.status.set(conntrack::kDnat);
    EXPECT_FALSE(other.began(second));
    other.ended(second);
    EXPECT_EQ(published(reply), kSelf);
    homes_.ended(flow);
    EXPECT_FALSE(other.is_taken(reply));
}

}  // namespace
}  // namespace sluice::steering
