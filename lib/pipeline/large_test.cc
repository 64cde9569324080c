#include "pipeline/large.hh"

#include <gtest/gtest.h>

#include <cstring>
#include <memory>
#include <vector>

#include "base/random.hh"
#include "pipeline/drops.hh"
#include "pipeline/parse.hh"
#include "wire/ethernet.hh"
#include "wire/udp.hh"

namespace sluice::pipeline {
namespace {

using Buffer = std::vector<uint8_t>;

constexpr MacAddress kOwn{{2, 0, 0, 0, 0, 1}};
constexpr MacAddress kPeer{{2, 0, 0, 0, 0, 2}};
constexpr uint16_t kSegment = 1000;

// A large frame whose first buffer ends right behind `first` bytes, so that nothing behind may be read.
class Frame {
  public:
    Frame(const Buffer& content, size_t first, uint16_t segment_size)
        : bytes_(std::make_unique<uint8_t[]>(first)) {
        std::memcpy(bytes_.get(), content.data(), first);
        packet->buf_addr = bytes_.get();
        packet->data_len = static_cast<uint16_t>(first);
        packet->pkt_len = static_cast<uint32_t>(content.size());
        packet->nb_segs = first == content.size() ? 1 : 2;
        packet->ol_flags = RTE_MBUF_F_RX_LRO | RTE_MBUF_F_RX_L4_CKSUM_NONE;
        packet->tso_segsz = segment_size;
    }
    std::unique_ptr<rte_mbuf> packet = std::make_unique<rte_mbuf>();

  private:
    std::unique_ptr<uint8_t[]> bytes_;
};

Buffer tcp_frame(Family family, size_t payload) {
    const size_t ip = family == Family::ip4 ? wire::kIpv4HeaderSize : wire::kIpv6HeaderSize;
    Buffer frame(kEthernetHeader + ip + wire::kTcpHeaderSize + payload);
    const auto room = std::span(frame).subspan(kEthernetHeader);
    const auto length = static_cast<uint16_t>(wire::kTcpHeaderSize + payload);
    if (family == Family::ip4) {
        wire::EthernetHeader{kOwn, kPeer, wire::EtherType::ipv4}.emit(frame);
        wire::Ipv4Header{.protocol = wire::IpProtocol::tcp,
                         .source = Ip4Address::from_host(0xc0a80102),
                         .destination = Ip4Address::from_host(0xcb007105),
                         .payload_length = length}
            .emit(room);
    } else {
        wire::EthernetHeader{kOwn, kPeer, wire::EtherType::ipv6}.emit(frame);
        wire::Ipv6Header{.payload_length = length,
                         .next_header = wire::IpProtocol::tcp,
                         .source = *Ip6Address::parse("2001:db8::1"),
                         .destination = *Ip6Address::parse("2001:db8:1::2")}
            .emit(room);
    }
    wire::TcpHeader{.source_port = 1, .destination_port = 2, .flags = wire::kTcpAck}.emit(room.subspan(ip));
    return frame;
}

Path parsed(const Frame& frame) {
    std::vector<Interface> all;
    all.push_back({.id = InterfaceId{0}, .mac = kOwn, .name = "lan", .parent = "", .addresses = {}});
    PacketMeta meta{};
    const auto verdict = parse_packet(Interfaces(std::move(all)), PortId{0}, frame.packet.get(), meta);
    EXPECT_EQ(verdict == Verdict::next(), meta.path != Path::done);
    return meta.path;
}

TEST(LargeFrame, FindsItsParts) {
    for (const auto family : {Family::ip4, Family::ip6}) {
        const auto content = tcp_frame(family, 2500);
        const size_t headers = content.size() - 2500;
        // The data may begin in the second buffer.
        for (const size_t first : {headers, headers + 1, content.size()}) {
            const Frame frame(content, first, kSegment);
            const auto large = LargeFrame::find(frame.packet.get(), kEthernetHeader);
            ASSERT_TRUE(large);
            EXPECT_EQ(large->headers, headers);
            EXPECT_EQ(large->segments(), 3U);
            EXPECT_EQ(large->largest(), headers - kEthernetHeader + kSegment);
            EXPECT_EQ(large->ip_bytes(), 2500 + 3 * (headers - kEthernetHeader));
            EXPECT_EQ(parsed(frame), family == Family::ip4 ? Path::ip4_large : Path::ip6_large);
        }
    }
}

TEST(LargeFrame, HeadersMustLieInTheFirstBuffer) {
    for (const auto family : {Family::ip4, Family::ip6}) {
        const auto content = tcp_frame(family, 2500);
        for (size_t first = kEthernetHeader; first < content.size() - 2500; ++first) {
            const Frame frame(content, first, kSegment);
            EXPECT_FALSE(LargeFrame::find(frame.packet.get(), kEthernetHeader)) << first;
            EXPECT_EQ(parsed(frame), Path::done) << first;
        }
    }
}

TEST(LargeFrame, LengthsAndSegmentsMustFit) {
    const auto content = tcp_frame(Family::ip4, 2500);
    auto longer = content;
    longer.push_back(0);
    EXPECT_EQ(parsed(Frame(longer, 100, kSegment)), Path::done);
    auto shorter = content;
    shorter.pop_back();
    EXPECT_EQ(parsed(Frame(shorter, 100, kSegment)), Path::done);
    EXPECT_EQ(parsed(Frame(content, 100, 2)), Path::done);  // 1250 segments
    EXPECT_EQ(parsed(Frame(content, 100, 3)), Path::ip4_large);
    EXPECT_EQ(parsed(Frame(tcp_frame(Family::ip4, 0), 54, kSegment)), Path::done);
    auto fragment = content;
    fragment[kEthernetHeader + 6] = 0x20;
    EXPECT_FALSE(LargeFrame::find(Frame(fragment, 100, kSegment).packet.get(), kEthernetHeader));
    auto udp = content;
    udp[kEthernetHeader + 9] = 17;
    EXPECT_FALSE(LargeFrame::find(Frame(udp, 100, kSegment).packet.get(), kEthernetHeader));
}

// One that the quick way is not for goes in segments, and a chain that is no large frame nowhere.
TEST(LargeFrame, IsParsedAsItsSegmentsWouldBe) {
    auto content = tcp_frame(Family::ip4, 2500);
    content[kEthernetHeader + 8] = 1;
    EXPECT_EQ(parsed(Frame(content, 100, kSegment)), Path::done);  // its checksum is wrong now
    wire::MutableIpv4View::unchecked(content.data() + kEthernetHeader).refresh_checksum();
    EXPECT_EQ(parsed(Frame(content, 100, kSegment)), Path::large_slow);
    const Frame chain(tcp_frame(Family::ip4, 2500), 100, 0);
    EXPECT_EQ(parsed(chain), Path::done);
}

// Whatever the bytes are: under a sanitizer, nothing outside of the first buffer is read.
TEST(LargeFrame, SurvivesDamage) {
    Random random(3);
    for (int round = 0; round < 3000; ++round) {
        auto content = tcp_frame(random.below(2) == 0 ? Family::ip4 : Family::ip6, 300);
        for (uint32_t damage = random.below(4); damage != 0; --damage)
            content[12 + random.below(70)] = static_cast<uint8_t>(random.next());
        const size_t first =
            kEthernetHeader + random.below(static_cast<uint32_t>(content.size()) - kEthernetHeader + 1);
        const Frame frame(content, first, static_cast<uint16_t>(1 + random.below(400)));
        const auto large = LargeFrame::find(frame.packet.get(), ip_offset(frame.packet.get()));
        parsed(frame);
        if (large) {
            ASSERT_LE(large->headers, first);
            ASSERT_LE(large->headers + large->payload, content.size());
        }
    }
}

TEST(TransportChecksum, IsCompletedForTcpAndUdpOnly) {
    for (const auto family : {Family::ip4, Family::ip6}) {
        auto frame = tcp_frame(family, 33);
        const auto packet = std::span(frame).subspan(kEthernetHeader);
        const size_t ip = family == Family::ip4 ? wire::kIpv4HeaderSize : wire::kIpv6HeaderSize;
        const auto upper = packet.subspan(ip);
        const auto pseudo = [&](wire::IpProtocol protocol) {
            const auto length = static_cast<uint16_t>(upper.size());
            return family == Family::ip4
                       ? wire::pseudo_header(Ip4Address::load(packet.data() + 12),
                                             Ip4Address::load(packet.data() + 16), protocol, length)
                       : wire::pseudo_header(Ip6Address::load(packet.data() + 8),
                                             Ip6Address::load(packet.data() + 24), protocol, length);
        };
        upper[16] = 0xab;  // what the sender left there
        complete_transport_checksum(packet);
        EXPECT_TRUE(pseudo(wire::IpProtocol::tcp).add(upper).verifies());

        packet[family == Family::ip4 ? 9 : 6] = static_cast<uint8_t>(wire::IpProtocol::udp);
        wire::write16(upper.data() + 4, static_cast<uint16_t>(upper.size()));
        complete_transport_checksum(packet);
        EXPECT_TRUE(pseudo(wire::IpProtocol::udp).add(upper).verifies());

        packet[family == Family::ip4 ? 9 : 6] = static_cast<uint8_t>(wire::IpProtocol::gre);
        const Buffer before(frame);
        complete_transport_checksum(packet);
        EXPECT_EQ(frame, before);
    }
}

}  // namespace
}  // namespace sluice::pipeline
