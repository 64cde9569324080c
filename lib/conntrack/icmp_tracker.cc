#include "conntrack/icmp_tracker.hh"

#include <algorithm>
#include <array>

#include "wire/checksum.hh"
#include "wire/icmp4.hh"
#include "wire/icmp6.hh"
#include "wire/ipv4.hh"
#include "wire/ipv6.hh"
#include "wire/ipv6_extensions.hh"

namespace sluice::conntrack {
namespace {

using wire::Bytes;
using wire::Icmp4Type;
using wire::Icmp6Type;
using wire::IpProtocol;

struct QueryType {
    Family family;
    uint8_t query;
    uint8_t answer;
};

constexpr QueryType icmp4_query(Icmp4Type query, Icmp4Type answer) {
    return {Family::ip4, static_cast<uint8_t>(query), static_cast<uint8_t>(answer)};
}

constexpr std::array kQueries{
    icmp4_query(Icmp4Type::echo_request, Icmp4Type::echo_reply),
    icmp4_query(Icmp4Type::timestamp_request, Icmp4Type::timestamp_reply),
    icmp4_query(Icmp4Type::information_request, Icmp4Type::information_reply),
    icmp4_query(Icmp4Type::address_mask_request, Icmp4Type::address_mask_reply),
    QueryType{Family::ip6, static_cast<uint8_t>(Icmp6Type::echo_request),
              static_cast<uint8_t>(Icmp6Type::echo_reply)},
    QueryType{Family::ip6, 139, 140},  // node information (RFC 4620)
};

constexpr uint8_t kLastIcmp4Type = static_cast<uint8_t>(Icmp4Type::address_mask_reply);

IcmpClass classify4(Icmp4Type type) {
    if (static_cast<uint8_t>(type) > kLastIcmp4Type)
        return IcmpClass::invalid;  // RFC 1122 3.2.2
    return kind_of(type) == wire::IcmpKind::error ? IcmpClass::error : IcmpClass::query;
}

constexpr size_t kRedirectSize = 40;       // RFC 4861 4.5: ICMPv6 header and two addresses
constexpr size_t kRedirectOptionSize = 8;  // in front of the quoted packet
constexpr uint8_t kRedirectedHeaderOption = 4;

bool has_redirected_header(const wire::IpPacket& packet) {
    const Bytes upper = packet.upper();
    return upper.size() >= kRedirectSize + 2 && upper[kRedirectSize] == kRedirectedHeaderOption;
}

IcmpClass classify6(const wire::IpPacket& packet) {
    switch (const auto type = Icmp6Type{packet.upper()[0]}; type) {
        case Icmp6Type::mld_query:
        case Icmp6Type::mld_report:
        case Icmp6Type::mld_done:
        case Icmp6Type::router_solicitation:
        case Icmp6Type::router_advertisement:
        case Icmp6Type::neighbour_solicitation:
        case Icmp6Type::neighbour_advertisement:
        case Icmp6Type::mld2_report:
            return IcmpClass::untracked;
        case Icmp6Type::redirect:
            return IcmpClass::error;
        default:
            return is_error(type) ? IcmpClass::error : IcmpClass::query;
    }
}

// Where the packet quoted by an error starts.
std::expected<Bytes, InvalidReason> quoted_bytes(const wire::IpPacket& packet) {
    const Bytes upper = packet.upper();
    if (packet.family() == Family::ip4 || Icmp6Type{upper[0]} != Icmp6Type::redirect)
        return upper.subspan(wire::kIcmpHeaderSize);
    // RFC 4861 8.1: from a router on the link.
    const bool on_link = packet.hop_limit() == 255 && packet.ip6().source().is_link_local();
    if (!on_link || upper[1] != 0 || !has_redirected_header(packet) || upper[kRedirectSize + 1] == 0 ||
        upper.size() < kRedirectSize + kRedirectOptionSize)
        return std::unexpected(InvalidReason::icmp_redirect);
    return upper.subspan(kRedirectSize + kRedirectOptionSize);
}

std::expected<QuotedPacket, InvalidReason> quoted4(Bytes bytes, const Settings& settings) {
    constexpr auto kUnreadable = std::unexpected(InvalidReason::icmp_quotation);
    if (bytes.size() < wire::kIpv4HeaderSize)
        return kUnreadable;
    const auto view = wire::Ipv4View::unchecked(bytes.data());
    const size_t header = view.header_length();
    if (header > bytes.size() || !view.is_first_fragment())
        return kUnreadable;
    if (settings.check_quoted_header &&
        (header < wire::kIpv4HeaderSize || bytes[0] >> 4 != 4 || !view.checksum_verifies()))
        return kUnreadable;
    return QuotedPacket{view.source(), view.destination(), view.protocol(), bytes, bytes.subspan(header)};
}

std::expected<QuotedPacket, InvalidReason> quoted6(Bytes bytes) {
    constexpr auto kUnreadable = std::unexpected(InvalidReason::icmp_quotation);
    if (bytes.size() < wire::kIpv6HeaderSize)
        return kUnreadable;
    const auto view = wire::Ipv6View::unchecked(bytes.data());
    IpProtocol protocol = view.next_header();
    Bytes rest = bytes.subspan(wire::kIpv6HeaderSize);
    for (unsigned headers = 0; wire::is_extension_header(protocol); ++headers) {
        if (headers == wire::kMaxExtensionHeaders || rest.size() < 8)
            return kUnreadable;
        size_t size = (rest[1] + size_t{1}) * 8;
        if (protocol == IpProtocol::fragment) {
            if ((wire::read16(rest.data() + 2) & 0xfff8) != 0)
                return kUnreadable;
            size = 8;
        } else if (protocol == IpProtocol::ah) {
            size = (rest[1] + size_t{2}) * 4;
        }
        if (size > rest.size())
            return kUnreadable;
        protocol = IpProtocol{rest[0]};
        rest = rest.subspan(size);
    }
    if (protocol == IpProtocol::none)
        return kUnreadable;
    return QuotedPacket{view.source(), view.destination(), protocol, bytes, rest};
}

}  // namespace

IcmpClass classify_icmp(const wire::IpPacket& packet) {
    const bool is_icmp6 = packet.protocol() == IpProtocol::icmpv6;
    if (is_icmp6 != (packet.family() == Family::ip6))
        return IcmpClass::invalid;
    return is_icmp6 ? classify6(packet) : classify4(Icmp4Type{packet.upper()[0]});
}

std::optional<uint8_t> opposite_icmp_type(Family family, uint8_t type) {
    for (const QueryType& each : kQueries) {
        if (each.family != family)
            continue;
        if (each.query == type)
            return each.answer;
        if (each.answer == type)
            return each.query;
    }
    return std::nullopt;
}

TrackResult track_icmp(Family family, uint8_t first_type, const FlowFacts& flow, const Settings& settings) {
    if (!flow.status.has(kConfirmed)) {
        const auto begins = [&](const QueryType& each) {
            return each.family == family && each.query == first_type;
        };
        if (!std::ranges::any_of(kQueries, begins))
            return TrackResult::invalid(InvalidReason::icmp_no_query);
    }
    // Answers do not end it: duplicates of them belong to it as well (R5508-2).
    return TrackResult::live(settings.timeouts[family == Family::ip4 ? Timeout::icmp : Timeout::icmpv6]);
}

std::expected<QuotedPacket, InvalidReason> find_quotation(const wire::IpPacket& packet,
                                                          const Settings& settings) {
    const auto bytes = quoted_bytes(packet);
    if (!bytes)
        return std::unexpected(bytes.error());
    return packet.family() == Family::ip4 ? quoted4(*bytes, settings) : quoted6(*bytes);
}

}  // namespace sluice::conntrack
