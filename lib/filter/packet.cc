#include "filter/packet.hh"

#include "wire/ipv6.hh"

namespace sluice::filter {
namespace {

using wire::Bytes;
using wire::IpProtocol;

// What ends a walk for nftables: everything but these, and "no next header".
bool is_passed(IpProtocol protocol) {
    switch (protocol) {
        case IpProtocol::hop_by_hop:
        case IpProtocol::routing:
        case IpProtocol::fragment:
        case IpProtocol::ah:
        case IpProtocol::destination_options:
            return true;
        default:
            return false;
    }
}

// One extension header: how long it is and what follows.
struct Extension {
    bool readable = false;
    IpProtocol next{};
    size_t size = 0;
    bool later_fragment = false;
};

Extension read_extension(Bytes packet, IpProtocol kind, size_t at) {
    constexpr size_t kSmallest = 2;
    constexpr size_t kFragmentOrRouting = 4;
    const bool four = kind == IpProtocol::fragment || kind == IpProtocol::routing;
    if (at + (four ? kFragmentOrRouting : kSmallest) > packet.size())
        return {};
    Extension result{.readable = true, .next = IpProtocol{packet[at]}};
    if (kind == IpProtocol::fragment) {
        result.later_fragment = (wire::read16(packet.data() + at + 2) & 0xfff8) != 0;
        result.size = 8;
    } else if (kind == IpProtocol::ah) {
        result.size = (packet[at + 1] + size_t{2}) * 4;
    } else {
        result.size = (packet[at + 1] + size_t{1}) * 8;
    }
    return result;
}

Transport transport_behind_extensions(const wire::IpPacket& ip) {
    const Bytes packet = ip.bytes();
    IpProtocol next = ip.ip6().next_header();
    size_t at = wire::kIpv6HeaderSize;
    while (is_passed(next) && next != IpProtocol::ah) {
        const Extension extension = read_extension(packet, next, at);
        if (!extension.readable)
            return {};
        if (extension.later_fragment) {
            if (is_passed(extension.next))
                return {};
            return {.known = true,
                    .protocol = extension.next,
                    .later_fragment = true,
                    .offset = static_cast<uint16_t>(at)};
        }
        next = extension.next;
        at += extension.size;
    }
    // An authentication header must be there in part at least, as any extension header.
    if (next == IpProtocol::ah && !read_extension(packet, next, at).readable)
        return {};
    if (at > UINT16_MAX)
        return {};
    return {.known = true, .protocol = next, .later_fragment = false, .offset = static_cast<uint16_t>(at)};
}

}  // namespace

Transport Transport::of_ip6(const wire::IpPacket& ip) {
    const IpProtocol next = ip.ip6().next_header();
    if (!is_passed(next))
        return {.known = true, .protocol = next, .later_fragment = false, .offset = wire::kIpv6HeaderSize};
    return transport_behind_extensions(ip);
}

bool has_extension_header(const wire::IpPacket& ip, wire::IpProtocol kind) {
    if (ip.family() != Family::ip6)
        return false;
    const Bytes packet = ip.bytes();
    IpProtocol next = ip.ip6().next_header();
    size_t at = wire::kIpv6HeaderSize;
    while (is_passed(next)) {
        const Extension extension = read_extension(packet, next, at);
        if (!extension.readable)
            return false;
        if (next == kind)
            return true;
        if (extension.later_fragment)
            return false;
        next = extension.next;
        at += extension.size;
    }
    return false;
}

}  // namespace sluice::filter
