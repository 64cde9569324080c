#include "routing/fragment.hh"

#include <gtest/gtest.h>

#include <vector>

#include "wire/fragment.hh"
#include "wire/ipv4_options.hh"
#include "wire/ipv6_extensions.hh"

namespace sluice::routing {
namespace {

std::vector<uint8_t> numbered(size_t size) {
    std::vector<uint8_t> result(size);
    for (size_t at = 0; at < size; ++at) {
        result[at] = static_cast<uint8_t>(at * 7 + at / 256);
    }
    return result;
}

std::vector<uint8_t> joined(wire::Bytes first, wire::Bytes second) {
    std::vector<uint8_t> result(first.size() + second.size());
    wire::copy_bytes(result.data(), first);
    wire::copy_bytes(result.data() + first.size(), second);
    return result;
}

std::vector<uint8_t> datagram4(wire::Ipv4Header header, size_t payload_size) {
    header.payload_length = static_cast<uint16_t>(payload_size);
    std::vector<uint8_t> result(header.header_size());
    header.emit(result);
    return joined(result, numbered(payload_size));
}

wire::Ipv4Header plain4() {
    return {.tos = 0x2c,
            .id = 0x1234,
            .ttl = 17,
            .protocol = wire::IpProtocol::udp,
            .source = Ip4Address::from_host(0x0a000001),
            .destination = Ip4Address::from_host(0x0a000102)};
}

template <typename Fragmenter>
std::vector<std::vector<uint8_t>> fragments_of(Fragmenter& fragmenter, auto header_size) {
    std::vector<std::vector<uint8_t>> result;
    while (const auto piece = fragmenter.next()) {
        std::vector<uint8_t> bytes(header_size(*piece));
        EXPECT_EQ(fragmenter.emit_header(*piece, wire::MutableBytes(bytes).first(bytes.size() - 1)), 0U);
        EXPECT_EQ(fragmenter.emit_header(*piece, bytes), bytes.size());
        result.push_back(joined(bytes, fragmenter.payload(*piece)));
    }
    return result;
}

std::vector<std::vector<uint8_t>> fragments4(const std::vector<uint8_t>& datagram, size_t mtu) {
    Ipv4Fragmenter fragmenter(wire::Ipv4View::checked(datagram).value(), mtu);
    return fragments_of(fragmenter,
                        [&](const FragmentPiece& piece) { return fragmenter.header_size(piece); });
}

// Every fragment is a right header, fits the MTU, and together they are the payload.
TEST(Ipv4Fragmenter, CutsEverySizeAndMtu) {
    for (const size_t mtu : {68UL, 69UL, 75UL, 76UL, 576UL, 1280UL, 1400UL, 1500UL}) {
        for (const size_t payload_size :
             {1UL, 8UL, 47UL, 48UL, 49UL, 552UL, 556UL, 557UL, 1480UL, 1481UL, 2960UL, 65515UL}) {
            const auto datagram = datagram4(plain4(), payload_size);
            std::vector<uint8_t> whole;
            const auto fragments = fragments4(datagram, mtu);
            for (size_t number = 0; number < fragments.size(); ++number) {
                const auto view = wire::Ipv4View::checked(fragments[number]);
                ASSERT_TRUE(view) << "mtu " << mtu << " payload " << payload_size;
                ASSERT_LE(fragments[number].size(), mtu);
                ASSERT_EQ(fragments[number].size(), view->total_length());
                ASSERT_EQ(view->fragment_offset(), whole.size());
                ASSERT_EQ(view->more_fragments(), number + 1 < fragments.size());
                ASSERT_EQ(view->id(), 0x1234);
                ASSERT_EQ(view->ttl(), 17);
                ASSERT_EQ(view->tos(), 0x2c);
                ASSERT_EQ(view->protocol(), wire::IpProtocol::udp);
                ASSERT_EQ(view->source(), plain4().source);
                ASSERT_EQ(view->destination(), plain4().destination);
                whole = joined(whole, view->payload());
            }
            ASSERT_EQ(whole, numbered(payload_size));
            for (size_t number = 0; number + 1 < fragments.size(); ++number) {
                ASSERT_GT(fragments[number].size() + 8, mtu) << "as few fragments as possible";
            }
        }
    }
}

TEST(Ipv4Fragmenter, AFragmentOfAFragmentKeepsItsPlace) {
    auto header = plain4();
    header.fragment_offset = 800;
    header.more_fragments = true;
    const auto fragments = fragments4(datagram4(header, 160), 100);
    ASSERT_EQ(fragments.size(), 2U);
    const auto first = wire::Ipv4View::checked(fragments[0]).value();
    const auto second = wire::Ipv4View::checked(fragments[1]).value();
    EXPECT_EQ(first.fragment_offset(), 800U);
    EXPECT_EQ(first.payload().size(), 80U);
    EXPECT_TRUE(first.more_fragments());
    EXPECT_EQ(second.fragment_offset(), 880U);
    EXPECT_EQ(second.payload().size(), 80U);
    EXPECT_TRUE(second.more_fragments()) << "more fragments follow the original one";

    header.more_fragments = false;
    const auto last = fragments4(datagram4(header, 160), 100);
    EXPECT_FALSE(wire::Ipv4View::checked(last[1])->more_fragments());
}

// RFC 791 3.1: the copied flag says whether an option goes into all fragments.
TEST(Ipv4Fragmenter, CopiesOptionsThatSaySo) {
    auto header = plain4();
    // record route (not copied), no operation, router alert (copied), security (copied), end, padding
    header.options = {7, 7, 4, 0, 0, 0, 0, 1, 148, 4, 0, 0, 130, 3, 9, 0};
    header.options_length = 16;
    const auto fragments = fragments4(datagram4(header, 200), 100);
    ASSERT_EQ(fragments.size(), 4U);
    const auto first = wire::Ipv4View::checked(fragments[0]).value();
    EXPECT_TRUE(wire::same_bytes(first.options(), wire::Bytes(header.options).first(16)));
    for (size_t number = 1; number < 4; ++number) {
        const auto view = wire::Ipv4View::checked(fragments[number]).value();
        const std::vector<uint8_t> expected{1, 1, 1, 1, 1, 1, 1, 1, 148, 4, 0, 0, 130, 3, 9, 0};
        EXPECT_TRUE(wire::same_bytes(view.options(), expected)) << number;
        EXPECT_EQ(view.fragment_offset(), number * 64) << "100 - 36 bytes in each";
    }
}

// What cannot be read stays as it is.
TEST(Ipv4Fragmenter, LeavesBrokenOptionsAlone) {
    auto header = plain4();
    header.options = {68, 4, 5, 0, 7, 9, 4, 0};  // timestamp without room, record route beyond the header
    header.options_length = 8;
    const auto fragments = fragments4(datagram4(header, 100), 100);
    ASSERT_EQ(fragments.size(), 2U);
    const std::vector<uint8_t> expected{1, 1, 1, 1, 7, 9, 4, 0};
    EXPECT_TRUE(wire::same_bytes(wire::Ipv4View::checked(fragments[1])->options(), expected));
}

std::vector<uint8_t> packet6(wire::IpProtocol next, const std::vector<uint8_t>& behind) {
    const wire::Ipv6Header header{.traffic_class = 3,
                                  .flow_label = 0x12345,
                                  .payload_length = static_cast<uint16_t>(behind.size()),
                                  .next_header = next,
                                  .hop_limit = 61,
                                  .source = Ip6Address::parse("2001:db8::1").value(),
                                  .destination = Ip6Address::parse("2001:db8::2").value()};
    std::vector<uint8_t> result(40);
    header.emit(result);
    return joined(result, behind);
}

std::vector<std::vector<uint8_t>> fragments6(const std::vector<uint8_t>& packet, size_t mtu) {
    Ipv6Fragmenter fragmenter(wire::Ipv6View::checked(packet).value(), mtu, 0xcafe0001);
    return fragments_of(fragmenter, [&](const FragmentPiece&) { return fragmenter.header_size(); });
}

TEST(Ipv6Fragmenter, CutsBehindTheFixedHeader) {
    const auto payload = numbered(3000);
    const auto fragments = fragments6(packet6(wire::IpProtocol::udp, payload), 1280);
    ASSERT_EQ(fragments.size(), 3U);
    std::vector<uint8_t> whole;
    for (size_t number = 0; number < 3; ++number) {
        ASSERT_LE(fragments[number].size(), 1280U);
        const auto view = wire::Ipv6View::checked(fragments[number]).value();
        EXPECT_EQ(view.total_length(), fragments[number].size());
        EXPECT_EQ(view.next_header(), wire::IpProtocol::fragment);
        EXPECT_EQ(view.flow_label(), 0x12345U);
        EXPECT_EQ(view.hop_limit(), 61);
        const auto fragment = wire::Ipv6FragmentView::checked(view.payload()).value();
        EXPECT_EQ(wire::Ipv6FragmentHeader::parse(fragment),
                  (wire::Ipv6FragmentHeader{wire::IpProtocol::udp, static_cast<uint32_t>(whole.size()),
                                            number < 2, 0xcafe0001}));
        whole = joined(whole, view.payload().subspan(8));
    }
    EXPECT_EQ(whole, payload);
}

// RFC 8200 4.5: the headers up to the routing header are repeated, destination options behind it are not.
TEST(Ipv6Fragmenter, RepeatsHeadersUpToTheRoutingHeader) {
    const auto header = [](wire::IpProtocol next) {
        return std::vector<uint8_t>{static_cast<uint8_t>(next), 0, 1, 4, 0, 0, 0, 0};
    };
    std::vector<uint8_t> behind = header(wire::IpProtocol::destination_options);  // hop-by-hop
    behind = joined(behind, header(wire::IpProtocol::routing));                   // destination options
    behind = joined(behind, header(wire::IpProtocol::destination_options));       // routing
    behind = joined(behind, header(wire::IpProtocol::udp));                       // destination options again
    behind = joined(behind, numbered(1400));
    const auto fragments = fragments6(packet6(wire::IpProtocol::hop_by_hop, behind), 1280);
    ASSERT_EQ(fragments.size(), 2U);
    std::vector<uint8_t> whole;
    for (const auto& bytes : fragments) {
        const auto view = wire::Ipv6View::checked(bytes).value();
        const auto chain = wire::walk_extensions(view);
        ASSERT_TRUE(chain.ok());
        EXPECT_EQ(chain.fragment_offset, 40 + 24);
        EXPECT_EQ(chain.fragment_named_at, 40 + 16);
        EXPECT_EQ(bytes[40 + 24], static_cast<uint8_t>(wire::IpProtocol::destination_options));
        whole = joined(whole, view.bytes().subspan(40 + 24 + 8));
    }
    EXPECT_TRUE(wire::same_bytes(whole, wire::Bytes(behind).subspan(24)));
}

// R7112: as Linux, which looks for them in the first fragment only.
TEST(Ipv6Fragmenter, HeadersToRepeatMustHaveComeInTheFirstFragment) {
    std::vector<uint8_t> behind{static_cast<uint8_t>(wire::IpProtocol::udp), 1};  // hop-by-hop, 16 bytes
    behind = joined(behind, numbered(1414));
    const auto packet = packet6(wire::IpProtocol::hop_by_hop, behind);
    const auto view = wire::Ipv6View::checked(packet).value();
    const auto end = static_cast<uint16_t>(behind.size());
    for (const uint16_t first : std::to_array<uint16_t>({8, 16, 24})) {
        const auto rest = static_cast<uint16_t>(end - first);
        const std::array<table::FragmentSpan, 2> came{{{0, first}, {first, rest}}};
        EXPECT_EQ(Ipv6Fragmenter(view, 1500, 1, came, 1280).can_cut(), first >= 16) << first;
    }
}

TEST(Ipv6Fragmenter, APacketThatFitsIsOnePiece) {
    const auto fragments = fragments6(packet6(wire::IpProtocol::udp, numbered(100)), 1280);
    ASSERT_EQ(fragments.size(), 1U);
    EXPECT_TRUE(wire::Ipv6FragmentView::checked(wire::Bytes(fragments[0]).subspan(40))->is_atomic());
}

}  // namespace
}  // namespace sluice::routing
