#include "wire/ipv6.hh"

#include <gtest/gtest.h>

#include "base/random.hh"
#include "wire/fragment.hh"
#include "wire/ip_packet.hh"
#include "wire/ipv6_extensions.hh"
#include "wire/test_bytes.hh"

namespace sluice::wire {
namespace {

const Buffer kUdp = from_hex(
    "6b8abcde000b110720010db800000000000000000000000120010db8000000000000000000000002 "
    "00010002000bd0fb6f6464");
// hop-by-hop (router alert), destination options, routing type 0, fragment, destination options, UDP
const Buffer kChain = from_hex(
    "600000000048004020010db800000000000000000000000120010db8000000000000000000000002"
    "3c00050200000100 2b00010400000000 2c0200010000000020010db8000000000000000000000003 3c000001deadbeef"
    "1100010400000000 000700080010d3743132333435363738");

TEST(Ipv6, ReadsAKnownPacket) {
    Buffer padded = kUdp;
    padded.resize(60);
    const auto view = Ipv6View::checked(padded).value();
    EXPECT_EQ(view.traffic_class(), 0xb8);
    EXPECT_EQ(view.ecn(), 0);
    EXPECT_EQ(view.flow_label(), 0xabcdeU);
    EXPECT_EQ(view.payload_length(), 11);
    EXPECT_EQ(view.total_length(), 51U);
    EXPECT_EQ(view.next_header(), IpProtocol::udp);
    EXPECT_EQ(view.hop_limit(), 7);
    EXPECT_EQ(view.source().to_string(), "2001:db8::1");
    EXPECT_EQ(view.destination().to_string(), "2001:db8::2");
    EXPECT_EQ(view.payload().size(), 11U);
}

TEST(Ipv6, RefusesByClause) {
    for (size_t size = 0; size < 40; ++size) {
        EXPECT_EQ(Ipv6View::checked(Bytes(kUdp).first(size)).error(), Ipv6Error::too_short);
    }
    for (size_t size = 40; size < 51; ++size) {
        EXPECT_EQ(Ipv6View::checked(Bytes(kUdp).first(size)).error(), Ipv6Error::truncated);
    }
    EXPECT_EQ(Ipv6View::checked(with(kUdp, 0, 0x45)).error(), Ipv6Error::bad_version);
    EXPECT_TRUE(Ipv6View::checked(with(kUdp, 5, 0))) << "no payload";
}

TEST(Ipv6, RoundTripAndRewrite) {
    Random random(5);
    for (int round = 0; round < 1000; ++round) {
        Ipv6Header header{.traffic_class = static_cast<uint8_t>(random.next()),
                          .flow_label = random.below(1 << 20),
                          .payload_length = static_cast<uint16_t>(random.below(100)),
                          .next_header = IpProtocol{static_cast<uint8_t>(random.next())},
                          .hop_limit = static_cast<uint8_t>(1 + random.below(255)),
                          .source = Ip6Address::load(kUdp.data() + random.below(30)),
                          .destination = Ip6Address::load(kUdp.data() + random.below(30))};
        Buffer bytes = emitted(header, 40);
        bytes.resize(40 + size_t{header.payload_length});
        ASSERT_EQ(Ipv6Header::parse(Ipv6View::checked(bytes).value()), header);
        auto view = MutableIpv6View::unchecked(bytes.data());
        view.decrement_hop_limit();
        --header.hop_limit;
        view.set_traffic_class(header.traffic_class = static_cast<uint8_t>(random.next()));
        view.set_source(header.source = header.destination);
        view.set_next_header(header.next_header = IpProtocol::gre);
        ASSERT_EQ(Ipv6Header::parse(Ipv6View::checked(bytes).value()), header);
    }
}

TEST(Ipv6Extensions, NoneAreCheap) {
    Ipv6Chain expected;
    expected.upper_protocol = IpProtocol::udp;
    EXPECT_EQ(walk_extensions(Ipv6View::checked(kUdp).value()), expected);
}

TEST(Ipv6Extensions, WalksAKnownChain) {
    const auto chain = walk_extensions(Ipv6View::checked(kChain).value());
    EXPECT_EQ(chain.error, Ipv6ChainError::none);
    EXPECT_EQ(chain.header_count, 5);
    EXPECT_EQ(chain.hop_by_hop_offset, 40);
    EXPECT_EQ(chain.routing_offset, 56);
    EXPECT_EQ(chain.routing_type, 0);
    EXPECT_EQ(chain.segments_left, 1);
    EXPECT_EQ(chain.fragment_offset, 80);
    EXPECT_EQ(chain.fragment_named_at, 56);
    EXPECT_FALSE(chain.non_first_fragment);
    EXPECT_EQ(chain.destination_offset, 88);
    EXPECT_EQ(chain.upper_protocol, IpProtocol::udp);
    EXPECT_EQ(chain.upper_offset, 96);
    EXPECT_EQ(chain.upper_named_at, 88);
}

TEST(Ipv6Extensions, StopsAtALaterFragment) {
    const auto chain = walk_extensions(Ipv6View::checked(with(kChain, 83, 0x09)).value());
    EXPECT_TRUE(chain.ok());
    EXPECT_TRUE(chain.non_first_fragment);
    EXPECT_EQ(chain.upper_protocol, IpProtocol::destination_options) << "as the fragment header names it";
    EXPECT_EQ(chain.upper_offset, 88);
    EXPECT_EQ(chain.destination_offset, 48) << "the one in front";
}

TEST(Ipv6Extensions, RefusesTruncatedChains) {
    // A payload cut at every byte: the walk must end with an error unless all headers are whole.
    for (size_t payload = 0; payload <= 72; ++payload) {
        Buffer bytes(kChain.begin(), kChain.begin() + 40 + static_cast<ptrdiff_t>(payload));
        write16(bytes.data() + 4, static_cast<uint16_t>(payload));
        const auto chain = walk_extensions(Ipv6View::checked(bytes).value());
        EXPECT_EQ(chain.error, payload < 56 ? Ipv6ChainError::truncated : Ipv6ChainError::none) << payload;
        EXPECT_LE(chain.upper_offset, bytes.size());
    }
}

// Extension headers of eight bytes each in front of an empty upper layer.
Buffer chain_of(std::initializer_list<IpProtocol> protocols, IpProtocol upper) {
    Buffer bytes(40 + protocols.size() * 8);
    Ipv6Header{.payload_length = static_cast<uint16_t>(protocols.size() * 8)}.emit(bytes);
    size_t named_at = 6;
    size_t at = 40;
    for (const IpProtocol protocol : protocols) {
        bytes[named_at] = static_cast<uint8_t>(protocol);
        named_at = at;
        if (protocol != IpProtocol::fragment) {
            bytes[at + 2] = 1;
            bytes[at + 3] = 4;
        }
        at += 8;
    }
    bytes[named_at] = static_cast<uint8_t>(upper);
    return bytes;
}

TEST(Ipv6Extensions, TheLastHeaderMayReachBeyondThePacketAsFarAsTheProtocolGoes) {
    using enum IpProtocol;
    Buffer bytes = chain_of({hop_by_hop, routing}, gre);
    bytes[49] = 2;  // 24 bytes, of which eight are there
    EXPECT_TRUE(walk_extensions(Ipv6View::checked(bytes).value()).cut);
    const auto packet = IpPacket::of(Ipv6View::checked(bytes).value());
    EXPECT_FALSE(packet.has_broken_chain());
    EXPECT_EQ(packet.protocol(), gre);
    EXPECT_TRUE(packet.upper().empty());

    bytes[48] = static_cast<uint8_t>(destination_options);
    const auto no_last = IpPacket::of(Ipv6View::checked(bytes).value());
    EXPECT_TRUE(no_last.has_broken_chain()) << "what follows the next extension header is not known";
    EXPECT_EQ(no_last.protocol(), routing);
}

TEST(Ipv6Extensions, RefusesBadOrders) {
    using enum IpProtocol;
    const auto walk = [](const Buffer& bytes, uint8_t bound = kMaxExtensionHeaders) {
        return walk_extensions(Ipv6View::checked(bytes).value(), bound);
    };
    const auto misplaced = walk(chain_of({destination_options, hop_by_hop}, tcp));
    EXPECT_EQ(misplaced.error, Ipv6ChainError::misplaced_hop_by_hop);
    EXPECT_EQ(misplaced.error_offset, 40) << "the field that names it (R8200)";
    EXPECT_EQ(misplaced.upper_protocol, tcp);
    EXPECT_EQ(misplaced.upper_offset, 56) << "the walk goes on";
    EXPECT_FALSE(misplaced.cut);
    EXPECT_EQ(misplaced.hop_by_hop_offset, 0);
    const auto twice = walk(chain_of({hop_by_hop, hop_by_hop}, tcp));
    EXPECT_EQ(twice.error, Ipv6ChainError::misplaced_hop_by_hop);
    EXPECT_EQ(twice.hop_by_hop_offset, 40) << "the one in its place";
    const auto both = walk(chain_of({hop_by_hop, hop_by_hop, destination_options}, tcp), 2);
    EXPECT_EQ(both.error, Ipv6ChainError::misplaced_hop_by_hop) << "what came first";
    EXPECT_TRUE(both.cut);
    EXPECT_EQ(walk(chain_of({fragment, destination_options, fragment}, tcp)).error,
              Ipv6ChainError::repeated_fragment_header);
    const auto many = chain_of({destination_options, destination_options, destination_options}, tcp);
    EXPECT_TRUE(walk(many, 3).ok());
    EXPECT_EQ(walk(many, 2).error, Ipv6ChainError::too_many_headers);
    EXPECT_EQ(walk(many, 2).header_count, 2);
}

TEST(Ipv6Extensions, EndsOfChains) {
    using enum IpProtocol;
    for (const IpProtocol end : {esp, none, tcp, icmpv6, IpProtocol{253}}) {
        const auto chain = walk_extensions(Ipv6View::checked(chain_of({destination_options}, end)).value());
        EXPECT_TRUE(chain.ok());
        EXPECT_EQ(chain.upper_protocol, end);
        EXPECT_EQ(chain.upper_offset, 48);
    }
    // The authentication header counts its length in other units: (4 + 2) * 4 bytes.
    Buffer bytes = emitted(Ipv6Header{.payload_length = 24, .next_header = ah}, 40);
    bytes.resize(64);
    bytes[40] = 6;
    bytes[41] = 4;
    const auto chain = walk_extensions(Ipv6View::checked(bytes).value());
    EXPECT_TRUE(chain.ok());
    EXPECT_EQ(chain.upper_protocol, tcp);
    EXPECT_EQ(chain.upper_offset, 64);
}

Ipv6OptionSummary option_summary(std::initializer_list<uint8_t> options,
                                 Ipv6OptionsHeader header = Ipv6OptionsHeader::hop_by_hop) {
    Buffer bytes = emitted(Ipv6Header{.payload_length = static_cast<uint16_t>(options.size() + 2),
                                      .next_header = IpProtocol::destination_options},
                           40);
    bytes.resize(42 + options.size());
    bytes[41] = static_cast<uint8_t>((options.size() + 2) / 8 - 1);
    std::copy(options.begin(), options.end(), bytes.begin() + 42);
    const auto view = Ipv6View::checked(bytes).value();
    return summarize_options(view, walk_extensions(view).destination_offset, header);
}

// RFC 8200 4.2
TEST(Ipv6Options, Summaries) {
    EXPECT_EQ(option_summary({1, 4, 0, 0, 0, 0}), Ipv6OptionSummary{});
    EXPECT_EQ(option_summary({0, 0, 0, 0, 0, 0}), Ipv6OptionSummary{});
    EXPECT_EQ(option_summary({5, 2, 0, 0, 1, 0}), Ipv6OptionSummary{.router_alert = true});
    EXPECT_EQ(option_summary({0x1e, 4, 0, 0, 0, 0}), Ipv6OptionSummary{}) << "to be skipped";
    EXPECT_EQ(option_summary({0, 0x5e, 3, 0, 0, 0}),
              (Ipv6OptionSummary{.action = Ipv6OptionAction::discard, .pointer = 43}));
    EXPECT_EQ(option_summary({0x9e, 4, 0, 0, 0, 0}),
              (Ipv6OptionSummary{.action = Ipv6OptionAction::discard_report, .pointer = 42}));
    EXPECT_EQ(option_summary({0xde, 4, 0, 0, 0, 0}),
              (Ipv6OptionSummary{.action = Ipv6OptionAction::discard_report_unicast, .pointer = 42}));
    EXPECT_EQ(option_summary({1, 5, 0, 0, 0, 0}), (Ipv6OptionSummary{.malformed = true, .pointer = 42}));
    EXPECT_EQ(option_summary({1, 3, 0, 0, 0, 1}), (Ipv6OptionSummary{.malformed = true, .pointer = 47}));
    EXPECT_EQ(option_summary({0x1e, 12, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0}), Ipv6OptionSummary{})
        << "two units long";
}

// RFC 8504 5.3
TEST(Ipv6Options, PaddingIsShortAndZero) {
    EXPECT_EQ(option_summary({1, 4, 0, 0, 1, 0}), (Ipv6OptionSummary{.malformed = true, .pointer = 42}));
    EXPECT_EQ(option_summary({1, 6, 0, 0, 0, 0, 0, 0, 0x1e, 4, 0, 0, 0, 0}),
              (Ipv6OptionSummary{.malformed = true, .pointer = 42}));
    EXPECT_EQ(option_summary({1, 5, 0, 0, 0, 0, 0, 0x1e, 4, 0, 0, 0, 0, 0}), Ipv6OptionSummary{});
    EXPECT_EQ(option_summary({0, 0, 0, 0, 1, 1, 0, 0, 0x1e, 4, 0, 0, 0, 0}),
              (Ipv6OptionSummary{.malformed = true, .pointer = 49}));
}

TEST(Ipv6Options, NoMoreThanEight) {
    EXPECT_EQ(option_summary(
                  {0x1e, 0, 0x1e, 0, 0x1e, 0, 0x1e, 0, 0x1e, 0, 0x1e, 0, 0x1e, 0, 0x1e, 0, 1, 4, 0, 0, 0, 0}),
              Ipv6OptionSummary{});
    EXPECT_EQ(option_summary({0x1e, 0,    0x1e, 0,    0x1e, 0,    0x1e, 0, 0x1e, 0, 0x1e,
                              0,    0x1e, 0,    0x1e, 0,    0x1e, 4,    0, 0,    0, 0}),
              (Ipv6OptionSummary{.malformed = true, .pointer = 58}));
}

// RFC 2711 2.1
TEST(Ipv6Options, LengthOfARouterAlert) {
    const Ipv6OptionSummary malformed{.malformed = true, .pointer = 42};
    EXPECT_EQ(option_summary({5, 0, 0, 0, 0, 0}), malformed);
    EXPECT_EQ(option_summary({5, 4, 0, 0, 0, 0}), malformed);
    EXPECT_FALSE(option_summary({5, 4, 0, 0, 0, 0}, Ipv6OptionsHeader::destination).malformed);
}

TEST(Ipv6Fragment, RoundTrip) {
    const Ipv6FragmentHeader header{IpProtocol::udp, 65528, true, 0xdeadbeef};
    const Buffer bytes = emitted(header, 8);
    EXPECT_EQ(bytes, from_hex("1100fff9deadbeef"));
    EXPECT_EQ(Ipv6FragmentHeader::parse(Ipv6FragmentView::checked(bytes).value()), header);
    EXPECT_EQ(Ipv6FragmentView::checked(Bytes(bytes).first(7)).error(), Ipv6FragmentError::too_short);
    EXPECT_FALSE(Ipv6FragmentView::checked(bytes)->is_atomic());
    EXPECT_TRUE(Ipv6FragmentView::checked(from_hex("1100000600000000"))->is_atomic())
        << "reserved bits do not matter";
    EXPECT_FALSE(Ipv6FragmentView::checked(from_hex("1100000100000000"))->is_atomic());
}

}  // namespace
}  // namespace sluice::wire
