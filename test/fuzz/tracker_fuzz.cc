// Fuzzes the protocol trackers of conntrack. Needs sluice_conntrack.
//
// The first byte chooses profile and protocol, the rest is a script of packets of one flow. For TCP a step is
// sixteen bytes with numbers near those the connection expects, so that windows are met and missed; for the
// others a step is a length and a raw packet. After each packet the tracker's promises are asked for.
#include <algorithm>
#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "conntrack/gre_tracker.hh"
#include "conntrack/icmp_tracker.hh"
#include "conntrack/sctp_tracker.hh"
#include "conntrack/tcp_tracker.hh"
#include "conntrack/transport_check.hh"
#include "conntrack/udp_tracker.hh"
#include "wire/ip_packet.hh"

namespace {

using namespace sluice;
using namespace sluice::conntrack;

void require(bool truth) {
    if (!truth) {
        __builtin_trap();
    }
}

// What the owner of a flow keeps beside the tracker's part.
struct Flow {
    Status status;
    Duration remaining{};

    [[nodiscard]] FlowFacts facts(Direction direction) const { return {direction, status, remaining}; }

    // False: the flow is over.
    bool take(const TrackResult& result, Direction direction) {
        const bool known = status.has(kConfirmed);
        require(!result.refresh || (result.timeout > Duration{} && result.timeout <= kMaxTimeout));
        require((result.reason != InvalidReason::none) == (result.verdict == TrackVerdict::invalid));
        require(result.verdict != TrackVerdict::restart || known);
        require(!result.ended || (known && result.verdict == TrackVerdict::accept && !result.refresh));
        require(!result.assured || !status.has(kAssured));
        require(known || result.verdict == TrackVerdict::invalid || result.refresh);
        if (result.refresh) {
            require(result.verdict == TrackVerdict::accept || result.timeout < remaining);
            remaining = result.timeout;
        }
        if (result.verdict == TrackVerdict::invalid) {
            return known;
        }
        if (result.verdict == TrackVerdict::restart || result.ended) {
            return false;
        }
        status.set(kConfirmed);
        if (direction == Direction::reply) {
            status.set(kSeenReply);
        }
        if (result.assured) {
            status.set(kAssured);
        }
        return true;
    }
};

constexpr Direction direction_of(uint8_t byte, const Flow& flow) {
    // The first packet of a flow is in the original direction by definition.
    return (byte & 1) != 0 && flow.status.has(kConfirmed) ? Direction::reply : Direction::original;
}

void run_tcp(wire::Bytes script, const Settings& settings) {
    constexpr size_t kStep = 16;
    Flow flow;
    TcpTrack track;
    for (; script.size() >= kStep; script = script.subspan(kStep)) {
        const Direction direction = direction_of(script[0], flow);
        const auto own = static_cast<size_t>(direction);
        const wire::TcpFlags flags(script[1]);
        TcpSegment segment;
        segment.sequence = track.windows[own].end + static_cast<uint32_t>(static_cast<int8_t>(script[2])) *
                                                        (uint32_t{1} << (script[3] & 31));
        segment.ack = track.windows[1 - own].end + static_cast<uint32_t>(static_cast<int8_t>(script[4])) *
                                                       (uint32_t{1} << (script[5] & 31));
        segment.end = segment.sequence + wire::read16(script.data() + 6) +
                      (flags.has(wire::kTcpSyn) ? 1 : 0) + (flags.has(wire::kTcpFin) ? 1 : 0);
        segment.window = script[8];
        segment.flags = flags;
        segment.options = script.subspan(9, script[0] >> 5);
        const TcpState before = track.state;
        const TrackResult result = track_tcp(track, segment, flow.facts(direction), settings);
        require(static_cast<size_t>(track.state) < kTcpStates);
        require(static_cast<size_t>(track.last_kind) < kTcpKinds);
        require(track.scale[0] <= 14 && track.scale[1] <= 14);
        require(result.verdict == TrackVerdict::accept || !flow.status.has(kConfirmed) ||
                track.state == before);
        require(result.state_changed || track.state == before || result.verdict != TrackVerdict::accept ||
                before == TcpState::syn_sent);
        if (!flow.take(result, direction)) {
            flow = {};
            track = {};
            continue;
        }
        require(track.state != TcpState::none);
    }
}

// The steps of a script of raw packets: a byte of flags, a byte of length, the packet.
template <typename Take>
void for_each_packet(wire::Bytes script, const Take& take) {
    while (script.size() >= 2) {
        const size_t size = std::min<size_t>(script[1], script.size() - 2);
        take(script[0], script.subspan(2, size));
        script = script.subspan(2 + size);
    }
}

void run_sctp(wire::Bytes script, const Settings& settings) {
    Flow flow;
    SctpTrack track;
    for_each_packet(script, [&](uint8_t what, wire::Bytes bytes) {
        const auto packet = wire::SctpView::checked(bytes);
        if (!packet) {
            return;
        }
        const Direction direction = direction_of(what, flow);
        const TrackResult result = track_sctp(track, *packet, flow.facts(direction), settings);
        require(static_cast<size_t>(track.state) < kSctpStates);
        if (!flow.take(result, direction)) {
            flow = {};
            track = {};
            return;
        }
        require(track.state != SctpState::none);
    });
}

// Whole IP packets of either family, whose headers are made right.
void run_packets(wire::Bytes script, const Settings& settings) {
    UdpTrack track;
    Flow flow;
    Instant now{};
    for_each_packet(script, [&](uint8_t what, wire::Bytes bytes) {
        now += std::chrono::milliseconds(what * 16);
        std::vector<uint8_t> copy(bytes.begin(), bytes.end());
        const bool ip4 = (what & 2) != 0;
        const size_t least = ip4 ? wire::kIpv4HeaderSize : wire::kIpv6HeaderSize;
        if (copy.size() < least) {
            return;
        }
        if (ip4) {
            copy[0] = 0x45;
            copy[6] = copy[7] = 0;
            wire::write16(copy.data() + 2, static_cast<uint16_t>(copy.size()));
        } else {
            copy[0] = 0x60;
            wire::write16(copy.data() + 4, static_cast<uint16_t>(copy.size() - least));
        }
        const auto packet = ip4 ? wire::IpPacket::of(wire::Ipv4View::unchecked(copy.data()))
                                : wire::IpPacket::of(wire::Ipv6View::unchecked(copy.data()));
        if (packet.is_later_fragment() || packet.has_broken_chain() ||
            check_transport(packet, (what & 4) != 0) != InvalidReason::none) {
            return;
        }
        const Direction direction = direction_of(what, flow);
        switch (packet.protocol()) {
            case wire::IpProtocol::icmp:
            case wire::IpProtocol::icmpv6:
                if (classify_icmp(packet) == IcmpClass::error) {
                    const auto quoted = find_quotation(packet, settings);
                    require(!quoted || quoted->upper.size() <= quoted->bytes.size());
                    require(!quoted || quoted->source.family() == packet.family());
                }
                break;
            case wire::IpProtocol::gre:
                require(gre_key(packet.upper()).value_or(Be16{}) == Be16{} || packet.upper().size() >= 8);
                flow.take(track_gre(flow.facts(direction), settings), direction);
                break;
            default:
                flow.take(track_udp(track, flow.facts(direction), settings, now), direction);
                break;
        }
    });
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    if (size == 0) {
        return 0;
    }
    const uint8_t what = data[0];
    Settings settings = Settings::of((what & 1) != 0 ? Profile::linux : Profile::rfc);
    settings.tcp_be_liberal = (what & 2) != 0;
    settings.tcp_ignore_invalid_rst = (what & 4) != 0;
    settings.tcp_loose = (what & 8) != 0;
    const wire::Bytes script(data + 1, size - 1);
    switch (what >> 4 & 3) {
        case 0:
        case 1:
            run_tcp(script, settings);
            break;
        case 2:
            run_sctp(script, settings);
            break;
        default:
            run_packets(script, settings);
            break;
    }
    return 0;
}
