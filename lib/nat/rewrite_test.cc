#include "nat/rewrite.hh"

#include <gtest/gtest.h>

#include "nat/described_packet.hh"
#include "nat/rewrite_ports.hh"
#include "nat/rewrite_row.hh"
#include "wire/checksum.hh"

namespace sluice::nat {
namespace {

using enum wire::IpProtocol;

[[nodiscard]] bool rewrite_in(Buffer& bytes, Manip manip, const Endpoint& to) {
    return rewrite(view_of(bytes), bytes, manip, to);
}

bool is_query_protocol(wire::IpProtocol protocol) {
    return protocol == icmp || protocol == icmpv6;
}
bool has_ports(wire::IpProtocol protocol) {
    return protocol == tcp || protocol == udp || protocol == udplite || protocol == sctp;
}

// What the description becomes; of protocols without ports only the address changes.
DescribedPacket with_end(DescribedPacket what, Manip manip, const Endpoint& to) {
    Endpoint& end = manip == Manip::source ? what.source : what.destination;
    end.address = to.address;
    if (is_query_protocol(what.protocol))
        what.source.port = to.port;
    else if (has_ports(what.protocol))
        end.port = to.port;
    return what;
}

DescribedPacket any_packet(Family family, wire::IpProtocol protocol, Random& random) {
    DescribedPacket what{.source = any_endpoint(family, random),
                         .destination = any_endpoint(family, random),
                         .protocol = protocol};
    what.payload = any_bytes(random.below(70), random);
    what.options.assign(size_t{random.below(3)} * 8, 1);
    what.tcp_options.assign(size_t{random.below(4)} * 4, 1);
    what.has_checksum = random.below(4) != 0;
    what.coverage = static_cast<uint16_t>(random.below(2) * 8);
    what.icmp_type = protocol == icmp ? 8 : 128;
    what.sequence = static_cast<uint32_t>(random.next());
    return what;
}

class Rewrite : public testing::TestWithParam<std::tuple<Family, wire::IpProtocol>> {};

TEST_P(Rewrite, GivesThePacketAsIfItHadBeenBuiltThatWay) {
    const auto [family, protocol] = GetParam();
    Random random(static_cast<uint64_t>(protocol));
    for (int round = 0; round < 2000; ++round) {
        const auto what = any_packet(family, protocol, random);
        const auto manip = random.below(2) == 0 ? Manip::source : Manip::destination;
        const auto to = any_endpoint(family, random);
        Buffer bytes = build(what);
        ASSERT_TRUE(rewrite_in(bytes, manip, to));
        ASSERT_EQ(bytes, build(with_end(what, manip, to)));
    }
}

TEST_P(Rewrite, GoesThereAndBackAlsoWithAWrongChecksum) {
    const auto [family, protocol] = GetParam();
    Random random(17);
    for (int round = 0; round < 500; ++round) {
        auto what = any_packet(family, protocol, random);
        what.wrong_by = static_cast<uint16_t>(random.below(0x1000));
        const auto manip = random.below(2) == 0 ? Manip::source : Manip::destination;
        const Buffer before = build(what);
        Buffer bytes = before;
        ASSERT_TRUE(rewrite_in(bytes, manip, any_endpoint(family, random)));
        Endpoint back = manip == Manip::source ? what.source : what.destination;
        if (is_query_protocol(protocol))
            back.port = what.source.port;
        ASSERT_TRUE(rewrite_in(bytes, manip, back));
        ASSERT_EQ(bytes, before);
    }
}

TEST(RewritePorts, ChangesBothEndsAsIfThePacketHadBeenBuiltThatWay) {
    Random random(5);
    for (int round = 0; round < 4000; ++round) {
        auto what = any_packet(Family::ip4, random.below(2) == 0 ? tcp : udp, random);
        what.options.clear();
        Endpoint source = random.below(3) == 0 ? what.source : any_endpoint(Family::ip4, random);
        Endpoint destination = random.below(3) == 0 ? what.destination : any_endpoint(Family::ip4, random);
        Buffer bytes = build(what);
        const auto address = [](const Endpoint& end) { return uint64_t{end.address.ip4().wire().wire()}; };
        rewrite_ip4_ports(bytes.data(), bytes.data() + 20, what.protocol,
                          {.addresses = address(destination) << 32 | address(source),
                           .ports = uint32_t{destination.port} << 16 | source.port});
        what.source = source;
        what.destination = destination;
        ASSERT_EQ(bytes, build(what)) << round;
    }
}

// Both ends at once as one after the other, whatever the checksums are.
TEST(RewritePorts, ChangesBothEndsOfIp6) {
    Random random(7);
    for (int round = 0; round < 100'000; ++round) {
        auto what = any_packet(Family::ip6, random.below(2) == 0 ? tcp : udp, random);
        what.options.clear();
        what.wrong_by = random.below(2) == 0 ? 0 : static_cast<uint16_t>(random.next());
        const Endpoint source = random.below(3) == 0 ? what.source : any_endpoint(Family::ip6, random);
        const Endpoint destination =
            random.below(3) == 0 ? what.destination : any_endpoint(Family::ip6, random);
        Buffer bytes = build(what);
        Buffer expected = bytes;
        std::array<uint8_t, 32> answer;
        std::ranges::copy(destination.address.ip6().bytes(), answer.begin());
        std::ranges::copy(source.address.ip6().bytes(), answer.begin() + 16);
        rewrite_ip6_ports(bytes.data(), bytes.data() + 40, what.protocol,
                          {.answer = answer.data(), .ports = uint32_t{destination.port} << 16 | source.port});
        ASSERT_TRUE(rewrite_in(expected, Manip::destination, destination));
        ASSERT_TRUE(rewrite_in(expected, Manip::source, source));
        ASSERT_EQ(bytes, expected) << round;
    }
}

// Rows of all lengths as one packet after the other: with new identifications and without, and whatever the
// checksums are.
template <wire::IpProtocol protocol>
void rewrite_rows(Random& random, Identifications& one, Identifications& other) {
    constexpr size_t kLongest = 64;
    for (int round = 0; round < 4000; ++round) {
        Ip4RewriteRow<protocol, kLongest> row;
        std::array<uint64_t, kLongest> addresses;
        std::array<uint64_t, kLongest> rest;
        std::vector<Buffer> rewritten;
        std::vector<Buffer> expected;
        const size_t count = 1 + random.below(kLongest);
        for (size_t i = 0; i < count; ++i) {
            auto what = any_packet(Family::ip4, protocol, random);
            what.options.clear();
            what.wrong_by = random.below(2) == 0 ? 0 : static_cast<uint16_t>(random.next());
            Buffer bytes = build(what);
            bytes[4] = static_cast<uint8_t>(random.next());
            bytes[5] = static_cast<uint8_t>(random.next());
            bytes[6] = random.below(2) == 0 ? 0x40 : 0;
            bytes[8] = static_cast<uint8_t>(2 + random.below(254));
            wire::MutableIpv4View::unchecked(bytes.data()).refresh_checksum();
            const auto tuple = conntrack::Ip4PortsTuple::of_plain(bytes.data());
            addresses[i] = tuple.addresses;
            rest[i] = tuple.rest();
            const Ip4Ends to{.addresses = random.next(), .ports = static_cast<uint32_t>(random.next())};
            const bool renews = random.below(2) == 0;
            rewritten.push_back(bytes);
            row.add(rewritten.back().data(), to, renews ? &one : nullptr);
            rewrite_ip4_ports(bytes.data(), bytes.data() + 20, protocol, to);
            if (renews)
                other.renew(bytes);
            wire::MutableIpv4View::unchecked(bytes.data()).decrement_ttl();
            expected.push_back(bytes);
        }
        row.write_checksums({.addresses = addresses.data(), .rest = rest.data()});
        ASSERT_EQ(rewritten, expected) << round;
    }
}

TEST(RewriteRow, GivesWhatOneAfterTheOtherGives) {
    Random random(6);
    Identifications one({.worker = 1, .workers = 3}, 5);
    Identifications other({.worker = 1, .workers = 3}, 5);
    rewrite_rows<udp>(random, one, other);
    rewrite_rows<tcp>(random, one, other);
}

// A sum of zero is written as 0xffff, and none stays none.
TEST(RewriteRow, ADatagramMeetsEveryChecksum) {
    const Ip4Ends to{.addresses = 0x0300020a0100020a, .ports = 0x00350400};
    const auto what =
        DescribedPacket{.source = {ip("192.168.1.10"), 5000}, .destination = {ip("198.51.100.1"), 53}};
    for (unsigned word = 0; word <= 0xffff; ++word) {
        Buffer bytes = build(what);
        std::memcpy(bytes.data() + 26, &word, 2);
        Buffer expected = bytes;
        const auto tuple = conntrack::Ip4PortsTuple::of_plain(bytes.data());
        const uint64_t rest = tuple.rest();
        Ip4RewriteRow<udp, 1> row;
        row.add(bytes.data(), to, nullptr);
        row.write_checksums({.addresses = &tuple.addresses, .rest = &rest});
        rewrite_ip4_ports(expected.data(), expected.data() + 20, udp, to);
        wire::MutableIpv4View::unchecked(expected.data()).decrement_ttl();
        ASSERT_EQ(bytes, expected) << word;
    }
}

TEST(RewritePorts, ADatagramMeetsEveryChecksum) {
    const Ip4Ends to{.addresses = 0x0300020a0100020a, .ports = 0x00350400};
    auto what =
        DescribedPacket{.source = {ip("192.168.1.10"), 5000}, .destination = {ip("198.51.100.1"), 53}};
    for (unsigned word = 0; word <= 0xffff; ++word) {
        what.payload = {static_cast<uint8_t>(word >> 8), static_cast<uint8_t>(word)};
        Buffer bytes = build(what);
        rewrite_ip4_ports(bytes.data(), bytes.data() + 20, udp, to);
        auto expected = what;
        expected.source = {ip("10.2.0.1"), 0x400};
        expected.destination = {ip("10.2.0.3"), 0x35};
        ASSERT_EQ(bytes, build(expected));
    }
}

std::string name_of(const testing::TestParamInfo<std::tuple<Family, wire::IpProtocol>>& info) {
    const auto [family, protocol] = info.param;
    return std::string(to_string(family)) + "_" + std::to_string(static_cast<int>(protocol));
}

INSTANTIATE_TEST_SUITE_P(Ip4, Rewrite,
                         testing::Combine(testing::Values(Family::ip4),
                                          testing::Values(tcp, udp, udplite, sctp, kDccp, icmp, gre, esp)),
                         name_of);
INSTANTIATE_TEST_SUITE_P(Ip6, Rewrite,
                         testing::Combine(testing::Values(Family::ip6),
                                          testing::Values(tcp, udp, udplite, sctp, kDccp, icmpv6, gre, esp)),
                         name_of);

const DescribedPacket kDatagram{
    .source = {ip("192.168.1.10"), 5000}, .destination = {ip("198.51.100.1"), 53}, .payload = {1, 2, 3}};

TEST(RewriteUdp, MeetsEveryChecksum) {
    // The payload runs the checksum through all its values; zero is sent as 0xffff (RFC 768).
    const Endpoint to{ip("203.0.113.2"), 61000};
    unsigned all_ones = 0;
    for (unsigned word = 0; word <= 0xffff; ++word) {
        auto what = kDatagram;
        what.payload = {static_cast<uint8_t>(word >> 8), static_cast<uint8_t>(word)};
        Buffer bytes = build(what);
        ASSERT_TRUE(rewrite_in(bytes, Manip::source, to));
        what.source = to;
        ASSERT_EQ(bytes, build(what));
        all_ones += wire::read16(bytes.data() + 26) == 0xffff;
    }
    EXPECT_GT(all_ones, 0U);
}

TEST(RewriteUdp, ZeroChecksumStaysZero) {
    auto what = kDatagram;
    what.has_checksum = false;
    Buffer bytes = build(what);
    ASSERT_TRUE(rewrite_in(bytes, Manip::source, {ip("203.0.113.2"), 61000}));
    EXPECT_EQ(wire::read16(bytes.data() + 26), 0);
}

TEST(RewriteUdp, AWrongChecksumStaysWrongByTheSame) {
    const Endpoint to{ip("203.0.113.2"), 61000};
    for (unsigned wrong = 1; wrong < 0xffff; ++wrong) {
        auto what = kDatagram;
        what.wrong_by = static_cast<uint16_t>(wrong);
        Buffer bytes = build(what);
        if (wire::read16(bytes.data() + 26) == 0)
            continue;
        ASSERT_TRUE(rewrite_in(bytes, Manip::source, to));
        ASSERT_NE(wire::read16(bytes.data() + 26), 0) << "a checksum must not become none";
        const auto sum = wire::pseudo_header(to.address.ip4(), what.destination.address.ip4(), udp, 11)
                             .add(wire::Bytes(bytes).subspan(20));
        ASSERT_FALSE(sum.verifies());
    }
}

TEST(RewriteIcmp, AMessageOfZerosIsRightToo) {
    // Echo replies with the identifier rewritten to zero, the one message an update alone gets wrong.
    DescribedPacket what{.source = {ip("192.168.1.10"), 5},
                         .destination = {ip("198.51.100.1"), 0},
                         .protocol = icmp,
                         .payload = Buffer(4),
                         .icmp_type = 0};
    Buffer bytes = build(what);
    ASSERT_TRUE(rewrite_in(bytes, Manip::destination, {ip("198.51.100.2"), 0}));
    EXPECT_EQ(wire::read16(bytes.data() + 22), 0xffff);
    EXPECT_TRUE(wire::checksum_verifies(wire::Bytes(bytes).subspan(20)));
    ASSERT_TRUE(rewrite_in(bytes, Manip::destination, {ip("198.51.100.1"), 5}));
    EXPECT_EQ(bytes, build(what));
}

TEST(RewriteIcmp, OnlyQueriesHaveAnIdentifier) {
    const Endpoint to{ip("203.0.113.2"), 9};
    for (unsigned type = 0; type < 256; ++type) {
        DescribedPacket what{.source = {ip("192.168.1.10"), 5},
                             .destination = {ip("198.51.100.1"), 0},
                             .protocol = icmp,
                             .icmp_type = static_cast<uint8_t>(type)};
        Buffer bytes = build(what);
        ASSERT_TRUE(rewrite_in(bytes, Manip::source, to));
        const bool query = type == 0 || type == 8 || (type >= 13 && type <= 18);
        EXPECT_EQ(wire::read16(bytes.data() + 24), query ? 9 : 5) << type;
        what.source = {to.address, static_cast<uint16_t>(query ? 9 : 5)};
        EXPECT_EQ(bytes, build(what)) << type;
    }
}

TEST(RewriteIcmp, OfIcmp6OnlyEchoHasAnIdentifierButAllCoverTheAddresses) {
    const Endpoint to{ip("2001:db8::2"), 9};
    for (unsigned type = 0; type < 256; ++type) {
        DescribedPacket what{.source = {ip("fd00::10"), 5},
                             .destination = {ip("2001:db8:1::1"), 0},
                             .protocol = icmpv6,
                             .icmp_type = static_cast<uint8_t>(type)};
        Buffer bytes = build(what);
        ASSERT_TRUE(rewrite_in(bytes, Manip::source, to));
        what.source = {to.address, static_cast<uint16_t>(type == 128 || type == 129 ? 9 : 5)};
        EXPECT_EQ(bytes, build(what)) << type;
    }
}

TEST(Rewrite, RefusesHeadersThatAreTooShortAndLeavesThemAlone) {
    for (const auto protocol : {tcp, udp, udplite, sctp, icmp, gre, kDccp, esp}) {
        auto what = kDatagram;
        what.protocol = protocol;
        const Buffer whole = build(what);
        for (size_t size = 0; size < 8 && 20 + size <= whole.size(); ++size) {
            Buffer bytes(whole.begin(), whole.begin() + 20 + static_cast<ptrdiff_t>(size));
            wire::write16(bytes.data() + 2, static_cast<uint16_t>(bytes.size()));
            wire::MutableIpv4View::unchecked(bytes.data()).refresh_checksum();
            const Buffer before = bytes;
            const bool changed = rewrite_in(bytes, Manip::source, {ip("203.0.113.2"), 61000});
            EXPECT_EQ(changed, protocol == kDccp || protocol == esp);
            EXPECT_TRUE(changed || bytes == before);
        }
    }
}

TEST(Rewrite, OfTcpEightBytesSufficeAndTheChecksumIsNotMissed) {
    auto what = kDatagram;
    what.protocol = tcp;
    const Buffer segment = upper_of(what);
    for (const size_t size : {8, 16, 19}) {
        Buffer upper(segment.begin(), segment.begin() + static_cast<ptrdiff_t>(size));
        Buffer expected = upper;
        wire::write16(expected.data(), 61000);
        EXPECT_TRUE(
            rewrite_upper(upper, tcp, Manip::source, what.source.address, {ip("203.0.113.2"), 61000}));
        EXPECT_EQ(upper, expected);
    }
}

TEST(Rewrite, UnknownVersionsOfGreAreRefusedTowardsTheirReceiver) {
    for (unsigned version = 0; version < 8; ++version) {
        auto what = kDatagram;
        what.protocol = gre;
        Buffer bytes = build(what);
        bytes[21] = static_cast<uint8_t>(version);
        Buffer other = bytes;
        EXPECT_TRUE(rewrite_in(bytes, Manip::source, {ip("203.0.113.2")}));
        EXPECT_EQ(rewrite_in(other, Manip::destination, {ip("203.0.113.2")}), version <= 1);
    }
}

TEST(Rewrite, OfLaterFragmentsTheAddressAlone) {
    Buffer bytes = build(kDatagram);
    wire::write16(bytes.data() + 6, 100);
    wire::MutableIpv4View::unchecked(bytes.data()).refresh_checksum();
    const Buffer payload(bytes.begin() + 20, bytes.end());
    ASSERT_TRUE(rewrite_in(bytes, Manip::destination, {ip("192.168.1.7"), 80}));
    EXPECT_EQ(view_of(bytes).destination(), ip("192.168.1.7"));
    EXPECT_EQ(Buffer(bytes.begin() + 20, bytes.end()), payload);
    EXPECT_TRUE(wire::Ipv4View::checked(bytes).has_value());
}

TEST(EndpointOf, IsWhatStandsAtThatEnd) {
    const conntrack::Tuple ports(ip("192.0.2.1"), ip("198.51.100.1"), tcp, 1000, 80);
    EXPECT_EQ(endpoint_of(ports, Manip::source), (Endpoint{ip("192.0.2.1"), 1000}));
    EXPECT_EQ(endpoint_of(ports, Manip::destination), (Endpoint{ip("198.51.100.1"), 80}));
    const conntrack::Tuple query(ip("192.0.2.1"), ip("198.51.100.1"), icmp, 77, 8 << 8);
    EXPECT_EQ(endpoint_of(query, Manip::destination), (Endpoint{ip("198.51.100.1"), 77}));
}

}  // namespace
}  // namespace sluice::nat
