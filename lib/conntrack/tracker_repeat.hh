// Tracker::repeat(), to be inlined into the loop over a burst.
#pragma once

#include <algorithm>

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
bool transport_verifies(const uint8_t* header, uint32_t length, wire::IpProtocol protocol) {
    constexpr size_t kHeader = family == Family::ip4 ? wire::kIpv4HeaderSize : wire::kIpv6HeaderSize;
    constexpr size_t kAddresses = family == Family::ip4 ? 8 : 32;
    const uint64_t sum =
        wire::detail::sum_bytes(header + kHeader - kAddresses, length - kHeader + kAddresses);
    const auto rest = __builtin_bswap16(static_cast<uint16_t>(length - kHeader)) +
                      (uint64_t{static_cast<uint8_t>(protocol)} << 8);
    return wire::detail::fold((sum & 0xffffffff) + (sum >> 32) + rest) == 0xffff;
}

}  // namespace detail

template <Family family>
[[gnu::always_inline]] inline bool Tracker::repeat(const Found& found, const uint8_t* header, uint32_t length,
                                                   Instant now) {
    constexpr size_t kHeader = family == Family::ip4 ? wire::kIpv4HeaderSize : wire::kIpv6HeaderSize;
    constexpr Status kUnusual = kDying | kFixedTimeout | kSeqAdjust;
    Flow& flow = *found.flow;
    const bool is_first_reply = found.direction == Direction::reply && !flow.status.has(kSeenReply);
    const bool under_pressure = !flow.status.has(kAssured) && table_.size() > pressure_at_[0];
    if (flow.status.has_any(kUnusual) || is_first_reply || under_pressure ||
        is_due(flow.deadline_, ticks_at(now))) [[unlikely]]
        return false;

    const wire::Bytes upper(header + kHeader, length - kHeader);
    const FlowFacts facts{.direction = found.direction, .status = flow.status};
    Duration timeout;
    if (flow.protocol_ == wire::IpProtocol::udp) {
        const auto udp = wire::UdpView::unchecked(upper.data());
        if (udp.length() < wire::kUdpHeaderSize || udp.length() > upper.size()) [[unlikely]]
            return false;
        if (settings_.checksum && udp.has_checksum() &&
            !detail::transport_verifies<family>(header, length, wire::IpProtocol::udp)) [[unlikely]]
            return false;
        const auto result = track_udp(flow.track<UdpTrack>(), facts, settings_, now);
        if (result.assured) [[unlikely]]
            return false;
        timeout = result.timeout;
    } else {
        const auto tcp = wire::TcpView::checked(upper);
        constexpr wire::TcpFlags kOthers = wire::kTcpSyn | wire::kTcpFin | wire::kTcpRst | wire::kTcpUrg;
        if (!tcp || tcp->flags().has_any(kOthers)) [[unlikely]]
            return false;
        if (settings_.checksum && !detail::transport_verifies<family>(header, length, wire::IpProtocol::tcp))
            [[unlikely]]
            return false;
        const auto lives = repeat_tcp(flow.track<TcpTrack>(), TcpSegment::of(*tcp), facts, settings_);
        if (!lives) [[unlikely]]
            return false;
        timeout = *lives;
    }
    const Ticks deadline = ticks_from(now + std::min(timeout, kMaxTimeout));
    // The wheel need not be told of a life that is prolonged.
    if (is_due(flow.deadline_, deadline)) [[likely]]
        flow.deadline_ = deadline;
    else
        table_.set_deadline(flow, deadline);
    auto& counters = flow.counters(found.direction);
    counters.packets.add(1);
    counters.bytes.add(length);
    return true;
}

}  // namespace sluice::conntrack
