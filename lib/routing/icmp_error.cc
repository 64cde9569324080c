#include "routing/icmp_error.hh"

#include <algorithm>

#include "wire/fragment.hh"
#include "wire/icmp4.hh"
#include "wire/icmp6.hh"
#include "wire/ipv6_extensions.hh"

namespace sluice::routing {

namespace {

struct TypeCode {
    uint8_t type;
    uint8_t code;
};

constexpr TypeCode unreachable(wire::Icmp4Unreachable code) {
    return {static_cast<uint8_t>(wire::Icmp4Type::destination_unreachable), static_cast<uint8_t>(code)};
}
constexpr TypeCode unreachable(wire::Icmp6Unreachable code) {
    return {static_cast<uint8_t>(wire::Icmp6Type::destination_unreachable), static_cast<uint8_t>(code)};
}
constexpr TypeCode problem(wire::Icmp6ParameterProblem code) {
    return {static_cast<uint8_t>(wire::Icmp6Type::parameter_problem), static_cast<uint8_t>(code)};
}
template <typename Type>
constexpr TypeCode exceeded(Type type, wire::IcmpTimeExceeded code) {
    return {static_cast<uint8_t>(type), static_cast<uint8_t>(code)};
}

TypeCode type_code(Icmp4ErrorKind kind) {
    using Code = wire::Icmp4Unreachable;
    switch (kind) {
        case Icmp4ErrorKind::net_unreachable:
            return unreachable(Code::net);
        case Icmp4ErrorKind::host_unreachable:
            return unreachable(Code::host);
        case Icmp4ErrorKind::protocol_unreachable:
            return unreachable(Code::protocol);
        case Icmp4ErrorKind::port_unreachable:
            return unreachable(Code::port);
        case Icmp4ErrorKind::fragmentation_needed:
            return unreachable(Code::fragmentation_needed);
        case Icmp4ErrorKind::source_route_failed:
            return unreachable(Code::source_route_failed);
        case Icmp4ErrorKind::admin_prohibited:
            return unreachable(Code::admin_prohibited);
        case Icmp4ErrorKind::ttl_exceeded:
            return exceeded(wire::Icmp4Type::time_exceeded, wire::IcmpTimeExceeded::in_transit);
        case Icmp4ErrorKind::reassembly_time_exceeded:
            return exceeded(wire::Icmp4Type::time_exceeded, wire::IcmpTimeExceeded::reassembly);
        case Icmp4ErrorKind::parameter_problem:
            break;
    }
    return {static_cast<uint8_t>(wire::Icmp4Type::parameter_problem), 0};
}

TypeCode type_code(Icmp6ErrorKind kind) {
    using Code = wire::Icmp6Unreachable;
    using Problem = wire::Icmp6ParameterProblem;
    switch (kind) {
        case Icmp6ErrorKind::no_route:
            return unreachable(Code::no_route);
        case Icmp6ErrorKind::admin_prohibited:
            return unreachable(Code::admin_prohibited);
        case Icmp6ErrorKind::beyond_scope:
            return unreachable(Code::beyond_scope);
        case Icmp6ErrorKind::address_unreachable:
            return unreachable(Code::address);
        case Icmp6ErrorKind::port_unreachable:
            return unreachable(Code::port);
        case Icmp6ErrorKind::failed_policy:
            return unreachable(Code::failed_policy);
        case Icmp6ErrorKind::reject_route:
            return unreachable(Code::reject_route);
        case Icmp6ErrorKind::hop_limit_exceeded:
            return exceeded(wire::Icmp6Type::time_exceeded, wire::IcmpTimeExceeded::in_transit);
        case Icmp6ErrorKind::reassembly_time_exceeded:
            return exceeded(wire::Icmp6Type::time_exceeded, wire::IcmpTimeExceeded::reassembly);
        case Icmp6ErrorKind::erroneous_field:
            return problem(Problem::erroneous_field);
        case Icmp6ErrorKind::unknown_next_header:
            return problem(Problem::unknown_next_header);
        case Icmp6ErrorKind::unknown_option:
            return problem(Problem::unknown_option);
        case Icmp6ErrorKind::incomplete_first_fragment:
            return problem(Problem::incomplete_first_fragment);
        case Icmp6ErrorKind::packet_too_big:
            break;
    }
    return {static_cast<uint8_t>(wire::Icmp6Type::packet_too_big), 0};
}

// Is the packet an ICMPv6 error or redirect, or one that does not show its type?
bool is_icmp6_error(wire::Ipv6View packet) {
    const auto chain = wire::walk_extensions(packet);
    if (chain.error == wire::Ipv6ChainError::too_many_headers)
        return true;  // it may be one
    if (chain.cut || chain.upper_protocol != wire::IpProtocol::icmpv6 || chain.non_first_fragment) {
        // An ICMPv6 error fits the smallest MTU and so never comes in fragments.
        return false;
    }
    if (chain.upper_offset >= packet.total_length()) {
        // Of a fragment, as in Linux, that may be told.
        const bool is_part =
            chain.fragment_offset != 0 && chain.error != wire::Ipv6ChainError::repeated_fragment_header &&
            !wire::Ipv6FragmentView::unchecked(packet.bytes().data() + chain.fragment_offset).is_atomic();
        return !is_part;
    }
    const auto type = wire::Icmp6Type{packet.bytes()[chain.upper_offset]};
    return wire::is_error(type) || type == wire::Icmp6Type::redirect;
}

// The two errors that are sent about packets to many: path MTU discovery works for multicast, and an option
// may ask for the error whatever the destination (its two highest bits are 10).
bool answers_groups(const Icmp6Error& error, wire::Ipv6View packet) {
    if (error.kind == Icmp6ErrorKind::packet_too_big) {
        return true;
    }
    return error.kind == Icmp6ErrorKind::unknown_option && error.pointer < packet.total_length() &&
           packet.bytes()[error.pointer] >> 6 == static_cast<int>(wire::Ipv6OptionAction::discard_report);
}

constexpr size_t kIcmp4Overhead = wire::kIpv4HeaderSize + wire::kIcmpHeaderSize;
constexpr size_t kIcmp6Overhead = wire::kIpv6HeaderSize + wire::kIcmpHeaderSize;
constexpr uint8_t kErrorTtl = 64;

}  // namespace

namespace {

// ICMP types about which an error may be sent, as in Linux: queries and their answers, without router
// discovery.
bool is_answerable(uint8_t type) {
    return type == static_cast<uint8_t>(wire::Icmp4Type::echo_reply) ||
           type == static_cast<uint8_t>(wire::Icmp4Type::echo_request) || (type >= 13 && type <= 18);
}

}  // namespace

IcmpErrorVerdict may_send_error(const Icmp4Error&, wire::Bytes offending, const IcmpErrorContext& context) {
    const auto packet = wire::Ipv4View::checked(offending);
    if (!packet) {
        return IcmpErrorVerdict::invalid_packet;
    }
    if (!packet->is_first_fragment()) {
        return IcmpErrorVerdict::later_fragment;
    }
    if (packet->protocol() == wire::IpProtocol::icmp &&
        (packet->payload().empty() || !is_answerable(packet->payload()[0]))) {
        return IcmpErrorVerdict::about_error;
    }
    const Ip4Address destination = packet->destination();
    if (context.destination_broadcast || destination.is_multicast() || destination.is_limited_broadcast()) {
        return IcmpErrorVerdict::group_destination;
    }
    if (context.link_group) {
        return IcmpErrorVerdict::link_group;
    }
    const Ip4Address source = packet->source();
    if (context.source_refused || source.is_this_network() || source.is_loopback() || source.is_multicast() ||
        source.is_class_e()) {
        return IcmpErrorVerdict::invalid_source;
    }
    return IcmpErrorVerdict::send;
}

IcmpErrorVerdict may_send_error(const Icmp6Error& error, wire::Bytes offending,
                                const IcmpErrorContext& context) {
    const auto packet = wire::Ipv6View::checked(offending);
    if (!packet) {
        return IcmpErrorVerdict::invalid_packet;
    }
    if (is_icmp6_error(*packet)) {
        return IcmpErrorVerdict::about_error;
    }
    if (!answers_groups(error, *packet)) {
        if (packet->destination().is_multicast()) {
            return IcmpErrorVerdict::group_destination;
        }
        if (context.link_group) {
            return IcmpErrorVerdict::link_group;
        }
    }
    const Ip6Address source = packet->source();
    if (context.source_refused || source.is_unspecified() || source.is_multicast() || source.is_loopback()) {
        return IcmpErrorVerdict::invalid_source;
    }
    return IcmpErrorVerdict::send;
}

size_t icmp4_error_size(wire::Ipv4View offending, size_t options) {
    return std::min<size_t>(kIcmp4ErrorMaxSize, kIcmp4Overhead + options + offending.total_length());
}

size_t icmp6_error_size(wire::Ipv6View offending) {
    return std::min<size_t>(kIcmp6ErrorMaxSize, kIcmp6Overhead + offending.total_length());
}

size_t build_error(const Icmp4Error& error, wire::Ipv4View offending, Ip4Address source, uint16_t id,
                   wire::MutableBytes to, const Ip4Options& options) {
    const size_t size = icmp4_error_size(offending, options.length);
    if (to.size() < size) {
        return 0;
    }
    const auto [type, code] = type_code(error.kind);
    const wire::Icmp4Message message{.type = wire::Icmp4Type{type},
                                     .code = code,
                                     .word = error.kind == Icmp4ErrorKind::fragmentation_needed
                                                 ? error.mtu
                                                 : uint32_t{error.pointer} << 24,
                                     .body = offending.bytes().first(size - kIcmp4Overhead - options.length)};
    // The type of service of the packet with the precedence of internetwork control (R1812-4.3.2.5), as Linux
    // does.
    const wire::Ipv4Header header{.tos = static_cast<uint8_t>((offending.tos() & 0x1e) | 0xc0),
                                  .id = id,
                                  .ttl = kErrorTtl,
                                  .protocol = wire::IpProtocol::icmp,
                                  .source = source,
                                  .destination = offending.source(),
                                  .payload_length = static_cast<uint16_t>(message.size()),
                                  .options_length = options.length,
                                  .options = options.bytes};
    message.emit(to.subspan(header.header_size()));
    header.emit(to);
    return size;
}

size_t build_error(const Icmp6Error& error, wire::Ipv6View offending, const Ip6Address& source,
                   wire::MutableBytes to) {
    const size_t size = icmp6_error_size(offending);
    if (to.size() < size) {
        return 0;
    }
    const auto [type, code] = type_code(error.kind);
    const wire::Icmp6Message message{
        .type = wire::Icmp6Type{type},
        .code = code,
        .word = error.kind == Icmp6ErrorKind::packet_too_big ? error.mtu : error.pointer,
        .body = offending.bytes().first(size - kIcmp6Overhead)};
    const wire::Ipv6Header header{.payload_length = static_cast<uint16_t>(message.size()),
                                  .next_header = wire::IpProtocol::icmpv6,
                                  .hop_limit = kErrorTtl,
                                  .source = source,
                                  .destination = offending.source()};
    message.emit(to.subspan(wire::kIpv6HeaderSize), header.source, header.destination);
    header.emit(to);
    return size;
}

}  // namespace sluice::routing
