#include "routing/fragment.hh"

#include <algorithm>

#include "wire/fragment.hh"
#include "wire/ipv4_options.hh"
#include "wire/ipv6_extensions.hh"

namespace sluice::routing {

namespace {

// Puts "no operation" in place of the options that only the first fragment carries (RFC 791 3.1). The header
// keeps its length, as in Linux: so all fragments have room for the same payload.
void blank_uncopied_options(wire::Ipv4Header& header, wire::Ipv4View datagram) {
    wire::Ipv4OptionWalk walk(datagram);
    while (const auto option = walk.next()) {
        if (!option->copied()) {
            auto* const place = header.options.data() + (option->offset - wire::kIpv4HeaderSize);
            std::fill_n(place, option->bytes.size(),
                        static_cast<uint8_t>(wire::Ipv4OptionType::no_operation));
        }
    }
}

// The next piece of `total` bytes from `at` on, when `room` bytes fit a packet.
FragmentPiece cut(size_t at, size_t total, size_t room) {
    const size_t left = total - at;
    const bool more = left > room;
    return {static_cast<uint32_t>(at), static_cast<uint32_t>(more ? room / 8 * 8 : left), more};
}

// The fragment at place `at` again, as it came.
std::optional<FragmentPiece> again(std::span<const table::FragmentSpan> fragments, size_t& at) {
    if (at == fragments.size())
        return std::nullopt;
    const auto& fragment = fragments[at++];
    return FragmentPiece{fragment.offset, fragment.length, at != fragments.size()};
}

size_t smaller_mtu(size_t mtu, size_t largest) {
    return largest == 0 ? mtu : std::min(mtu, largest);
}

}  // namespace

Ipv4Fragmenter::Ipv4Fragmenter(wire::Ipv4View datagram, size_t mtu,
                               std::span<const table::FragmentSpan> fragments, size_t largest)
    : datagram_(datagram),
      first_(wire::Ipv4Header::parse(datagram)),
      others_(first_),
      mtu_(smaller_mtu(mtu, largest)) {
    if (datagram.has_options()) {
        blank_uncopied_options(others_, datagram);
    }
    const auto fits = [&](const table::FragmentSpan& fragment) {
        return (fragment.offset == 0 ? first_ : others_).header_size() + fragment.length <= mtu_;
    };
    if (std::ranges::all_of(fragments, fits)) {
        fragments_ = fragments;
    }
}

std::optional<FragmentPiece> Ipv4Fragmenter::next() {
    if (!fragments_.empty()) {
        return again(fragments_, at_);
    }
    const size_t total = datagram_.payload().size();
    if (at_ >= total) {
        return std::nullopt;
    }
    const wire::Ipv4Header& header = at_ == 0 ? first_ : others_;
    const FragmentPiece piece = cut(at_, total, mtu_ - header.header_size());
    at_ += piece.length;
    return piece;
}

size_t Ipv4Fragmenter::header_size(const FragmentPiece& piece) const {
    return (piece.offset == 0 ? first_ : others_).header_size();
}

size_t Ipv4Fragmenter::emit_header(const FragmentPiece& piece, wire::MutableBytes to) const {
    wire::Ipv4Header header = piece.offset == 0 ? first_ : others_;
    header.fragment_offset = datagram_.fragment_offset() + piece.offset;
    header.more_fragments = piece.more || datagram_.more_fragments();
    header.payload_length = static_cast<uint16_t>(piece.length);
    return header.emit(to);
}

Ipv6Fragmenter::Ipv6Fragmenter(wire::Ipv6View packet, size_t mtu, uint32_t id,
                               std::span<const table::FragmentSpan> fragments, size_t largest)
    : packet_(packet), mtu_(smaller_mtu(mtu, largest)), id_(id) {
    find_repeated(fragments.empty() ? packet.total_length()
                                    : packet.total_length() - fragments.back().end() + fragments[0].length);
    mtu_ = std::max(mtu_, header_size() + 8);
    // The sender may have repeated other headers than these.
    const bool same_headers =
        !fragments.empty() && fragments.back().end() == packet.total_length() - repeated_;
    const auto fits = [&](const table::FragmentSpan& fragment) {
        return header_size() + fragment.length <= mtu_;
    };
    if (same_headers && std::ranges::all_of(fragments, fits)) {
        fragments_ = fragments;
    }
}

// `end`: where what came in the first fragment ends.
void Ipv6Fragmenter::find_repeated(size_t end) {
    const wire::Bytes bytes = packet_.bytes().first(end);
    auto protocol = packet_.next_header();
    bool behind_routing = false;
    for (;;) {
        const bool is_repeated = protocol == wire::IpProtocol::hop_by_hop ||
                                 protocol == wire::IpProtocol::routing ||
                                 (protocol == wire::IpProtocol::destination_options && !behind_routing);
        if (!is_repeated)
            return;
        const size_t at = repeated_;
        const size_t left = bytes.size() - at;
        if (left < 2 || left < wire::extension_header_size(protocol, bytes.subspan(at))) {
            can_cut_ = false;
            return;
        }
        behind_routing |= protocol == wire::IpProtocol::routing;
        named_at_ = at;
        repeated_ += wire::extension_header_size(protocol, bytes.subspan(at));
        protocol = wire::IpProtocol{bytes[at]};
    }
}

std::optional<FragmentPiece> Ipv6Fragmenter::next() {
    if (!fragments_.empty()) {
        return again(fragments_, at_);
    }
    const size_t total = packet_.total_length() - repeated_;
    if (at_ >= total) {
        return std::nullopt;
    }
    const FragmentPiece piece = cut(at_, total, mtu_ - header_size());
    at_ += piece.length;
    return piece;
}

size_t Ipv6Fragmenter::emit_header(const FragmentPiece& piece, wire::MutableBytes to) const {
    if (to.size() < header_size()) {
        return 0;
    }
    const wire::Bytes bytes = packet_.bytes();
    std::ranges::copy(bytes.first(repeated_), to.begin());
    const wire::Ipv6FragmentHeader fragment{wire::IpProtocol{bytes[named_at_]}, piece.offset, piece.more,
                                            id_};
    to[named_at_] = static_cast<uint8_t>(wire::IpProtocol::fragment);
    fragment.emit(to.subspan(repeated_));
    wire::MutableIpv6View::unchecked(to.data()).set_payload_length(
        static_cast<uint16_t>(header_size() - wire::kIpv6HeaderSize + piece.length));
    return header_size();
}

}  // namespace sluice::routing
