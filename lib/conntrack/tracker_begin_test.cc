// The short way of a flow's first packet says what the long one says, or nothing.
#include "conntrack/tcp_tracker.hh"
#include "conntrack/tracker_fixture.hh"
#include "conntrack/udp_tracker.hh"

namespace sluice::conntrack {
namespace {

using wire::kTcpAck;
using wire::kTcpEce;
using wire::kTcpFin;
using wire::kTcpSyn;

class BeginTest : public TrackerTest {
  protected:
    static Ip4PortsTuple tuple_of(const Bytes& bytes) {
        Ip4PortsTuple tuple;
        std::memcpy(&tuple.addresses, bytes.data() + 12, 8);
        tuple.ports = uint32_t{wire::read16(bytes.data() + 22)} << 16 | wire::read16(bytes.data() + 20);
        tuple.protocol = wire::IpProtocol{bytes[9]};
        return tuple;
    }
    Flow* begin(const Bytes& bytes) {
        return tracker->begin_plainly(tuple_of(bytes), bytes.data(), static_cast<uint32_t>(bytes.size()),
                                      kLan, now);
    }
    // Nothing was begun, and the long way finds all as it was.
    void expect_left_alone(const Bytes& bytes) {
        const auto before = flows();
        EXPECT_EQ(begin(bytes), nullptr);
        EXPECT_EQ(flows(), before);
        check();
    }
    template <typename Track>
    void expect_same(const Bytes& bytes) {
        make();
        std::array<uint64_t, kCounts> before;
        for (size_t each = 0; each < kCounts; ++each)
            before[each] = count(static_cast<Count>(each));
        Flow* const flow = begin(bytes);
        ASSERT_NE(flow, nullptr);
        Tracked tracked{.flow = flow, .state = CtState::new_};
        EXPECT_TRUE(tracker->confirm_plainly(tracked, now));
        check();
        Random other_random{42};
        Counters other_counters;
        Tracker other(limits, settings, other_random, other_counters);
        auto plain = other.track(view(bytes), kLan, false, now);
        ASSERT_TRUE(other.confirm(plain, view(bytes), now));
        ASSERT_NE(plain.flow, nullptr);
        EXPECT_EQ(plain.state, tracked.state);
        for (const auto direction : {Direction::original, Direction::reply}) {
            EXPECT_EQ(flow->tuple(direction), plain.flow->tuple(direction));
            EXPECT_EQ(flow->counters(direction).packets(), plain.flow->counters(direction).packets());
            EXPECT_EQ(flow->counters(direction).bytes(), plain.flow->counters(direction).bytes());
        }
        EXPECT_EQ(flow->status, plain.flow->status);
        EXPECT_EQ(flow->deadline(), plain.flow->deadline());
        EXPECT_EQ(flow->in(), plain.flow->in());
        EXPECT_EQ(flow->track<Track>(), plain.flow->track<Track>());
        for (size_t each = 0; each < kCounts; ++each)
            EXPECT_EQ(count(static_cast<Count>(each)) - before[each],
                      other_counters.read(static_cast<Count>(each)));
        EXPECT_EQ(pass(bytes).flow, flow);
    }
};

TEST_F(BeginTest, UdpIsTheSameEitherWay) {
    expect_same<UdpTrack>(udp(a, 1000, b, 53));
    auto without_checksum = udp(a, 1000, b, 53, "question");
    without_checksum[26] = without_checksum[27] = 0;
    expect_same<UdpTrack>(without_checksum);
}

TEST_F(BeginTest, ASynIsTheSameEitherWay) {
    expect_same<TcpTrack>(tcp(a, 1000, b, 80, kTcpSyn, 7, 0));
    expect_same<TcpTrack>(tcp(a, 1000, b, 80, kTcpSyn | kTcpEce, 0xffffffff, 0, "early"));
}

TEST_F(BeginTest, WhatHasAFlowIsLeftToTheLongWay) {
    make();
    pass(udp(a, 1000, b, 53));
    expect_left_alone(udp(a, 1000, b, 53));
    expect_left_alone(udp(b, 53, a, 1000));
    EXPECT_NE(begin(udp(a, 1001, b, 53)), nullptr);
}

TEST_F(BeginTest, WhatIsWrongOrNoBeginningIsLeftToTheLongWay) {
    make();
    auto spoiled = udp(a, 1000, b, 53);
    spoiled.back() ^= 1;
    expect_left_alone(spoiled);
    auto too_long = udp(a, 1000, b, 53);
    too_long[25] = 200;
    expect_left_alone(too_long);
    for (const auto flags : {kTcpAck, kTcpSyn | kTcpAck, kTcpSyn | kTcpFin})
        expect_left_alone(tcp(a, 1000, b, 80, flags, 7, 7));
    auto no_header = tcp(a, 1000, b, 80, kTcpSyn, 7, 0);
    no_header[32] = 0x40;
    expect_left_alone(no_header);
    settings.checksum = false;
    make_again();
    EXPECT_NE(begin(spoiled), nullptr);
}

TEST_F(BeginTest, WhereThereIsMoreToSayItIsLeftToTheLongWay) {
    make();
    settings.helpers = {Helper::ftp, Helper::tftp};
    make_again();
    expect_left_alone(tcp(a, 1000, b, 21, kTcpSyn, 7, 0));
    expect_left_alone(udp(a, 1000, b, 69));
    EXPECT_NE(begin(udp(a, 1000, b, 21)), nullptr);
    make();
    limits.per_source[index(kLan)] = 10;
    make_again();
    expect_left_alone(udp(a, 1000, b, 53));
}

TEST_F(BeginTest, TheReserveIsTheLongWays) {
    limits.reserve = 2;
    make(4);
    for (uint16_t port = 1; port <= 2; ++port) {
        Tracked tracked{.flow = begin(udp(a, port, b, 53)), .state = CtState::new_};
        ASSERT_NE(tracked.flow, nullptr);
        ASSERT_TRUE(tracker->confirm_plainly(tracked, now));
    }
    expect_left_alone(udp(a, 3, b, 53));
}

TEST_F(BeginTest, WhatIsReleasedLeavesNothing) {
    make();
    Tracked tracked{.flow = begin(udp(a, 1000, b, 53)), .state = CtState::new_};
    tracker->release(tracked);
    EXPECT_EQ(flows(), 0U);
    check();
}

}  // namespace
}  // namespace sluice::conntrack
