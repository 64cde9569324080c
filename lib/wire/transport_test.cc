#include <gtest/gtest.h>

#include "base/random.hh"
#include "wire/ipv4.hh"
#include "wire/ipv6.hh"
#include "wire/tcp.hh"
#include "wire/test_bytes.hh"
#include "wire/udp.hh"

namespace sluice::wire {
namespace {

const Buffer kUdp4 = from_hex("452e00211c4640003f113321c0000201c6336402 30390035000d9f5c68656c6c6f");
const Buffer kUdp6 = from_hex(
    "6b8abcde000b110720010db800000000000000000000000120010db8000000000000000000000002 "
    "00010002000bd0fb6f6464");
const Buffer kTcp4 = from_hex(
    "4500003c0001000040068e84c0000201c6336402"
    "9c4001bb0102030400000000a002faf0bed30000 020405b4 0402 080a0000000100000002 01 030307");

Checksum pseudo_of(Ipv4View view) {
    return pseudo_header(view.source(), view.destination(), view.protocol(),
                         static_cast<uint16_t>(view.payload().size()));
}

TEST(Udp, ReadsKnownPackets) {
    const auto ip = Ipv4View::checked(kUdp4).value();
    const auto udp = UdpView::checked(ip.payload()).value();
    EXPECT_EQ(udp.source_port(), 12345);
    EXPECT_EQ(udp.destination_port(), 53);
    EXPECT_EQ(udp.length(), 13);
    EXPECT_TRUE(udp.has_checksum());
    EXPECT_EQ(udp.payload().size(), 5U);
    EXPECT_TRUE(udp.checksum_verifies(pseudo_of(ip), Family::ip4));
    EXPECT_FALSE(udp.checksum_verifies(Checksum{}, Family::ip4));
    const auto ip6 = Ipv6View::checked(kUdp6).value();
    const auto udp6 = UdpView::checked(ip6.payload()).value();
    EXPECT_TRUE(udp6.checksum_verifies(
        pseudo_header(ip6.source(), ip6.destination(), IpProtocol::udp, udp6.length()), Family::ip6));
}

TEST(Udp, Refuses) {
    const Bytes udp = Bytes(kUdp4).subspan(20);
    for (size_t size = 0; size < 8; ++size) {
        EXPECT_EQ(UdpView::checked(udp.first(size)).error(), UdpError::too_short);
    }
    for (size_t size = 8; size < 13; ++size) {
        EXPECT_EQ(UdpView::checked(udp.first(size)).error(), UdpError::truncated);
    }
    const Buffer bytes(udp.begin(), udp.end());
    EXPECT_EQ(UdpView::checked(with(bytes, 5, 7)).error(), UdpError::bad_length);
    EXPECT_EQ(UdpView::checked(with(bytes, 5, 0)).error(), UdpError::bad_length);
    EXPECT_EQ(UdpView::checked(with(bytes, 5, 14)).error(), UdpError::truncated);
    EXPECT_EQ(UdpView::checked(with(bytes, 5, 9))->payload().size(), 1U);
}

// RFC 768, RFC 8200 8.1
TEST(Udp, ZeroChecksumIsRightOverIpv4Only) {
    const auto none = emitted(UdpHeader{1, 2}, 8);
    EXPECT_TRUE(UdpView::checked(none)->checksum_verifies(Checksum{}, Family::ip4));
    EXPECT_FALSE(UdpView::checked(none)->checksum_verifies(Checksum{}, Family::ip6));
}

TEST(Udp, RoundTrip) {
    const UdpHeader header{65535, 1, 8, Be16::from_host(0x1234)};
    EXPECT_EQ(UdpHeader::parse(UdpView::checked(emitted(header, 8)).value()), header);
    Buffer whole = kUdp4;
    const auto pseudo = pseudo_of(Ipv4View::checked(kUdp4).value());
    write16(whole.data() + 26, 0xffff);
    set_udp_checksum(MutableBytes(whole).subspan(20), pseudo);
    EXPECT_EQ(whole, kUdp4);
}

TEST(Tcp, ReadsAKnownPacket) {
    const auto ip = Ipv4View::checked(kTcp4).value();
    const auto tcp = TcpView::checked(ip.payload()).value();
    EXPECT_EQ(tcp.source_port(), 40000);
    EXPECT_EQ(tcp.destination_port(), 443);
    EXPECT_EQ(tcp.sequence(), 0x01020304U);
    EXPECT_EQ(tcp.acknowledgment(), 0U);
    EXPECT_EQ(tcp.header_length(), 40U);
    EXPECT_EQ(tcp.flags(), kTcpSyn);
    EXPECT_EQ(tcp.window(), 64240);
    EXPECT_EQ(tcp.urgent_pointer(), 0);
    EXPECT_TRUE(tcp.payload().empty());
    EXPECT_TRUE(tcp.checksum_verifies(pseudo_of(ip)));
    const TcpOptions expected{
        .mss = 1460, .window_scale = 7, .sack_permitted = true, .timestamps = TcpTimestamps{1, 2}};
    EXPECT_EQ(TcpOptions::parse(tcp.options()), expected);
    Buffer whole = with(kTcp4, 36, 0);
    set_tcp_checksum(MutableBytes(whole).subspan(20), pseudo_of(ip));
    EXPECT_EQ(whole, kTcp4);
}

TEST(Tcp, Refuses) {
    const Buffer bytes(kTcp4.begin() + 20, kTcp4.end());
    for (size_t size = 0; size < 20; ++size) {
        EXPECT_EQ(TcpView::checked(Bytes(bytes).first(size)).error(), TcpError::too_short);
    }
    for (size_t size = 20; size < 40; ++size) {
        EXPECT_EQ(TcpView::checked(Bytes(bytes).first(size)).error(), TcpError::truncated);
    }
    EXPECT_EQ(TcpView::checked(with(bytes, 12, 0x40)).error(), TcpError::bad_data_offset);
    EXPECT_EQ(TcpView::checked(with(bytes, 12, 0xb0)).error(), TcpError::truncated);
}

TEST(Tcp, Flags) {
    const auto flags = kTcpSyn | kTcpAck;
    EXPECT_EQ(flags.bits(), 0x12);
    EXPECT_TRUE(flags.has(kTcpSyn));
    EXPECT_TRUE(flags.has(kTcpSyn | kTcpAck));
    EXPECT_FALSE(flags.has(kTcpSyn | kTcpFin));
    EXPECT_TRUE(flags.has_any(kTcpSyn | kTcpFin));
    EXPECT_EQ(flags & kTcpAck, kTcpAck);
}

bool malformed(std::initializer_list<uint8_t> options) {
    const Buffer bytes(options);
    TcpOptionWalk walk(bytes);
    while (walk.next()) {
    }
    return walk.malformed();
}

TEST(TcpOptions, Malformed) {
    EXPECT_FALSE(malformed({}));
    EXPECT_FALSE(malformed({1, 1, 1, 0}));
    EXPECT_FALSE(malformed({0, 2, 0, 0}));
    EXPECT_TRUE(malformed({1, 1, 1, 2}));
    EXPECT_TRUE(malformed({2, 0, 0, 0}));
    EXPECT_TRUE(malformed({2, 1, 0, 0}));
    EXPECT_TRUE(malformed({2, 5, 0, 0}));
    EXPECT_FALSE(malformed({254, 4, 0, 0}));
}

TEST(TcpOptions, WrongLengthsAreLeftOut) {
    EXPECT_EQ(TcpOptions::parse(from_hex("0203050000000000")), TcpOptions{});
    EXPECT_EQ(TcpOptions::parse(from_hex("03040700 0403 0101")), TcpOptions{});
    EXPECT_EQ(TcpOptions::parse(from_hex("0802 0101")), TcpOptions{});
    EXPECT_EQ(TcpOptions::parse(from_hex("0509 00000001000000 0000 0000")), TcpOptions{});
}

TEST(Tcp, RoundTrip) {
    Random random(6);
    for (int round = 0; round < 2000; ++round) {
        TcpHeader header{.source_port = static_cast<uint16_t>(random.next()),
                         .destination_port = static_cast<uint16_t>(random.next()),
                         .sequence = static_cast<uint32_t>(random.next()),
                         .acknowledgment = static_cast<uint32_t>(random.next()),
                         .flags = TcpFlags(static_cast<uint8_t>(random.next())),
                         .window = static_cast<uint16_t>(random.next()),
                         .checksum = Be16::from_wire(static_cast<uint16_t>(random.next())),
                         .urgent_pointer = static_cast<uint16_t>(random.next()),
                         .options = {}};
        if (random.below(2) == 0) {
            header.options.mss = static_cast<uint16_t>(random.next());
        }
        if (random.below(2) == 0) {
            header.options.window_scale = static_cast<uint8_t>(random.next());
        }
        header.options.sack_permitted = random.below(2) == 0;
        if (random.below(2) == 0) {
            header.options.timestamps = {static_cast<uint32_t>(random.next()),
                                         static_cast<uint32_t>(random.next())};
        }
        header.options.sack_count = static_cast<uint8_t>(random.below(5));
        for (size_t block = 0; block < header.options.sack_count; ++block) {
            header.options.sack.at(block) = {static_cast<uint32_t>(random.next()),
                                             static_cast<uint32_t>(random.next())};
        }
        Buffer bytes(100, 0xaa);
        const size_t size = header.emit(bytes);
        if (header.size() > kTcpMaxHeaderSize) {
            ASSERT_EQ(size, 0U) << "forty bytes of options are the most";
            continue;
        }
        ASSERT_EQ(size, header.size());
        const auto view = TcpView::checked(Bytes(bytes).first(size)).value();
        ASSERT_EQ(TcpHeader::parse(view), header);
        ASSERT_EQ(emitted(header, size).size(), size);
    }
}

}  // namespace
}  // namespace sluice::wire
