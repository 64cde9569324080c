#include "conntrack/icmp_tracker.hh"

#include <gtest/gtest.h>

#include <chrono>
#include <map>
#include <set>

#include "wire/icmp4.hh"
#include "wire/icmp6.hh"
#include "wire/test_bytes.hh"

namespace sluice::conntrack {
namespace {

using std::chrono::seconds;
using wire::Buffer;
using wire::IpPacket;
using wire::IpProtocol;

const Ip4Address kA4 = Ip4Address::parse("192.0.2.1").value();
const Ip4Address kB4 = Ip4Address::parse("198.51.100.2").value();
const Ip6Address kA6 = Ip6Address::parse("2001:db8::1").value();
const Ip6Address kB6 = Ip6Address::parse("2001:db8::2").value();
const Ip6Address kRouter = Ip6Address::parse("fe80::1").value();

Buffer ip4(IpProtocol protocol, const Buffer& payload) {
    wire::Ipv4Header header{.protocol = protocol, .source = kA4, .destination = kB4};
    header.payload_length = static_cast<uint16_t>(payload.size());
    Buffer bytes(header.header_size());
    header.emit(bytes);
    bytes.insert(bytes.end(), payload.begin(), payload.end());
    return bytes;
}
Buffer ip6(IpProtocol protocol, const Buffer& payload, const Ip6Address& source = kA6, uint8_t hops = 64) {
    Buffer bytes(wire::kIpv6HeaderSize);
    wire::Ipv6Header{.payload_length = static_cast<uint16_t>(payload.size()),
                     .next_header = protocol,
                     .hop_limit = hops,
                     .source = source,
                     .destination = kB6}
        .emit(bytes);
    bytes.insert(bytes.end(), payload.begin(), payload.end());
    return bytes;
}
IpPacket packet4(const Buffer& bytes) {
    return IpPacket::of(wire::Ipv4View::checked(bytes).value());
}
IpPacket packet6(const Buffer& bytes) {
    return IpPacket::of(wire::Ipv6View::checked(bytes).value());
}
Buffer message(uint8_t type, const Buffer& body = {}) {
    Buffer bytes{type, 0, 0, 0, 0, 0, 0, 0};
    bytes.insert(bytes.end(), body.begin(), body.end());
    return bytes;
}

TEST(IcmpTracker, ClassesOfIcmp) {
    const std::set<int> errors{3, 4, 5, 11, 12};
    for (int type = 0; type < 256; ++type) {
        const Buffer bytes = ip4(IpProtocol::icmp, message(static_cast<uint8_t>(type)));
        const auto expected = type > 18               ? IcmpClass::invalid
                              : errors.contains(type) ? IcmpClass::error
                                                      : IcmpClass::query;
        EXPECT_EQ(classify_icmp(packet4(bytes)), expected) << type;
    }
}

TEST(IcmpTracker, ClassesOfIcmp6) {
    const std::set<int> untracked{130, 131, 132, 133, 134, 135, 136, 143};
    for (int type = 0; type < 256; ++type) {
        const Buffer bytes = ip6(IpProtocol::icmpv6, message(static_cast<uint8_t>(type)));
        const auto expected = untracked.contains(type)    ? IcmpClass::untracked
                              : type < 128 || type == 137 ? IcmpClass::error
                                                          : IcmpClass::query;
        EXPECT_EQ(classify_icmp(packet6(bytes)), expected) << type;
    }
}

TEST(IcmpTracker, IcmpOfTheOtherFamilyIsInvalid) {
    EXPECT_EQ(classify_icmp(packet4(ip4(IpProtocol::icmpv6, message(128)))), IcmpClass::invalid);
    EXPECT_EQ(classify_icmp(packet6(ip6(IpProtocol::icmp, message(8)))), IcmpClass::invalid);
}

TEST(IcmpTracker, QueriesAndAnswers) {
    const std::map<int, int> pairs4{{8, 0},   {0, 8},   {13, 14}, {14, 13},
                                    {15, 16}, {16, 15}, {17, 18}, {18, 17}};
    const std::map<int, int> pairs6{{128, 129}, {129, 128}, {139, 140}, {140, 139}};
    const std::set<int> begin4{8, 13, 15, 17};
    const std::set<int> begin6{128, 139};
    const Settings settings = Settings::of(Profile::linux);
    const auto check = [&](Family family, const std::map<int, int>& pairs, const std::set<int>& begin) {
        for (int type = 0; type < 256; ++type) {
            const auto number = static_cast<uint8_t>(type);
            const auto opposite = opposite_icmp_type(family, number);
            EXPECT_EQ(opposite.has_value(), pairs.contains(type)) << type;
            if (opposite) {
                EXPECT_EQ(*opposite, pairs.at(type)) << type;
            }
            EXPECT_EQ(track_icmp(family, number, {}, settings),
                      begin.contains(type) ? TrackResult::live(seconds(30))
                                           : TrackResult::invalid(InvalidReason::icmp_no_query))
                << type;
        }
    };
    check(Family::ip4, pairs4, begin4);
    check(Family::ip6, pairs6, begin6);
}

// R5508-2
TEST(IcmpTracker, TimeoutOfTheRfcs) {
    const Settings settings = Settings::of(Profile::rfc);
    const FlowFacts known{Direction::reply, kConfirmed, {}};
    EXPECT_EQ(track_icmp(Family::ip4, 8, known, settings), TrackResult::live(seconds(60)));
    EXPECT_EQ(track_icmp(Family::ip6, 128, known, settings), TrackResult::live(seconds(60)));
}

const Buffer kPorts = wire::from_hex("04d2 0035 0008 0000");

std::expected<QuotedPacket, InvalidReason> quoted4(const Buffer& inner, Profile profile = Profile::rfc) {
    static Buffer outer;
    outer = ip4(IpProtocol::icmp, message(3, inner));
    return find_quotation(packet4(outer), Settings::of(profile));
}
std::expected<QuotedPacket, InvalidReason> quoted6(const Buffer& inner) {
    static Buffer outer;
    outer = ip6(IpProtocol::icmpv6, message(1, inner));
    return find_quotation(packet6(outer), Settings::of(Profile::rfc));
}

TEST(IcmpQuotation, Ip4) {
    const auto quoted = quoted4(ip4(IpProtocol::udp, kPorts)).value();
    EXPECT_EQ(quoted.source, IpAddress(kA4));
    EXPECT_EQ(quoted.destination, IpAddress(kB4));
    EXPECT_EQ(quoted.protocol, IpProtocol::udp);
    EXPECT_TRUE(wire::same_bytes(quoted.upper, kPorts));
}

// R5508-3c: the quotation is cut, so that nothing in it can be summed.
TEST(IcmpQuotation, OnlyWhatIsThereIsGiven) {
    Buffer inner = ip4(IpProtocol::udp, Buffer(1000, 7));
    inner.resize(28);
    EXPECT_EQ(quoted4(inner)->upper.size(), 8U);
    inner.resize(20);
    EXPECT_TRUE(quoted4(inner)->upper.empty());
    inner.resize(19);
    EXPECT_EQ(quoted4(inner).error(), InvalidReason::icmp_quotation);
}

// R5508-3b
TEST(IcmpQuotation, OptionsAreSkipped) {
    for (uint8_t words = 0; words <= 10; ++words) {
        wire::Ipv4Header header{.protocol = IpProtocol::udp, .source = kA4, .destination = kB4};
        header.options_length = static_cast<uint8_t>(words * 4);
        header.options.fill(1);
        std::fill(header.options.begin() + header.options_length, header.options.end(), uint8_t{0});
        Buffer inner(header.header_size());
        header.emit(inner);
        EXPECT_EQ(quoted4(inner)->upper.size(), 0U);
        inner.insert(inner.end(), kPorts.begin(), kPorts.end());
        EXPECT_TRUE(wire::same_bytes(quoted4(inner)->upper, kPorts)) << int{words};
        inner.resize(header.header_size() - 1);
        EXPECT_FALSE(quoted4(inner));
    }
}

// R5508-3a
TEST(IcmpQuotation, HeaderChecksum) {
    const Buffer right = ip4(IpProtocol::udp, kPorts);
    const Buffer wrong = wire::with(right, 10, static_cast<uint8_t>(right[10] ^ 1));
    EXPECT_EQ(quoted4(wrong).error(), InvalidReason::icmp_quotation);
    EXPECT_TRUE(quoted4(wrong, Profile::linux));
}

TEST(IcmpQuotation, LaterFragmentsHaveNoPorts) {
    wire::Ipv4Header header{
        .fragment_offset = 8, .protocol = IpProtocol::udp, .source = kA4, .destination = kB4};
    Buffer inner(header.header_size());
    header.emit(inner);
    inner.insert(inner.end(), kPorts.begin(), kPorts.end());
    EXPECT_EQ(quoted4(inner).error(), InvalidReason::icmp_quotation);
    const Buffer fragment = wire::from_hex("1100 0008 00000001 04d2 0035 0008 0000");
    EXPECT_EQ(quoted6(ip6(IpProtocol::fragment, fragment)).error(), InvalidReason::icmp_quotation);
}

TEST(IcmpQuotation, HeaderLengthBelowFiveWords) {
    const Buffer inner = wire::with(ip4(IpProtocol::udp, kPorts), 0, 0x44);
    EXPECT_EQ(quoted4(inner).error(), InvalidReason::icmp_quotation);
    EXPECT_EQ(quoted4(inner, Profile::linux)->upper.size(), 4 + kPorts.size()) << "begins where that says";
    EXPECT_EQ(quoted4(wire::with(inner, 0, 0x40), Profile::linux)->upper.size(), inner.size());
}

TEST(IcmpQuotation, Ip6BehindExtensionHeaders) {
    const Buffer chain = wire::from_hex(
        "3c00 000000000000"                   // hop-by-hop, then destination options
        "2c01 000000000000 0000000000000000"  // two units, then a fragment header
        "3300 0001 00000001"                  // first fragment, then AH
        "1101 0000 00000000 00000000"         // three words, then UDP
        "04d2 0035 0008 0000");
    const auto quoted = quoted6(ip6(IpProtocol::hop_by_hop, chain)).value();
    EXPECT_EQ(quoted.protocol, IpProtocol::udp);
    EXPECT_EQ(quoted.source, IpAddress(kA6));
    EXPECT_EQ(quoted.destination, IpAddress(kB6));
    EXPECT_TRUE(wire::same_bytes(quoted.upper, kPorts));
    // Cut anywhere before the upper header.
    const Buffer whole = ip6(IpProtocol::hop_by_hop, chain);
    for (size_t size = 0; size < whole.size() - kPorts.size(); ++size)
        EXPECT_FALSE(quoted6(Buffer(whole.begin(), whole.begin() + static_cast<ptrdiff_t>(size)))) << size;
}

TEST(IcmpQuotation, Ip6WithoutUpperLayer) {
    EXPECT_FALSE(quoted6(ip6(IpProtocol::none, kPorts)));
    Buffer chain;
    for (int i = 0; i < 20; ++i)
        chain.insert(chain.end(), {60, 0, 0, 0, 0, 0, 0, 0});
    EXPECT_FALSE(quoted6(ip6(IpProtocol::destination_options, chain)));
}

// RFC 4861 4.5, 8.1
TEST(IcmpQuotation, Redirects) {
    const auto redirect = [](const Ip6Address& source, uint8_t hops, uint8_t code, std::string_view option) {
        static Buffer bytes;
        Buffer body(32, 0);
        const Buffer head = wire::from_hex(option);
        body.insert(body.end(), head.begin(), head.end());
        const Buffer inner = ip6(IpProtocol::udp, kPorts);
        body.insert(body.end(), inner.begin(), inner.end());
        Buffer whole = message(137, body);
        whole[1] = code;
        bytes = ip6(IpProtocol::icmpv6, whole, source, hops);
        return find_quotation(packet6(bytes), Settings::of(Profile::linux));
    };
    constexpr std::string_view kOption = "0408 000000000000";
    const auto good = redirect(kRouter, 255, 0, kOption);
    ASSERT_TRUE(good);
    EXPECT_TRUE(wire::same_bytes(good->upper, kPorts));
    for (const auto& bad :
         {redirect(kA6, 255, 0, kOption), redirect(kRouter, 254, 0, kOption),
          redirect(kRouter, 255, 1, kOption), redirect(kRouter, 255, 0, "0208 000000000000"),
          redirect(kRouter, 255, 0, "0400 000000000000")})
        EXPECT_EQ(bad.error(), InvalidReason::icmp_redirect);
    Buffer shortened = ip6(IpProtocol::icmpv6, message(137), kRouter, 255);
    EXPECT_EQ(find_quotation(packet6(shortened), Settings::of(Profile::rfc)).error(),
              InvalidReason::icmp_redirect);
}

}  // namespace
}  // namespace sluice::conntrack
