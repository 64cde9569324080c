// Protocols without a tracker of their own (ESP, AH, DCCP, OSPF ...): one flow between two hosts and
// protocol, never assured.
#pragma once

#include "conntrack/settings.hh"
#include "conntrack/track_result.hh"

namespace sluice::conntrack {

inline TrackResult track_generic(const Settings& settings) {
    return TrackResult::live(settings.timeouts[Timeout::generic]);
}

}  // namespace sluice::conntrack
