// Tracker::repeat(), to be inlined into the loop over a burst.
#pragma once

#include <algorithm>

#include "conntrack/tcp_ack.hh"
#include "conntrack/tcp_tracker.hh"
#include "conntrack/tracker.hh"
#include "conntrack/udp_tracker.hh"
#include "wire/checksum.hh"
#include "wire/ipv4.hh"
#include "wire/ipv6.hh"
#include "wire/tcp.hh"
#include "wire/udp.hh"

namespace sluice::conntrack {
namespace detail {

// Of a TCP or UDP packet whose transport header follows its addresses, so that pseudo header and data are one
// stretch but for the protocol and the length.
template <Family family>
[[gnu::always_inline]] inline bool transport_verifies(const uint8_t* header, uint32_t length,
                                                      wire::IpProtocol protocol) {
    constexpr size_t kHeader = family == Family::ip4 ? wire::kIpv4HeaderSize : wire::kIpv6HeaderSize;
    constexpr size_t kAddresses = family == Family::ip4 ? 8 : 32;
    const uint64_t sum =
        wire::detail::sum_bytes(header + kHeader - kAddresses, length - kHeader + kAddresses);
    const auto rest = __builtin_bswap16(static_cast<uint16_t>(length - kHeader)) +
                      (uint64_t{static_cast<uint8_t>(protocol)} << 8);
    return wire::detail::is_all_ones(wire::detail::add_around(sum, rest));
}

}  // namespace detail

// TCP, and what is not common for UDP. Calls, so that the loop over a burst keeps its registers.
template <Family family>
[[gnu::noinline]] std::optional<Timeout> Tracker::repeat_tcp_of(Found found, const uint8_t* header,
                                                                uint32_t length) {
    constexpr size_t kHeader = family == Family::ip4 ? wire::kIpv4HeaderSize : wire::kIpv6HeaderSize;
    constexpr wire::TcpFlags kOthers = wire::kTcpSyn | wire::kTcpFin | wire::kTcpRst | wire::kTcpUrg;
    const auto tcp = wire::TcpView::checked({header + kHeader, length - kHeader});
    if (!tcp || tcp->flags().has_any(kOthers)) [[unlikely]]
        return std::nullopt;
    if (settings_.checksum && !detail::transport_verifies<family>(header, length, wire::IpProtocol::tcp))
        [[unlikely]]
        return std::nullopt;
    const FlowFacts facts{.direction = found.direction, .status = found.flow->status};
    return repeat_tcp(found.flow->track<TcpTrack>(), TcpSegment::of(*tcp), facts, settings_);
}

[[gnu::noinline]] inline std::optional<Duration> Tracker::repeat_young_udp(Found found, Instant now) {
    const FlowFacts facts{.direction = found.direction, .status = found.flow->status};
    const auto result = track_udp(found.flow->track<UdpTrack>(), facts, settings_, now);
    if (result.assured)
        return std::nullopt;
    return result.timeout;
}

// Whether a packet of a flow may be repeated that is not as most flows are, of which packets have gone both
// ways for a while.
[[gnu::noinline]] inline bool Tracker::may_repeat_young(Found found) const {
    const auto status = found.flow->status;
    const bool is_first_reply = found.direction == Direction::reply && !status.has(kSeenReply);
    const bool under_pressure = !status.has(kAssured) && table_.size() > pressure_at_[0];
    return !status.has_any(kUnrepeatable) && !is_first_reply && !under_pressure;
}

// The wheel need not be told of a life that is prolonged.
[[gnu::always_inline]] inline void Tracker::change_deadline(Flow& flow, Ticks deadline) {
    if (is_due(flow.deadline_, deadline)) [[likely]]
        flow.deadline_ = deadline;
    else
        table_.set_deadline(flow, deadline);
}

template <Family family, wire::IpProtocol protocol>
[[gnu::always_inline]] inline bool Tracker::repeat_sound(Flow& flow, FlowHalf& half, Status refused,
                                                         const uint8_t* header, uint32_t length,
                                                         const Round& round) {
    constexpr Status kStream = kSeenReply | kAssured;
    if (!flow.is_of(protocol, kStream, kStream | kUnrepeatable | refused)) [[unlikely]]
        return false;
    if constexpr (protocol == wire::IpProtocol::udp) {
        if (!round.may_become_stream(flow.deadline_)) [[unlikely]]
            return false;
        flow.deadline_ = round.stream_deadline;
    } else {
        if (is_due(flow.deadline_, round.tick)) [[unlikely]]
            return false;
        constexpr uint32_t kHeader = family == Family::ip4 ? wire::kIpv4HeaderSize : wire::kIpv6HeaderSize;
        const auto verdict = repeat_ack(flow.track<TcpTrack>(), header + kHeader, length - kHeader,
                                        flow.step_to<sizeof(TcpWindow)>(half));
        if (verdict == AckVerdict::refused) [[unlikely]]
            return false;
        change_deadline(
            flow, verdict == AckVerdict::acknowledged ? round.open_deadline : round.unacknowledged_deadline);
    }
    half.counters.add_packet(length);
    return true;
}

template <Family family>
[[gnu::always_inline]] inline bool Tracker::repeat(Found found, const uint8_t* header, uint32_t length,
                                                   const Round& round) {
    constexpr size_t kHeader = family == Family::ip4 ? wire::kIpv4HeaderSize : wire::kIpv6HeaderSize;
    Flow& flow = *found.flow;
    const bool lasts = flow.status.only(kSeenReply | kAssured | kUnrepeatable) == (kSeenReply | kAssured);
    if (is_due(flow.deadline_, round.tick) || (!lasts && !may_repeat_young(found))) [[unlikely]]
        return false;

    Ticks deadline = round.stream_deadline;
    if (flow.protocol_ == wire::IpProtocol::udp) [[likely]] {
        const auto udp = wire::UdpView::unchecked(header + kHeader);
        if (udp.length() < wire::kUdpHeaderSize || udp.length() > length - kHeader) [[unlikely]]
            return false;
        if (settings_.checksum && udp.has_checksum() &&
            !detail::transport_verifies<family>(header, length, wire::IpProtocol::udp)) [[unlikely]]
            return false;
        if (!lasts) [[unlikely]] {
            const auto lives = repeat_young_udp(found, round.now);
            if (!lives)
                return false;
            deadline = ticks_from(round.now + std::min(*lives, kMaxTimeout));
        }
    } else {
        const auto timeout = repeat_tcp_of<family>(found, header, length);
        if (!timeout) [[unlikely]]
            return false;
        deadline = ticks_from(round.now + std::min(settings_.timeouts[*timeout], kMaxTimeout));
    }
    change_deadline(flow, deadline);
    flow.counters(found.direction).add_packet(length);
    return true;
}

}  // namespace sluice::conntrack
