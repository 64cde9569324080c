#include "table/reassembly.hh"

#include <algorithm>
#include <bit>
#include <cstring>

#include "wire/fragment.hh"

namespace sluice::table {

namespace {

constexpr uint8_t kCongestionExperienced = 3;
constexpr uint8_t kOnlyNotCapable = 1;  // Datagram::ecn_seen without any ECN-capable fragment

FragmentResult refuse(FragmentRefusal refusal, size_t pointer = 0) {
    return {
        .outcome = FragmentOutcome::refused, .refusal = refusal, .pointer = static_cast<uint16_t>(pointer)};
}

}  // namespace

FragmentResult Reassembler::add(wire::Ipv4View fragment, uint32_t scope, Instant now) {
    const Key key{Family::ip4,   fragment.protocol(), scope,
                  fragment.id(), fragment.source(),   fragment.destination()};
    Part part{.header = fragment.header(),
              .payload = fragment.payload(),
              .offset = fragment.fragment_offset(),
              .more = fragment.more_fragments(),
              .ecn = fragment.ecn(),
              .dont_fragment = fragment.dont_fragment()};
    if (part.more) {
        // As Linux does, bytes behind the last whole unit of eight are cut off.
        part.payload = part.payload.first(part.payload.size() / 8 * 8);
    }
    if (part.header.size() + part.offset + part.payload.size() > kMaxReassembled) {
        return refuse(FragmentRefusal::too_long);
    }
    return add(key, part, now);
}

FragmentResult Reassembler::add(wire::Ipv6View packet, const wire::Ipv6Chain& chain, uint32_t scope,
                                Instant now) {
    const size_t behind = chain.fragment_offset + wire::kIpv6FragmentHeaderSize;
    const wire::Bytes bytes = packet.bytes();
    const auto fragment = wire::Ipv6FragmentView::unchecked(bytes.data() + chain.fragment_offset);
    const Key key{Family::ip6, {}, scope, fragment.id(), packet.source(), packet.destination()};
    const Part part{.header = bytes.first(behind),
                    .payload = bytes.subspan(behind),
                    .offset = fragment.offset(),
                    .more = fragment.more(),
                    .ecn = packet.ecn(),
                    .next_header = fragment.next_header(),
                    .named_at = chain.fragment_named_at};
    if (part.more && part.payload.size() % 8 != 0) {
        return refuse(FragmentRefusal::odd_length, 4);  // the payload length field
    }
    if (chain.fragment_offset - wire::kIpv6HeaderSize + part.offset + part.payload.size() > kMaxReassembled) {
        return refuse(FragmentRefusal::too_long, chain.fragment_offset + size_t{2});  // the offset field
    }
    if (part.offset == 0 && wire::lacks_upper_header(bytes.subspan(chain.fragment_offset))) {
        return refuse(FragmentRefusal::incomplete_first_fragment);
    }
    if (fragment.is_atomic()) {
        // Whole by itself, whatever else carries its identification (R6946).
        if (part.header.size() > kMaxReassemblyHeader) {
            return refuse(FragmentRefusal::header_too_long);
        }
        const size_t header = write_header(Family::ip6, part, part.payload.size());
        wire::copy_bytes(whole_.data() + header, part.payload);
        spans_[0] = {0, static_cast<uint16_t>(part.payload.size())};
        return {.outcome = FragmentOutcome::complete,
                .datagram = {whole_.data(), header + part.payload.size()},
                .fragments = {spans_.data(), 1},
                .largest = static_cast<uint16_t>(bytes.size())};
    }
    return add(key, part, now);
}

void Reassembler::abandon(wire::Ipv6View packet, const wire::Ipv6Chain& chain, uint32_t scope) {
    const auto fragment = wire::Ipv6FragmentView::unchecked(packet.bytes().data() + chain.fragment_offset);
    const uint32_t index =
        find({Family::ip6, {}, scope, fragment.id(), packet.source(), packet.destination()});
    if (index != kNone)
        forget(index);
}

FragmentResult Reassembler::add(const Key& key, const Part& part, Instant now) {
    evicted_ = {};
    auto result = keep(key, part, now);
    result.evicted = evicted_;
    return result;
}

FragmentResult Reassembler::keep(const Key& key, const Part& part, Instant now) {
    if (part.payload.empty()) {
        if (const uint32_t index = find(key); index != kNone && !entries_[index].discarded) {
            throw_away(index);
        }
        return refuse(FragmentRefusal::empty);
    }
    if (part.header.size() > kMaxReassemblyHeader) {
        return refuse(FragmentRefusal::header_too_long);
    }
    uint32_t index = kNone;
    if (const auto refusal = admit(key, now, index); refusal != FragmentRefusal::none) {
        return refuse(refusal);
    }
    Datagram& datagram = entries_[index];
    const auto refusal = insert(datagram, part);
    switch (refusal) {
        case FragmentRefusal::none:
            break;
        case FragmentRefusal::duplicate:
            return refuse(refusal);
        default:
            throw_away(index);
            return refuse(refusal);
    }
    if (datagram.received != datagram.end) {
        return {};
    }
    return assemble(index);
}

FragmentRefusal Reassembler::insert(Datagram& datagram, const Part& part) {
    size_t place = 0;
    if (const auto refusal = place_of(datagram, part, place); refusal != FragmentRefusal::none) {
        // As in Linux it may be the first to tell where the datagram ends; then one that goes on is refused.
        if (refusal == FragmentRefusal::duplicate && !part.more)
            datagram.end = part.offset + static_cast<uint32_t>(part.payload.size());
        return refusal;
    }
    if (datagram.piece_count == kMaxFragments) {
        return FragmentRefusal::too_many_fragments;
    }
    if (!store(datagram, part)) {
        return FragmentRefusal::out_of_memory;
    }
    auto* const pieces = datagram.pieces.data();
    std::copy_backward(pieces + place, pieces + datagram.piece_count, pieces + datagram.piece_count + 1);
    pieces[place] = {static_cast<uint16_t>(part.offset), static_cast<uint16_t>(part.payload.size())};
    ++datagram.piece_count;
    datagram.received += static_cast<uint32_t>(part.payload.size());
    datagram.ecn_seen = static_cast<uint8_t>(datagram.ecn_seen | 1U << part.ecn);
    const size_t size = part.header.size() + part.payload.size();
    if (size >= datagram.largest) {
        const bool same = size == datagram.largest;
        datagram.largest_may_not_fragment = part.dont_fragment || (same && datagram.largest_may_not_fragment);
        datagram.largest = static_cast<uint16_t>(size);
    }
    if (!part.more) {
        datagram.end = part.offset + static_cast<uint32_t>(part.payload.size());
    }
    if ((datagram.ecn_seen & kOnlyNotCapable) != 0 && datagram.ecn_seen != kOnlyNotCapable) {
        return FragmentRefusal::mixed_ecn;
    }
    return FragmentRefusal::none;
}

// Nothing new: in IPv6 a fragment that came before (RFC 8200 4.5), in IPv4 any whose bytes have all come,
// whatever it says they are, as in Linux. `behind`: the first piece that begins behind the part's begin.
bool Reassembler::is_duplicate(const Datagram& datagram, const Part& part, size_t behind) const {
    if (behind == 0)
        return false;
    const auto length = static_cast<uint32_t>(part.payload.size());
    const FragmentSpan& before = datagram.pieces[behind - 1];
    if (datagram.key.family == Family::ip6)
        return before.offset == part.offset && before.length == length &&
               part.more == (part.offset + length != datagram.end) && same_payload(datagram, part);
    uint32_t run_end = before.end();
    for (size_t next = behind; next < datagram.piece_count && datagram.pieces[next].offset == run_end; ++next)
        run_end = datagram.pieces[next].end();
    return part.offset < before.end() && part.offset + length <= run_end;
}

// Where the part belongs among the pieces, or why it does not.
FragmentRefusal Reassembler::place_of(const Datagram& datagram, const Part& part, size_t& place) const {
    const auto length = static_cast<uint32_t>(part.payload.size());
    const uint32_t end = part.offset + length;
    const auto* const pieces = datagram.pieces.data();
    const auto* const pieces_end = pieces + datagram.piece_count;
    const auto* const behind =
        std::upper_bound(pieces, pieces_end, part.offset,
                         [](uint32_t offset, const FragmentSpan& piece) { return offset < piece.offset; });
    const uint32_t last = datagram.piece_count == 0 ? 0 : pieces_end[-1].end();
    if (part.more ? end > datagram.end : (datagram.end != kNoEnd && end != datagram.end) || last > end) {
        return FragmentRefusal::conflicting_end;
    }
    if (is_duplicate(datagram, part, static_cast<size_t>(behind - pieces))) {
        return FragmentRefusal::duplicate;
    }
    if (behind != pieces && behind[-1].end() > part.offset) {
        return FragmentRefusal::overlap;
    }
    if (behind != pieces_end && behind->offset < end) {
        return FragmentRefusal::overlap;
    }
    place = static_cast<size_t>(behind - pieces);
    return FragmentRefusal::none;
}

// Hands out the datagram, every byte of which is there, and forgets it.
FragmentResult Reassembler::assemble(uint32_t index) {
    const Datagram& datagram = entries_[index];
    const Part first{
        .header = {block(datagram.header_block), datagram.header_length},
        .ecn = (datagram.ecn_seen >> kCongestionExperienced & 1) != 0 ? kCongestionExperienced : uint8_t{0},
        .dont_fragment = datagram.largest_may_not_fragment,
        .next_header = datagram.next_header,
        .named_at = datagram.named_at};
    const size_t size = datagram.end;
    const size_t header = write_header(datagram.key.family, first, size);
    if (header == 0) {
        throw_away(index);
        return refuse(FragmentRefusal::too_long);
    }
    copy_payload(datagram, size, whole_.data() + header);
    std::copy_n(datagram.pieces.begin(), datagram.piece_count, spans_.begin());
    const FragmentResult result{.outcome = FragmentOutcome::complete,
                                .datagram = {whole_.data(), header + size},
                                .fragments = {spans_.data(), datagram.piece_count},
                                .largest = datagram.largest};
    forget(index);
    return result;
}

// Writes the whole datagram's header made of its first fragment's; 0 if the datagram is too long for its
// length field.
size_t Reassembler::write_header(Family family, const Part& first, size_t payload_size) {
    uint8_t* const to = whole_.data();
    if (family == Family::ip4) {
        const size_t size = first.header.size();
        if (size + payload_size > kMaxReassembled) {
            return 0;
        }
        wire::copy_bytes(to, first.header);
        to[1] |= first.ecn;
        wire::write16(to + 2, static_cast<uint16_t>(size + payload_size));
        wire::write16(to + 6, first.dont_fragment ? 0x4000 : 0);  // neither offset nor "more fragments"
        wire::MutableIpv4View::unchecked(to).refresh_checksum();
        return size;
    }
    const size_t size = first.header.size() - wire::kIpv6FragmentHeaderSize;
    const size_t length = size - wire::kIpv6HeaderSize + payload_size;
    if (length > kMaxReassembled) {
        return 0;
    }
    wire::copy_bytes(to, first.header.first(size));
    to[first.named_at] = static_cast<uint8_t>(first.next_header);
    auto view = wire::MutableIpv6View::unchecked(to);
    view.set_traffic_class(view.traffic_class() | first.ecn);
    view.set_payload_length(static_cast<uint16_t>(length));
    return size;
}

// The first fragment as it came, as far as it is there.
wire::Bytes Reassembler::first_fragment(uint32_t index) {
    const Datagram& datagram = entries_[index];
    if (datagram.header_block == kNone) {
        return {};
    }
    uint8_t* const to = whole_.data();
    const size_t kept = datagram.header_length + size_t{datagram.pieces[0].length};
    std::memcpy(to, block(datagram.header_block), datagram.header_length);
    copy_payload(datagram, datagram.pieces[0].length, to + datagram.header_length);
    if (datagram.key.family == Family::ip6) {
        return {to, kept};
    }
    // Of an IPv4 fragment with an odd length the end was not kept.
    const size_t size = wire::Ipv4View::unchecked(to).total_length();
    std::memset(to + kept, 0, size - kept);
    return {to, size};
}

}  // namespace sluice::table
