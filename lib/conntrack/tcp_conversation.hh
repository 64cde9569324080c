// A TCP connection as its tracker sees it, for tests: does what the owner of a flow does.
#pragma once

#include <gtest/gtest.h>

#include <array>
#include <chrono>
#include <optional>
#include <string_view>
#include <utility>

#include "conntrack/tcp_ack.hh"
#include "conntrack/tcp_tracker.hh"
#include "conntrack/tcp_window.hh"
#include "wire/test_bytes.hh"

namespace sluice::conntrack {

inline constexpr auto kOriginal = Direction::original;
inline constexpr auto kReply = Direction::reply;

// "SA" are SYN and ACK; S A F R P U E W.
inline wire::TcpFlags tcp_flags(std::string_view letters) {
    wire::TcpFlags flags;
    for (const char letter : letters)
        flags = flags | wire::TcpFlags(static_cast<uint8_t>(1U << std::string_view("FSRPAUEW").find(letter)));
    return flags;
}

struct TcpSend {
    uint32_t sequence = 0;
    uint32_t ack = 0;
    uint32_t length = 0;  // of data
    uint16_t window = 65535;
    std::string_view options = {};  // in hex
};

class TcpConversation {
  public:
    explicit TcpConversation(Profile profile = Profile::linux) : settings(Settings::of(profile)) {}

    TrackResult send(Direction direction, std::string_view letters, const TcpSend& what) {
        const wire::TcpFlags flags = tcp_flags(letters);
        const wire::Buffer options = wire::from_hex(what.options);
        const uint32_t length =
            what.length + (flags.has(wire::kTcpSyn) ? 1 : 0) + (flags.has(wire::kTcpFin) ? 1 : 0);
        const TcpSegment segment{what.sequence, what.ack, what.sequence + length,
                                 what.window,   flags,    options};
        const FlowFacts facts{direction, status, remaining};
        TcpTrack repeated = track;
        const auto timeout = repeat_tcp(repeated, segment, facts, settings);
        expect_ack_to_say_the_same(segment, facts, repeated, timeout);
        const TrackResult result = track_tcp(track, segment, facts, settings);
        // The short way says and changes the same, or nothing.
        if (timeout) {
            ++repeats;
            EXPECT_EQ(result, TrackResult::live(settings.timeouts[*timeout]));
            EXPECT_EQ(track, repeated);
        }
        if (result.refresh)
            remaining = result.timeout;
        if (result.verdict != TrackVerdict::accept)
            return result;
        status.set(kConfirmed);
        if (direction == kReply)
            status.set(kSeenReply);
        if (result.assured)
            status.set(kAssured);
        return result;
    }
    TrackResult client(std::string_view letters, const TcpSend& what) {
        return send(kOriginal, letters, what);
    }
    TrackResult server(std::string_view letters, const TcpSend& what) { return send(kReply, letters, what); }

    // Client 1000, server 5000; then both have sent nothing but their SYN.
    void open(std::string_view options = "") {
        client("S", {.sequence = 1000, .options = options});
        server("SA", {.sequence = 5000, .ack = 1001, .options = options});
        client("A", {.sequence = 1001, .ack = 5001});
    }

    Settings settings;
    TcpTrack track;
    Status status;
    Duration remaining{};
    unsigned repeats = 0;  // segments that the short way knew
    unsigned acks = 0;     // of these, that the shortest knew

  private:
    // Before the segment is tracked: what repeat_ack() accepts, repeat_tcp() has accepted, with the same
    // outcome.
    void expect_ack_to_say_the_same(const TcpSegment& segment, const FlowFacts& facts, const TcpTrack& after,
                                    std::optional<Timeout> timeout) {
        if (segment.kind() != TcpKind::ack || segment.flags.has(wire::kTcpUrg) ||
            !detail::has_no_sack(segment.options) || !facts.status.has(kConfirmed | kSeenReply | kAssured))
            return;
        std::array<uint8_t, wire::kTcpHeaderSize> header{};
        wire::write32(header.data() + 4, segment.sequence);
        wire::write32(header.data() + 8, segment.ack);
        const size_t length = header.size() + segment.options.size();
        header[12] = static_cast<uint8_t>(length / 4 << 4);
        header[13] = segment.flags.bits();
        wire::write16(header.data() + 14, segment.window);
        TcpTrack by_ack = track;
        const auto verdict =
            repeat_ack(by_ack, header.data(), static_cast<uint32_t>(length) + segment.end - segment.sequence,
                       static_cast<size_t>(facts.direction) * sizeof(TcpWindow));
        if (verdict == AckVerdict::refused) {
            EXPECT_EQ(by_ack, track);
            return;
        }
        ++acks;
        ASSERT_TRUE(timeout);
        EXPECT_EQ(by_ack, after);
        const bool waits =
            verdict == AckVerdict::unacknowledged &&
            settings.timeouts[Timeout::tcp_unacknowledged] < settings.timeouts[Timeout::tcp_established];
        if (settings.tcp_max_retrans != 0) {
            EXPECT_EQ(*timeout, waits ? Timeout::tcp_unacknowledged : Timeout::tcp_established);
        }
    }
};

}  // namespace sluice::conntrack
