#include "conntrack/ftp_helper.hh"
#include "conntrack/tcp_tracker.hh"
#include "conntrack/tftp_helper.hh"
#include "conntrack/tracker_repeat.hh"
#include "conntrack/udp_tracker.hh"

namespace sluice::conntrack {
namespace {

// Whether the packet is as whole as check_transport() wants it, and, of TCP, a lone SYN.
template <Family family, wire::IpProtocol protocol>
bool is_sound(const uint8_t* header, uint32_t length, wire::Bytes upper, bool checksum) {
    bool sums_up = checksum;
    if constexpr (protocol == wire::IpProtocol::udp) {
        const auto udp = wire::UdpView::unchecked(upper.data());
        if (udp.length() < wire::kUdpHeaderSize || udp.length() > upper.size())
            return false;
        sums_up = checksum && udp.has_checksum();
    } else {
        constexpr wire::TcpFlags kDecisive =
            wire::kTcpSyn | wire::kTcpAck | wire::kTcpFin | wire::kTcpRst | wire::kTcpUrg;
        const auto tcp = wire::TcpView::checked(upper);
        if (!tcp || (tcp->flags() & kDecisive) != wire::kTcpSyn)
            return false;
    }
    return !sums_up || detail::transport_verifies<family>(header, length, protocol);
}

}  // namespace

template <Family family>
NewFlow Tracker::begin_plainly(const uint8_t* header, uint32_t length, InterfaceId in, Instant now) {
    constexpr size_t kHeader = family == Family::ip4 ? wire::kIpv4HeaderSize : wire::kIpv6HeaderSize;
    const wire::Bytes upper(header + kHeader, length - kHeader);
    const auto dport = wire::read16(upper.data() + 2);
    const bool is_udp = wire::IpProtocol{header[family == Family::ip4 ? 9 : 6]} == wire::IpProtocol::udp;
    const bool helped = is_udp ? dport == kTftpPort && settings_.has(Helper::tftp)
                               : dport == kFtpPort && settings_.has(Helper::ftp);
    const bool has_room = table_.size() + limits_.reserve < limits_.max;
    if (helped || !has_room || limits_.per_source[index(in)] != 0 || !expectations_.empty()) [[unlikely]]
        return {};
    const bool sound =
        is_udp ? is_sound<family, wire::IpProtocol::udp>(header, length, upper, settings_.checksum)
               : is_sound<family, wire::IpProtocol::tcp>(header, length, upper, settings_.checksum);
    if (!sound) [[unlikely]]
        return {};
    const NewFlow begun = table_.begin(PortsTuple<family>::of_plain(header), in);
    if (begun.flow == nullptr) [[unlikely]]
        return {};

    Flow& flow = *begun.flow;
    const FlowFacts facts;
    const auto result = is_udp ? track_udp(flow.begin_track<UdpTrack>(), facts, settings_, now)
                               : track_tcp(flow.begin_track<TcpTrack>(),
                                           TcpSegment::of(wire::TcpView::unchecked(upper)), facts, settings_);
    if (result.verdict != TrackVerdict::accept || !result.refresh || result.ended) [[unlikely]] {
        table_.discard(flow);
        return {};
    }
    if (table_.size() <= pressure_at_[0] && !result.assured) [[likely]]
        flow.deadline_ = ticks_of(result.timeout);
    else
        refresh(flow, result, now);
    flow.counters(Direction::original).add(1, length);
    return begun;
}

template NewFlow Tracker::begin_plainly<Family::ip4>(const uint8_t*, uint32_t, InterfaceId, Instant);
template NewFlow Tracker::begin_plainly<Family::ip6>(const uint8_t*, uint32_t, InterfaceId, Instant);

bool Tracker::confirm_plainly(Tracked& tracked, const NewFlow& begun, Instant now) {
    if (!table_.insert_unique(begun, ticks_from(now))) [[unlikely]]
        return refuse_insert(tracked, Count::chaintoolong);
    counters_.add(Count::insert);
    events_.push(EventKind::new_, *begun.flow, ticks_at(now));
    return true;
}

}  // namespace sluice::conntrack
