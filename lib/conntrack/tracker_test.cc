// Packets in, states out: what nf_conntrack_in and nf_conntrack_confirm do.
#include "conntrack/tracker_fixture.hh"

namespace sluice::conntrack {
namespace {

using wire::kTcpAck;
using wire::kTcpRst;
using wire::kTcpSyn;

TEST_F(TrackerTest, AQuestionIsNewUntilItIsAnswered) {
    make();
    const auto question = udp(a, 1000, b, 53);
    EXPECT_EQ(pass(question).state, CtState::new_);
    EXPECT_EQ(pass(question).state, CtState::new_);
    const auto answer = pass(udp(b, 53, a, 1000), kWan);
    EXPECT_EQ(answer.state, CtState::established);
    EXPECT_EQ(answer.direction, Direction::reply);
    EXPECT_TRUE(answer.flow->status.has(kSeenReply | kConfirmed));
    const auto more = pass(question);
    EXPECT_EQ(more.state, CtState::established);
    EXPECT_EQ(more.direction, Direction::original);
    EXPECT_EQ(more.flow, answer.flow);
    EXPECT_EQ(flows(), 1U);
    check();
}

TEST_F(TrackerTest, BothFamiliesAndTheSamePortsAreDifferentFlows) {
    make();
    pass(udp(a, 1, b, 2));
    pass(udp(a6, 1, b6, 2));
    pass(udp(a, 2, b, 1));
    EXPECT_EQ(flows(), 3U);
    EXPECT_EQ(pass(udp(b6, 2, a6, 1)).state, CtState::established);
    check();
}

TEST_F(TrackerTest, CountsPacketsAndBytesOfEachDirection) {
    make();
    pass(udp(a, 1, b, 2, "123"));
    pass(udp(a, 1, b, 2, "123"));
    const auto reply = pass(udp(b, 2, a, 1, "1"));
    EXPECT_EQ(reply.flow->counters(Direction::original).packets(), 2U);
    EXPECT_EQ(reply.flow->counters(Direction::original).bytes(), 62U);
    EXPECT_EQ(reply.flow->counters(Direction::reply).packets(), 1U);
    EXPECT_EQ(reply.flow->counters(Direction::reply).bytes(), 29U);
    EXPECT_EQ(reply.flow->in(), kLan);
}

TEST(FlowCounters, HoldMoreThanThirtyTwoBits) {
    FlowCounters counters;
    counters.add(0xffff'ffff, uint64_t{1} << 51);
    counters.add(2, 5);
    EXPECT_EQ(counters.packets(), 0x1'0000'0001U);
    EXPECT_EQ(counters.bytes(), (uint64_t{1} << 51) + 5);
}

TEST_F(TrackerTest, WhatWasDecidedBeforeTheFirstReplyHoldsNoLonger) {
    make();
    pass(udp(a, 1, b, 2));
    auto* const flow = pass(udp(a, 1, b, 2)).flow;
    flow->decision(Direction::original) = {1, 2};
    pass(udp(a, 1, b, 2));
    EXPECT_EQ(flow->decision(Direction::original), (Decision{1, 2}));
    pass(udp(b, 2, a, 1));
    EXPECT_EQ(flow->decision(Direction::original), Decision());
    flow->decision(Direction::original) = {3, 4};
    pass(udp(b, 2, a, 1));
    EXPECT_EQ(flow->decision(Direction::original), (Decision{3, 4}));
}

TEST_F(TrackerTest, AFlowThatWasNotConfirmedIsNotFound) {
    make();
    auto first = track(udp(a, 1, b, 2));
    EXPECT_EQ(first.state, CtState::new_);
    EXPECT_EQ(flows(), 1U);
    EXPECT_EQ(tracker->peek(view(udp(b, 2, a, 1)), now), nullptr);
    tracker->release(first);
    EXPECT_EQ(first.flow, nullptr);
    EXPECT_EQ(flows(), 0U);
    EXPECT_EQ(pass(udp(b, 2, a, 1)).state, CtState::new_);
    check();
}

TEST_F(TrackerTest, AnIdleFlowEndsWhenItsTimeIsUp) {
    make();
    pass(udp(a, 1, b, 2));
    advance(29s);
    EXPECT_EQ(flows(), 1U);
    pass(udp(a, 1, b, 2));
    advance(29s);
    EXPECT_EQ(flows(), 1U);
    advance(2s);
    EXPECT_EQ(flows(), 0U);
    EXPECT_EQ(count(Count::expired), 1U);
    check();
}

// R4787-5: "no less than". Whatever part of a tick has passed when it begins.
TEST_F(TrackerTest, NoFlowEndsBeforeItsTime) {
    for (int part = 0; part < 32; ++part) {
        make();
        now += Duration(1'000'003);
        const Instant begin = now;
        pass(udp(a, 1000, b, 53));
        advance(30s - Duration(1));
        EXPECT_EQ(flows(), 1U) << part;
        now = begin + 30s + 2 * Duration(int64_t{1} << kTickShift);
        advance(0s);
        EXPECT_EQ(flows(), 0U) << part;
    }
}

TEST_F(TrackerTest, AnExpiredFlowIsNotFoundEvenBeforeTheWheelTurns) {
    make();
    pass(udp(a, 1, b, 2));
    pass(udp(b, 2, a, 1));
    now += 200s;
    EXPECT_EQ(pass(udp(b, 2, a, 1)).state, CtState::new_);
    EXPECT_EQ(flows(), 1U);
    advance(0s);
    check();
}

// R7857-7: under profile rfc.
TEST_F(TrackerTest, WhatARuleDropsProlongsNothing) {
    for (const bool does : {false, true}) {
        auto changed = Settings::of(Profile::linux);
        changed.refresh_by_dropped = does;
        make(100, changed);
        pass(udp(a, 1, b, 2));
        advance(20s);
        tracker->take_back(pass(udp(b, 2, a, 1)));
        advance(29s);
        EXPECT_EQ(flows(), does ? 1U : 0U);
        check();
    }
}

TEST_F(TrackerTest, AShorterTimeoutTakesEffectAtOnce) {
    make();
    pass(tcp(a, 1, b, 80, kTcpSyn, 100, 0));
    pass(tcp(b, 80, a, 1, kTcpSyn | kTcpAck, 500, 101));
    pass(tcp(a, 1, b, 80, kTcpAck, 101, 501));
    advance(3600s);
    EXPECT_EQ(flows(), 1U);
    pass(tcp(a, 1, b, 80, kTcpRst, 101, 0));
    advance(11s);
    EXPECT_EQ(flows(), 0U);
}

TEST_F(TrackerTest, AResetOfTheBoxClosesTheConnection) {
    make();
    pass(tcp(a, 1, b, 80, kTcpSyn, 100, 0));
    pass(tcp(b, 80, a, 1, kTcpSyn | kTcpAck, 500, 101));
    const auto refused = track(tcp(a, 1, b, 80, kTcpAck, 101, 501));
    tracker->close(refused, now);
    EXPECT_EQ(refused.flow->track<TcpTrack>().state, TcpState::close);
    advance(9s);
    EXPECT_EQ(flows(), 1U);
    tracker->close({.flow = refused.flow}, now);  // again: no longer
    advance(2s);
    EXPECT_EQ(flows(), 0U);
    auto first = track(tcp(a, 1, b, 80, kTcpSyn, 900, 0));
    tracker->close(first, now);
    tracker->release(first);
    EXPECT_EQ(flows(), 0U) << "of one that has not begun nothing stays";
    check();
}

TEST_F(TrackerTest, AResetInAnswerToASynEndsTheFlowAtOnce) {
    make();
    pass(tcp(a, 1, b, 80, kTcpSyn, 100, 0));
    const auto reset = pass(tcp(b, 80, a, 1, kTcpRst | kTcpAck, 0, 101));
    EXPECT_EQ(reset.state, CtState::established);
    ASSERT_NE(reset.flow, nullptr);  // still readable for the rules
    EXPECT_TRUE(reset.flow->is_dying());
    EXPECT_EQ(reset.flow->counters(Direction::reply).packets(), 1U);
    EXPECT_EQ(flows(), 0U);
    EXPECT_EQ(pass(tcp(a, 1, b, 80, kTcpSyn, 900, 0)).state, CtState::new_);
    check();
}

TEST_F(TrackerTest, ASynReopensAConnectionThatIsOver) {
    make();
    pass(tcp(a, 1, b, 80, kTcpSyn, 100, 0));
    pass(tcp(b, 80, a, 1, kTcpSyn | kTcpAck, 500, 101));
    const auto old = pass(tcp(a, 1, b, 80, kTcpAck, 101, 501)).flow->id();
    pass(tcp(a, 1, b, 80, kTcpRst | kTcpAck, 101, 501));
    const auto again = pass(tcp(a, 1, b, 80, kTcpSyn, 77777, 0));
    EXPECT_EQ(again.state, CtState::new_);
    EXPECT_NE(again.flow->id(), old);
    EXPECT_EQ(flows(), 1U);
    EXPECT_EQ(count(Count::search_restart), 1U);
    check();
}

TEST_F(TrackerTest, WhatBeginsNoFlowIsInvalidAndCounted) {
    make(100, Settings::of(Profile::rfc));
    const auto stray = pass(tcp(a, 1, b, 80, kTcpAck, 1, 1));
    EXPECT_EQ(stray.state, CtState::invalid);
    EXPECT_EQ(stray.reason, InvalidReason::tcp_no_syn);
    EXPECT_EQ(stray.flow, nullptr);
    EXPECT_EQ(flows(), 0U);
    EXPECT_EQ(count(Count::invalid), 1U);
    EXPECT_EQ(counters.read(InvalidReason::tcp_no_syn), 1U);
}

TEST_F(TrackerTest, ABadChecksumIsInvalidUnlessTheBoxMadeIt) {
    make();
    auto bad = udp(a, 1, b, 2);
    bad.back() ^= 1;
    EXPECT_EQ(track(bad).reason, InvalidReason::bad_checksum);
    auto own = track(bad, kNoInterface, true);
    EXPECT_EQ(own.state, CtState::new_);
    tracker->release(own);
    EXPECT_EQ(flows(), 0U);
}

TEST_F(TrackerTest, TimeIsCountedFromConfirmation) {
    make();
    const auto question = udp(a, 1, b, 2);
    auto tracked = track(question);
    now += 20s;  // it waited for its next hop
    ASSERT_TRUE(tracker->confirm(tracked, view(question), now));
    advance(29s);
    EXPECT_EQ(flows(), 1U);
    advance(2s);
    EXPECT_EQ(flows(), 0U);
}

TEST_F(TrackerTest, EveryFlowEndsWithinADayOfVirtualTime) {
    make(1000);
    for (int hour = 0; hour < 24; ++hour) {
        for (uint16_t port = 1; port <= 300; ++port)
            pass(udp(a, static_cast<uint16_t>(port + hour), b, port));
        check();
        advance(1h);
        EXPECT_EQ(flows(), 0U);
    }
    EXPECT_EQ(count(Count::expired), 24U * 300U);
    EXPECT_EQ(count(Count::insert), 24U * 300U);
}

TEST_F(TrackerTest, EchoMakesAFlowAndAStrayReplyDoesNot) {
    make();
    EXPECT_EQ(pass(icmp(a, b, 8, 0, 0x00070001)).state, CtState::new_);
    EXPECT_EQ(pass(icmp(b, a, 0, 0, 0x00070001)).state, CtState::established);
    EXPECT_EQ(pass(icmp(b, a, 0, 0, 0x00080001)).state, CtState::invalid);
    EXPECT_EQ(pass(icmp(a6, b6, 128, 0, 0x00070001)).state, CtState::new_);
    EXPECT_EQ(pass(icmp(b6, a6, 129, 0, 0x00070001)).state, CtState::established);
    EXPECT_EQ(flows(), 2U);
}

TEST_F(TrackerTest, NeighbourDiscoveryIsUntracked) {
    make();
    EXPECT_EQ(track(icmp(a6, b6, 135, 0, 0, a6.ip6().bytes())).state, CtState::untracked);
    EXPECT_EQ(flows(), 0U);
}

// R1812-4.3.2.3, R5508-3: what an error quotes tells its flow.
TEST_F(TrackerTest, AnErrorIsRelatedToTheFlowItQuotes) {
    make();
    const auto question = udp(a, 1000, b, 53);
    pass(question);
    const auto error = pass(icmp(router, a, 3, 1, 0, question), kWan);
    EXPECT_EQ(error.state, CtState::related);
    EXPECT_EQ(error.direction, Direction::reply);
    ASSERT_NE(error.flow, nullptr);
    EXPECT_EQ(error.flow->counters(Direction::reply).packets(), 0U);
    EXPECT_FALSE(error.flow->status.has(kSeenReply));  // an error is no answer (R4787-12)

    const auto answer = udp(b, 53, a, 1000);
    pass(answer);
    const auto back = pass(icmp(a, b, 3, 3, 0, answer));
    EXPECT_EQ(back.state, CtState::related);
    EXPECT_EQ(back.direction, Direction::original);

    const auto question6 = udp(a6, 1, b6, 2);
    pass(question6);
    EXPECT_EQ(pass(icmp(b6, a6, 1, 4, 0, question6)).state, CtState::related);
}

TEST_F(TrackerTest, AnErrorAboutNothingKnownIsInvalid) {
    make();
    pass(udp(a, 1000, b, 53));
    EXPECT_EQ(track(icmp(router, a, 3, 1, 0, udp(a, 1001, b, 53))).reason, InvalidReason::icmp_no_flow);
    // To another host than the one whose packet it quotes.
    EXPECT_EQ(track(icmp(router, ip("10.0.0.9"), 3, 1, 0, udp(a, 1000, b, 53))).reason,
              InvalidReason::icmp_destination);
    EXPECT_EQ(track(icmp(router, a, 3, 1, 0)).reason, InvalidReason::icmp_quotation);
    EXPECT_EQ(count(Count::error), 3U);
}

TEST_F(TrackerTest, WhatTheBoxSendsAboutAPacketIsRelatedAndBeginsNothing) {
    make();
    const auto question = udp(a, 1, b, 2);
    auto tracked = track(question);
    auto error = Tracker::related_to(tracked);
    EXPECT_EQ(error.state, CtState::related);
    EXPECT_EQ(error.direction, Direction::reply);
    EXPECT_TRUE(tracker->confirm(error, view(icmp(b, a, 3, 3, 0, question)), now));
    tracker->release(error);
    EXPECT_FALSE(tracked.flow->is_confirmed());
    tracker->release(tracked);
    EXPECT_EQ(flows(), 0U);
    EXPECT_EQ(Tracker::related_to(Tracked{.state = CtState::invalid}).flow, nullptr);
}

TEST_F(TrackerTest, TwoFirstPacketsOnTheirWayBecomeOneFlow) {
    make();
    const auto question = udp(a, 1, b, 2);
    auto first = track(question);
    auto second = track(question);
    EXPECT_NE(first.flow, second.flow);
    ASSERT_TRUE(tracker->confirm(first, view(question), now));
    ASSERT_TRUE(tracker->confirm(second, view(question), now));
    EXPECT_EQ(first.flow, second.flow);
    EXPECT_EQ(first.flow->counters(Direction::original).packets(), 2U);
    EXPECT_EQ(count(Count::clash_resolve), 1U);
    EXPECT_EQ(flows(), 1U);
    check();
}

TEST_F(TrackerTest, TwoConnectionsOnTheirWayDoNot) {
    make();
    const auto syn = tcp(a, 1, b, 2, kTcpSyn, 5, 0);
    auto first = track(syn);
    auto second = track(syn);
    ASSERT_TRUE(tracker->confirm(first, view(syn), now));
    EXPECT_FALSE(tracker->confirm(second, view(syn), now));
    EXPECT_EQ(second.refusal, Refusal::insert_failed);
    EXPECT_EQ(count(Count::insert_failed), 1U);
    EXPECT_EQ(flows(), 1U);
}

TEST_F(TrackerTest, EventsTellTheLifeOfAFlow) {
    make();
    pass(udp(a, 9, b, 9));  // nobody listens yet
    tracker->events().want(true);
    pass(udp(a, 1, b, 2));
    pass(udp(b, 2, a, 1));
    advance(200s);
    std::vector<EventKind> kinds;
    for (FlowEvent event; tracker->events().pop(event);) {
        if (event.flow.original.sport == 1)
            kinds.push_back(event.kind);
        if (event.kind == EventKind::destroy && event.flow.original.sport == 1) {
            EXPECT_EQ(event.flow.packets[1], 1U);
        }
    }
    EXPECT_EQ(kinds, (std::vector{EventKind::new_, EventKind::update, EventKind::destroy}));
}

TEST_F(TrackerTest, EventsNobodyFetchesAreLostAndCounted) {
    make(40000);
    tracker->events().want(true);
    for (uint16_t port = 1; port <= 20000; ++port)
        pass(udp(a, port, b, 2));
    EXPECT_EQ(count(Count::event_lost), 20000U - 16384U);
}

TEST_F(TrackerTest, TellsOfEndsOfFlowsThatAreWatched) {
    make();
    std::vector<Tuple> ended;
    tracker->watch_ends({.ended =
                             [](void* context, const Flow& flow, Instant) {
                                 static_cast<std::vector<Tuple>*>(context)->push_back(
                                     flow.tuple(Direction::original));
                             },
                         .context = &ended,
                         .of = kMappedSource | kMappedDestination});
    const auto watched = pass(udp(a, 1, b, 2));
    watched.flow->status.set(kMappedDestination);
    const auto erased = pass(udp(a, 3, b, 2));
    erased.flow->status.set(kMappedSource);
    pass(udp(a, 5, b, 2));
    const auto tuple = erased.flow->tuple(Direction::original);
    tracker->erase(*erased.flow, now);
    EXPECT_EQ(ended, std::vector{tuple});
    tracker->flush(now);
    ASSERT_EQ(ended.size(), 2U);
    EXPECT_EQ(ended[1].sport, 1);
}

}  // namespace
}  // namespace sluice::conntrack
