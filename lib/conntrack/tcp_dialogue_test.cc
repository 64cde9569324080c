// Conversations as they come and as they should not.
#include <gtest/gtest.h>

#include <algorithm>

#include "base/random.hh"
#include "conntrack/tcp_conversation.hh"

namespace sluice::conntrack {
namespace {

using std::chrono::hours;
using std::chrono::seconds;

constexpr TrackResult kInvalidSequence = TrackResult::invalid(InvalidReason::tcp_sequence);
constexpr TrackResult kInvalidAck = TrackResult::invalid(InvalidReason::tcp_ack);

TEST(TcpDialogue, HandshakeDataAndClose) {
    TcpConversation tcp;
    EXPECT_EQ(tcp.client("S", {.sequence = 1000}).timeout, seconds(120));
    EXPECT_EQ(tcp.track.state, TcpState::syn_sent);
    EXPECT_EQ(tcp.server("SA", {.sequence = 5000, .ack = 1001}).timeout, seconds(60));
    const TrackResult opened = tcp.client("A", {.sequence = 1001, .ack = 5001});
    EXPECT_TRUE(opened.assured);
    EXPECT_TRUE(opened.state_changed);
    EXPECT_EQ(opened.timeout, hours(120));
    EXPECT_FALSE(tcp.client("A", {.sequence = 1001, .ack = 5001}).assured);
    // Unacknowledged data, then its acknowledgment.
    EXPECT_EQ(tcp.client("PA", {.sequence = 1001, .ack = 5001, .length = 100}).timeout, seconds(300));
    EXPECT_EQ(tcp.server("A", {.sequence = 5001, .ack = 1101}).timeout, hours(120));
    // Half close: the server goes on sending.
    EXPECT_EQ(tcp.client("FA", {.sequence = 1101, .ack = 5001}).timeout, seconds(120));
    EXPECT_EQ(tcp.server("A", {.sequence = 5001, .ack = 1102}).timeout, seconds(60));
    EXPECT_EQ(tcp.track.state, TcpState::close_wait);
    EXPECT_EQ(tcp.server("PA", {.sequence = 5001, .ack = 1102, .length = 1000}).verdict,
              TrackVerdict::accept);
    EXPECT_EQ(tcp.client("A", {.sequence = 1102, .ack = 6001}).verdict, TrackVerdict::accept);
    EXPECT_EQ(tcp.track.state, TcpState::close_wait);
    EXPECT_EQ(tcp.server("FA", {.sequence = 6001, .ack = 1102}).timeout, seconds(30));
    EXPECT_EQ(tcp.track.state, TcpState::last_ack);
    EXPECT_EQ(tcp.client("A", {.sequence = 1102, .ack = 6002}).timeout, seconds(120));
    EXPECT_EQ(tcp.track.state, TcpState::time_wait);
}

// R5382-5, R7857-2.1
TEST(TcpDialogue, TimeoutsOfTheRfcs) {
    TcpConversation tcp(Profile::rfc);
    EXPECT_EQ(tcp.client("S", {.sequence = 1000}).timeout, seconds(240));
    tcp.server("SA", {.sequence = 5000, .ack = 1001});
    EXPECT_EQ(tcp.client("A", {.sequence = 1001, .ack = 5001}).timeout, seconds(7440));
}

// R5382-2a
TEST(TcpDialogue, SimultaneousOpen) {
    TcpConversation tcp;
    tcp.client("S", {.sequence = 1000});
    EXPECT_EQ(tcp.server("S", {.sequence = 5000}).verdict, TrackVerdict::accept);
    EXPECT_EQ(tcp.track.state, TcpState::syn_sent2);
    tcp.server("SA", {.sequence = 5000, .ack = 1001});
    EXPECT_EQ(tcp.track.state, TcpState::syn_recv);
    EXPECT_EQ(tcp.client("SA", {.sequence = 1000, .ack = 5001}).verdict, TrackVerdict::accept);
    EXPECT_EQ(tcp.track.state, TcpState::syn_recv);
    EXPECT_TRUE(tcp.server("A", {.sequence = 5001, .ack = 1001}).assured);
    EXPECT_EQ(tcp.track.state, TcpState::established);
}

TEST(TcpDialogue, AnAckOfTheServerDoesNotOpenOrdinaryConnections) {
    TcpConversation tcp;
    tcp.client("S", {.sequence = 1000});
    tcp.server("SA", {.sequence = 5000, .ack = 1001});
    EXPECT_FALSE(tcp.server("A", {.sequence = 5001, .ack = 1001}).assured);
    EXPECT_EQ(tcp.track.state, TcpState::syn_recv);
}

TEST(TcpDialogue, ARepeatedSynDoesNotProlong) {
    TcpConversation tcp;
    EXPECT_TRUE(tcp.client("S", {.sequence = 1000}).refresh);
    EXPECT_EQ(tcp.client("S", {.sequence = 1000}), TrackResult::keep());
}

TEST(TcpDialogue, ANewSynBringsNewNumbers) {
    TcpConversation tcp;
    tcp.client("S", {.sequence = 1000});
    tcp.client("S", {.sequence = 900000});
    EXPECT_EQ(tcp.server("SA", {.sequence = 5000, .ack = 900001}).reason, InvalidReason::none);
    EXPECT_TRUE(tcp.client("A", {.sequence = 900001, .ack = 5001}).assured);
}

TEST(TcpDialogue, TheAnswerRefusesAndEndsTheFlow) {
    TcpConversation tcp;
    tcp.client("S", {.sequence = 1000});
    const TrackResult refused = tcp.server("RA", {.sequence = 0, .ack = 1001});
    EXPECT_EQ(refused.verdict, TrackVerdict::accept);
    EXPECT_TRUE(refused.ended);
    EXPECT_FALSE(refused.refresh);
}

TEST(TcpDialogue, AStrangersRstDuringTheHandshakeIsOutside) {
    TcpConversation tcp;
    tcp.client("S", {.sequence = 1000});
    tcp.server("SA", {.sequence = 5000, .ack = 1001});
    EXPECT_EQ(tcp.server("R", {.sequence = 900000}), kInvalidSequence);
    EXPECT_EQ(tcp.track.state, TcpState::syn_recv);
}

// Beyond the window, and an ACK of what was never sent.
TEST(TcpDialogue, SegmentsOutsideTheWindow) {
    TcpConversation tcp;
    tcp.open();
    const TcpTrack before = tcp.track;
    EXPECT_EQ(tcp.client("A", {.sequence = 1001 + 200000, .ack = 5001, .length = 1}), kInvalidSequence);
    EXPECT_EQ(tcp.server("A", {.sequence = 5001, .ack = 1002}), kInvalidAck);
    EXPECT_EQ(tcp.track, before);
    // Old data and old acknowledgments are late rather than wrong.
    EXPECT_EQ(tcp.client("A", {.sequence = 1001U - 70000U, .ack = 5001, .length = 1}), TrackResult::keep());
    EXPECT_EQ(tcp.client("A", {.sequence = 1001, .ack = 5001U - 70000U}), TrackResult::keep());
    EXPECT_EQ(tcp.track, before);
}

TEST(TcpDialogue, TheEdgesOfTheWindow) {
    TcpConversation tcp;
    tcp.open();
    // The server has offered 65535 bytes behind 1001: the last sequence number is the one behind them.
    EXPECT_TRUE(tcp.client("A", {.sequence = 1001 + 65535, .ack = 5001}).refresh);
    TcpConversation beyond;
    beyond.open();
    EXPECT_FALSE(beyond.client("A", {.sequence = 1001 + 65536, .ack = 5001}).refresh);
}

TEST(TcpDialogue, ALittleMoreThanOfferedIsRemembered) {
    TcpConversation tcp;
    tcp.client("S", {.sequence = 1000});
    tcp.server("SA", {.sequence = 5000, .ack = 1001, .window = 1000});
    tcp.client("A", {.sequence = 1001, .ack = 5001});
    EXPECT_EQ(tcp.client("A", {.sequence = 2002, .ack = 5001, .length = 100}), TrackResult::keep());
    // The server has taken it all the same.
    EXPECT_EQ(tcp.server("A", {.sequence = 5001, .ack = 2102}).verdict, TrackVerdict::accept);
}

TEST(TcpDialogue, Liberal) {
    TcpConversation tcp;
    tcp.settings.tcp_be_liberal = true;
    tcp.open();
    EXPECT_TRUE(tcp.client("A", {.sequence = 1001 + 700000, .ack = 5001}).refresh);
    EXPECT_TRUE(tcp.server("A", {.sequence = 5001, .ack = 700000}).refresh);
}

// RFC 7323 2.2: scaled if both have offered it, and never in a SYN.
TEST(TcpDialogue, WindowScaling) {
    TcpConversation scaled;
    scaled.client("S", {.sequence = 1000, .options = "03030700"});
    scaled.server("SA", {.sequence = 5000, .ack = 1001, .window = 1000, .options = "03030700"});
    scaled.client("A", {.sequence = 1001, .ack = 5001});
    EXPECT_EQ(scaled.client("A", {.sequence = 1001 + 2000, .ack = 5001, .length = 5000}), kInvalidSequence);
    scaled.server("A", {.sequence = 5001, .ack = 1001, .window = 1000});
    EXPECT_TRUE(scaled.client("A", {.sequence = 1001 + 100000, .ack = 5001}).refresh);

    TcpConversation one_sided;
    one_sided.client("S", {.sequence = 1000, .options = "03030700"});
    one_sided.server("SA", {.sequence = 5000, .ack = 1001, .window = 1000});
    one_sided.client("A", {.sequence = 1001, .ack = 5001});
    one_sided.server("A", {.sequence = 5001, .ack = 1001, .window = 1000});
    EXPECT_FALSE(one_sided.client("A", {.sequence = 1001 + 100000, .ack = 5001}).refresh);
    EXPECT_EQ(one_sided.track.scale[0], 0);

    TcpConversation huge;
    huge.open("0303ff00");
    EXPECT_EQ(huge.track.scale[0], 14);
}

// A SACK counts as an acknowledgment, if it was agreed upon.
TEST(TcpDialogue, SelectiveAcknowledgment) {
    constexpr std::string_view kSack = "0101 050a 00000401 00000460";  // up to 1120
    TcpConversation tcp;
    tcp.open("0402 0101");
    tcp.client("A", {.sequence = 1001, .ack = 5001, .length = 50});
    EXPECT_EQ(tcp.server("A", {.sequence = 5001, .ack = 1001, .options = kSack}), kInvalidAck);
    tcp.client("A", {.sequence = 1051, .ack = 5001, .length = 100});
    EXPECT_TRUE(tcp.server("A", {.sequence = 5001, .ack = 1001, .options = kSack}).refresh);
    EXPECT_EQ(tcp.track.windows[1].granted, 1120U + 65535U);

    TcpConversation without;
    without.open();
    EXPECT_TRUE(without.server("A", {.sequence = 5001, .ack = 1001, .options = kSack}).refresh);
}

TEST(TcpDialogue, KeepAlive) {
    TcpConversation tcp;
    tcp.open();
    EXPECT_TRUE(tcp.client("A", {.sequence = 1000, .ack = 5001}).refresh);
    EXPECT_TRUE(tcp.server("A", {.sequence = 5001, .ack = 1001}).refresh);
    EXPECT_TRUE(tcp.client("A", {.sequence = 1000, .ack = 5001, .length = 1}).refresh);
}

TEST(TcpDialogue, AClosedWindowTakesOneByte) {
    TcpConversation tcp;
    tcp.open();
    tcp.client("A", {.sequence = 1001, .ack = 5001, .length = 65535});
    tcp.server("A", {.sequence = 5001, .ack = 66536, .window = 0});
    const TrackResult probe = tcp.client("A", {.sequence = 66536, .ack = 5001, .length = 1});
    EXPECT_TRUE(probe.refresh);
    EXPECT_EQ(tcp.server("A", {.sequence = 5001, .ack = 66536, .window = 0}).timeout, seconds(300));
}

TEST(TcpDialogue, Retransmissions) {
    TcpConversation tcp;
    tcp.open();
    tcp.settings.timeouts.set(Timeout::tcp_unacknowledged, seconds(200));
    const TcpSend data{.sequence = 1001, .ack = 5001, .length = 100};
    for (int i = 0; i < 3; ++i)
        EXPECT_EQ(tcp.client("PA", data).timeout, seconds(200)) << i;
    EXPECT_EQ(tcp.client("PA", data).timeout, seconds(300));
    EXPECT_EQ(tcp.server("A", {.sequence = 5001, .ack = 1101}).timeout, hours(120));
    for (int i = 0; i < 600; ++i)
        tcp.client("PA", data);
    EXPECT_EQ(tcp.client("PA", data).timeout, seconds(300)) << "the count must not wrap";
}

TEST(TcpDialogue, PickUpInTheMiddle) {
    TcpConversation tcp;
    const TrackResult first = tcp.client("PA", {.sequence = 700000, .ack = 90000, .length = 10});
    EXPECT_EQ(first.verdict, TrackVerdict::accept);
    EXPECT_EQ(first.timeout, seconds(300)) << "not answered: not the timeout of open connections";
    EXPECT_EQ(tcp.track.state, TcpState::established);
    EXPECT_FALSE(tcp.server("A", {.sequence = 90000, .ack = 700010}).assured);
    EXPECT_TRUE(tcp.client("A", {.sequence = 700010, .ack = 90000}).assured);
    // The scale is not known.
    EXPECT_TRUE(tcp.client("A", {.sequence = 900000, .ack = 90000}).refresh);
}

TEST(TcpDialogue, RstInTheWindow) {
    TcpConversation tcp;
    tcp.open();
    EXPECT_EQ(tcp.server("R", {.sequence = 5001}).timeout, seconds(10));
    EXPECT_EQ(tcp.track.state, TcpState::close);
}

// RFC 5961 3.2: only the very number expected resets; others may be challenged.
TEST(TcpDialogue, RstNearby) {
    TcpConversation tcp;
    tcp.open();
    const TrackResult rst = tcp.server("R", {.sequence = 5101});
    EXPECT_EQ(rst.verdict, TrackVerdict::accept);
    EXPECT_EQ(rst.timeout, seconds(10));
    EXPECT_EQ(tcp.track.state, TcpState::established);
    // The challenge; the number of the RST counts as sent, so that something is unacknowledged.
    EXPECT_EQ(tcp.client("A", {.sequence = 1001, .ack = 5001}).timeout, seconds(300));
}

TEST(TcpDialogue, RstBehindItsData) {
    TcpConversation tcp;
    tcp.open();
    tcp.server("PA", {.sequence = 5001, .ack = 1001, .length = 20});
    tcp.server("R", {.sequence = 5021});
    EXPECT_EQ(tcp.track.state, TcpState::close);
}

TEST(TcpDialogue, RstOutOfTheWindow) {
    TcpConversation tcp;
    tcp.open();
    EXPECT_EQ(tcp.server("R", {.sequence = 5000}), TrackResult::invalid(InvalidReason::tcp_rst));
    EXPECT_EQ(tcp.server("R", {.sequence = 5001 + 300000}), kInvalidSequence);
    EXPECT_EQ(tcp.track.state, TcpState::established);
    tcp.settings.tcp_ignore_invalid_rst = true;
    EXPECT_EQ(tcp.server("R", {.sequence = 5000}).verdict, TrackVerdict::accept);
}

// R7857-2.2
TEST(TcpDialogue, TranslatedConnectionsOutliveTheirRst) {
    TcpConversation tcp(Profile::rfc);
    tcp.open();
    tcp.status.set(kSnat);
    EXPECT_EQ(tcp.server("R", {.sequence = 5001}).timeout, seconds(240));
    EXPECT_EQ(tcp.client("A", {.sequence = 1001, .ack = 5001}).timeout, seconds(240));
    TcpConversation plain(Profile::rfc);
    plain.open();
    EXPECT_EQ(plain.server("R", {.sequence = 5001}).timeout, seconds(10));
}

// A dead connection that only the box believes in: the server says so in answer to a SYN out of the blue.
TEST(TcpDialogue, TheAnswerToAnIgnoredSyn) {
    TcpConversation reset;
    reset.open();
    EXPECT_EQ(reset.client("S", {.sequence = 40000}), TrackResult::keep());
    EXPECT_EQ(reset.server("RA", {.sequence = 0, .ack = 40001}).timeout, seconds(10));
    EXPECT_EQ(reset.track.state, TcpState::close);

    TcpConversation accepted;
    accepted.open();
    EXPECT_EQ(accepted.client("S", {.sequence = 40000, .options = "03030700 04020000"}), TrackResult::keep());
    const TrackResult answer =
        accepted.server("SA", {.sequence = 80000, .ack = 40001, .options = "03030500"});
    EXPECT_EQ(answer.verdict, TrackVerdict::accept);
    EXPECT_EQ(accepted.track.state, TcpState::syn_recv);
    EXPECT_EQ(accepted.track.scale[0], 7);
    EXPECT_EQ(accepted.track.scale[1], 5);
    EXPECT_TRUE(accepted.client("A", {.sequence = 40001, .ack = 80001}).refresh);
    EXPECT_EQ(accepted.track.state, TcpState::established);
}

// Its own end knows the connection's numbers: the RST must fit them.
TEST(TcpDialogue, ARstBehindAnIgnoredSynOfTheSameEndIsJudged) {
    TcpConversation tcp;
    tcp.open();
    tcp.client("S", {.sequence = 40000});
    EXPECT_EQ(tcp.client("RA", {.sequence = 900000, .ack = 40001}), kInvalidSequence);
    EXPECT_EQ(tcp.track.state, TcpState::established);
}

TEST(TcpDialogue, ASynAckThatAnswersNothingChangesNothing) {
    TcpConversation tcp;
    tcp.open();
    tcp.client("S", {.sequence = 40000});
    EXPECT_EQ(tcp.server("SA", {.sequence = 80000, .ack = 40002}), TrackResult::keep());
    EXPECT_EQ(tcp.track.state, TcpState::established);
}

// RFC 5961 4.2: the challenge to a SYN is not the ACK of the last FIN.
TEST(TcpDialogue, ChallengeAckInLastAck) {
    TcpConversation tcp;
    tcp.open();
    tcp.client("FA", {.sequence = 1001, .ack = 5001});
    tcp.server("FA", {.sequence = 5001, .ack = 1002});
    EXPECT_EQ(tcp.track.state, TcpState::last_ack);
    tcp.client("S", {.sequence = 40000});
    EXPECT_EQ(tcp.server("A", {.sequence = 5002, .ack = 1002}), TrackResult::keep());
    EXPECT_EQ(tcp.track.state, TcpState::last_ack);
    EXPECT_TRUE(tcp.client("A", {.sequence = 1002, .ack = 5002}).refresh);
    EXPECT_EQ(tcp.track.state, TcpState::time_wait);
}

// A host that was restarted: its SYN is challenged and it resets what the server remembers.
TEST(TcpDialogue, ChallengeAckToAFirstSyn) {
    TcpConversation tcp;
    tcp.client("S", {.sequence = 1000});
    EXPECT_EQ(tcp.server("A", {.sequence = 5000, .ack = 777777}), TrackResult::keep());
    tcp.status.set(kSeenReply);
    EXPECT_EQ(tcp.client("R", {.sequence = 777777}).verdict, TrackVerdict::accept);
    EXPECT_EQ(tcp.track.state, TcpState::close);
}

// RFC 9293 3.6.1
TEST(TcpDialogue, ReopenedAfterClose) {
    TcpConversation tcp;
    tcp.open();
    tcp.client("FA", {.sequence = 1001, .ack = 5001});
    tcp.server("FA", {.sequence = 5001, .ack = 1002});
    tcp.client("A", {.sequence = 1002, .ack = 5002});
    EXPECT_EQ(tcp.track.state, TcpState::time_wait);
    EXPECT_EQ(tcp.client("S", {.sequence = 90000}), TrackResult::restart());
    EXPECT_EQ(tcp.server("S", {.sequence = 90000}), TrackResult::restart());
}

TEST(TcpDialogue, ReopenedAfterRst) {
    TcpConversation tcp;
    tcp.open();
    tcp.client("R", {.sequence = 1001});
    EXPECT_EQ(tcp.client("S", {.sequence = 90000}), TrackResult::restart());
    TcpConversation other;
    other.open();
    other.server("R", {.sequence = 5001});
    EXPECT_EQ(other.client("S", {.sequence = 90000}), TrackResult::keep()) << "the other end may not know";
}

TEST(TcpDialogue, AnyRstClosesWhatIsClosing) {
    TcpConversation tcp;
    tcp.open();
    tcp.client("FA", {.sequence = 1001, .ack = 5001});
    EXPECT_EQ(tcp.server("R", {.sequence = 900000}).verdict, TrackVerdict::accept);
    EXPECT_EQ(tcp.track.state, TcpState::close);
}

// Both sides end a connection of which the box has lost track.
TEST(TcpDialogue, InvalidFinsFromBothSidesShortenTheTimeout) {
    TcpConversation tcp;
    tcp.open();
    EXPECT_EQ(tcp.client("FA", {.sequence = 900000, .ack = 5001}), kInvalidSequence);
    const TrackResult second = tcp.server("FA", {.sequence = 900000, .ack = 1001});
    EXPECT_EQ(second.verdict, TrackVerdict::invalid);
    EXPECT_TRUE(second.refresh);
    EXPECT_EQ(second.timeout, seconds(300));
    EXPECT_FALSE(tcp.client("RA", {.sequence = 900000, .ack = 5001}).refresh) << "short enough already";

    TcpConversation fixed;
    fixed.open();
    fixed.status.set(kFixedTimeout);
    fixed.client("FA", {.sequence = 900000, .ack = 5001});
    EXPECT_FALSE(fixed.server("FA", {.sequence = 900000, .ack = 1001}).refresh);
}

TEST(TcpDialogue, NumbersWrap) {
    TcpConversation tcp;
    tcp.client("S", {.sequence = 0xfffffff0});
    tcp.server("SA", {.sequence = 0xffffffff, .ack = 0xfffffff1});
    EXPECT_TRUE(tcp.client("A", {.sequence = 0xfffffff1, .ack = 0}).assured);
    EXPECT_TRUE(tcp.client("A", {.sequence = 0xfffffff1, .ack = 0, .length = 1000}).refresh);
    EXPECT_TRUE(tcp.server("A", {.sequence = 0, .ack = 985}).refresh);
    EXPECT_EQ(tcp.server("A", {.sequence = 0, .ack = 986}), kInvalidAck);
}

// TcpConversation holds repeat_tcp() to track_tcp() for every segment of these tests; here are more.
TEST(TcpDialogue, TheShortWaySaysTheSameOfAnySegment) {
    constexpr std::string_view kTimestamps = "0101080a0000000100000002";
    constexpr std::string_view kSack = "0101050a0000139c000013b0";
    unsigned repeats = 0;
    unsigned acks = 0;
    for (uint64_t seed = 1; seed <= 40; ++seed) {
        Random random(seed);
        TcpConversation tcp(random.below(2) == 0 ? Profile::linux : Profile::rfc);
        tcp.settings.tcp_be_liberal = random.below(8) == 0;
        tcp.open(random.below(2) == 0 ? "0402030307010101" : "");
        std::array<uint32_t, 2> next{1001, 5001};
        for (int segment = 0; segment < 300; ++segment) {
            const size_t from = random.below(2);
            const uint32_t length = random.below(3) == 0 ? 0 : random.below(1460);
            const auto stray = [&random] {  // mostly none
                constexpr std::array<uint32_t, 4> kFar{1, 1460, 66000, 1000000};
                const uint32_t by = random.below(6) != 0 ? 0 : random.below(kFar[random.below(4)]);
                return random.below(2) == 0 ? by : 0U - by;
            };
            const TcpSend what{.sequence = next[from] + stray(),
                               .ack = next[1 - from] + stray(),
                               .length = length,
                               .window = static_cast<uint16_t>(
                                   random.below(10) == 0 ? random.below(3) : 1 + random.below(65535)),
                               .options = random.below(3) == 0   ? kTimestamps
                                          : random.below(6) == 0 ? kSack
                                                                 : ""};
            constexpr std::array<std::string_view, 8> kFlags{"A", "A", "A", "PA", "A", "UA", "A", "S"};
            const auto direction = static_cast<Direction>(from);
            if (tcp.send(direction, kFlags[random.below(8)], what).verdict == TrackVerdict::accept)
                next[from] = std::max(next[from], what.sequence + length);
        }
        repeats += tcp.repeats;
        acks += tcp.acks;
    }
    EXPECT_GT(repeats, 1000U);
    EXPECT_GT(acks, 1000U);
}

}  // namespace
}  // namespace sluice::conntrack
