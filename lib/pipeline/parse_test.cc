#include "pipeline/parse.hh"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <bit>
#include <memory>
#include <vector>

#include "base/random.hh"
#include "pipeline/drops.hh"
#include "pipeline/plain.hh"
#include "pipeline/quick_parse.hh"
#include "wire/ethernet.hh"
#include "wire/ipv4.hh"
#include "wire/ipv6.hh"
#include "wire/tcp.hh"

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

bool is_fast(Verdict verdict, const PacketMeta& meta, Path path) {
    return verdict == Verdict::next() && meta.in == InterfaceId{0} && meta.l3 == kEthernetHeader &&
           meta.path == path;
}

// The short cut must take what the long way calls fast, and nothing else.
void expect_agreement(const std::vector<uint8_t>& content) {
    const auto interfaces = one_device_with_a_vlan();
    Frame quick(content);
    Frame at_length(content);
    PacketMeta quick_meta{};
    PacketMeta meta{};
    const bool taken = QuickIp6Parser(InterfaceId{0}, kOwn)(quick.packet.get(), quick_meta);
    const auto verdict = parse_packet(interfaces, PortId{0}, at_length.packet.get(), meta);
    ASSERT_EQ(taken, is_fast(verdict, meta, Path::ip6_fast));
    if (taken) {
        ASSERT_TRUE(quick_meta == meta);
        ASSERT_EQ(quick.packet->data_len, at_length.packet->data_len);
    } else {
        ASSERT_EQ(quick.packet->data_len, content.size());
    }
}

TEST(QuickIp6Parser, AgreesWithTheLongWayOnWholePackets) {
    expect_agreement(ip6_frame());
    PacketMeta meta{};
    Frame frame(ip6_frame());
    ASSERT_TRUE(QuickIp6Parser(InterfaceId{0}, kOwn)(frame.packet.get(), meta));
    EXPECT_EQ(meta.path, Path::ip6_fast);
    EXPECT_EQ(frame.packet->data_len, 14 + 60);  // padding is cut off
}

TEST(QuickIp6Parser, AgreesWithTheLongWayOnAlteredPackets) {
    Random random(3);
    for (int round = 0; round < 100000; ++round) {
        auto frame = ip6_frame();
        const uint32_t changes = 1 + random.below(3);
        for (uint32_t i = 0; i < changes; ++i)
            frame[random.below(54)] = static_cast<uint8_t>(random.next());
        if (random.below(8) == 0)
            frame.resize(random.below(80));
        expect_agreement(frame);
    }
}

TEST(QuickIp6Parser, AgreesWithTheLongWayOnEveryFirstByteOfAnAddress) {
    for (int value = 0; value < 65536; ++value) {
        auto frame = ip6_frame();
        frame[38] = static_cast<uint8_t>(value >> 8);
        frame[39] = static_cast<uint8_t>(value);
        expect_agreement(frame);
    }
}

// A burst's worth of frames, parsed in each way.
class Plain : public ::testing::Test {
  protected:
    // All agree, and with parse_packet() about which are fast.
    void expect_agreement(const std::vector<std::vector<uint8_t>>& contents) {
        const auto interfaces = one_device_with_a_vlan();
        const auto singly = parsed(plain::parse_singly, contents);
        const auto avx2 = parsed(plain::parse_avx2, contents);
        expect_equal(avx2, singly, contents);
        if (plain::has_avx512())
            expect_equal(parsed(plain::parse_avx512, contents), singly, contents);
        for (size_t i = 0; i < contents.size(); ++i) {
            Frame frame(contents[i]);
            PacketMeta meta{};
            const auto verdict = parse_packet(interfaces, PortId{0}, frame.packet.get(), meta);
            const bool fast = (singly.bits.ip4_fast >> i & 1) != 0;
            ASSERT_EQ(fast, is_fast(verdict, meta, Path::ip4_fast)) << i;
            if (fast) {
                ASSERT_EQ(singly.meta[i], std::bit_cast<uint64_t>(meta)) << i;
                ASSERT_EQ((singly.bits.padded >> i & 1) != 0, frame.packet->data_len != contents[i].size());
            }
            ports_ += singly.bits.ports >> i & 1;
            sound_ += (singly.bits.datagrams | singly.bits.acks) >> i & 1;
        }
    }
    uint64_t ports_ = 0;  // packets that had them
    uint64_t sound_ = 0;

  private:
    struct Parsed {
        plain::Bits bits;
        std::array<uint64_t, kMaxBurst> meta{};
        std::array<uint64_t, kMaxBurst> addresses{};
        std::array<uint64_t, kMaxBurst> rest{};
    };
    // Bytes behind a frame's end are what happens to be there.
    Parsed parsed(plain::Parse parse, const std::vector<std::vector<uint8_t>>& contents) {
        std::vector<std::array<uint8_t, 2048>> room(kMaxBurst);
        std::array<const uint8_t*, kMaxBurst> starts{};
        std::array<uint64_t, kMaxBurst> lengths{};
        for (size_t i = 0; i < kMaxBurst; ++i) {
            for (auto& byte : room[i])
                byte = static_cast<uint8_t>(random_.next());
            starts[i] = room[i].data();
            if (i < contents.size()) {
                std::ranges::copy(contents[i], room[i].begin());
                lengths[i] = contents[i].size();
            }
        }
        Parsed parsed;
        const size_t groups = (contents.size() + plain::kGroup - 1) / plain::kGroup;
        parsed.bits = parse({.own = word_of(kOwn), .meta = meta_of(InterfaceId{0}, Path::ip4_fast)},
                            {starts.data(), lengths.data(), groups * plain::kGroup},
                            {parsed.meta.data(), parsed.addresses.data(), parsed.rest.data()});
        return parsed;
    }
    static void expect_equal(const Parsed& a, const Parsed& b,
                             const std::vector<std::vector<uint8_t>>& contents) {
        ASSERT_EQ(a.bits.ip4_fast, b.bits.ip4_fast);
        ASSERT_EQ(a.bits.padded, b.bits.padded);
        ASSERT_EQ(a.bits.ports, b.bits.ports);
        ASSERT_EQ(a.bits.datagrams, b.bits.datagrams) << ::testing::PrintToString(contents);
        ASSERT_EQ(a.bits.acks, b.bits.acks) << ::testing::PrintToString(contents);
        for (size_t i = 0; i < contents.size(); ++i) {
            if ((a.bits.ip4_fast >> i & 1) != 0) {
                ASSERT_EQ(a.meta[i], b.meta[i]);
            }
            if ((a.bits.ports >> i & 1) != 0) {
                ASSERT_EQ(a.addresses[i], b.addresses[i]);
                ASSERT_EQ(a.rest[i], b.rest[i]);
            }
        }
    }
    Random random_{11};
};

// A whole packet of TCP or UDP with a payload of random bytes, all checksums right, and padding.
std::vector<uint8_t> ip4_packet(Random& random, wire::IpProtocol protocol, size_t payload, size_t padding) {
    const bool is_tcp = protocol == wire::IpProtocol::tcp;
    const size_t words = is_tcp ? 5 + random.below(4) : 2;
    const size_t upper = words * 4 + payload;
    std::vector<uint8_t> frame(14 + 20 + upper + padding);
    wire::EthernetHeader{kOwn, kPeer, wire::EtherType::ipv4}.emit(frame);
    const wire::Ipv4Header header{.protocol = protocol,
                                  .source = Ip4Address::from_host(0xc0a80000 | random.below(65536)),
                                  .destination = Ip4Address::from_host(0xcb007100 | random.below(256)),
                                  .payload_length = static_cast<uint16_t>(upper)};
    header.emit(std::span(frame).subspan(14));
    const auto bytes = std::span(frame).subspan(34, upper);
    for (auto& byte : bytes)
        byte = static_cast<uint8_t>(random.next());
    const auto pseudo =
        wire::pseudo_header(header.source, header.destination, protocol, static_cast<uint16_t>(upper));
    if (is_tcp) {
        bytes[12] = static_cast<uint8_t>(words << 4);
        bytes[13] = random.below(3) == 0 ? static_cast<uint8_t>(random.next()) : 0x10;
        wire::set_tcp_checksum(bytes, pseudo);
    } else {
        wire::write16(bytes.data() + 4, static_cast<uint16_t>(upper));
        wire::write16(bytes.data() + 6, 0);
        if (random.below(8) != 0)
            wire::Checksum(pseudo).add(bytes).finish_udp().store(bytes.data() + 6);
    }
    return frame;
}

TEST_F(Plain, AllWaysAgreeOnWholePackets) {
    Random random(5);
    for (int round = 0; round < 3000; ++round) {
        std::vector<std::vector<uint8_t>> frames(1 + random.below(kMaxBurst));
        for (auto& frame : frames)
            frame = ip4_packet(random, random.below(2) == 0 ? wire::IpProtocol::tcp : wire::IpProtocol::udp,
                               random.below(40), random.below(3) * 7);
        expect_agreement(frames);
    }
    EXPECT_GT(sound_, 30000);
    EXPECT_GT(ports_, sound_ + 10000);
}

TEST_F(Plain, AllWaysAgreeOnAlteredPackets) {
    Random random(7);
    for (int round = 0; round < 3000; ++round) {
        std::vector<std::vector<uint8_t>> frames(1 + random.below(kMaxBurst));
        for (auto& frame : frames) {
            frame =
                random.below(10) == 0
                    ? ip6_frame()
                    : ip4_packet(random, random.below(2) == 0 ? wire::IpProtocol::tcp : wire::IpProtocol::udp,
                                 random.below(24), random.below(2) * 6);
            for (uint32_t changes = random.below(3); changes != 0; --changes)
                frame[random.below(54)] = static_cast<uint8_t>(random.next());
            // Most with a header checksum that is right, or nothing but it would ever be looked at.
            if (random.below(4) != 0 && frame[12] == 0x08 && frame[14] == 0x45)
                wire::MutableIpv4View::unchecked(frame.data() + 14).refresh_checksum();
            if (random.below(8) == 0)
                frame.resize(random.below(80));
        }
        expect_agreement(frames);
    }
    EXPECT_GT(sound_, 10000);
}

TEST_F(Plain, AllWaysAgreeOnEveryFirstByteOfAnAddress) {
    std::vector<std::vector<uint8_t>> frames;
    for (int value = 0; value < 65536; ++value) {
        auto frame = ip4_frame();
        const size_t at = value % 2 == 0 ? 26 : 30;
        frame[at] = static_cast<uint8_t>(value >> 8);
        frame[at + 1] = static_cast<uint8_t>(value);
        wire::MutableIpv4View::unchecked(frame.data() + 14).refresh_checksum();
        frames.push_back(std::move(frame));
        if (frames.size() == kMaxBurst) {
            expect_agreement(frames);
            frames.clear();
        }
    }
}

TEST_F(Plain, AllWaysAgreeOnEveryLength) {
    Random random(9);
    std::vector<std::vector<uint8_t>> frames;
    for (size_t payload = 0; payload < 60; ++payload) {
        frames.push_back(ip4_packet(random, wire::IpProtocol::udp, payload, 0));
        frames.push_back(ip4_packet(random, wire::IpProtocol::tcp, payload, 3));
        // The length of a UDP datagram too.
        auto frame = ip4_packet(random, wire::IpProtocol::udp, 20, 0);
        frame[40] = frame[41] = 0;
        frame[39] = static_cast<uint8_t>(payload);
        frames.push_back(std::move(frame));
    }
    for (; !frames.empty(); frames.resize(frames.size() - std::min(frames.size(), size_t{kMaxBurst})))
        expect_agreement({frames.end() - static_cast<ptrdiff_t>(std::min(frames.size(), size_t{kMaxBurst})),
                          frames.end()});
}

// A whole packet of TCP or UDP over IPv6, its checksum right, or none of UDP; only what follows Ethernet.
std::vector<uint8_t> ip6_packet(Random& random, wire::IpProtocol protocol, size_t payload) {
    const bool is_tcp = protocol == wire::IpProtocol::tcp;
    const size_t upper = (is_tcp ? 20 + 4 * random.below(4) : 8) + payload;
    std::vector<uint8_t> packet(40 + upper);
    for (auto& byte : packet)
        byte = static_cast<uint8_t>(random.next());
    const wire::Ipv6Header header{.payload_length = static_cast<uint16_t>(upper),
                                  .next_header = protocol,
                                  .source = *Ip6Address::parse("2001:db8::1"),
                                  .destination = *Ip6Address::parse("2001:db8:1::2")};
    header.emit(packet);
    const auto bytes = std::span(packet).subspan(40);
    const auto pseudo =
        wire::pseudo_header(header.source, header.destination, protocol, static_cast<uint32_t>(upper));
    if (is_tcp) {
        bytes[12] = static_cast<uint8_t>((20 + (upper - payload - 20)) / 4 << 4);
        bytes[13] = random.below(3) == 0 ? static_cast<uint8_t>(random.next()) : 0x10;
        wire::set_tcp_checksum(bytes, pseudo);
    } else {
        wire::write16(bytes.data() + 4, static_cast<uint16_t>(upper));
        wire::write16(bytes.data() + 6, 0);
        if (random.below(8) != 0)
            wire::Checksum(pseudo).add(bytes).finish_udp().store(bytes.data() + 6);
    }
    return packet;
}

// What check_ip6() says of a packet, at length.
bool is_sound_ip6(wire::Bytes packet) {
    const auto header = wire::Ipv6View::unchecked(packet.data());
    const auto upper = packet.subspan(40);
    const auto pseudo = wire::pseudo_header(header.source(), header.destination(), header.next_header(),
                                            static_cast<uint32_t>(upper.size()));
    if (packet.size() > kCheckedIp6)
        return false;
    if (header.next_header() == wire::IpProtocol::udp) {
        const auto udp = wire::UdpView::checked(upper);
        return udp && (!udp->has_checksum() || wire::Checksum(pseudo).add(upper).verifies());
    }
    const auto tcp = wire::TcpView::checked(upper);
    return tcp && (tcp->flags().bits() & 0x37) == 0x10 && tcp->checksum_verifies(pseudo);
}

TEST(Ip6Key, SaysWhatTheViewsSay) {
    Random random(11);
    PortsKeys keys;
    int sound = 0;
    constexpr int kRounds = 200000;
    for (int round = 0; round < kRounds; ++round) {
        const bool is_tcp = random.below(2) == 0;
        auto packet =
            ip6_packet(random, is_tcp ? wire::IpProtocol::tcp : wire::IpProtocol::udp, random.below(70));
        for (uint32_t changes = random.below(3); changes != 0; --changes)
            packet[8 + random.below(static_cast<uint32_t>(packet.size()) - 8)] =
                static_cast<uint8_t>(random.next());
        const size_t place = random.below(kMaxBurst);
        keys.forget();
        const auto length = static_cast<uint32_t>(packet.size());
        add_ip6_key(packet.data(), length, place, keys);
        const uint64_t bit = uint64_t{1} << place;
        ASSERT_EQ(keys.ip6.all, bit);
        ASSERT_EQ(keys.rest[place], uint64_t{packet[6]} << 32 | uint64_t{wire::read16(&packet[42])} << 16 |
                                        wire::read16(&packet[40]));
        check_ip6(packet.data(), length, place, keys);
        const bool expected = is_sound_ip6(packet);
        sound += expected ? 1 : 0;
        ASSERT_EQ(keys.ip6.datagrams, !is_tcp && expected ? bit : 0);
        ASSERT_EQ(keys.ip6.acks, is_tcp && expected ? bit : 0);
        ASSERT_EQ(keys.ip4.all, 0U);
    }
    EXPECT_GT(sound, kRounds / 4);
    EXPECT_LT(sound, kRounds / 2);
}

TEST(Ip6Key, IsOfPacketsWithPortsOnly) {
    Random random(12);
    PortsKeys keys;
    auto packet = ip6_packet(random, wire::IpProtocol::udp, 20);
    add_ip6_key(packet.data(), 47, 3, keys);
    EXPECT_EQ(keys.ip6.all, 0U) << "seven bytes of a datagram";
    packet[6] = static_cast<uint8_t>(wire::IpProtocol::fragment);
    add_ip6_key(packet.data(), 68, 3, keys);
    EXPECT_EQ(keys.ip6.all, 0U) << "a fragment";
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
