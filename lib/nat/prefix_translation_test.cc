#include "nat/prefix_translation.hh"

#include <gtest/gtest.h>

#include "nat/described_packet.hh"

namespace sluice::nat {
namespace {

PrefixTranslation between(std::string_view from, std::string_view to) {
    return {*IpPrefix::parse(from), *IpPrefix::parse(to)};
}
Ip6Address ip6(std::string_view text) {
    return *Ip6Address::parse(text);
}

// The example of RFC 6296 3.6, as corrected by erratum 3033.
TEST(PrefixTranslation, TranslatesTheExampleOfItsRfc) {
    const auto out = between("fd01:203:405::/48", "2001:db8:1::/48");
    EXPECT_EQ(out.translate(ip6("fd01:203:405:1::1234")), ip6("2001:db8:1:d550::1234"));
    EXPECT_EQ(out.inverse().translate(ip6("2001:db8:1:d550::1234")), ip6("fd01:203:405:1::1234"));
    EXPECT_EQ(out.inverse().inverse(), out);
}

TEST(PrefixTranslation, OfLongPrefixesTheIdentifierMakesUp) {
    const auto out = between("fd00:0:0:1::/64", "2001:db8:0:5500::/64");
    const auto there = out.translate(ip6("fd00:0:0:1:ffff:ffff::9"));
    ASSERT_TRUE(there.has_value());
    EXPECT_EQ(wire::read16(there->bytes().data() + 6), 0x5500) << "the subnet is the prefix's";
    EXPECT_EQ(wire::read32(there->bytes().data() + 8), 0xffffffff) << "words of ones are passed over";
    EXPECT_NE(wire::read16(there->bytes().data() + 12), 0);
    EXPECT_EQ(wire::read16(there->bytes().data() + 14), 9);
}

TEST(PrefixTranslation, RefusesWhatWouldNotComeBack) {
    using enum PrefixTranslationError;
    const auto shorter = between("fd00::/48", "2001:db8::/48");
    EXPECT_EQ(shorter.translate(ip6("fd00:0:0:ffff::1")).error(), subnet_ones);
    EXPECT_EQ(shorter.translate(ip6("fd01::1")).error(), not_in_prefix);
    const auto longer = between("fd00:0:0:1::/64", "2001:db8:0:1::/64");
    EXPECT_EQ(longer.translate(ip6("fd00:0:0:1:ffff:ffff:ffff:ffff")).error(), interface_ones);
    EXPECT_TRUE(longer.translate(ip6("fd00:0:0:1::")).has_value());
    EXPECT_TRUE(between("fd00::/56", "2001:db8::/56").translate(ip6("fd00::1")).has_value());
}

TEST(PrefixTranslation, TheShorterPrefixIsFilledUp) {
    const auto out = between("fd00:1::/32", "2001:db8:77::/48");
    EXPECT_EQ(out.from().length(), 48);
    EXPECT_EQ(out.translate(ip6("fd00:1:1::1")).error(), PrefixTranslationError::not_in_prefix);
    EXPECT_TRUE(out.translate(ip6("fd00:1:0:9::1")).has_value());
}

// For all lengths: back again, the prefix exchanged, and the same in every sum.
TEST(PrefixTranslation, IsReversibleAndNeutralToChecksums) {
    Random random(6296);
    for (int round = 0; round < 20'000; ++round) {
        const auto length = static_cast<uint8_t>(16 + random.below(49));
        const IpPrefix from(any_address(Family::ip6, random), length);
        const IpPrefix to(any_address(Family::ip6, random), length);
        auto bytes = any_address(Family::ip6, random).ip6().bytes();
        for (size_t bit = 0; bit < length; ++bit) {
            const auto mask = static_cast<uint8_t>(0x80U >> (bit % 8));
            const auto set = static_cast<uint8_t>(from.address().ip6().bytes()[bit / 8] & mask);
            bytes[bit / 8] = static_cast<uint8_t>((bytes[bit / 8] & ~mask) | set);
        }
        if (length > 48)
            std::fill_n(bytes.begin() + 8, 2 * random.below(4), uint8_t{0xff});
        const Ip6Address address(bytes);
        const PrefixTranslation out(from, to);
        const auto there = out.translate(address);
        if (!there) {
            ASSERT_EQ(wire::read16(bytes.data() + 6), 0xffff);
            continue;
        }
        ASSERT_TRUE(to.contains(IpAddress(*there)));
        ASSERT_EQ(out.inverse().translate(*there), address);
        ASSERT_EQ(plain_sum(there->bytes()) % 0xffff, plain_sum(address.bytes()) % 0xffff);
    }
}

TEST(PrefixTranslation, EverySubnetHasItsOwn) {
    const auto out = between("fd01:203:405::/48", "2001:db8:1::/48");
    std::vector<bool> seen(0x10000);
    auto bytes = ip6("fd01:203:405::1").bytes();
    for (uint16_t subnet = 0; subnet < 0xffff; ++subnet) {
        wire::write16(bytes.data() + 6, subnet);
        const auto there = out.translate(Ip6Address(bytes));
        ASSERT_TRUE(there.has_value());
        const uint16_t other = wire::read16(there->bytes().data() + 6);
        ASSERT_FALSE(seen[other]);
        seen[other] = true;
    }
    EXPECT_FALSE(seen[0xffff]);
}

}  // namespace
}  // namespace sluice::nat
