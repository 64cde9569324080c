#include "wire/ipv6_extensions.hh"

#include <algorithm>

#include "wire/fragment.hh"
#include "wire/icmp4.hh"
#include "wire/tcp.hh"
#include "wire/udp.hh"

namespace sluice::wire {

namespace {

// Whether a header that reaches beyond the packet tells what would follow it. A fragment header does if it
// has its offset, and that is 0: what Linux asks for.
bool names_the_next(IpProtocol protocol, Bytes header) {
    constexpr size_t kOffsetEnd = 4;
    if (protocol != IpProtocol::fragment)
        return header.size() >= 2;
    return header.size() >= kOffsetEnd && Ipv6FragmentView::unchecked(header.data()).offset() == 0;
}

}  // namespace

Ipv6Chain detail::walk_chain(Ipv6View view, uint8_t max_headers) {
    const Bytes packet = view.bytes();
    Ipv6Chain chain;
    IpProtocol protocol = view.next_header();
    size_t named_at = 6;
    size_t at = kIpv6HeaderSize;
    const auto note = [&](Ipv6ChainError error) {
        if (!chain.ok())
            return;
        chain.error = error;
        chain.error_offset = static_cast<uint16_t>(named_at);
    };
    const auto stop = [&](Ipv6ChainError error) {
        note(error);
        chain.cut = true;
    };
    while (is_extension_header(protocol)) {
        if (chain.header_count == max_headers) {
            stop(Ipv6ChainError::too_many_headers);
            break;
        }
        const bool misplaced = protocol == IpProtocol::hop_by_hop && at != kIpv6HeaderSize;
        if (misplaced)
            note(Ipv6ChainError::misplaced_hop_by_hop);
        const bool repeated = protocol == IpProtocol::fragment && chain.fragment_offset != 0;
        if (repeated)
            note(Ipv6ChainError::repeated_fragment_header);
        const size_t left = packet.size() - at;
        if (left < 8 || left < extension_header_size(protocol, packet.subspan(at))) {
            stop(Ipv6ChainError::truncated);
            if (names_the_next(protocol, packet.subspan(at)))
                chain.protocol_beyond = IpProtocol{packet[at]};
            break;
        }
        ++chain.header_count;
        const auto offset = static_cast<uint16_t>(at);
        bool ends = false;
        switch (protocol) {
            case IpProtocol::hop_by_hop:
                if (!misplaced)
                    chain.hop_by_hop_offset = offset;
                break;
            case IpProtocol::routing:
                chain.routing_offset = offset;
                chain.routing_type = packet[at + 2];
                chain.segments_left = packet[at + 3];
                break;
            case IpProtocol::fragment:
                if (!repeated) {
                    chain.fragment_offset = offset;
                    chain.fragment_named_at = static_cast<uint16_t>(named_at);
                }
                ends = Ipv6FragmentView::unchecked(packet.data() + at).offset() != 0;
                break;
            case IpProtocol::destination_options:
                chain.destination_offset = offset;
                break;
            default:
                break;
        }
        named_at = at;
        const size_t size = extension_header_size(protocol, packet.subspan(at));
        protocol = IpProtocol{packet[at]};
        at += size;
        if (ends) {
            chain.non_first_fragment = true;
            break;
        }
    }
    chain.upper_protocol = protocol;
    chain.upper_offset = static_cast<uint16_t>(at);
    chain.upper_named_at = static_cast<uint16_t>(named_at);
    return chain;
}

namespace {

size_t smallest_header(IpProtocol upper) {
    switch (upper) {
        case IpProtocol::tcp:
            return kTcpHeaderSize;
        case IpProtocol::udp:
            return kUdpHeaderSize;
        case IpProtocol::icmpv6:
            return kIcmpHeaderSize;
        default:
            return 1;
    }
}

}  // namespace

bool lacks_upper_header(Bytes fragment) {
    auto protocol = IpProtocol::fragment;
    size_t at = 0;
    while (is_extension_header(protocol)) {
        if (at + 2 > fragment.size())
            return false;
        const auto header = fragment.subspan(at);
        constexpr size_t kOffsetEnd = 4;  // the rest of the header is not asked for
        if (protocol == IpProtocol::fragment &&
            (header.size() < kOffsetEnd || Ipv6FragmentView::unchecked(header.data()).offset() != 0))
            return false;  // the middle of another datagram
        at += extension_header_size(protocol, header);
        protocol = IpProtocol{header[0]};
    }
    return protocol != IpProtocol::none && at + smallest_header(protocol) > fragment.size();
}

namespace {

constexpr size_t kMaxOptions = 8;
constexpr size_t kMaxPadding = 7;

// A router alert means something in a hop-by-hop header only (RFC 2711 2.1).
bool has_wrong_length(Ipv6OptionType type, uint8_t length, Ipv6OptionsHeader header) {
    return header == Ipv6OptionsHeader::hop_by_hop && type == Ipv6OptionType::router_alert && length != 2;
}

bool is_zero(Bytes bytes) {
    return std::ranges::all_of(bytes, [](uint8_t byte) { return byte == 0; });
}

}  // namespace

Ipv6OptionSummary summarize_options(Ipv6View view, uint16_t offset, Ipv6OptionsHeader header) {
    const Bytes packet = view.bytes();
    const size_t end = offset + (size_t{packet[offset + size_t{1}]} + 1) * 8;
    size_t at = offset + size_t{2};
    size_t options = 0;
    size_t padding = 0;  // since the last other option
    Ipv6OptionSummary result;
    const auto malformed = [&] {
        result.malformed = true;
        result.pointer = static_cast<uint16_t>(at);
        return result;
    };
    while (at < end) {
        const auto type = Ipv6OptionType{packet[at]};
        if (type == Ipv6OptionType::pad1) {
            if (++padding > kMaxPadding)
                return malformed();
            ++at;
            continue;
        }
        if (end - at < 2 || packet[at + 1] > end - at - 2)
            return malformed();
        const uint8_t length = packet[at + 1];
        const size_t whole = size_t{2} + length;
        if (type == Ipv6OptionType::pad_n) {
            padding += whole;
            if (padding > kMaxPadding || !is_zero(packet.subspan(at + 2, length)))
                return malformed();
        } else {
            padding = 0;
            if (++options > kMaxOptions || has_wrong_length(type, length, header))
                return malformed();
            result.router_alert |= type == Ipv6OptionType::router_alert;
            const auto action = Ipv6OptionAction{static_cast<uint8_t>(packet[at] >> 6)};
            if (action != Ipv6OptionAction::skip) {
                result.action = action;
                result.pointer = static_cast<uint16_t>(at);
                return result;
            }
        }
        at += whole;
    }
    return result;
}

}  // namespace sluice::wire
