// SCTP associations (RFC 9260) as Linux tracks them: a table of states over chunks, and verification tags.
#pragma once

#include <array>
#include <cstdint>
#include <string_view>

#include "base/byte_order.hh"
#include "conntrack/settings.hh"
#include "conntrack/state.hh"
#include "conntrack/track_result.hh"
#include "wire/sctp.hh"

namespace sluice::conntrack {

// Of the association; the numbers are those of conntrack's netlink attributes.
enum class SctpState : uint8_t {
    none,
    closed,             // an INIT, or the end
    cookie_wait,        // an INIT ACK
    cookie_echoed,      // a COOKIE ECHO
    established,        // a COOKIE ACK
    shutdown_sent,      // a SHUTDOWN in the original direction
    shutdown_recd,      // a SHUTDOWN in the reply direction
    shutdown_ack_sent,  // a SHUTDOWN ACK
    heartbeat_sent,     // a HEARTBEAT on another path of an association
};
inline constexpr size_t kSctpStates = 9;

// As conntrack -L prints it: "COOKIE_WAIT".
std::string_view to_string(SctpState state);

// SCTP's part of a flow. Arrays are indexed by the direction of packets that carry the tag.
struct SctpTrack {
    std::array<Be32, 2> tags;
    std::array<bool, 2> init{};  // an INIT came this way: both, if associations collide (RFC 9260 5.2)
    SctpState state = SctpState::none;
    Direction last_direction = Direction::original;  // of the heartbeat below
    bool heartbeat_failed = false;                   // a HEARTBEAT had an unexpected tag
    bool operator==(const SctpTrack&) const = default;
};

// The packet has passed check_transport().
TrackResult track_sctp(SctpTrack& track, wire::SctpView packet, const FlowFacts& flow,
                       const Settings& settings);

// As is_closing(TcpState).
constexpr bool is_closing(SctpState state) {
    return state >= SctpState::shutdown_sent && state <= SctpState::shutdown_ack_sent;
}

}  // namespace sluice::conntrack
