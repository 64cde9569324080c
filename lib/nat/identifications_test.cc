#include "nat/identifications.hh"

#include <gtest/gtest.h>

#include <array>
#include <set>
#include <vector>

#include "wire/ipv4.hh"

namespace sluice::nat {
namespace {

using Packet = std::array<uint8_t, 28>;

Packet packet(bool dont_fragment, uint8_t last_byte = 7) {
    Packet bytes{};
    wire::Ipv4Header{.id = 7,
                     .dont_fragment = dont_fragment,
                     .protocol = wire::IpProtocol::udp,
                     .source = Ip4Address::from_host(0xcb007102),
                     .destination = Ip4Address::from_host(0xc6336400 + last_byte),
                     .payload_length = 8}
        .emit(bytes);
    return bytes;
}

uint16_t renewed(Identifications& identifications, Packet bytes) {
    identifications.renew(bytes);
    const auto view = wire::Ipv4View::unchecked(bytes.data());
    EXPECT_TRUE(wire::Checksum{}.add(view.header()).verifies());
    return wire::read16(bytes.data() + 4);
}

// R7857-10: nor do workers give each other's.
TEST(Identifications, NoneComesTwiceBeforeAllHaveCome) {
    for (uint16_t count = 1; count <= 5; ++count) {
        std::vector<Identifications> workers;
        for (uint16_t worker = 0; worker < count; ++worker)
            workers.emplace_back(PortShare{.worker = worker, .workers = count}, worker + 1U);
        std::set<uint16_t> seen;
        for (int n = 0; n < 0x10000 / count; ++n) {
            for (auto& worker : workers)
                ASSERT_TRUE(seen.insert(renewed(worker, packet(false))).second) << n << " of " << count;
        }
    }
}

TEST(Identifications, OtherRemotesAreCountedForThemselves) {
    Identifications identifications({}, 1);
    const auto first = renewed(identifications, packet(false));
    for (int n = 0; n < 100; ++n)
        static_cast<void>(renewed(identifications, packet(false, 8)));
    EXPECT_EQ(renewed(identifications, packet(false)), static_cast<uint16_t>(first + 1));
}

TEST(Identifications, AtomicPacketsStayAsTheyAre) {
    Identifications identifications({}, 1);
    EXPECT_EQ(renewed(identifications, packet(true)), 7);
}

}  // namespace
}  // namespace sluice::nat
