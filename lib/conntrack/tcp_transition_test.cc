// Every cell of the table of states.
#include <gtest/gtest.h>

#include <array>
#include <string>
#include <string_view>

#include "conntrack/tcp_conversation.hh"

namespace sluice::conntrack {
namespace {

struct Case {
    Direction direction;
    std::string_view letters;
    // What each state leads to, in the order of TcpState without none: a state, - ignored, x invalid.
    std::array<std::string_view, 9> next;
};

// As short as the table below wants them. NOLINTBEGIN(readability-identifier-naming)
constexpr std::string_view SS = "SYN_SENT", SR = "SYN_RECV", ES = "ESTABLISHED", FW = "FIN_WAIT",
                           CW = "CLOSE_WAIT", LA = "LAST_ACK", TW = "TIME_WAIT", CL = "CLOSE",
                           S2 = "SYN_SENT2", ig = "-", iv = "x";
// NOLINTEND(readability-identifier-naming)

constexpr std::array kCases{
    //                            SS  SR  ES  FW  CW  LA  TW  CL  S2
    Case{kOriginal, "S", {SS, ig, ig, ig, ig, ig, ig, ig, S2}},
    Case{kOriginal, "SA", {iv, SR, iv, iv, iv, iv, iv, iv, SR}},
    Case{kOriginal, "FA", {iv, FW, FW, LA, LA, LA, TW, CL, iv}},
    Case{kOriginal, "A", {iv, ES, ES, CW, CW, TW, TW, CL, iv}},
    Case{kOriginal, "R", {CL, CL, CL, CL, CL, CL, CL, CL, CL}},
    Case{kOriginal, "P", {iv, iv, iv, iv, iv, iv, iv, iv, iv}},
    Case{kReply, "S", {S2, iv, iv, iv, iv, iv, ig, iv, S2}},
    Case{kReply, "SA", {SR, ig, ig, ig, ig, ig, ig, ig, SR}},
    Case{kReply, "FA", {iv, FW, FW, LA, LA, LA, TW, CL, iv}},
    Case{kReply, "A", {ig, SR, ES, CW, CW, TW, TW, CL, ig}},
    Case{kReply, "R", {CL, CL, CL, CL, CL, CL, CL, CL, CL}},
    Case{kReply, "", {iv, iv, iv, iv, iv, iv, iv, iv, iv}},
};

// A connection where the next segment of either side is in the window.
TcpConversation at(TcpState state) {
    TcpConversation conversation;
    conversation.status = kConfirmed | kSeenReply;
    conversation.track.state = state;
    conversation.track.windows = {TcpWindow{1000, 60000, 50000, 0}, TcpWindow{5000, 60000, 50000, 0}};
    return conversation;
}

TEST(TcpTransitions, AllStatesAndSegments) {
    for (const Case& each : kCases) {
        for (size_t place = 0; place < each.next.size(); ++place) {
            const auto state = static_cast<TcpState>(place + 1);
            SCOPED_TRACE(std::string(to_string(state)) + " " + std::string(each.letters) +
                         (each.direction == kReply ? " reply" : " original"));
            TcpConversation conversation = at(state);
            const bool original = each.direction == kOriginal;
            const TrackResult result =
                conversation.send(each.direction, each.letters,
                                  {.sequence = original ? 1000U : 5000U, .ack = original ? 5000U : 1000U});
            const std::string_view next = each.next.at(place);
            if (next == iv) {
                EXPECT_EQ(result, TrackResult::invalid(InvalidReason::tcp_state));
                EXPECT_EQ(conversation.track.state, state);
            } else if (next == ig) {
                EXPECT_EQ(result, TrackResult::keep());
                EXPECT_EQ(conversation.track.state, state);
                EXPECT_EQ(conversation.track.last_direction, each.direction);
            } else {
                EXPECT_EQ(result.verdict, TrackVerdict::accept);
                EXPECT_TRUE(result.refresh);
                EXPECT_GT(result.timeout, Duration{});
                EXPECT_EQ(to_string(conversation.track.state), next);
                EXPECT_EQ(result.state_changed, conversation.track.state != state);
            }
        }
    }
}

TEST(TcpTransitions, FirstSegments) {
    const auto first = [](std::string_view letters, Profile profile) {
        TcpConversation conversation(profile);
        const TrackResult result = conversation.client(letters, {.sequence = 1, .ack = 2});
        return std::pair(result.reason, conversation.track.state);
    };
    for (const Profile profile : {Profile::rfc, Profile::linux}) {
        EXPECT_EQ(first("S", profile), std::pair(InvalidReason::none, TcpState::syn_sent));
        for (const std::string_view letters : {"SA", "FA", "R", "RA"})
            EXPECT_EQ(first(letters, profile).first, InvalidReason::tcp_not_first) << letters;
    }
    EXPECT_EQ(first("A", Profile::linux), std::pair(InvalidReason::none, TcpState::established));
    EXPECT_EQ(first("A", Profile::rfc).first, InvalidReason::tcp_no_syn);
}

// Each state's own timeout.
TEST(TcpTransitions, Timeouts) {
    const auto after = [](TcpState state, Direction direction, std::string_view letters) {
        TcpConversation conversation = at(state);
        conversation.track.last_window = 100;
        for (size_t place = 0; place < kTimeouts; ++place)
            conversation.settings.timeouts.set(static_cast<Timeout>(place), std::chrono::seconds(place + 1));
        conversation.settings.timeouts.set(Timeout::tcp_max_retrans, std::chrono::hours(1));
        conversation.settings.timeouts.set(Timeout::tcp_unacknowledged, std::chrono::hours(1));
        const bool original = direction == kOriginal;
        const auto result = conversation.send(
            direction, letters, {.sequence = original ? 1000U : 5000U, .ack = original ? 5000U : 1000U});
        return static_cast<Timeout>(result.timeout / std::chrono::seconds(1) - 1);
    };
    EXPECT_EQ(after(TcpState::syn_sent, kOriginal, "S"), Timeout::tcp_syn_sent);
    EXPECT_EQ(after(TcpState::syn_sent, kReply, "S"), Timeout::tcp_syn_sent2);
    EXPECT_EQ(after(TcpState::syn_sent, kReply, "SA"), Timeout::tcp_syn_recv);
    EXPECT_EQ(after(TcpState::syn_recv, kOriginal, "A"), Timeout::tcp_established);
    EXPECT_EQ(after(TcpState::established, kReply, "FA"), Timeout::tcp_fin_wait);
    EXPECT_EQ(after(TcpState::fin_wait, kReply, "A"), Timeout::tcp_close_wait);
    EXPECT_EQ(after(TcpState::close_wait, kReply, "FA"), Timeout::tcp_last_ack);
    EXPECT_EQ(after(TcpState::last_ack, kOriginal, "A"), Timeout::tcp_time_wait);
    EXPECT_EQ(after(TcpState::established, kOriginal, "R"), Timeout::tcp_close);
}

TEST(TcpTransitions, ClosingStates) {
    for (size_t place = 0; place < kTcpStates; ++place) {
        const auto state = static_cast<TcpState>(place);
        const bool closing = state == TcpState::fin_wait || state == TcpState::close_wait ||
                             state == TcpState::last_ack || state == TcpState::time_wait ||
                             state == TcpState::close;
        EXPECT_EQ(is_closing(state), closing) << to_string(state);
    }
}

}  // namespace
}  // namespace sluice::conntrack
