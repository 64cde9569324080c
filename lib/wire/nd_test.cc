#include "wire/nd.hh"

#include <gtest/gtest.h>

#include "wire/test_bytes.hh"

namespace sluice::wire {
namespace {

Ip6Address address(const char* text) {
    return Ip6Address::parse(text).value();
}
const MacAddress kMac{{2, 0, 0, 0, 0, 1}};
const Ip6Address kRouter = address("fe80::1");
const Ip6Address kHost = address("2001:db8::2");
const Ip6Address kGroup = address("ff02::1:ff00:2");

const Buffer kSolicitation = from_hex("87004b5f0000000020010db8000000000000000000000002 0101020000000001");
const Buffer kAdvertisement = from_hex("880039a9e000000020010db8000000000000000000000002 0201020000000002");
const Buffer kRouterSolicitation = from_hex("85007a2c00000000 0101020000000001");
const Buffer kRouterAdvertisement = from_hex(
    "8600b2374088070800007530000003e8 0101020000000001 05010000000005dc"
    "030440c000015180000038400000000020010db8000100000000000000000000");
const Buffer kRedirect = from_hex(
    "890019fe00000000fe80000000000000000000000000000920010db8000900000000000000000001 0201020000000009");

// A message as it came, with its checksum made right after a change.
struct Message {
    Buffer bytes;
    Ip6Address source = kRouter;
    Ip6Address destination = kHost;
    uint8_t hop_limit = 255;

    [[nodiscard]] NdPacket packet() const { return {source, destination, hop_limit, bytes}; }
};

Message mended(Buffer bytes, const Ip6Address& source, const Ip6Address& destination) {
    set_icmp6_checksum(bytes, source, destination);
    return {std::move(bytes), source, destination};
}

template <typename Value>
NdError error_of(const Message& message) {
    const auto result = Value::parse(message.packet());
    EXPECT_FALSE(result);
    return result ? NdError::wrong_type : result.error();
}

TEST(Nd, ReadsAndWritesKnownPackets) {
    const Message solicitation{kSolicitation, kRouter, kGroup};
    const auto ns = NeighbourSolicitation::parse(solicitation.packet()).value();
    EXPECT_EQ(ns, (NeighbourSolicitation{kHost, kMac}));
    EXPECT_EQ(emitted(ns, ns.size(), kRouter, kGroup), kSolicitation);

    const Message advertisement{kAdvertisement, kHost, kRouter};
    const auto na = NeighbourAdvertisement::parse(advertisement.packet()).value();
    EXPECT_EQ(na, (NeighbourAdvertisement{kHost, true, true, true, MacAddress{{2, 0, 0, 0, 0, 2}}}));
    EXPECT_EQ(emitted(na, na.size(), kHost, kRouter), kAdvertisement);

    const auto all_routers = address("ff02::2");
    const Message router_solicitation{kRouterSolicitation, kRouter, all_routers};
    const auto rs = RouterSolicitation::parse(router_solicitation.packet()).value();
    EXPECT_EQ(rs, RouterSolicitation{kMac});
    EXPECT_EQ(emitted(rs, rs.size(), kRouter, all_routers), kRouterSolicitation);

    const auto all_nodes = address("ff02::1");
    const Message router_advertisement{kRouterAdvertisement, kRouter, all_nodes};
    const auto ra = RouterAdvertisement::parse(router_advertisement.packet()).value();
    EXPECT_EQ(ra.hop_limit, 64);
    EXPECT_TRUE(ra.managed);
    EXPECT_FALSE(ra.other);
    EXPECT_EQ(ra.lifetime_seconds, 1800);
    EXPECT_EQ(ra.reachable_milliseconds, 30000U);
    EXPECT_EQ(ra.retransmit_milliseconds, 1000U);
    EXPECT_EQ(ra.source_mac, kMac);
    EXPECT_EQ(ra.mtu, 1500U);
    ASSERT_EQ(ra.prefix_count, 1);
    EXPECT_EQ(ra.prefixes[0], (NdPrefix{address("2001:db8:1::"), 64, true, true, 86400, 14400}));

    const auto host = address("2001:db8::5");
    const Message redirect_message{kRedirect, kRouter, host};
    const auto redirect = Redirect::parse(redirect_message.packet()).value();
    EXPECT_EQ(redirect,
              (Redirect{address("fe80::9"), address("2001:db8:9::1"), MacAddress{{2, 0, 0, 0, 0, 9}}}));
    EXPECT_EQ(emitted(redirect, redirect.size(), kRouter, host), kRedirect);
}

TEST(Nd, RoundTripOfARouterAdvertisement) {
    RouterAdvertisement full{
        .other = true, .lifetime_seconds = 9, .source_mac = kMac, .mtu = 1280, .prefix_count = 8};
    for (auto& prefix : full.prefixes) {
        prefix = {kHost, 128, true, false, 1, 2};
    }
    const Message message{emitted(full, full.size(), kRouter, kHost)};
    EXPECT_EQ(RouterAdvertisement::parse(message.packet()).value(), full);
    const RouterAdvertisement bare;
    const Message small{emitted(bare, 16, kRouter, kHost)};
    EXPECT_EQ(RouterAdvertisement::parse(small.packet()).value(), bare);
}

// R4861 7.1.1, 7.1.2, 6.1.1, 6.1.2, 8.1: the checks that all messages share.
template <typename Value>
void expect_common_checks(const Buffer& bytes, const Ip6Address& source, const Ip6Address& destination,
                          size_t fixed) {
    Message good{bytes, source, destination};
    ASSERT_TRUE(Value::parse(good.packet()));
    for (const int hop_limit : {0, 1, 254}) {
        good.hop_limit = static_cast<uint8_t>(hop_limit);
        EXPECT_EQ(error_of<Value>(good), NdError::bad_hop_limit);
    }
    EXPECT_EQ(error_of<Value>({with(bytes, 3, static_cast<uint8_t>(bytes[3] + 1)), source, destination}),
              NdError::bad_checksum);
    EXPECT_EQ(error_of<Value>(mended(with(bytes, 1, 1), source, destination)), NdError::bad_code);
    EXPECT_EQ(error_of<Value>(mended(with(bytes, 0, 128), source, destination)), NdError::wrong_type);
    for (size_t size = 0; size < 8; ++size) {
        EXPECT_EQ(error_of<Value>({Buffer(size), source, destination}), NdError::too_short);
    }
    for (size_t size = 8; size < bytes.size(); ++size) {
        const Buffer cut(bytes.begin(), bytes.begin() + static_cast<ptrdiff_t>(size));
        const auto result = Value::parse(mended(cut, source, destination).packet());
        if (size == fixed || (size > fixed && (size - fixed) % 8 == 0)) {
            continue;  // whole without the last options
        }
        ASSERT_FALSE(result) << size;
        EXPECT_EQ(result.error(), size < fixed ? NdError::too_short : NdError::truncated_option) << size;
    }
    EXPECT_EQ(error_of<Value>(mended(with(bytes, fixed + 1, 0), source, destination)),
              NdError::zero_option_length);
    EXPECT_EQ(error_of<Value>(mended(with(bytes, fixed + 1, 255), source, destination)),
              NdError::truncated_option);
}

TEST(Nd, ChecksSharedByAllMessages) {
    expect_common_checks<NeighbourSolicitation>(kSolicitation, kRouter, kGroup, 24);
    expect_common_checks<NeighbourAdvertisement>(kAdvertisement, kHost, kRouter, 24);
    expect_common_checks<RouterSolicitation>(kRouterSolicitation, kRouter, address("ff02::2"), 8);
    expect_common_checks<Redirect>(kRedirect, kRouter, address("2001:db8::5"), 40);
    const Buffer small(kRouterAdvertisement.begin(), kRouterAdvertisement.begin() + 24);
    expect_common_checks<RouterAdvertisement>(mended(small, kRouter, kHost).bytes, kRouter, kHost, 16);
}

// R4861 7.1.1
TEST(Nd, SolicitationRules) {
    const Ip6Address nobody;
    EXPECT_EQ(error_of<NeighbourSolicitation>(mended(with(kSolicitation, 8, 0xff), kRouter, kGroup)),
              NdError::multicast_target);
    EXPECT_EQ(error_of<NeighbourSolicitation>(mended(kSolicitation, nobody, kGroup)),
              NdError::unspecified_with_address);
    const Buffer probe(kSolicitation.begin(), kSolicitation.begin() + 24);
    const auto result = NeighbourSolicitation::parse(mended(probe, nobody, kGroup).packet());
    ASSERT_TRUE(result) << "duplicate address detection";
    EXPECT_FALSE(result->source_mac);
    EXPECT_EQ(error_of<NeighbourSolicitation>(mended(probe, nobody, kHost)), NdError::not_solicited_node);
    EXPECT_EQ(error_of<NeighbourSolicitation>(mended(probe, nobody, address("ff02::1"))),
              NdError::not_solicited_node);
    EXPECT_TRUE(NeighbourSolicitation::parse(mended(probe, kRouter, kHost).packet())) << "a unicast probe";
    // Unknown options are passed over; an address of another length is no Ethernet address.
    Buffer other = probe;
    other.resize(24 + 8 + 16);
    other[24] = 14;
    other[25] = 1;
    other[32] = 1;
    other[33] = 2;
    EXPECT_EQ(NeighbourSolicitation::parse(mended(other, kRouter, kGroup).packet())->source_mac,
              std::nullopt);
}

// R4861 7.1.2
TEST(Nd, AdvertisementRules) {
    EXPECT_EQ(error_of<NeighbourAdvertisement>(mended(with(kAdvertisement, 8, 0xff), kHost, kRouter)),
              NdError::multicast_target);
    EXPECT_EQ(error_of<NeighbourAdvertisement>(mended(kAdvertisement, kHost, address("ff02::1"))),
              NdError::solicited_multicast);
    EXPECT_TRUE(NeighbourAdvertisement::parse(
        mended(with(kAdvertisement, 4, 0xa0), kHost, address("ff02::1")).packet()));
}

// R4861 6.1.1, 6.1.2, 8.1
TEST(Nd, RouterAndRedirectRules) {
    EXPECT_EQ(error_of<RouterSolicitation>(mended(kRouterSolicitation, Ip6Address{}, address("ff02::2"))),
              NdError::unspecified_with_address);
    EXPECT_EQ(error_of<RouterAdvertisement>(mended(kRouterAdvertisement, kHost, address("ff02::1"))),
              NdError::source_not_link_local);
    const auto host = address("2001:db8::5");
    EXPECT_EQ(error_of<Redirect>(mended(kRedirect, kHost, host)), NdError::source_not_link_local);
    EXPECT_EQ(error_of<Redirect>(mended(with(kRedirect, 24, 0xff), kRouter, host)),
              NdError::multicast_target);
    EXPECT_EQ(error_of<Redirect>(mended(with(kRedirect, 8, 0x20), kRouter, host)),
              NdError::bad_redirect_target);
    Buffer on_link = kRedirect;
    std::copy(on_link.begin() + 24, on_link.begin() + 40, on_link.begin() + 8);
    EXPECT_TRUE(Redirect::parse(mended(on_link, kRouter, host).packet())) << "the destination is a neighbour";
}

}  // namespace
}  // namespace sluice::wire
