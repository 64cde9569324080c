// UDP and UDP-Lite flows: a stream once packets have gone both ways for a while.
#pragma once

#include "base/time.hh"
#include "conntrack/settings.hh"
#include "conntrack/track_result.hh"

namespace sluice::conntrack {

// UDP's part of a flow.
struct UdpTrack {
    Instant stream_from;  // answered packets after this make it a stream
    bool operator==(const UdpTrack&) const = default;
};

// R4787-5: replied or not, packets of either direction prolong it.
inline TrackResult track_udp(UdpTrack& track, const FlowFacts& flow, const Settings& settings, Instant now) {
    if (!flow.status.has(kConfirmed))
        track.stream_from = now + settings.udp_stream_after;
    if (!flow.status.has(kSeenReply))
        return TrackResult::live(settings.timeouts[Timeout::udp]);
    if (now <= track.stream_from)
        return TrackResult::live(settings.timeouts[Timeout::udp]);
    TrackResult result = TrackResult::live(settings.timeouts[Timeout::udp_stream]);
    result.assured = !flow.status.has(kAssured);
    return result;
}

// A UDP-Lite flow (RFC 3828) is a stream from its second packet after a reply on.
inline TrackResult track_udplite(const FlowFacts& flow, const Settings& settings) {
    if (!flow.status.has(kSeenReply))
        return TrackResult::live(settings.timeouts[Timeout::udp]);
    TrackResult result = TrackResult::live(settings.timeouts[Timeout::udp_stream]);
    result.assured = !flow.status.has(kAssured);
    return result;
}

}  // namespace sluice::conntrack
