// Fragments for the tests of the reassembler.
#pragma once

#include <algorithm>
#include <cstdint>
#include <vector>

#include "table/reassembly.hh"
#include "wire/fragment.hh"
#include "wire/ipv4.hh"
#include "wire/ipv6.hh"
#include "wire/ipv6_extensions.hh"

namespace sluice::table {

using Buffer = std::vector<uint8_t>;

inline Instant at(int64_t seconds) {
    return Instant(std::chrono::seconds(seconds));
}

inline Buffer numbered(size_t size) {
    Buffer result(size);
    for (size_t place = 0; place < size; ++place) {
        result[place] = static_cast<uint8_t>(place * 7 + place / 256);
    }
    return result;
}

// What tells datagrams apart, and what fragments carry besides payload.
struct Shape {
    uint32_t id = 1;
    uint16_t source = 1;
    uint8_t destination = 1;
    uint32_t scope = 0;
    uint8_t ecn = 0;
    wire::IpProtocol protocol = wire::IpProtocol::gre;
};

inline wire::Ipv4Header header4(const Shape& shape) {
    return {.tos = shape.ecn,
            .id = static_cast<uint16_t>(shape.id),
            .protocol = shape.protocol,
            .source = Ip4Address::from_host(0x0a000000U | shape.source),
            .destination = Ip4Address::from_host(0x0b000000U | shape.destination)};
}

// The source number selects a /64.
inline wire::Ipv6Header header6(const Shape& shape) {
    std::array<uint8_t, 16> source{0x20, 1, 0xd, 0xb8};
    source[6] = static_cast<uint8_t>(shape.source >> 8);
    source[7] = static_cast<uint8_t>(shape.source);
    std::array<uint8_t, 16> destination{0x20, 1, 0xd, 0xb9};
    destination[15] = shape.destination;
    return {.traffic_class = shape.ecn, .source = Ip6Address(source), .destination = Ip6Address(destination)};
}

inline Buffer fragment_at(Family family, size_t offset, const Buffer& payload, bool more,
                          const Shape& shape = {}) {
    if (family == Family::ip4) {
        auto header = header4(shape);
        header.fragment_offset = static_cast<uint32_t>(offset);
        header.more_fragments = more;
        header.payload_length = static_cast<uint16_t>(payload.size());
        Buffer result(20 + payload.size());
        header.emit(result);
        wire::copy_bytes(result.data() + 20, payload);
        return result;
    }
    auto header = header6(shape);
    header.payload_length = static_cast<uint16_t>(8 + payload.size());
    header.next_header = wire::IpProtocol::fragment;
    Buffer result(48 + payload.size());
    header.emit(result);
    wire::Ipv6FragmentHeader{shape.protocol, static_cast<uint32_t>(offset), more, shape.id}.emit(
        wire::MutableBytes(result).subspan(40));
    wire::copy_bytes(result.data() + 48, payload);
    return result;
}

inline Buffer fragment(Family family, const Buffer& payload, size_t offset, size_t size, bool more,
                       const Shape& shape = {}) {
    const auto bytes = wire::Bytes(payload).subspan(offset, size);
    return fragment_at(family, offset, Buffer(bytes.begin(), bytes.end()), more, shape);
}

// The datagram these fragments make.
inline Buffer whole(Family family, const Buffer& payload, const Shape& shape = {}) {
    if (family == Family::ip4) {
        return fragment_at(family, 0, payload, false, shape);
    }
    auto header = header6(shape);
    header.payload_length = static_cast<uint16_t>(payload.size());
    header.next_header = shape.protocol;
    Buffer result(40 + payload.size());
    header.emit(result);
    wire::copy_bytes(result.data() + 40, payload);
    return result;
}

inline FragmentResult add(Reassembler& reassembler, const Buffer& bytes, Instant now = at(0),
                          uint32_t scope = 0) {
    if (bytes[0] >> 4 == 4) {
        return reassembler.add(wire::Ipv4View::checked(bytes).value(), scope, now);
    }
    const auto view = wire::Ipv6View::checked(bytes).value();
    return reassembler.add(view, wire::walk_extensions(view), scope, now);
}

}  // namespace sluice::table
