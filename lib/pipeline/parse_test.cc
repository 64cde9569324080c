#include "pipeline/parse.hh"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <bit>
#include <memory>
#include <optional>
#include <vector>

#include "base/random.hh"
#include "pipeline/drops.hh"
#include "pipeline/places.hh"
#include "pipeline/plain.hh"
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

bool is_fast(Verdict verdict, const PacketMeta& meta, Path path) {
    return verdict == Verdict::next() && meta.in == InterfaceId{0} && meta.l3 == kEthernetHeader &&
           meta.path == path;
}

// A burst's worth of frames, parsed in each way.
class Plain : public ::testing::Test {
  protected:
    // All agree, and with parse_packet() about which are fast.
    void expect_agreement(const std::vector<std::vector<uint8_t>>& contents) {
        for (const auto family : {Family::ip4, Family::ip6})
            expect_agreement_of(family, contents);
    }
    // Which frames of IPv6 are fast, of those wanted.
    uint64_t fast_of_wanted(const plain::Parsers& parsers, const std::vector<std::vector<uint8_t>>& contents,
                            uint64_t wanted) {
        return parsed(parsers, Family::ip6, contents, wanted).bits.fast;
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
    void expect_agreement_of(Family family, const std::vector<std::vector<uint8_t>>& contents) {
        const auto interfaces = one_device_with_a_vlan();
        const Path path = family == Family::ip4 ? Path::ip4_fast : Path::ip6_fast;
        const auto singly = parsed(plain::singly(), family, contents);
        expect_equal(parsed(plain::avx2(), family, contents), singly, family, contents);
        if (plain::has_avx512())
            expect_equal(parsed(plain::avx512(), family, contents), singly, family, contents);
        for (size_t i = 0; i < contents.size(); ++i) {
            Frame frame(contents[i]);
            PacketMeta meta{};
            const auto verdict = parse_packet(interfaces, PortId{0}, frame.packet.get(), meta);
            const bool fast = (singly.bits.fast >> i & 1) != 0;
            ASSERT_EQ(fast, is_fast(verdict, meta, path)) << i;
            if (fast) {
                ASSERT_EQ(singly.meta[i], std::bit_cast<uint64_t>(meta)) << i;
                ASSERT_EQ((singly.bits.padded >> i & 1) != 0, frame.packet->data_len != contents[i].size());
            } else {
                ASSERT_EQ(singly.meta[i], kUntouched);
            }
            ports_ += singly.bits.ports >> i & 1;
            sound_ += (singly.bits.datagrams | singly.bits.acks) >> i & 1;
        }
    }
    // Bytes behind a frame's end are what happens to be there.
    Parsed parsed(const plain::Parsers& parsers, Family family,
                  const std::vector<std::vector<uint8_t>>& contents, uint64_t wanted = ~uint64_t{0}) {
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
        parsed.meta.fill(kUntouched);
        parsed.rest.fill(kUntouched);
        const size_t groups = (contents.size() + plain::kGroup - 1) / plain::kGroup;
        const plain::Frames frames{.start = starts.data(),
                                   .length = lengths.data(),
                                   .count = groups * plain::kGroup,
                                   .wanted = wanted};
        const plain::Found found{parsed.meta.data(), parsed.addresses.data(), parsed.rest.data()};
        if (family == Family::ip4)
            parsed.bits = parsers.ip4(plain_device(InterfaceId{0}, kOwn, Path::ip4_fast), frames, found);
        else
            parsed.bits = parsers.ip6(plain_device(InterfaceId{0}, kOwn, Path::ip6_fast), frames, found);
        return parsed;
    }
    static void expect_equal(const Parsed& a, const Parsed& b, Family family,
                             const std::vector<std::vector<uint8_t>>& contents) {
        ASSERT_EQ(a.bits.fast, b.bits.fast);
        ASSERT_EQ(a.bits.padded, b.bits.padded);
        ASSERT_EQ(a.bits.ports, b.bits.ports);
        ASSERT_EQ(a.bits.datagrams, b.bits.datagrams) << ::testing::PrintToString(contents);
        ASSERT_EQ(a.bits.acks, b.bits.acks) << ::testing::PrintToString(contents);
        for (size_t i = 0; i < contents.size(); ++i) {
            ASSERT_EQ(a.meta[i], b.meta[i]);
            ASSERT_EQ(a.rest[i], b.rest[i]);
            if (family == Family::ip4 && (a.bits.ports >> i & 1) != 0) {
                ASSERT_EQ(a.addresses[i], b.addresses[i]);
            }
        }
    }
    static constexpr uint64_t kUntouched = 0x0123456789abcdef;
    Random random_{11};
};

// A TCP segment or UDP datagram of random bytes, its checksum right, or none of UDP.
void fill_upper(Random& random, std::span<uint8_t> bytes, wire::IpProtocol protocol, size_t tcp_words,
                const wire::Checksum& pseudo) {
    for (auto& byte : bytes)
        byte = static_cast<uint8_t>(random.next());
    if (protocol == wire::IpProtocol::tcp) {
        bytes[12] = static_cast<uint8_t>(tcp_words << 4);
        bytes[13] = random.below(3) == 0 ? static_cast<uint8_t>(random.next()) : 0x10;
        // Mostly what nearly every segment with options has: timestamps, after two NOPs.
        constexpr std::array<uint8_t, 4> kTimestamps{1, 1, 8, 10};
        if (tcp_words > 5 && random.below(4) != 0)
            std::ranges::copy(kTimestamps, bytes.begin() + 20);
        wire::set_tcp_checksum(bytes, pseudo);
        return;
    }
    wire::write16(bytes.data() + 4, static_cast<uint16_t>(bytes.size()));
    wire::write16(bytes.data() + 6, 0);
    if (random.below(8) != 0)
        wire::Checksum(pseudo).add(bytes).finish_udp().store(bytes.data() + 6);
}

// A whole packet of TCP or UDP, all checksums right, and padding.
std::vector<uint8_t> whole_packet(Random& random, Family family, size_t payload, size_t padding) {
    const auto protocol = random.below(2) == 0 ? wire::IpProtocol::tcp : wire::IpProtocol::udp;
    const size_t words = protocol == wire::IpProtocol::tcp ? 5 + random.below(4) : 2;
    const size_t upper = words * 4 + payload;
    if (family == Family::ip6) {
        std::vector<uint8_t> frame(14 + 40 + upper + padding);
        wire::EthernetHeader{kOwn, kPeer, wire::EtherType::ipv6}.emit(frame);
        const wire::Ipv6Header header{.payload_length = static_cast<uint16_t>(upper),
                                      .next_header = protocol,
                                      .source = *Ip6Address::parse("2001:db8::1"),
                                      .destination = *Ip6Address::parse("2001:db8:1::2")};
        header.emit(std::span(frame).subspan(14));
        fill_upper(
            random, std::span(frame).subspan(54, upper), protocol, words,
            wire::pseudo_header(header.source, header.destination, protocol, static_cast<uint32_t>(upper)));
        return frame;
    }
    std::vector<uint8_t> frame(14 + 20 + upper + padding);
    wire::EthernetHeader{kOwn, kPeer, wire::EtherType::ipv4}.emit(frame);
    const wire::Ipv4Header header{.protocol = protocol,
                                  .source = Ip4Address::from_host(0xc0a80000 | random.below(65536)),
                                  .destination = Ip4Address::from_host(0xcb007100 | random.below(256)),
                                  .payload_length = static_cast<uint16_t>(upper)};
    header.emit(std::span(frame).subspan(14));
    fill_upper(
        random, std::span(frame).subspan(34, upper), protocol, words,
        wire::pseudo_header(header.source, header.destination, protocol, static_cast<uint16_t>(upper)));
    return frame;
}

Family any_family(Random& random) {
    return random.below(2) == 0 ? Family::ip4 : Family::ip6;
}

TEST_F(Plain, AllWaysAgreeOnWholePackets) {
    Random random(5);
    for (int round = 0; round < 3000; ++round) {
        std::vector<std::vector<uint8_t>> frames(1 + random.below(kMaxBurst));
        for (auto& frame : frames)
            frame = whole_packet(random, any_family(random), random.below(40), random.below(3) * 7);
        expect_agreement(frames);
    }
    EXPECT_GT(sound_, 25000);
    EXPECT_GT(ports_, sound_ + 10000);
}

TEST_F(Plain, AllWaysAgreeOnAlteredPackets) {
    Random random(7);
    for (int round = 0; round < 3000; ++round) {
        std::vector<std::vector<uint8_t>> frames(1 + random.below(kMaxBurst));
        for (auto& frame : frames) {
            const bool is_ip6 = random.below(2) == 0;
            frame = whole_packet(random, is_ip6 ? Family::ip6 : Family::ip4, random.below(24),
                                 random.below(2) * 6);
            for (uint32_t changes = random.below(3); changes != 0; --changes)
                frame[random.below(is_ip6 ? 78 : 54) % frame.size()] = static_cast<uint8_t>(random.next());
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
        for (auto frame : {ip4_frame(), ip6_frame()}) {
            const bool is_source = value % 2 == 0;
            const size_t at = frame[12] == 0x08 ? (is_source ? 26 : 30) : (is_source ? 22 : 38);
            frame[at] = static_cast<uint8_t>(value >> 8);
            frame[at + 1] = static_cast<uint8_t>(value);
            if (frame[12] == 0x08)
                wire::MutableIpv4View::unchecked(frame.data() + 14).refresh_checksum();
            frames.push_back(std::move(frame));
        }
        if (frames.size() == kMaxBurst) {
            expect_agreement(frames);
            frames.clear();
        }
    }
}

// Of IPv6's ordinary addresses the first half says what they are, wherever in it a bit is set.
TEST_F(Plain, AllWaysAgreeOnEveryBitOfAnAddress) {
    std::vector<std::vector<uint8_t>> frames;
    for (size_t bit = 0; bit < 128; ++bit) {
        for (const size_t at : {size_t{22}, size_t{38}}) {
            auto frame = ip6_frame();
            std::fill_n(frame.begin() + static_cast<ptrdiff_t>(at), 16, uint8_t{0});
            frame[at + bit / 8] = static_cast<uint8_t>(0x80 >> bit % 8);
            frames.push_back(std::move(frame));
        }
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
        for (const auto family : {Family::ip4, Family::ip6}) {
            frames.push_back(whole_packet(random, family, payload, 0));
            frames.push_back(whole_packet(random, family, payload, 3));
            // The length of a UDP datagram too.
            auto frame = whole_packet(random, family, 20, 0);
            const size_t upper = family == Family::ip4 ? 34 : 54;
            frame[upper - (family == Family::ip4 ? 11 : 34)] = 17;
            frame[upper + 6] = frame[upper + 7] = 0;
            frame[upper + 5] = static_cast<uint8_t>(payload);
            if (family == Family::ip4)
                wire::MutableIpv4View::unchecked(frame.data() + 14).refresh_checksum();
            frames.push_back(std::move(frame));
        }
    }
    for (; !frames.empty(); frames.resize(frames.size() - std::min(frames.size(), size_t{kMaxBurst})))
        expect_agreement({frames.end() - static_cast<ptrdiff_t>(std::min(frames.size(), size_t{kMaxBurst})),
                          frames.end()});
}

// Others of the same group have what an earlier call left there.
TEST_F(Plain, WhatIsNotWantedIsNotAskedFor) {
    Random random(10);
    std::vector<std::vector<uint8_t>> frames(kMaxBurst);
    for (auto& frame : frames)
        frame = whole_packet(random, Family::ip6, 0, 0);
    EXPECT_EQ(fast_of_wanted(plain::avx2(), frames, 0xff00) & ~0xff00U, 0U);
    EXPECT_EQ(fast_of_wanted(plain::avx2(), frames, 0xff00) & 0xff00U, 0xff00U);
    EXPECT_EQ(fast_of_wanted(plain::singly(), frames, 0x8001), 0x8001U);
}

// Of packets that another worker has parsed: what the parser would have found, where their fast path says
// that they are plain, and of one interface only, also where another has the same MAC address.
TEST(FindKeys, AreThoseOfTheParser) {
    Random random(12);
    for (int round = 0; round < 500; ++round) {
        Burst burst;
        burst.count = static_cast<uint16_t>(1 + random.below(kMaxBurst));
        std::vector<std::unique_ptr<Frame>> frames;
        std::array<const uint8_t*, kMaxBurst> starts{};
        std::array<uint64_t, kMaxBurst> lengths{};
        std::array<uint64_t, kMaxBurst> ignored{};
        std::array<uint64_t, kMaxBurst> addresses{};
        std::array<uint64_t, kMaxBurst> rest{};
        uint64_t others = 0;  // slow ones, and by another interface than the first that is not
        std::optional<InterfaceId> first;
        for (size_t i = 0; i < burst.count; ++i) {
            const auto family = any_family(random);
            auto content = whole_packet(random, family, random.below(20), 0);
            starts[i] = nullptr;
            lengths[i] = content.size();
            content.resize(256);
            frames.push_back(std::make_unique<Frame>(std::move(content)));
            auto* packet = frames.back()->packet.get();
            packet->buf_len = 256;
            dpdk::set_length(packet, static_cast<uint16_t>(lengths[i]));
            starts[i] = frames.back()->bytes.data();
            burst.packets[i] = packet;
            const bool is_slow = random.below(8) == 0;
            const InterfaceId in{static_cast<uint8_t>(random.below(8) == 0)};
            if (!is_slow && !first)
                first = in;
            others |= uint64_t{is_slow || in != first} << i;
            burst.meta[i] = {.in = in,
                             .l3 = kEthernetHeader,
                             .l3_length = static_cast<uint16_t>(lengths[i] - kEthernetHeader),
                             .path = is_slow                 ? Path::ip4_slow
                                     : family == Family::ip4 ? Path::ip4_fast
                                                             : Path::ip6_fast,
                             .link_multicast = false};
        }
        for (auto*& start : starts)
            start = start != nullptr ? start : starts[0];
        const plain::Frames all{.start = starts.data(),
                                .length = lengths.data(),
                                .count = kMaxBurst,
                                .wanted = first_places(burst.count)};
        const plain::Found found{ignored.data(), addresses.data(), rest.data()};
        const auto device = plain_device(InterfaceId{0}, kOwn, Path::ip4_fast);
        const auto ip4 = plain::singly().ip4(device, all, found);
        const auto ip6 = plain::singly().ip6(device, all, found);
        find_keys(burst);
        for (const auto& [keyed, bits] : {std::pair{burst.keys.ip4, ip4}, std::pair{burst.keys.ip6, ip6}}) {
            ASSERT_EQ(keyed.all, bits.ports & ~others);
            ASSERT_EQ(keyed.datagrams, bits.datagrams & ~others);
            ASSERT_EQ(keyed.acks, bits.acks & ~others);
        }
        for_each_place(burst.keys.ip4.all | burst.keys.ip6.all, [&](size_t i) {
            ASSERT_EQ(burst.keys.rest[i], rest[i]);
            ASSERT_EQ(burst.keys.frames[i], dpdk::data(burst.packets[i]));
        });
        for_each_place(burst.keys.ip4.all,
                       [&](size_t i) { ASSERT_EQ(burst.keys.addresses[i], addresses[i]); });
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
