#include <algorithm>

#include "conntrack/tcp_tracker.hh"
#include "conntrack/tracker.hh"
#include "wire/tcp.hh"

namespace sluice::conntrack {

bool Tracker::repeat_segments(Found found, wire::Bytes tcp_header, const Segments& segments,
                              const Round& round) {
    constexpr wire::TcpFlags kOthers = wire::kTcpSyn | wire::kTcpFin | wire::kTcpRst | wire::kTcpUrg;
    Flow& flow = *found.flow;
    const bool lasts = flow.status.only(kSeenReply | kAssured | kUnrepeatable) == (kSeenReply | kAssured);
    const auto tcp = wire::TcpView::unchecked(tcp_header);
    if (flow.protocol_ != wire::IpProtocol::tcp || !lasts || is_due(flow.deadline_, round.tick) ||
        tcp.flags().has_any(kOthers))
        return false;
    // Where the first and the last one fit, those between them do, and leave nothing behind.
    const FlowFacts facts{.direction = found.direction, .status = flow.status};
    TcpTrack track = flow.track<TcpTrack>();
    auto segment = TcpSegment::of(tcp);
    const uint32_t end = segment.end + segments.payload;
    segment.end += std::min(segments.size, segments.payload);
    auto timeout = repeat_tcp(track, segment, facts, settings_);
    if (timeout && segments.count > 1) {
        segment.sequence += (segments.count - 1) * segments.size;
        segment.end = end;
        timeout = repeat_tcp(track, segment, facts, settings_);
    }
    if (!timeout)
        return false;
    flow.track<TcpTrack>() = track;
    table_.set_deadline(flow, ticks_from(round.now + std::min(settings_.timeouts[*timeout], kMaxTimeout)));
    flow.counters(found.direction).add(segments.count, segments.bytes);
    return true;
}

}  // namespace sluice::conntrack
