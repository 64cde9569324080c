// UDP and UDP-Lite flows: a stream once packets have gone both ways for a while.
#pragma once

#include <chrono>

#include "base/time.hh"
#include "conntrack/settings.hh"
#include "conntrack/track_result.hh"

namespace sluice::conntrack {

// Who talks longer than this is not just asking and answering.
inline constexpr Duration kUdpStreamDelay = std::chrono::seconds(2);

// UDP's part of a flow.
struct UdpTrack {
    Instant stream_from;  // answered packets after this make it a stream
    bool operator==(const UdpTrack&) const = default;
};

// Packets of either direction prolong it (R4787-6, R4787-6a).
inline TrackResult track_udp(UdpTrack& track, const FlowFacts& flow, const Settings& settings, Instant now) {
    if (!flow.status.has(kConfirmed))
        track.stream_from = now + kUdpStreamDelay;
    const bool seen_reply = flow.status.has(kSeenReply);
    // Once assured it is for ever: the tracker's own memory need not be asked.
    const bool lasting = seen_reply && (flow.status.has(kAssured) || now > track.stream_from);
    const bool answered = seen_reply || flow.direction == Direction::reply;
    const bool stream = lasting || (answered && settings.udp_stream_at_once);
    TrackResult result = TrackResult::live(settings.timeouts[stream ? Timeout::udp_stream : Timeout::udp]);
    result.assured = lasting && !flow.status.has(kAssured);
    return result;
}

// UDP-Lite (RFC 3828): a stream from the first packet after an answer on.
inline TrackResult track_udplite(const FlowFacts& flow, const Settings& settings) {
    if (!flow.status.has(kSeenReply))
        return TrackResult::live(settings.timeouts[Timeout::udp]);
    TrackResult result = TrackResult::live(settings.timeouts[Timeout::udp_stream]);
    result.assured = !flow.status.has(kAssured);
    return result;
}

}  // namespace sluice::conntrack
