#include "conntrack/ftp_helper.hh"
#include "conntrack/tcp_tracker.hh"
#include "conntrack/tftp_helper.hh"
#include "conntrack/tracker_repeat.hh"
#include "conntrack/udp_tracker.hh"

namespace sluice::conntrack {
namespace {

// Whether the packet is as whole as check_transport() wants it, and, of TCP, a lone SYN.
template <wire::IpProtocol protocol>
bool is_sound(const uint8_t* header, uint32_t length, bool checksum) {
    const wire::Bytes upper(header + wire::kIpv4HeaderSize, length - wire::kIpv4HeaderSize);
    bool sums_up = checksum;
    if constexpr (protocol == wire::IpProtocol::udp) {
        const auto udp = wire::UdpView::checked(upper);
        if (!udp)
            return false;
        sums_up = checksum && udp->has_checksum();
    } else {
        constexpr wire::TcpFlags kDecisive =
            wire::kTcpSyn | wire::kTcpAck | wire::kTcpFin | wire::kTcpRst | wire::kTcpUrg;
        const auto tcp = wire::TcpView::checked(upper);
        if (!tcp || (tcp->flags() & kDecisive) != wire::kTcpSyn)
            return false;
    }
    return !sums_up || detail::transport_verifies<Family::ip4>(header, length, protocol);
}

}  // namespace

Flow* Tracker::begin_plainly(const Ip4PortsTuple& tuple, const uint8_t* header, uint32_t length,
                             InterfaceId in, Instant now) {
    const bool is_udp = tuple.protocol == wire::IpProtocol::udp;
    const bool helped = is_udp ? tuple.dport() == kTftpPort && settings_.has(Helper::tftp)
                               : tuple.dport() == kFtpPort && settings_.has(Helper::ftp);
    const bool has_room = table_.size() + limits_.reserve < limits_.max;
    if (helped || !has_room || limits_.per_source[index(in)] != 0 || !expectations_.empty()) [[unlikely]]
        return nullptr;
    const bool sound = is_udp ? is_sound<wire::IpProtocol::udp>(header, length, settings_.checksum)
                              : is_sound<wire::IpProtocol::tcp>(header, length, settings_.checksum);
    if (!sound || table_.find(tuple) || table_.find(tuple.turned_around())) [[unlikely]]
        return nullptr;
    Flow* const flow = table_.create(tuple, in);
    if (flow == nullptr) [[unlikely]]
        return nullptr;

    const FlowFacts facts;
    const auto segment = [header, length] {
        return TcpSegment::of(
            wire::TcpView::unchecked({header + wire::kIpv4HeaderSize, length - wire::kIpv4HeaderSize}));
    };
    const auto result = is_udp ? track_udp(flow->begin_track<UdpTrack>(), facts, settings_, now)
                               : track_tcp(flow->begin_track<TcpTrack>(), segment(), facts, settings_);
    if (result.verdict != TrackVerdict::accept || !result.refresh || result.ended) [[unlikely]] {
        table_.discard(*flow);
        return nullptr;
    }
    refresh(*flow, result, now);
    flow->counters(Direction::original).add(1, length);
    return flow;
}

bool Tracker::confirm_plainly(Tracked& tracked, Instant now) {
    if (!table_.insert_unique(*tracked.flow, ticks_from(now))) [[unlikely]]
        return refuse_insert(tracked, Count::chaintoolong);
    counters_.add(Count::insert);
    events_.push(EventKind::new_, *tracked.flow, ticks_at(now));
    return true;
}

}  // namespace sluice::conntrack
