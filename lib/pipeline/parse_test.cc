#include "pipeline/parse.hh"

#include <gtest/gtest.h>

#include <array>
#include <memory>
#include <vector>

#include "base/random.hh"
#include "pipeline/drops.hh"
#include "pipeline/quick_parse.hh"
#include "wire/ethernet.hh"
#include "wire/ipv4.hh"
#include "wire/ipv6.hh"

namespace sluice::pipeline {
namespace {

constexpr MacAddress kOwn{{2, 0, 0, 0, 0, 1}};
constexpr MacAddress kPeer{{2, 0, 0, 0, 0, 2}};

Interfaces one_device_with_a_vlan() {
    std::vector<Interface> all;
    all.push_back({.id = InterfaceId{0}, .mac = kOwn, .name = "lan", .parent = "", .addresses = {}});
    all.push_back(
        {.id = InterfaceId{1}, .vlan = 20, .mac = kOwn, .name = "guests", .parent = "lan", .addresses = {}});
    return Interfaces(std::move(all));
}

// A packet buffer without a pool around it: enough for parsing.
struct Frame {
    explicit Frame(std::vector<uint8_t> content) : bytes(std::move(content)) {
        packet->buf_addr = bytes.data();
        packet->nb_segs = 1;
        dpdk::set_length(packet.get(), static_cast<uint16_t>(bytes.size()));
    }
    std::vector<uint8_t> bytes;
    std::unique_ptr<rte_mbuf> packet = std::make_unique<rte_mbuf>();
};

std::vector<uint8_t> ip4_frame() {
    std::vector<uint8_t> frame(60);
    wire::EthernetHeader{kOwn, kPeer, wire::EtherType::ipv4}.emit(frame);
    const wire::Ipv4Header header{.protocol = wire::IpProtocol::udp,
                                  .source = Ip4Address::from_host(0xc0a80102),
                                  .destination = Ip4Address::from_host(0xcb007105),
                                  .payload_length = 20};
    header.emit(std::span(frame).subspan(14));
    return frame;
}

std::vector<uint8_t> ip6_frame() {
    std::vector<uint8_t> frame(80);
    wire::EthernetHeader{kOwn, kPeer, wire::EtherType::ipv6}.emit(frame);
    const wire::Ipv6Header header{.payload_length = 20,
                                  .next_header = wire::IpProtocol::udp,
                                  .source = *Ip6Address::parse("2001:db8::1"),
                                  .destination = *Ip6Address::parse("2001:db8:1::2")};
    header.emit(std::span(frame).subspan(14));
    return frame;
}

bool operator==(const PacketMeta& a, const PacketMeta& b) {
    return a.in == b.in && a.l3 == b.l3 && a.l3_length == b.l3_length && a.path == b.path &&
           a.link_multicast == b.link_multicast;
}

// The short cut must take what the long way calls fast, and nothing else.
void expect_agreement(const std::vector<uint8_t>& content) {
    const auto interfaces = one_device_with_a_vlan();
    Frame quick(content);
    Frame at_length(content);
    PacketMeta quick_meta{};
    PacketMeta meta{};
    const bool taken = QuickParser(InterfaceId{0}, kOwn)(quick.packet.get(), quick_meta);
    const auto verdict = parse_packet(interfaces, PortId{0}, at_length.packet.get(), meta);
    const bool fast = verdict == Verdict::next() && meta.in == InterfaceId{0} && meta.l3 == kEthernetHeader &&
                      (meta.path == Path::ip4_fast || meta.path == Path::ip6_fast);
    ASSERT_EQ(taken, fast);
    if (taken) {
        ASSERT_TRUE(quick_meta == meta);
        ASSERT_EQ(quick.packet->data_len, at_length.packet->data_len);
    } else {
        ASSERT_EQ(quick.packet->data_len, content.size());
    }
}

TEST(QuickParser, AgreesWithTheLongWayOnWholePackets) {
    expect_agreement(ip4_frame());
    expect_agreement(ip6_frame());
    PacketMeta meta{};
    Frame frame(ip4_frame());
    ASSERT_TRUE(QuickParser(InterfaceId{0}, kOwn)(frame.packet.get(), meta));
    EXPECT_EQ(meta.path, Path::ip4_fast);
    EXPECT_EQ(frame.packet->data_len, 14 + 40);  // padding is cut off
}

TEST(QuickParser, AgreesWithTheLongWayOnAlteredPackets) {
    Random random(3);
    for (int round = 0; round < 200000; ++round) {
        auto frame = round % 2 == 0 ? ip4_frame() : ip6_frame();
        const uint32_t changes = 1 + random.below(3);
        for (uint32_t i = 0; i < changes; ++i)
            frame[random.below(54)] = static_cast<uint8_t>(random.next());
        // Half of them with a checksum that is right, or nothing but it would ever be looked at.
        const size_t header = (frame[14] & 0x0fU) * size_t{4};
        if (round % 4 < 2 && frame[12] == 0x08 && header >= 20 && 14 + header <= frame.size())
            wire::MutableIpv4View::unchecked(frame.data() + 14).refresh_checksum();
        if (random.below(8) == 0)
            frame.resize(random.below(80));
        expect_agreement(frame);
    }
}

TEST(QuickParser, AgreesWithTheLongWayOnEveryFirstByteOfAnAddress) {
    for (int value = 0; value < 65536; ++value) {
        auto frame = ip4_frame();
        frame[26] = static_cast<uint8_t>(value >> 8);
        frame[27] = static_cast<uint8_t>(value);
        wire::MutableIpv4View::unchecked(frame.data() + 14).refresh_checksum();
        expect_agreement(frame);
        auto other = ip6_frame();
        other[38] = static_cast<uint8_t>(value >> 8);
        other[39] = static_cast<uint8_t>(value);
        expect_agreement(other);
    }
}

TEST(ParsePacket, FindsTheVlan) {
    auto frame = ip4_frame();
    const std::array<uint8_t, 4> tag{0x81, 0x00, 0x00, 20};
    frame.insert(frame.begin() + 12, tag.begin(), tag.end());
    Frame tagged(frame);
    PacketMeta meta{};
    EXPECT_EQ(parse_packet(one_device_with_a_vlan(), PortId{0}, tagged.packet.get(), meta), Verdict::next());
    EXPECT_EQ(meta.in, InterfaceId{1});
    EXPECT_EQ(meta.l3, 18);
    frame[15] = 21;
    Frame unknown(frame);
    EXPECT_EQ(parse_packet(one_device_with_a_vlan(), PortId{0}, unknown.packet.get(), meta),
              Verdict::drop(drops::unknown_vlan));
}

}  // namespace
}  // namespace sluice::pipeline
