#include "wire/ipv4.hh"

#include <gtest/gtest.h>

#include <vector>

#include "base/random.hh"
#include "wire/ipv4_options.hh"
#include "wire/test_bytes.hh"

namespace sluice::wire {
namespace {

const Buffer kUdp = from_hex("452e00211c4640003f113321c0000201c6336402 30390035000d9f5c68656c6c6f");

TEST(Ipv4, ReadsAKnownPacket) {
    Buffer padded = kUdp;
    padded.resize(46);
    const auto view = Ipv4View::checked(padded).value();
    EXPECT_EQ(view.header_length(), 20U);
    EXPECT_FALSE(view.has_options());
    EXPECT_EQ(view.tos(), 0x2e);
    EXPECT_EQ(view.dscp(), 0x0b);
    EXPECT_EQ(view.ecn(), 2);
    EXPECT_EQ(view.total_length(), 33);
    EXPECT_EQ(view.id(), 0x1c46);
    EXPECT_TRUE(view.dont_fragment());
    EXPECT_FALSE(view.more_fragments());
    EXPECT_EQ(view.fragment_offset(), 0U);
    EXPECT_FALSE(view.is_fragment());
    EXPECT_TRUE(view.is_first_fragment());
    EXPECT_EQ(view.ttl(), 63);
    EXPECT_EQ(view.protocol(), IpProtocol::udp);
    EXPECT_EQ(view.checksum().host(), 0x3321);
    EXPECT_EQ(view.source().to_string(), "192.0.2.1");
    EXPECT_EQ(view.destination().to_string(), "198.51.100.2");
    EXPECT_EQ(view.payload().size(), 13U) << "link padding is cut off";
    EXPECT_EQ(view.bytes().size(), 33U);
}

// R1812-5.2.2: one damaged packet for each clause.
TEST(Ipv4, RefusesByClause) {
    for (size_t size = 0; size < 20; ++size) {
        EXPECT_EQ(Ipv4View::checked(Bytes(kUdp).first(size)).error(), Ipv4Error::too_short);
    }
    for (size_t size = 20; size < 33; ++size) {
        EXPECT_EQ(Ipv4View::checked(Bytes(kUdp).first(size)).error(), Ipv4Error::truncated);
    }
    for (const int version : {0, 5, 6, 15}) {
        EXPECT_EQ(Ipv4View::checked(with(kUdp, 0, static_cast<uint8_t>(version << 4 | 5))).error(),
                  Ipv4Error::bad_version);
    }
    for (const int words : {0, 1, 4}) {
        EXPECT_EQ(Ipv4View::checked(with(kUdp, 0, static_cast<uint8_t>(0x40 | words))).error(),
                  Ipv4Error::bad_header_length);
    }
    EXPECT_EQ(Ipv4View::checked(with(kUdp, 3, 19)).error(), Ipv4Error::bad_total_length);
    EXPECT_EQ(Ipv4View::checked(with(kUdp, 3, 0)).error(), Ipv4Error::bad_total_length);
    EXPECT_EQ(Ipv4View::checked(with(kUdp, 0, 0x49)).error(), Ipv4Error::bad_total_length)
        << "36 bytes of header";
    EXPECT_EQ(Ipv4View::checked(with(kUdp, 3, 34)).error(), Ipv4Error::truncated);
    EXPECT_EQ(Ipv4View::checked(with(kUdp, 8, 64)).error(), Ipv4Error::bad_checksum);
    EXPECT_TRUE(Ipv4View::checked_shape(with(kUdp, 8, 64)));
    EXPECT_EQ(Ipv4View::checked_shape(with(kUdp, 3, 34)).error(), Ipv4Error::truncated);
}

TEST(Ipv4, ChecksumCoversOptions) {
    Ipv4Header header{.payload_length = 0, .options_length = 8};
    header.options = {148, 4, 0, 0, 1, 1, 1, 0};
    const Buffer bytes = emitted(header, 28);
    ASSERT_TRUE(Ipv4View::checked(bytes));
    EXPECT_EQ(Ipv4View::checked(with(bytes, 23, 1)).error(), Ipv4Error::bad_checksum);
}

TEST(Ipv4, FragmentFields) {
    const Ipv4Header last{.fragment_offset = 65528};
    const Buffer bytes = emitted(last, 20);
    const auto view = Ipv4View::checked(bytes).value();
    EXPECT_TRUE(view.is_fragment());
    EXPECT_FALSE(view.is_first_fragment());
    EXPECT_EQ(view.fragment_offset(), 65528U);
    const Buffer first = emitted(Ipv4Header{.more_fragments = true}, 20);
    EXPECT_TRUE(Ipv4View::checked(first)->is_fragment());
    EXPECT_TRUE(Ipv4View::checked(first)->is_first_fragment());
}

TEST(Ipv4, RoundTrip) {
    EXPECT_EQ(Buffer(kUdp.begin(), kUdp.begin() + 20),
              emitted(Ipv4Header::parse(Ipv4View::checked(kUdp).value()), 20));
    Random random(4);
    for (int round = 0; round < 2000; ++round) {
        Ipv4Header header{.tos = static_cast<uint8_t>(random.next()),
                          .id = static_cast<uint16_t>(random.next()),
                          .dont_fragment = random.below(2) == 1,
                          .more_fragments = random.below(2) == 1,
                          .fragment_offset = random.below(8192) * 8,
                          .ttl = static_cast<uint8_t>(random.next()),
                          .protocol = IpProtocol{static_cast<uint8_t>(random.next())},
                          .source = Ip4Address::from_host(static_cast<uint32_t>(random.next())),
                          .destination = Ip4Address::from_host(static_cast<uint32_t>(random.next())),
                          .payload_length = static_cast<uint16_t>(random.below(1500)),
                          .options_length = static_cast<uint8_t>(random.below(11) * 4)};
        for (size_t at = 0; at < header.options_length; ++at) {
            header.options.at(at) = static_cast<uint8_t>(random.next());
        }
        Buffer bytes = emitted(header, header.header_size());
        bytes.resize(bytes.size() + header.payload_length);
        const auto view = Ipv4View::checked(bytes);
        ASSERT_TRUE(view);
        ASSERT_EQ(Ipv4Header::parse(*view), header);
    }
}

TEST(MutableIpv4, KeepsTheChecksumRight) {
    Buffer bytes = kUdp;
    auto view = MutableIpv4View::unchecked(bytes.data());
    view.decrement_ttl();
    EXPECT_EQ(view.ttl(), 62);
    EXPECT_TRUE(Ipv4View::checked(bytes));
    view.set_ttl(255);
    EXPECT_TRUE(Ipv4View::checked(bytes));
    view.set_tos(0xb8);
    EXPECT_EQ(view.tos(), 0xb8);
    EXPECT_TRUE(Ipv4View::checked(bytes));
    view.set_source(Ip4Address::from_host(0x01020304));
    view.set_destination(Ip4Address::from_host(0xfffffffe));
    EXPECT_EQ(view.source().host(), 0x01020304U);
    EXPECT_EQ(view.destination().host(), 0xfffffffeU);
    EXPECT_TRUE(Ipv4View::checked(bytes));
    Buffer damaged = with(kUdp, 10, 0);
    MutableIpv4View::unchecked(damaged.data()).decrement_ttl();
    EXPECT_EQ(Ipv4View::checked(damaged).error(), Ipv4Error::bad_checksum)
        << "damage is not repaired by forwarding";
}

Ipv4OptionSummary summary_of(std::initializer_list<uint8_t> options) {
    Ipv4Header header{.options_length = static_cast<uint8_t>((options.size() + 3) / 4 * 4)};
    std::copy(options.begin(), options.end(), header.options.begin());
    const Buffer bytes = emitted(header, header.header_size());
    return summarize_options(Ipv4View::checked(bytes).value());
}

TEST(Ipv4Options, ReadsAKnownPacket) {
    const Buffer bytes = from_hex(
        "4b00002c000100004011b5d0c0000201c6336402 07070401020304 830b04 09090909 08080808 94040000 0000");
    const auto view = Ipv4View::checked(bytes).value();
    Ipv4OptionWalk walk(view);
    std::vector<Ipv4Option> options;
    while (const auto option = walk.next()) {
        options.push_back(*option);
    }
    ASSERT_EQ(options.size(), 3U);
    EXPECT_EQ(options[0].type, Ipv4OptionType::record_route);
    EXPECT_EQ(options[0].offset, 20);
    EXPECT_EQ(options[0].bytes.size(), 7U);
    EXPECT_FALSE(options[0].copied());
    EXPECT_TRUE(options[1].is_source_route());
    EXPECT_TRUE(options[1].copied());
    EXPECT_EQ(options[1].offset, 27);
    EXPECT_EQ(options[2].type, Ipv4OptionType::router_alert);
    EXPECT_FALSE(walk.next());
    EXPECT_FALSE(walk.malformed());
    EXPECT_EQ(summarize_options(view),
              (Ipv4OptionSummary{.source_route = true, .record_route = true, .router_alert = true}));
}

TEST(Ipv4Options, Summaries) {
    EXPECT_EQ(summary_of({}), Ipv4OptionSummary{});
    EXPECT_EQ(summary_of({1, 1, 1, 0}), Ipv4OptionSummary{});
    EXPECT_TRUE(summary_of({137, 7, 4, 1, 2, 3, 4, 0}).source_route);
    EXPECT_TRUE(summary_of({1, 131, 3, 4}).source_route);
    EXPECT_TRUE(summary_of({68, 4, 5, 0}).timestamp);
    EXPECT_EQ(summary_of({0, 131, 3, 4}), Ipv4OptionSummary{}) << "behind the end there are none";
    // A length that is missing, too small, or beyond the header.
    EXPECT_EQ(summary_of({1, 1, 1, 7}), (Ipv4OptionSummary{.malformed = true, .pointer = 23}));
    EXPECT_EQ(summary_of({7, 0, 0, 0}), (Ipv4OptionSummary{.malformed = true, .pointer = 20}));
    EXPECT_EQ(summary_of({1, 7, 1, 0}), (Ipv4OptionSummary{.malformed = true, .pointer = 21}));
    EXPECT_EQ(summary_of({7, 5, 0, 0}), (Ipv4OptionSummary{.malformed = true, .pointer = 20}));
    EXPECT_EQ(summary_of({131, 3, 4, 7, 255, 0, 0, 0}),
              (Ipv4OptionSummary{.source_route = true, .malformed = true, .pointer = 23}));
}

}  // namespace
}  // namespace sluice::wire
