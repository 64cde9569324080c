#include "filter/flow_review.hh"

#include <initializer_list>

#include "filter/evaluate.hh"
#include "wire/icmp4.hh"
#include "wire/sctp.hh"
#include "wire/tcp.hh"
#include "wire/udp.hh"

namespace sluice::filter {
namespace {

using conntrack::CtState;
using wire::IpProtocol;

constexpr uint8_t kTtl = 64;
constexpr size_t kOtherSize = 4;  // of what rules do not look into

// A chain on the way.
struct Step {
    Table table;
    Hook hook;
};

}  // namespace

size_t FirstPacket::write_upper(const conntrack::Tuple& tuple, uint8_t* to) {
    if (tuple.is_icmp()) {
        to[0] = tuple.icmp_type();
        to[1] = tuple.icmp_code();
        wire::write16(to + 4, tuple.icmp_id());
        return wire::kIcmpHeaderSize;
    }
    switch (tuple.protocol()) {
        case IpProtocol::tcp: {
            const wire::TcpHeader header{
                .source_port = tuple.sport, .destination_port = tuple.dport, .flags = wire::kTcpSyn};
            return header.emit(wire::MutableBytes(to, wire::kTcpHeaderSize));
        }
        case IpProtocol::udp:
        case IpProtocol::udplite:
        case IpProtocol::sctp:
            wire::write16(to, tuple.sport);
            wire::write16(to + 2, tuple.dport);
            return tuple.protocol() == IpProtocol::sctp ? wire::kSctpHeaderSize : wire::kUdpHeaderSize;
        default:
            return kOtherSize;
    }
}

wire::IpPacket FirstPacket::write(const conntrack::Tuple& tuple, uint8_t* to) {
    if (tuple.family() == Family::ip4) {
        const size_t upper = write_upper(tuple, to + wire::kIpv4HeaderSize);
        const wire::Ipv4Header header{.ttl = kTtl,
                                      .protocol = tuple.protocol(),
                                      .source = tuple.source().ip4(),
                                      .destination = tuple.destination().ip4(),
                                      .payload_length = static_cast<uint16_t>(upper)};
        header.emit(wire::MutableBytes(to, wire::kIpv4HeaderSize));
        return wire::IpPacket::of(wire::Ipv4View::unchecked(to));
    }
    const size_t upper = write_upper(tuple, to + wire::kIpv6HeaderSize);
    const wire::Ipv6Header header{.payload_length = static_cast<uint16_t>(upper),
                                  .next_header = tuple.protocol(),
                                  .hop_limit = kTtl,
                                  .source = tuple.source().ip6(),
                                  .destination = tuple.destination().ip6()};
    header.emit(wire::MutableBytes(to, wire::kIpv6HeaderSize));
    return wire::IpPacket::of(wire::Ipv6View::unchecked(to));
}

bool FlowReview::lets_begin(const conntrack::Flow& flow, Instant now) const {
    const auto original = flow.tuple(conntrack::Direction::original);
    const auto reply = flow.tuple(conntrack::Direction::reply);
    // Behind destination NAT it goes to where the replies come from.
    auto routed = original;
    routed.set_destination(reply.source());
    if (!original.is_icmp())
        routed.dport = reply.sport;
    const InterfaceId in = flow.in();
    const FlowRoute route = route_(in, routed);
    if (route.to == FlowRoute::To::nowhere)
        return true;

    const FirstPacket before(original);
    const FirstPacket behind(routed);
    uint32_t flow_mark = 0;
    uint32_t mark = 0;
    bool untracked = false;
    const auto asked = [&](const FirstPacket& first, bool tracked) {
        RulePacket packet(first.packet(), now);
        packet.in = in;
        packet.mark = mark;
        if (tracked && untracked) {
            packet.ct.state = CtState::untracked;
        } else if (tracked) {
            packet.ct.state = flow.status.has(conntrack::kExpected) ? CtState::related : CtState::new_;
            packet.ct.status = conntrack::Status(
                flow.status.bits() & (conntrack::kExpected | conntrack::kSnat | conntrack::kDnat).bits());
            packet.ct.mark = &flow_mark;
        }
        return packet;
    };
    const auto passes = [&](RulePacket packet, Table table, Hook hook) {
        if (hook != Hook::prerouting && hook != Hook::input)
            packet.out = route.out;
        const auto outcome = foresee(*ruleset_, table, hook, packet);
        mark = packet.mark;
        untracked = untracked || outcome.notrack;
        return outcome.conclusion == Conclusion::accept;
    };
    const auto all_pass = [&](std::initializer_list<Step> steps) {
        for (const auto& [table, hook] : steps) {
            if (!passes(asked(behind, true), table, hook))
                return false;
        }
        return true;
    };

    using enum Table;
    if (in == kNoInterface)
        return passes(asked(before, false), raw, Hook::output) &&
               all_pass({{mangle, Hook::output}, {filter, Hook::output}, {mangle, Hook::postrouting}});
    auto early = asked(before, false);
    if (foresee_early(*ruleset_, early).conclusion != Conclusion::accept)
        return false;
    mark = 0;
    if (!passes(asked(before, false), raw, Hook::prerouting) ||
        !passes(asked(before, true), mangle, Hook::prerouting))
        return false;
    if (route.to == FlowRoute::To::box)
        return all_pass({{mangle, Hook::input}, {filter, Hook::input}});
    return all_pass({{mangle, Hook::forward}, {filter, Hook::forward}, {mangle, Hook::postrouting}});
}

}  // namespace sluice::filter
