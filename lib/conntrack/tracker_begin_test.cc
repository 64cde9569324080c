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
    NewFlow begun(const Bytes& bytes) {
        const auto length = static_cast<uint32_t>(bytes.size());
        return bytes[0] >> 4 == 4 ? tracker->begin_plainly<Family::ip4>(bytes.data(), length, kLan, now)
                                  : tracker->begin_plainly<Family::ip6>(bytes.data(), length, kLan, now);
    }
    Flow* begin(const Bytes& bytes) { return begun(bytes).flow; }
    // Begun and confirmed.
    Tracked begin_whole(const Bytes& bytes) {
        const NewFlow flow = begun(bytes);
        Tracked tracked{.flow = flow.flow, .state = CtState::new_};
        EXPECT_TRUE(flow.flow != nullptr && tracker->confirm_plainly(tracked, flow, now));
        return tracked;
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
        const Tracked tracked = begin_whole(bytes);
        const Flow* const flow = tracked.flow;
        ASSERT_NE(flow, nullptr);
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

// Of either family.
class EitherFamily : public BeginTest, public testing::WithParamInterface<Family> {
  protected:
    const bool is_ip6 = GetParam() == Family::ip6;
    const IpAddress from = is_ip6 ? a6 : a;
    const IpAddress to = is_ip6 ? b6 : b;
    const size_t upper = is_ip6 ? 40 : 20;
};
INSTANTIATE_TEST_SUITE_P(Family, EitherFamily, testing::Values(Family::ip4, Family::ip6),
                         [](const auto& of) { return of.param == Family::ip4 ? "Ip4" : "Ip6"; });

TEST_P(EitherFamily, UdpIsTheSameEitherWay) {
    expect_same<UdpTrack>(udp(from, 1000, to, 53));
    expect_same<UdpTrack>(udp(from, 1000, to, 53, ""));
    expect_same<UdpTrack>(udp(from, 1000, to, 53, "a question that fills more than a few words"));
    auto without_checksum = udp(from, 1000, to, 53, "question");
    without_checksum[upper + 6] = without_checksum[upper + 7] = 0;
    expect_same<UdpTrack>(without_checksum);
}

TEST_P(EitherFamily, ASynIsTheSameEitherWay) {
    expect_same<TcpTrack>(tcp(from, 1000, to, 80, kTcpSyn, 7, 0));
    expect_same<TcpTrack>(tcp(from, 1000, to, 80, kTcpSyn | kTcpEce, 0xffffffff, 0, "early"));
}

TEST_P(EitherFamily, WhatHasAFlowIsLeftToTheLongWay) {
    make();
    pass(udp(from, 1000, to, 53));
    expect_left_alone(udp(from, 1000, to, 53));
    expect_left_alone(udp(to, 53, from, 1000));
    EXPECT_NE(begin(udp(from, 1001, to, 53)), nullptr);
    EXPECT_NE(begin(tcp(from, 1000, to, 53, kTcpSyn, 7, 0)), nullptr);
}

TEST_P(EitherFamily, FlowsThatBeganPlainlyAreFoundAndEnd) {
    make();
    const auto first = begin_whole(udp(from, 1000, to, 53));
    const auto second = begin_whole(tcp(from, 1000, to, 53, kTcpSyn, 7, 0));
    EXPECT_NE(first.flow, second.flow);
    expect_left_alone(udp(from, 1000, to, 53));
    expect_left_alone(udp(to, 53, from, 1000));
    const auto answer = pass(udp(to, 53, from, 1000), kWan);
    EXPECT_EQ(answer.flow, first.flow);
    EXPECT_EQ(answer.direction, Direction::reply);
    advance(1h);
    EXPECT_EQ(flows(), 0U);
    check();
    EXPECT_EQ(begin_whole(udp(from, 1000, to, 53)).state, CtState::new_);
}

TEST_P(EitherFamily, ManyBeginAndEndAtOnce) {
    constexpr uint16_t kMany = 5000;
    make(kMany);
    for (int round = 0; round < 2; ++round) {
        for (uint16_t port = 1; port <= kMany; ++port)
            begin_whole(udp(from, port, to, 53));
        check();
        EXPECT_EQ(flows(), kMany);
        expect_left_alone(udp(from, kMany, to, 53));
        EXPECT_EQ(begin(udp(from, kMany + 1, to, 53)), nullptr);
        advance(1h);
        EXPECT_EQ(flows(), 0U);
    }
}

TEST_P(EitherFamily, WhatIsWrongOrNoBeginningIsLeftToTheLongWay) {
    make();
    auto spoiled = udp(from, 1000, to, 53);
    spoiled.back() ^= 1;
    expect_left_alone(spoiled);
    auto too_long = udp(from, 1000, to, 53);
    too_long[upper + 5] = 200;
    expect_left_alone(too_long);
    auto too_short = udp(from, 1000, to, 53);
    too_short[upper + 5] = 7;
    expect_left_alone(too_short);
    for (const auto flags : {kTcpAck, kTcpSyn | kTcpAck, kTcpSyn | kTcpFin})
        expect_left_alone(tcp(from, 1000, to, 80, flags, 7, 7));
    auto no_header = tcp(from, 1000, to, 80, kTcpSyn, 7, 0);
    no_header[upper + 12] = 0x40;
    expect_left_alone(no_header);
    settings.checksum = false;
    make_again();
    EXPECT_NE(begin(spoiled), nullptr);
}

TEST_P(EitherFamily, WhereThereIsMoreToSayItIsLeftToTheLongWay) {
    make();
    settings.helpers = {Helper::ftp, Helper::tftp};
    make_again();
    expect_left_alone(tcp(from, 1000, to, 21, kTcpSyn, 7, 0));
    expect_left_alone(udp(from, 1000, to, 69));
    EXPECT_NE(begin(udp(from, 1000, to, 21)), nullptr);
    make();
    limits.per_source[index(kLan)] = 10;
    make_again();
    expect_left_alone(udp(from, 1000, to, 53));
}

TEST_P(EitherFamily, TheReserveIsTheLongWays) {
    limits.reserve = 2;
    make(4);
    for (uint16_t port = 1; port <= 2; ++port)
        begin_whole(udp(from, port, to, 53));
    expect_left_alone(udp(from, 3, to, 53));
}

TEST_P(EitherFamily, WhatIsReleasedLeavesNothing) {
    make();
    Tracked tracked{.flow = begin(udp(from, 1000, to, 53)), .state = CtState::new_};
    tracker->release(tracked);
    EXPECT_EQ(flows(), 0U);
    check();
}

}  // namespace
}  // namespace sluice::conntrack
