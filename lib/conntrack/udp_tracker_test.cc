// UDP, UDP-Lite, GRE and protocols without a tracker.
#include "conntrack/udp_tracker.hh"

#include <gtest/gtest.h>

#include "conntrack/generic_tracker.hh"
#include "conntrack/gre_tracker.hh"
#include "wire/test_bytes.hh"

namespace sluice::conntrack {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr Instant kStart{seconds(100)};
constexpr Status kAnswered = kConfirmed | kSeenReply;

TEST(UdpTracker, AsLinux) {
    const Settings settings = Settings::of(Profile::linux);
    UdpTrack track;
    const auto packet = [&](Direction direction, Status status, Duration after) {
        return track_udp(track, {direction, status, {}}, settings, kStart + after);
    };
    const TrackResult unanswered = TrackResult::live(seconds(30));
    TrackResult stream = TrackResult::live(seconds(120));
    EXPECT_EQ(packet(Direction::original, {}, {}), unanswered);
    EXPECT_EQ(packet(Direction::original, kConfirmed, seconds(20)), unanswered);
    EXPECT_EQ(packet(Direction::reply, kConfirmed, milliseconds(1)), unanswered);
    EXPECT_EQ(packet(Direction::original, kAnswered, seconds(2)), unanswered);
    EXPECT_EQ(packet(Direction::original, kAnswered | kAssured, seconds(3)), stream);
    stream.assured = true;
    EXPECT_EQ(packet(Direction::reply, kAnswered, seconds(2) + milliseconds(1)), stream);
}

// R4787-5, R4787-5c
TEST(UdpTracker, AsTheRfcs) {
    const Settings settings = Settings::of(Profile::rfc);
    UdpTrack track;
    const auto packet = [&](Direction direction, Status status, Duration after) {
        return track_udp(track, {direction, status, {}}, settings, kStart + after);
    };
    EXPECT_EQ(packet(Direction::original, {}, {}), TrackResult::live(seconds(120)));
    EXPECT_EQ(packet(Direction::reply, kConfirmed, milliseconds(1)), TrackResult::live(seconds(300)));
    EXPECT_EQ(packet(Direction::original, kAnswered, milliseconds(2)), TrackResult::live(seconds(300)));
    EXPECT_TRUE(packet(Direction::original, kAnswered, seconds(3)).assured);
}

TEST(UdpTracker, LiteIsAStreamOnceAnswered) {
    const Settings settings = Settings::of(Profile::linux);
    EXPECT_EQ(track_udplite({Direction::original, {}, {}}, settings), TrackResult::live(seconds(30)));
    EXPECT_EQ(track_udplite({Direction::reply, kConfirmed, {}}, settings), TrackResult::live(seconds(30)));
    TrackResult stream = TrackResult::live(seconds(120));
    EXPECT_EQ(track_udplite({Direction::original, kAnswered | kAssured, {}}, settings), stream);
    stream.assured = true;
    EXPECT_EQ(track_udplite({Direction::original, kAnswered, {}}, settings), stream);
}

TEST(GreTracker, Timeouts) {
    const Settings settings = Settings::of(Profile::linux);
    EXPECT_EQ(track_gre({Direction::original, {}, {}}, settings), TrackResult::live(seconds(30)));
    TrackResult stream = TrackResult::live(seconds(180));
    EXPECT_EQ(track_gre({Direction::original, kAnswered | kAssured, {}}, settings), stream);
    stream.assured = true;
    EXPECT_EQ(track_gre({Direction::original, kAnswered, {}}, settings), stream);
}

TEST(GreTracker, KeyIsPptpsCallIdentifier) {
    const auto key = [](std::string_view hex) { return gre_key(wire::from_hex(hex)); };
    EXPECT_EQ(key("3001 880b 0010 abcd 00000001"), Be16::from_host(0xabcd));
    EXPECT_EQ(key("2000 6558 12345678"), Be16{}) << "RFC 2890's key tells no flows apart";
    EXPECT_EQ(key("3001 880b 0010"), Be16{});
    EXPECT_EQ(key("30"), Be16{});
    EXPECT_EQ(key("3001 0800 0010 abcd").error(), InvalidReason::gre_protocol);
}

TEST(GenericTracker, IsNeverAssured) {
    EXPECT_EQ(track_generic(Settings::of(Profile::linux)), TrackResult::live(seconds(600)));
}

}  // namespace
}  // namespace sluice::conntrack
