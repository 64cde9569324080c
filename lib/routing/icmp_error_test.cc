#include "routing/icmp_error.hh"

#include <gtest/gtest.h>

#include <algorithm>
#include <initializer_list>
#include <string>
#include <tuple>
#include <vector>

#include "wire/icmp4.hh"
#include "wire/icmp6.hh"
#include "wire/udp.hh"

namespace sluice::routing {
namespace {

using Packet = std::vector<uint8_t>;

constexpr Icmp4ErrorKind kAll4[] = {
    Icmp4ErrorKind::net_unreachable,          Icmp4ErrorKind::host_unreachable,
    Icmp4ErrorKind::protocol_unreachable,     Icmp4ErrorKind::port_unreachable,
    Icmp4ErrorKind::source_route_failed,      Icmp4ErrorKind::admin_prohibited,
    Icmp4ErrorKind::fragmentation_needed,     Icmp4ErrorKind::ttl_exceeded,
    Icmp4ErrorKind::reassembly_time_exceeded, Icmp4ErrorKind::parameter_problem};

constexpr Icmp6ErrorKind kAll6[] = {Icmp6ErrorKind::no_route,
                                    Icmp6ErrorKind::admin_prohibited,
                                    Icmp6ErrorKind::beyond_scope,
                                    Icmp6ErrorKind::address_unreachable,
                                    Icmp6ErrorKind::port_unreachable,
                                    Icmp6ErrorKind::failed_policy,
                                    Icmp6ErrorKind::reject_route,
                                    Icmp6ErrorKind::packet_too_big,
                                    Icmp6ErrorKind::hop_limit_exceeded,
                                    Icmp6ErrorKind::erroneous_field,
                                    Icmp6ErrorKind::reassembly_time_exceeded,
                                    Icmp6ErrorKind::unknown_next_header,
                                    Icmp6ErrorKind::unknown_option,
                                    Icmp6ErrorKind::incomplete_first_fragment};

Ip4Address ip4(const char* text) {
    return Ip4Address::parse(text).value();
}
Ip6Address ip6(const char* text) {
    return Ip6Address::parse(text).value();
}

wire::Ipv4Header header4(const char* source = "192.0.2.1", const char* destination = "198.51.100.2") {
    return {.tos = 0,
            .id = 7,
            .ttl = 1,
            .protocol = wire::IpProtocol::udp,
            .source = ip4(source),
            .destination = ip4(destination)};
}

Packet joined(wire::Bytes first, wire::Bytes second) {
    Packet result(first.size() + second.size());
    wire::copy_bytes(result.data(), first);
    wire::copy_bytes(result.data() + first.size(), second);
    return result;
}

Packet packet4(wire::Ipv4Header header, const Packet& payload) {
    header.payload_length = static_cast<uint16_t>(payload.size());
    Packet result(header.header_size());
    header.emit(result);
    return joined(result, payload);
}

Packet packet6(const char* source, const char* destination, wire::IpProtocol next, const Packet& payload) {
    Packet result(40);
    wire::Ipv6Header{.payload_length = static_cast<uint16_t>(payload.size()),
                     .next_header = next,
                     .hop_limit = 1,
                     .source = ip6(source),
                     .destination = ip6(destination)}
        .emit(result);
    return joined(result, payload);
}

const Packet kUdp{0x30, 0x39, 0, 53, 0, 8, 0, 0};

Packet icmp4_of_type(uint8_t type) {
    auto header = header4();
    header.protocol = wire::IpProtocol::icmp;
    return packet4(header, {type, 0, 0, 0, 0, 0, 0, 0});
}

struct Case {
    std::string name;
    Packet packet;
    IcmpErrorContext context;
    IcmpErrorVerdict verdict = IcmpErrorVerdict::send;
};

std::vector<Case> cases4() {
    using enum IcmpErrorVerdict;
    std::vector<Case> result{
        {"plain", packet4(header4(), kUdp), {}, send},
        {"echo request", icmp4_of_type(8), {}, send},
        {"echo reply", icmp4_of_type(0), {}, send},
        {"link-local source", packet4(header4("169.254.1.1"), kUdp), {}, send},
        {"link-layer group", packet4(header4(), kUdp), {.link_group = true}, link_group},
        {"directed broadcast", packet4(header4(), kUdp), {.destination_broadcast = true}, group_destination},
        {"source refused", packet4(header4(), kUdp), {.source_refused = true}, invalid_source}};
    for (const uint8_t type : std::initializer_list<uint8_t>{3, 4, 5, 11, 12}) {
        result.push_back({"ICMP error " + std::to_string(type), icmp4_of_type(type), {}, about_error});
    }
    for (const uint8_t type : std::initializer_list<uint8_t>{1, 2, 7, 19, 44, 255}) {
        result.push_back({"unknown ICMP " + std::to_string(type), icmp4_of_type(type), {}, about_error});
    }
    for (const char* group : {"224.0.0.1", "239.255.255.255", "255.255.255.255"}) {
        result.push_back({group, packet4(header4("192.0.2.1", group), kUdp), {}, group_destination});
    }
    for (const char* source :
         {"0.0.0.0", "0.1.2.3", "127.0.0.1", "224.0.0.1", "240.0.0.1", "255.255.255.255"}) {
        result.push_back({source, packet4(header4(source), kUdp), {}, invalid_source});
    }
    auto later = header4();
    later.fragment_offset = 8;
    result.push_back({"later fragment", packet4(later, kUdp), {}, later_fragment});
    auto first = header4();
    first.more_fragments = true;
    result.push_back({"first fragment", packet4(first, kUdp), {}, send});
    auto untyped = header4();
    untyped.protocol = wire::IpProtocol::icmp;
    result.push_back({"ICMP without type", packet4(untyped, {}), {}, about_error});
    auto damaged = packet4(header4(), kUdp);
    damaged[10] ^= 1;
    result.push_back({"bad checksum", damaged, {}, invalid_packet});
    result.push_back({"nothing", {}, {}, invalid_packet});
    return result;
}

// R1812-4.3.2.7: the rules come before every reason to send an error.
TEST(MaySendError, Ip4MatrixOfRulesAndErrors) {
    for (const auto& test : cases4()) {
        for (const auto kind : kAll4) {
            EXPECT_EQ(may_send_error(Icmp4Error{.kind = kind}, test.packet, test.context), test.verdict)
                << test.name << ", error " << static_cast<int>(kind);
        }
    }
}

std::vector<Case> cases6() {
    using enum IcmpErrorVerdict;
    const auto plain = packet6("2001:db8::1", "2001:db8::2", wire::IpProtocol::udp, kUdp);
    std::vector<Case> result{{"plain", plain, {}, send},
                             {"link-layer group", plain, {.link_group = true}, link_group},
                             {"source refused", plain, {.source_refused = true}, invalid_source},
                             {"nothing", {}, {}, invalid_packet}};
    const auto icmp = [&](uint8_t type) {
        return packet6("2001:db8::1", "2001:db8::2", wire::IpProtocol::icmpv6, {type, 0, 0, 0, 0, 0, 0, 0});
    };
    for (const uint8_t type : std::initializer_list<uint8_t>{1, 2, 3, 4, 100, 127, 137}) {
        result.push_back({"ICMPv6 " + std::to_string(type), icmp(type), {}, about_error});
    }
    for (const uint8_t type : std::initializer_list<uint8_t>{128, 129, 135, 200, 255}) {
        result.push_back({"ICMPv6 " + std::to_string(type), icmp(type), {}, send});
    }
    result.push_back({"ICMPv6 without type",
                      packet6("2001:db8::1", "2001:db8::2", wire::IpProtocol::icmpv6, {}),
                      {},
                      about_error});
    const Packet behind_options{58, 0, 1, 4, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0};
    result.push_back(
        {"ICMPv6 error behind destination options",
         packet6("2001:db8::1", "2001:db8::2", wire::IpProtocol::destination_options, behind_options),
         {},
         about_error});
    Packet behind_many;
    for (int more = 8; more >= 0; --more)
        behind_many.insert(behind_many.end(),
                           {static_cast<uint8_t>(more == 0 ? 58 : 60), 0, 1, 4, 0, 0, 0, 0});
    behind_many.insert(behind_many.end(), {1, 0, 0, 0, 0, 0, 0, 0});
    result.push_back(
        {"ICMPv6 error behind more headers than are walked",
         packet6("2001:db8::1", "2001:db8::2", wire::IpProtocol::destination_options, behind_many),
         {},
         about_error});
    const Packet later{58, 0, 0, 8, 0, 0, 0, 1, 1, 0, 0, 0, 0, 0, 0, 0};
    result.push_back({"later fragment of ICMPv6",
                      packet6("2001:db8::1", "2001:db8::2", wire::IpProtocol::fragment, later),
                      {},
                      send});
    result.push_back(
        {"multicast", packet6("2001:db8::1", "ff0e::1", wire::IpProtocol::udp, kUdp), {}, group_destination});
    for (const char* source : {"::", "ff02::1", "::1"}) {
        result.push_back(
            {source, packet6(source, "2001:db8::2", wire::IpProtocol::udp, kUdp), {}, invalid_source});
    }
    return result;
}

// R4443-2.4e, with its exceptions for groups.
TEST(MaySendError, Ip6MatrixOfRulesAndErrors) {
    for (const auto& test : cases6()) {
        for (const auto kind : kAll6) {
            const bool group = test.verdict == IcmpErrorVerdict::group_destination ||
                               test.verdict == IcmpErrorVerdict::link_group;
            const auto verdict =
                group && kind == Icmp6ErrorKind::packet_too_big ? IcmpErrorVerdict::send : test.verdict;
            EXPECT_EQ(may_send_error(Icmp6Error{.kind = kind}, test.packet, test.context), verdict)
                << test.name << ", error " << static_cast<int>(kind);
        }
    }
}

TEST(MaySendError, UnknownOptionDecidesForGroups) {
    for (const int action : {0, 1, 2, 3}) {
        const auto option = static_cast<uint8_t>(action << 6 | 0x1e);
        const auto packet = packet6("2001:db8::1", "ff0e::1", wire::IpProtocol::destination_options,
                                    {59, 0, option, 4, 0, 0, 0, 0});
        EXPECT_EQ(
            may_send_error(Icmp6Error{.kind = Icmp6ErrorKind::unknown_option, .pointer = 42}, packet, {}),
            action == 2 ? IcmpErrorVerdict::send : IcmpErrorVerdict::group_destination);
        EXPECT_EQ(
            may_send_error(Icmp6Error{.kind = Icmp6ErrorKind::unknown_option, .pointer = 4000}, packet, {}),
            IcmpErrorVerdict::group_destination);
    }
    const auto silent = packet6("::", "ff0e::1", wire::IpProtocol::udp, kUdp);
    EXPECT_EQ(may_send_error(Icmp6Error{.kind = Icmp6ErrorKind::packet_too_big}, silent, {}),
              IcmpErrorVerdict::invalid_source)
        << "the exception is for destinations only";
}

TEST(BuildError, Ip4TypesCodesAndSecondWord) {
    const std::vector<std::tuple<Icmp4Error, int, int, uint32_t>> rows{
        {{Icmp4ErrorKind::net_unreachable}, 3, 0, 0},
        {{Icmp4ErrorKind::host_unreachable}, 3, 1, 0},
        {{Icmp4ErrorKind::protocol_unreachable}, 3, 2, 0},
        {{Icmp4ErrorKind::port_unreachable}, 3, 3, 0},
        {{.kind = Icmp4ErrorKind::fragmentation_needed, .mtu = 1400}, 3, 4, 1400},
        {{Icmp4ErrorKind::source_route_failed}, 3, 5, 0},
        {{Icmp4ErrorKind::admin_prohibited}, 3, 13, 0},
        {{Icmp4ErrorKind::ttl_exceeded}, 11, 0, 0},
        {{Icmp4ErrorKind::reassembly_time_exceeded}, 11, 1, 0},
        {{.kind = Icmp4ErrorKind::parameter_problem, .pointer = 22}, 12, 0, 22U << 24}};
    const auto packet = packet4(header4(), kUdp);
    for (const auto& [error, type, code, word] : rows) {
        Packet out(600);
        const auto view = wire::Ipv4View::checked(packet).value();
        const size_t size = build_error(error, view, ip4("10.0.0.1"), 99, out);
        ASSERT_EQ(size, 20U + 8 + 28);
        const auto ip = wire::Ipv4View::checked(wire::Bytes(out).first(size)).value();
        const auto icmp = wire::Icmp4View::checked(ip.payload()).value();
        EXPECT_EQ(static_cast<int>(icmp.type()), type);
        EXPECT_EQ(icmp.code(), code);
        EXPECT_EQ(icmp.word(), word);
        EXPECT_TRUE(wire::same_bytes(icmp.body(), packet)) << "quoted as received";
    }
}

// Byte for byte, checked by hand against what Linux answers to such a packet.
TEST(BuildError, Ip4Bytes) {
    auto header = header4();
    header.tos = 0xff;
    const auto packet = packet4(header, kUdp);
    Packet out(56);
    ASSERT_EQ(build_error(Icmp4Error{.kind = Icmp4ErrorKind::ttl_exceeded},
                          wire::Ipv4View::checked(packet).value(), ip4("10.0.0.1"), 0x0102, out),
              56U);
    const Packet headers{0x45, 0xde, 0,   56, 1, 2, 0,  0, 64, 1, 0, 0, 10, 0,
                         0,    1,    192, 0,  2, 1, 11, 0, 0,  0, 0, 0, 0,  0};
    Packet expected = joined(headers, packet);
    wire::checksum(wire::Bytes(expected).first(20)).store(expected.data() + 10);
    wire::checksum(wire::Bytes(expected).subspan(20)).store(expected.data() + 22);
    EXPECT_EQ(out, expected);
}

// R1812-4.3.2.3: as much as fits 576 bytes, options and padding behind the datagram considered.
TEST(BuildError, Ip4QuotesWhatFits) {
    for (const size_t payload : {0UL, 1UL, 8UL, 527UL, 528UL, 529UL, 1480UL, 65515UL}) {
        auto packet = packet4(header4(), Packet(payload, 0xab));
        const size_t total = packet.size();
        packet.resize(total + 5, 0xee);  // link padding is not quoted
        const auto view = wire::Ipv4View::checked(packet).value();
        Packet out(kIcmp4ErrorMaxSize);
        const size_t size = build_error(Icmp4Error{}, view, ip4("10.0.0.1"), 0, out);
        ASSERT_EQ(size, std::min<size_t>(576, total + 28));
        ASSERT_EQ(size, icmp4_error_size(view));
        EXPECT_TRUE(
            wire::same_bytes(wire::Bytes(out).subspan(28, size - 28), wire::Bytes(packet).first(size - 28)));
        EXPECT_EQ(
            build_error(Icmp4Error{}, view, ip4("10.0.0.1"), 0, wire::MutableBytes(out).first(size - 1)), 0U);
    }
}

TEST(BuildError, InThePlaceOfThePacket) {
    const auto packet = packet4(header4(), Packet(1000, 0x5a));
    Packet apart(600);
    const size_t size =
        build_error(Icmp4Error{}, wire::Ipv4View::checked(packet).value(), ip4("10.0.0.1"), 3, apart);
    Packet room = joined(Packet(28), packet);
    ASSERT_EQ(build_error(Icmp4Error{}, wire::Ipv4View::checked(wire::Bytes(room).subspan(28)).value(),
                          ip4("10.0.0.1"), 3, room),
              size);
    EXPECT_TRUE(wire::same_bytes(wire::Bytes(room).first(size), wire::Bytes(apart).first(size)));
}

TEST(BuildError, Ip6TypesCodesAndSecondWord) {
    const std::vector<std::tuple<Icmp6Error, int, int, uint32_t>> rows{
        {{Icmp6ErrorKind::no_route}, 1, 0, 0},
        {{Icmp6ErrorKind::admin_prohibited}, 1, 1, 0},
        {{Icmp6ErrorKind::beyond_scope}, 1, 2, 0},
        {{Icmp6ErrorKind::address_unreachable}, 1, 3, 0},
        {{Icmp6ErrorKind::port_unreachable}, 1, 4, 0},
        {{Icmp6ErrorKind::failed_policy}, 1, 5, 0},
        {{Icmp6ErrorKind::reject_route}, 1, 6, 0},
        {{.kind = Icmp6ErrorKind::packet_too_big, .mtu = 70000}, 2, 0, 70000},
        {{Icmp6ErrorKind::hop_limit_exceeded}, 3, 0, 0},
        {{Icmp6ErrorKind::reassembly_time_exceeded}, 3, 1, 0},
        {{.kind = Icmp6ErrorKind::erroneous_field, .pointer = 4}, 4, 0, 4},
        {{.kind = Icmp6ErrorKind::unknown_next_header, .pointer = 6}, 4, 1, 6},
        {{.kind = Icmp6ErrorKind::unknown_option, .pointer = 42}, 4, 2, 42},
        {{Icmp6ErrorKind::incomplete_first_fragment}, 4, 3, 0}};
    const auto packet = packet6("2001:db8::1", "2001:db8::2", wire::IpProtocol::udp, kUdp);
    for (const auto& [error, type, code, word] : rows) {
        Packet out(1280);
        const size_t size =
            build_error(error, wire::Ipv6View::checked(packet).value(), ip6("2001:db8::ff"), out);
        ASSERT_EQ(size, 40U + 8 + 48);
        const auto ip = wire::Ipv6View::checked(wire::Bytes(out).first(size)).value();
        EXPECT_EQ(ip.total_length(), size);
        EXPECT_EQ(ip.hop_limit(), 64);
        EXPECT_EQ(ip.next_header(), wire::IpProtocol::icmpv6);
        EXPECT_EQ(ip.source(), ip6("2001:db8::ff"));
        EXPECT_EQ(ip.destination(), ip6("2001:db8::1"));
        const auto icmp = wire::Icmp6View::checked(ip.payload(), ip.source(), ip.destination()).value();
        EXPECT_EQ(static_cast<int>(icmp.type()), type);
        EXPECT_EQ(icmp.code(), code);
        EXPECT_EQ(icmp.word(), word);
        EXPECT_TRUE(wire::same_bytes(icmp.body(), packet)) << "quoted as received";
    }
}

// R4443-2.4c
TEST(BuildError, Ip6QuotesWhatFits) {
    for (const size_t payload : {0UL, 1191UL, 1192UL, 1193UL, 1460UL, 65535UL}) {
        const auto packet =
            packet6("2001:db8::1", "2001:db8::2", wire::IpProtocol::udp, Packet(payload, 0xab));
        const auto view = wire::Ipv6View::checked(packet).value();
        Packet out(kIcmp6ErrorMaxSize);
        const size_t size = build_error(Icmp6Error{}, view, ip6("2001:db8::ff"), out);
        ASSERT_EQ(size, std::min<size_t>(1280, packet.size() + 48));
        ASSERT_EQ(size, icmp6_error_size(view));
        EXPECT_TRUE(
            wire::same_bytes(wire::Bytes(out).subspan(48, size - 48), wire::Bytes(packet).first(size - 48)));
        EXPECT_EQ(
            build_error(Icmp6Error{}, view, ip6("2001:db8::ff"), wire::MutableBytes(out).first(size - 1)),
            0U);
    }
}

}  // namespace
}  // namespace sluice::routing
