// TCP connections as Linux tracks them: a table of states, and a window for each direction (Guido van Rooij,
// "Real Stateful TCP Packet Filtering in IP Filter") that tells segments of the connection from others.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string_view>

#include "conntrack/settings.hh"
#include "conntrack/state.hh"
#include "conntrack/track_result.hh"
#include "wire/tcp.hh"

namespace sluice::conntrack {

// Of the connection, not of an end; the numbers are those of conntrack's netlink attributes.
enum class TcpState : uint8_t {
    none,         // nothing seen
    syn_sent,     // a SYN
    syn_recv,     // a SYN-ACK
    established,  // the ACK of it
    fin_wait,     // a FIN
    close_wait,   // an ACK after it
    last_ack,     // FINs in both directions
    time_wait,    // an ACK of the last FIN
    close,        // a RST
    syn_sent2,    // SYNs in both directions: simultaneous open
};
inline constexpr size_t kTcpStates = 10;

// As conntrack -L prints it: "SYN_SENT".
std::string_view to_string(TcpState state);

// A segment by the flags that decide: RST before SYN before FIN before ACK.
enum class TcpKind : uint8_t { syn, syn_ack, fin, ack, rst, none };
inline constexpr size_t kTcpKinds = 6;

// A set of facts about one direction.
class TcpEndFlags {
  public:
    constexpr TcpEndFlags() = default;
    explicit constexpr TcpEndFlags(uint8_t bits) : bits_(bits) {}
    [[nodiscard]] constexpr uint8_t bits() const { return bits_; }
    [[nodiscard]] constexpr bool has(TcpEndFlags flag) const { return (bits_ & flag.bits_) != 0; }
    constexpr void set(TcpEndFlags flags) { bits_ |= flags.bits_; }
    constexpr void clear(TcpEndFlags flags) { bits_ &= static_cast<uint8_t>(~flags.bits_); }
    constexpr void keep_only(TcpEndFlags flags) { bits_ &= flags.bits_; }
    constexpr TcpEndFlags operator|(TcpEndFlags other) const {
        return TcpEndFlags(static_cast<uint8_t>(bits_ | other.bits_));
    }
    constexpr bool operator==(const TcpEndFlags&) const = default;

  private:
    uint8_t bits_ = 0;
};

inline constexpr TcpEndFlags kTcpWindowScale{0x01};     // offered window scaling
inline constexpr TcpEndFlags kTcpSackPermitted{0x02};   // takes selective acknowledgments
inline constexpr TcpEndFlags kTcpCloseInit{0x04};       // sent the first FIN
inline constexpr TcpEndFlags kTcpLiberal{0x08};         // its window is not known: judged liberally
inline constexpr TcpEndFlags kTcpUnacknowledged{0x10};  // sent data that was not acknowledged
inline constexpr TcpEndFlags kTcpMaxAckKnown{0x20};     // has acknowledged something
inline constexpr TcpEndFlags kTcpChallengeAck{
    0x40};  // last_flags only: a SYN may be answered by an ACK (RFC 5961)
inline constexpr TcpEndFlags kTcpSimultaneous{0x80};  // last_flags only: both sides have sent a SYN

// An acknowledgment may be older than the last one by the sender's window, or by this if that is smaller.
inline constexpr uint32_t kMinAckWindow = 66000;

// What one end has sent, in its sequence numbers. All zero: nothing seen.
struct TcpWindow {
    uint32_t end = 0;         // behind the last byte sent
    uint32_t granted = 0;     // up to here the other end may send: the highest acknowledgment and window
    uint32_t max_window = 0;  // the largest window it has offered, scaled; 0: no segment seen
    uint32_t max_ack = 0;     // the highest acknowledgment it has sent
    bool operator==(const TcpWindow&) const = default;
};

// TCP's part of a flow. Arrays are indexed by the direction of the sender.
struct TcpTrack {
    std::array<TcpWindow, 2> windows;
    uint32_t last_sequence = 0;  // of the last ACK, or of the last segment that was let through unjudged
    uint32_t last_ack = 0;
    uint32_t last_end = 0;
    uint16_t last_window = 0;  // not scaled
    Direction last_direction = Direction::original;
    uint8_t retransmissions = 0;  // of the last ACK; saturates
    std::array<TcpEndFlags, 2> flags;
    TcpState state = TcpState::none;
    TcpKind last_kind = TcpKind::none;
    std::array<uint8_t, 2> scale{};
    uint8_t last_scale = 0;  // options of a SYN that was let through unjudged
    TcpEndFlags last_flags;
    bool operator==(const TcpTrack&) const = default;
};
static_assert(sizeof(TcpTrack) == 56, "a flow with both index entries takes three cache lines");

// What the tracker reads of a segment whose header has been checked (transport_check.hh).
struct TcpSegment {
    uint32_t sequence = 0;
    uint32_t ack = 0;
    uint32_t end = 0;  // behind its last byte; SYN and FIN count
    uint16_t window = 0;
    wire::TcpFlags flags;
    wire::Bytes options;  // borrowed
    // By how much a helper made the numbers grow that are acknowledged: the other end has sent them without.
    uint32_t ack_growth = 0;

    // The view holds the whole segment.
    static TcpSegment of(wire::TcpView view) {
        const wire::TcpFlags flags = view.flags();
        const uint32_t length = static_cast<uint32_t>(view.payload().size()) +
                                (flags.has(wire::kTcpSyn) ? 1 : 0) + (flags.has(wire::kTcpFin) ? 1 : 0);
        return {.sequence = view.sequence(),
                .ack = view.acknowledgment(),
                .end = view.sequence() + length,
                .window = view.window(),
                .flags = flags,
                .options = view.options()};
    }
    [[nodiscard]] constexpr TcpKind kind() const {
        if (flags.has(wire::kTcpRst))
            return TcpKind::rst;
        if (flags.has(wire::kTcpSyn))
            return flags.has(wire::kTcpAck) ? TcpKind::syn_ack : TcpKind::syn;
        if (flags.has(wire::kTcpFin))
            return TcpKind::fin;
        return flags.has(wire::kTcpAck) ? TcpKind::ack : TcpKind::none;
    }
};

// Judges a segment and moves the state on.
TrackResult track_tcp(TcpTrack& track, const TcpSegment& segment, const FlowFacts& flow,
                      const Settings& settings);

// The same for the segment that nearly all are: an ACK, with data or without, of an open connection, inside
// the windows, that acknowledges nothing selectively. Its flow gets this time then. Nothing: it is
// another, or there is more to say about it; nothing has changed, and track_tcp() is to judge.
std::optional<Timeout> repeat_tcp(TcpTrack& track, const TcpSegment& segment, const FlowFacts& flow,
                                  const Settings& settings);

// Whether the connection is ending, so that under pressure it may go early although it is assured.
constexpr bool is_closing(TcpState state) {
    return state >= TcpState::fin_wait && state <= TcpState::close;
}

}  // namespace sluice::conntrack
