// What happens at the bounds of the table.
#include "conntrack/tracker_fixture.hh"

namespace sluice::conntrack {
namespace {

using wire::kTcpAck;
using wire::kTcpFin;
using wire::kTcpSyn;

class TableFullTest : public TrackerTest {
  protected:
    void connect(uint16_t port) {
        pass(tcp(a, port, b, 80, kTcpSyn, 100, 0));
        pass(tcp(b, 80, a, port, kTcpSyn | kTcpAck, 500, 101));
        ASSERT_TRUE(pass(tcp(a, port, b, 80, kTcpAck, 101, 501)).flow->status.has(kAssured));
    }
    // A flood from many sources.
    Tracked flood(uint32_t number) {
        return pass(udp(Ip4Address::from_host(0x14000000 + number), 7, b, 9), kWan);
    }
    bool is_established(uint16_t port) {
        return pass(tcp(a, port, b, 80, kTcpAck, 101, 501)).state == CtState::established;
    }
};

TEST_F(TableFullTest, RefusesNewFlowsAndKeepsAllOthers) {
    make(50);
    for (uint16_t port = 1; port <= 20; ++port)
        connect(port);
    for (uint32_t number = 0; number < 1000; ++number)
        flood(number);
    EXPECT_EQ(flood(5000).refusal, Refusal::table_full);
    EXPECT_EQ(flows(), 50U);
    EXPECT_EQ(count(Count::table_full), 971U);
    EXPECT_EQ(count(Count::drop), 971U);
    for (uint16_t port = 1; port <= 20; ++port)
        EXPECT_TRUE(is_established(port));
    advance(31s);
    EXPECT_EQ(flood(1).state, CtState::new_);  // recovered within the shortest timeout
    check();
}

TEST_F(TableFullTest, EarlyDropEvictsOnlyWhatIsNotAssured) {
    limits.when_full = WhenFull::early_drop;
    make(200);
    for (uint16_t port = 1; port <= 20; ++port)
        connect(port);
    for (uint32_t number = 0; number < 5000; ++number)
        flood(number);
    EXPECT_LE(flows(), 200U);
    EXPECT_GT(count(Count::early_drop), 4000U);
    for (uint16_t port = 1; port <= 20; ++port)
        EXPECT_TRUE(is_established(port));
    advance(0s);
    check();
}

TEST_F(TableFullTest, EarlyDropRefusesWhereAllAreAssured) {
    limits.when_full = WhenFull::early_drop;
    make(30);
    for (uint16_t port = 1; port <= 30; ++port)
        connect(port);
    EXPECT_EQ(flood(1).refusal, Refusal::table_full);
    EXPECT_EQ(count(Count::early_drop), 0U);
}

TEST_F(TableFullTest, EarlyDropEvictsWhatIsClosingWhereAllAreAssured) {
    limits.when_full = WhenFull::early_drop;
    make(30);
    for (uint16_t port = 1; port <= 30; ++port)
        connect(port);
    pass(tcp(b, 80, a, 7, kTcpFin | kTcpAck, 501, 101));  // the only one that ends
    EXPECT_EQ(flood(1).state, CtState::new_);
    EXPECT_EQ(count(Count::early_drop), 1U);
    EXPECT_EQ(pass(tcp(a, 7, b, 80, kTcpSyn, 9000, 0)).state, CtState::new_) << "in place of the flood's";
    EXPECT_EQ(count(Count::early_drop), 2U);
    for (uint16_t port = 1; port <= 30; ++port)
        EXPECT_TRUE(port == 7 || is_established(port)) << port;
    check();
}

TEST_F(TableFullTest, TheReserveIsForTheBox) {
    limits.reserve = 5;
    make(20);
    for (uint32_t number = 0; number < 100; ++number)
        flood(number);
    EXPECT_EQ(flows(), 15U);
    for (uint16_t port = 1; port <= 5; ++port)
        EXPECT_EQ(pass(udp(a, port, b, 53), kNoInterface, true).state, CtState::new_);
    EXPECT_EQ(pass(udp(a, 6, b, 53), kNoInterface, true).refusal, Refusal::table_full);
    EXPECT_EQ(count(Count::reserve_used), 5U);
    EXPECT_EQ(flows(), 20U);
}

TEST_F(TableFullTest, ASourceHoldsNoMoreThanItMay) {
    limits.per_source[index(kWan)] = 3;
    make();
    for (uint16_t port = 1; port <= 10; ++port)
        pass(udp(a, port, b, 53), kWan);
    EXPECT_EQ(flows(), 3U);
    EXPECT_EQ(count(Count::source_limit), 7U);
    EXPECT_EQ(pass(udp(a, 20, b, 53), kWan).refusal, Refusal::source_limit);
    EXPECT_EQ(pass(udp(b, 20, a, 53), kWan).state, CtState::new_);  // another source
    EXPECT_EQ(pass(udp(a, 30, b, 53), kLan).state, CtState::new_);  // another interface
    auto dropped = track(udp(b, 21, a, 53), kWan);
    tracker->release(dropped);
    EXPECT_EQ(pass(udp(b, 22, a, 53), kWan).state, CtState::new_);
    EXPECT_EQ(pass(udp(b, 23, a, 53), kWan).state, CtState::new_);
    EXPECT_EQ(pass(udp(b, 24, a, 53), kWan).refusal, Refusal::source_limit);
    advance(31s);
    EXPECT_EQ(flows(), 0U);
    EXPECT_EQ(pass(udp(a, 1, b, 53), kWan).state, CtState::new_);
}

TEST_F(TableFullTest, PressureShortensEmbryonicTimeouts) {
    limits.pressure = true;
    make(100);
    connect(1);
    for (uint32_t number = 0; number < 60; ++number)
        flood(number);
    EXPECT_EQ(tracker->pressure(), 0U);
    EXPECT_EQ(count(Count::timeout_shortened), 0U);
    for (uint32_t number = 60; number < 98; ++number)
        flood(number);
    EXPECT_EQ(tracker->pressure(), 3U);
    EXPECT_GT(count(Count::timeout_shortened), 0U);
    EXPECT_TRUE(is_established(1));
    advance(4s);  // an eighth of 30 s
    EXPECT_LT(flows(), 97U);
    EXPECT_GE(flows(), 61U);
    advance(27s);
    EXPECT_EQ(flows(), 1U);  // the connection has all of its time
}

TEST_F(TableFullTest, NewLimitsHoldForTheNextFlow) {
    make(50);
    for (uint32_t number = 0; number < 50; ++number)
        flood(number);
    auto fewer = limits;
    fewer.max = 20;
    tracker->apply(fewer, settings);
    EXPECT_EQ(flows(), 50U);
    EXPECT_EQ(flood(100).refusal, Refusal::table_full);
    EXPECT_EQ(flood(3).state, CtState::new_);  // known
}

}  // namespace
}  // namespace sluice::conntrack
