#include "conntrack/transport_check.hh"

#include <gtest/gtest.h>

#include <bit>
#include <set>

#include "wire/icmp4.hh"
#include "wire/icmp6.hh"
#include "wire/sctp.hh"
#include "wire/tcp.hh"
#include "wire/test_bytes.hh"
#include "wire/udp.hh"

namespace sluice::conntrack {
namespace {

using wire::Buffer;
using wire::IpProtocol;

const Ip4Address kA4 = Ip4Address::parse("192.0.2.1").value();
const Ip4Address kB4 = Ip4Address::parse("198.51.100.2").value();
const Ip6Address kA6 = Ip6Address::parse("2001:db8::1").value();
const Ip6Address kB6 = Ip6Address::parse("2001:db8::2").value();
constexpr std::array kFamilies{Family::ip4, Family::ip6};

wire::Checksum pseudo(Family family, IpProtocol protocol, size_t length) {
    return family == Family::ip4 ? wire::pseudo_header(kA4, kB4, protocol, static_cast<uint16_t>(length))
                                 : wire::pseudo_header(kA6, kB6, protocol, static_cast<uint32_t>(length));
}

InvalidReason check(Family family, IpProtocol protocol, const Buffer& upper, bool checksum = true) {
    Buffer bytes;
    if (family == Family::ip4) {
        wire::Ipv4Header header{.protocol = protocol, .source = kA4, .destination = kB4};
        header.payload_length = static_cast<uint16_t>(upper.size());
        bytes.resize(header.header_size());
        header.emit(bytes);
    } else {
        bytes.resize(wire::kIpv6HeaderSize);
        wire::Ipv6Header{.payload_length = static_cast<uint16_t>(upper.size()),
                         .next_header = protocol,
                         .source = kA6,
                         .destination = kB6}
            .emit(bytes);
    }
    bytes.insert(bytes.end(), upper.begin(), upper.end());
    const auto packet = family == Family::ip4 ? wire::IpPacket::of(wire::Ipv4View::checked(bytes).value())
                                              : wire::IpPacket::of(wire::Ipv6View::checked(bytes).value());
    return check_transport(packet, checksum);
}

Buffer tcp(Family family, wire::TcpFlags flags) {
    const wire::TcpHeader header{.source_port = 1, .destination_port = 2, .flags = flags};
    Buffer bytes(header.size());
    header.emit(bytes);
    bytes.resize(bytes.size() + 3, 0x41);
    set_tcp_checksum(bytes, pseudo(family, IpProtocol::tcp, bytes.size()));
    return bytes;
}
Buffer udp(Family family) {
    Buffer bytes(8 + 5, 0x41);
    wire::UdpHeader{1, 2, 13}.emit(bytes);
    set_udp_checksum(bytes, pseudo(family, IpProtocol::udp, bytes.size()));
    return bytes;
}
// One bit of the payload turned over.
Buffer damaged(Buffer bytes) {
    bytes.back() ^= 1;
    return bytes;
}

TEST(TransportCheck, Tcp) {
    for (const Family family : kFamilies) {
        const Buffer right = tcp(family, wire::kTcpAck);
        EXPECT_EQ(check(family, IpProtocol::tcp, right), InvalidReason::none);
        EXPECT_EQ(check(family, IpProtocol::tcp, damaged(right)), InvalidReason::bad_checksum);
        EXPECT_EQ(check(family, IpProtocol::tcp, damaged(right), false), InvalidReason::none);
        for (size_t size = 0; size < 20; ++size)
            EXPECT_EQ(check(family, IpProtocol::tcp, Buffer(right.begin(), right.begin() + size), false),
                      InvalidReason::truncated);
        for (const uint8_t offset : {uint8_t{0x40}, uint8_t{0x60}})  // four words; more than there is
            EXPECT_EQ(check(family, IpProtocol::tcp, wire::with(right, 12, offset), false),
                      InvalidReason::truncated);
    }
}

TEST(TransportCheck, TcpFlags) {
    const auto bits = [](std::initializer_list<wire::TcpFlags> flags) {
        wire::TcpFlags all;
        for (const auto flag : flags)
            all = all | flag;
        return all.bits();
    };
    using namespace wire;
    const std::set<uint8_t> allowed{bits({kTcpSyn}),
                                    bits({kTcpSyn, kTcpUrg}),
                                    bits({kTcpSyn, kTcpAck}),
                                    bits({kTcpRst}),
                                    bits({kTcpRst, kTcpAck}),
                                    bits({kTcpFin, kTcpAck}),
                                    bits({kTcpFin, kTcpAck, kTcpUrg}),
                                    bits({kTcpAck}),
                                    bits({kTcpAck, kTcpUrg})};
    const uint8_t harmless = bits({kTcpPsh, kTcpEce, kTcpCwr});
    for (unsigned flags = 0; flags < 256; ++flags) {
        const auto set = static_cast<uint8_t>(flags);
        const bool good = allowed.contains(static_cast<uint8_t>(set & ~harmless));
        EXPECT_EQ(check(Family::ip4, IpProtocol::tcp, tcp(Family::ip4, wire::TcpFlags(set))),
                  good ? InvalidReason::none : InvalidReason::tcp_flags)
            << flags;
    }
}

TEST(TransportCheck, Udp) {
    for (const Family family : kFamilies) {
        const Buffer right = udp(family);
        EXPECT_EQ(check(family, IpProtocol::udp, right), InvalidReason::none);
        EXPECT_EQ(check(family, IpProtocol::udp, damaged(right)), InvalidReason::bad_checksum);
        EXPECT_EQ(check(family, IpProtocol::udp, damaged(right), false), InvalidReason::none);
        EXPECT_EQ(check(family, IpProtocol::udp, Buffer(right.begin(), right.begin() + 7)),
                  InvalidReason::truncated);
        EXPECT_EQ(check(family, IpProtocol::udp, wire::with(right, 5, 7)), InvalidReason::truncated);
        EXPECT_EQ(check(family, IpProtocol::udp, wire::with(right, 5, 14)), InvalidReason::truncated);
        Buffer without = wire::with(wire::with(right, 6, 0), 7, 0);
        EXPECT_EQ(check(family, IpProtocol::udp, without), InvalidReason::none);
    }
}

// Bytes behind the length field are summed too.
TEST(TransportCheck, UdpWithATail) {
    Buffer bytes = udp(Family::ip4);
    bytes.push_back(1);
    EXPECT_EQ(check(Family::ip4, IpProtocol::udp, bytes), InvalidReason::bad_checksum);
}

TEST(TransportCheck, UdpLite) {
    for (const Family family : kFamilies) {
        const auto lite = [&](uint16_t coverage, size_t summed) {
            Buffer bytes(8 + 12, 0x41);
            wire::UdpHeader{1, 2, coverage}.emit(bytes);
            const auto sum = pseudo(family, IpProtocol::udplite, bytes.size())
                                 .add(wire::Bytes(bytes).first(summed))
                                 .finish();
            sum.store(bytes.data() + 6);
            return bytes;
        };
        const auto reason = [&](const Buffer& bytes) { return check(family, IpProtocol::udplite, bytes); };
        EXPECT_EQ(reason(lite(8, 8)), InvalidReason::none);
        EXPECT_EQ(reason(damaged(lite(8, 8))), InvalidReason::none) << "not covered";
        EXPECT_EQ(reason(lite(0, 20)), InvalidReason::none);
        EXPECT_EQ(reason(damaged(lite(0, 20))), InvalidReason::bad_checksum);
        EXPECT_EQ(reason(lite(20, 20)), InvalidReason::none);
        EXPECT_EQ(reason(lite(21, 20)), InvalidReason::udplite_coverage);
        EXPECT_EQ(reason(lite(7, 7)), InvalidReason::udplite_coverage);
        Buffer without = lite(8, 8);
        without[6] = without[7] = 0;
        EXPECT_EQ(reason(without), InvalidReason::udplite_coverage);
        EXPECT_EQ(reason(Buffer(7)), InvalidReason::truncated);
    }
}

TEST(TransportCheck, Icmp) {
    const Buffer body = wire::from_hex("6162");
    const wire::Icmp4Message echo4{wire::Icmp4Type::echo_request, 0, 0x00010001, body};
    Buffer right4(echo4.size());
    echo4.emit(right4);
    EXPECT_EQ(check(Family::ip4, IpProtocol::icmp, right4), InvalidReason::none);
    EXPECT_EQ(check(Family::ip4, IpProtocol::icmp, damaged(right4)), InvalidReason::bad_checksum);
    EXPECT_EQ(check(Family::ip4, IpProtocol::icmp, damaged(right4), false), InvalidReason::none);
    EXPECT_EQ(check(Family::ip4, IpProtocol::icmp, Buffer(7)), InvalidReason::truncated);
    EXPECT_EQ(check(Family::ip6, IpProtocol::icmp, right4), InvalidReason::icmp_type);

    const wire::Icmp6Message echo6{wire::Icmp6Type::echo_request, 0, 0x00010001, body};
    Buffer right6(echo6.size());
    echo6.emit(right6, kA6, kB6);
    EXPECT_EQ(check(Family::ip6, IpProtocol::icmpv6, right6), InvalidReason::none);
    EXPECT_EQ(check(Family::ip6, IpProtocol::icmpv6, damaged(right6)), InvalidReason::bad_checksum);
    EXPECT_EQ(check(Family::ip6, IpProtocol::icmpv6, Buffer(7)), InvalidReason::truncated);
    EXPECT_EQ(check(Family::ip4, IpProtocol::icmpv6, right6), InvalidReason::icmp_type);
}

TEST(TransportCheck, Sctp) {
    Buffer right = wire::from_hex("0b590b5a 01020304 00000000 0e010004");
    const uint32_t sum = wire::sctp_checksum(right);
    std::memcpy(right.data() + 8, &sum, sizeof sum);
    for (const Family family : kFamilies) {
        EXPECT_EQ(check(family, IpProtocol::sctp, right), InvalidReason::none);
        EXPECT_EQ(check(family, IpProtocol::sctp, damaged(right)), InvalidReason::bad_checksum);
        EXPECT_EQ(check(family, IpProtocol::sctp, damaged(right), false), InvalidReason::none);
        EXPECT_EQ(check(family, IpProtocol::sctp, Buffer(11)), InvalidReason::truncated);
    }
}

TEST(TransportCheck, OthersAreNotLookedAt) {
    for (const auto protocol : {IpProtocol::gre, IpProtocol::esp, IpProtocol::ospf})
        EXPECT_EQ(check(Family::ip4, protocol, {}), InvalidReason::none);
}

TEST(InvalidReasons, CatalogIsInTheirOrder) {
    const auto catalog = invalid_reason_catalog();
    ASSERT_EQ(catalog.size(), kInvalidReasons);
    EXPECT_EQ(catalog[index(InvalidReason::none)].name, "none");
    EXPECT_EQ(catalog[index(InvalidReason::bad_checksum)].name, "bad_checksum");
    EXPECT_EQ(catalog[index(InvalidReason::gre_protocol)].name, "gre_protocol");
    EXPECT_EQ(index(InvalidReason::gre_protocol) + 1, kInvalidReasons);
}

}  // namespace
}  // namespace sluice::conntrack
