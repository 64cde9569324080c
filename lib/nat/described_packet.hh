// Packets for tests, built from a description; checksums are summed bit by bit and byte by byte, with nothing
// of the code under test.
#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

#include "base/address.hh"
#include "base/random.hh"
#include "nat/endpoint.hh"
#include "wire/bytes.hh"
#include "wire/ip_packet.hh"
#include "wire/protocol.hh"

namespace sluice::nat {

using Buffer = std::vector<uint8_t>;

inline IpAddress ip(std::string_view text) {
    return *IpAddress::parse(text);
}

inline constexpr wire::IpProtocol kDccp{33};

struct DescribedPacket {
    Endpoint source;
    Endpoint destination;
    wire::IpProtocol protocol = wire::IpProtocol::udp;
    Buffer payload = {};
    Buffer options = {};       // IPv4 options, a multiple of 4, or as many destination options headers of 8
    bool has_checksum = true;  // UDP only
    uint16_t wrong_by = 0;     // added to the transport's checksum field
    uint8_t icmp_type = 8;     // or ICMPv6's; the identifier is source.port
    uint16_t coverage = 0;     // UDP-Lite's
    uint32_t sequence = 0;     // TCP
    uint32_t acknowledgment = 0;
    uint8_t tcp_flags = 0x10;
    Buffer tcp_options = {};  // a multiple of 4
};

// Sum of 16-bit big-endian numbers, an odd last byte padded.
inline uint32_t plain_sum(wire::Bytes bytes, uint32_t sum = 0) {
    for (size_t at = 0; at < bytes.size(); ++at) {
        sum += at % 2 == 0 ? uint32_t{bytes[at]} << 8 : bytes[at];
        sum = (sum & 0xffff) + (sum >> 16);
    }
    return sum;
}
inline uint16_t plain_checksum(wire::Bytes bytes, uint32_t sum = 0) {
    return static_cast<uint16_t>(~plain_sum(bytes, sum));
}

inline uint32_t plain_crc32c(wire::Bytes bytes) {
    uint32_t crc = ~0U;
    for (const uint8_t byte : bytes) {
        crc ^= byte;
        for (int bit = 0; bit < 8; ++bit)
            crc = (crc >> 1) ^ ((crc & 1) != 0 ? 0x82f63b78 : 0);
    }
    return ~crc;
}

// The transport header and payload, with a checksum.
inline Buffer upper_of(const DescribedPacket& what) {
    using enum wire::IpProtocol;
    Buffer upper;
    const auto ports = [&](size_t header) {
        upper.resize(header);
        wire::write16(upper.data(), what.source.port);
        wire::write16(upper.data() + 2, what.destination.port);
    };
    size_t checksum_at = 0;
    switch (what.protocol) {
        case tcp:
            ports(20);
            wire::write32(upper.data() + 4, what.sequence);
            wire::write32(upper.data() + 8, what.acknowledgment);
            upper[12] = static_cast<uint8_t>((20 + what.tcp_options.size()) / 4 << 4);
            upper[13] = what.tcp_flags;
            wire::write16(upper.data() + 14, 1000);
            upper.insert(upper.end(), what.tcp_options.begin(), what.tcp_options.end());
            checksum_at = 16;
            break;
        case udp:
        case udplite:
            ports(8);
            wire::write16(upper.data() + 4, what.protocol == udp
                                                ? static_cast<uint16_t>(8 + what.payload.size())
                                                : what.coverage);
            checksum_at = 6;
            break;
        case sctp:
            ports(12);
            wire::write32(upper.data() + 4, 0x01020304);
            break;
        case icmp:
        case icmpv6:
            upper.resize(8);
            upper[0] = what.icmp_type;
            wire::write16(upper.data() + 4, what.source.port);
            checksum_at = 2;
            break;
        case gre:
            upper = {0x30, 0x01, 0x88, 0x0b, 0, 0, 0x12, 0x34};
            break;
        default:
            if (what.protocol == kDccp) {
                ports(16);
                upper[4] = 4;
                checksum_at = 6;
            }
            break;
    }
    upper.insert(upper.end(), what.payload.begin(), what.payload.end());
    if (what.protocol == sctp) {
        const uint32_t crc = plain_crc32c(upper);
        for (size_t at = 0; at < 4; ++at)
            upper[8 + at] = static_cast<uint8_t>(crc >> (8 * at));
    } else if (checksum_at != 0 && (what.protocol != udp || what.has_checksum)) {
        Buffer pseudo;
        const auto append = [&](const IpAddress& address) {
            const auto at = pseudo.size();
            pseudo.resize(at + (address.is_ip4() ? 4 : 16));
            address.is_ip4() ? address.ip4().store(pseudo.data() + at)
                             : address.ip6().store(pseudo.data() + at);
        };
        if (what.protocol != icmp) {
            append(what.source.address);
            append(what.destination.address);
            pseudo.resize(pseudo.size() + 4);
            wire::write16(pseudo.data() + pseudo.size() - 4, static_cast<uint16_t>(what.protocol));
            wire::write16(pseudo.data() + pseudo.size() - 2, static_cast<uint16_t>(upper.size()));
        }
        const bool partly = what.protocol == udplite && what.coverage != 0;
        const auto covered = wire::Bytes(upper).first(partly ? what.coverage : upper.size());
        uint16_t sum = plain_checksum(covered, plain_sum(pseudo));
        if (sum == 0 && (what.protocol == udp || what.protocol == udplite))
            sum = 0xffff;
        wire::write16(upper.data() + checksum_at, static_cast<uint16_t>(sum + what.wrong_by));
    }
    return upper;
}

inline Buffer build(const DescribedPacket& what) {
    const Buffer upper = upper_of(what);
    const bool ip4 = what.source.address.is_ip4();
    const size_t header = (ip4 ? 20 : 40) + what.options.size();
    Buffer bytes(header + upper.size());
    if (ip4) {
        bytes[0] = static_cast<uint8_t>(0x40 | header / 4);
        wire::write16(bytes.data() + 2, static_cast<uint16_t>(bytes.size()));
        wire::write16(bytes.data() + 4, 0x1234);
        bytes[8] = 64;
        bytes[9] = static_cast<uint8_t>(what.protocol);
        what.source.address.ip4().store(bytes.data() + 12);
        what.destination.address.ip4().store(bytes.data() + 16);
        std::copy(what.options.begin(), what.options.end(), bytes.begin() + 20);
        wire::write16(bytes.data() + 10, plain_checksum(wire::Bytes(bytes).first(header)));
    } else {
        bytes[0] = 0x60;
        wire::write16(bytes.data() + 4, static_cast<uint16_t>(bytes.size() - 40));
        bytes[6] = what.options.empty() ? static_cast<uint8_t>(what.protocol) : 60;
        bytes[7] = 64;
        what.source.address.ip6().store(bytes.data() + 8);
        what.destination.address.ip6().store(bytes.data() + 24);
        for (size_t at = 40; at < header; at += 8) {
            bytes[at] = at + 8 == header ? static_cast<uint8_t>(what.protocol) : 60;
            bytes[at + 2] = 1;  // PadN
            bytes[at + 3] = 4;
        }
    }
    std::copy(upper.begin(), upper.end(), bytes.begin() + static_cast<ptrdiff_t>(header));
    return bytes;
}

inline wire::IpPacket view_of(const Buffer& bytes) {
    return bytes[0] >> 4 == 4 ? wire::IpPacket::of(wire::Ipv4View::unchecked(bytes.data()))
                              : wire::IpPacket::of(wire::Ipv6View::unchecked(bytes.data()));
}

inline IpAddress any_address(Family family, Random& random) {
    std::array<uint8_t, 16> bytes{};
    for (auto& byte : bytes)
        byte = static_cast<uint8_t>(random.next());
    return family == Family::ip4 ? IpAddress(Ip4Address::load(bytes.data())) : Ip6Address(bytes);
}
inline Endpoint any_endpoint(Family family, Random& random) {
    return {any_address(family, random), static_cast<uint16_t>(random.next())};
}
inline Buffer any_bytes(size_t size, Random& random) {
    Buffer bytes(size);
    for (auto& byte : bytes)
        byte = static_cast<uint8_t>(random.next());
    return bytes;
}

}  // namespace sluice::nat
