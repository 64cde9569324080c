// GRE tunnels (RFC 2784), and those of PPTP (RFC 2637), whose call identifier tells them apart.
#pragma once

#include <cstdint>
#include <expected>

#include "base/byte_order.hh"
#include "conntrack/settings.hh"
#include "conntrack/track_result.hh"
#include "wire/gre.hh"

namespace sluice::conntrack {

// The key that stands in the destination port's place of a tuple; the source's is zero. Tunnels other than
// PPTP's have no key: there is one flow between two hosts.
inline std::expected<Be16, InvalidReason> gre_key(wire::Bytes upper) {
    const auto gre = wire::GreView::checked(upper);
    if (!gre || gre->version() != wire::kGreVersionPptp)
        return Be16{};
    if (!gre->has_call_id())
        return Be16{};
    if (gre->protocol() != wire::kGreProtocolPpp)
        return std::unexpected(InvalidReason::gre_protocol);
    return Be16::from_host(gre->call_id());
}

inline TrackResult track_gre(const FlowFacts& flow, const Settings& settings) {
    if (!flow.status.has(kSeenReply))
        return TrackResult::live(settings.timeouts[Timeout::gre]);
    TrackResult result = TrackResult::live(settings.timeouts[Timeout::gre_stream]);
    result.assured = !flow.status.has(kAssured);
    return result;
}

}  // namespace sluice::conntrack
