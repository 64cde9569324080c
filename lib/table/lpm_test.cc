#include "table/lpm.hh"

#include <gtest/gtest.h>

#include <map>
#include <vector>

#include "base/prefix.hh"
#include "base/random.hh"

namespace sluice::table {
namespace {

Ip4Address ip4(const char* text) {
    return *Ip4Address::parse(text);
}
Ip6Address ip6(const char* text) {
    return *Ip6Address::parse(text);
}

// What a lookup must find, the plain way: the longest length that has the masked address.
template <typename Address>
class Reference {
  public:
    explicit Reference(const std::vector<LpmEntry<Address>>& entries) {
        for (const auto& entry : entries)
            by_length_[entry.length][entry.prefix] = entry.value;
    }
    [[nodiscard]] uint32_t lookup(const Address& address) const {
        for (auto length = by_length_.rbegin(); length != by_length_.rend(); ++length) {
            const auto found = length->second.find(masked(address, length->first));
            if (found != length->second.end())
                return found->second;
        }
        return kNoRoute;
    }

  private:
    std::map<uint8_t, std::map<Address, uint32_t>> by_length_;
};

template <typename Address>
struct Draw;

template <>
struct Draw<Ip4Address> {
    static constexpr uint8_t kBits = 32;
    static Ip4Address any(Random& random) {
        return Ip4Address::from_host(static_cast<uint32_t>(random.next()));
    }
    static Ip4Address near(const Ip4Address& address, Random& random) {
        return Ip4Address::from_host(address.host() ^ (1U << random.below(32)));
    }
    static std::vector<uint32_t> burst(const std::vector<Ip4Address>& addresses) {
        std::vector<uint32_t> result;
        for (const auto& address : addresses)
            result.push_back(address.host());
        return result;
    }
};

template <>
struct Draw<Ip6Address> {
    static constexpr uint8_t kBits = 128;
    // Few different bits, so that prefixes nest and share long starts.
    static Ip6Address any(Random& random) {
        std::array<uint8_t, 16> bytes{0x20, 0x01, 0x0d, 0xb8};
        for (size_t i = 4; i < 16; ++i)
            bytes[i] = random.below(3) == 0 ? static_cast<uint8_t>(random.next()) : uint8_t{0};
        if (random.below(4) == 0)
            bytes[0] = static_cast<uint8_t>(random.next());
        return Ip6Address(bytes);
    }
    static Ip6Address near(const Ip6Address& address, Random& random) {
        auto bytes = address.bytes();
        bytes[random.below(16)] ^= static_cast<uint8_t>(1U << random.below(8));
        return Ip6Address(bytes);
    }
    static std::vector<const uint8_t*> burst(const std::vector<Ip6Address>& addresses) {
        std::vector<const uint8_t*> result;
        for (const auto& address : addresses)
            result.push_back(address.bytes().data());
        return result;
    }
};

template <typename Address>
std::vector<LpmEntry<Address>> draw_entries(size_t count, Random& random) {
    using D = Draw<Address>;
    std::vector<LpmEntry<Address>> entries;
    while (entries.size() < count) {
        // Half of them lie inside an earlier one.
        Address address = D::any(random);
        if (!entries.empty() && random.below(2) == 0)
            address = D::near(entries[random.below(static_cast<uint32_t>(entries.size()))].prefix, random);
        const auto length = static_cast<uint8_t>(random.below(D::kBits + 1));
        entries.push_back({masked(address, length), length, 1 + random.below(6)});
    }
    return entries;
}

template <typename Address>
void expect_same(const std::vector<LpmEntry<Address>>& entries, size_t lookups, Random& random) {
    using D = Draw<Address>;
    const auto lpm = Lpm<Address>::build(entries);
    const Reference<Address> reference(entries);
    std::vector<Address> addresses;
    for (size_t i = 0; i < lookups; ++i) {
        Address address = D::any(random);
        if (!entries.empty() && random.below(4) != 0) {
            address = entries[random.below(static_cast<uint32_t>(entries.size()))].prefix;
            if (random.below(2) == 0)
                address = D::near(address, random);
        }
        addresses.push_back(address);
        ASSERT_EQ(lpm.lookup(address), reference.lookup(address)) << address.to_string();
    }
    const auto keys = D::burst(addresses);
    for (size_t at = 0; at < keys.size();) {
        const size_t count = std::min<size_t>(keys.size() - at, 1 + random.below(kMaxLpmBurst));
        std::vector<uint32_t> values(count);
        lpm.lookup_burst(keys.data() + at, values.data(), count);
        for (size_t i = 0; i < count; ++i)
            ASSERT_EQ(values[i], reference.lookup(addresses[at + i]));
        at += count;
    }
}

template <typename Address>
class LpmTest : public testing::Test {};
using Families = testing::Types<Ip4Address, Ip6Address>;
TYPED_TEST_SUITE(LpmTest, Families);

TYPED_TEST(LpmTest, AgreesWithTheReference) {
    Random random(7);
    for (size_t round = 0; round < 150; ++round)
        expect_same<TypeParam>(draw_entries<TypeParam>(random.below(60), random), 300, random);
}

TYPED_TEST(LpmTest, AgreesWithTheReferenceWhenLarge) {
    Random random(8);
    expect_same<TypeParam>(draw_entries<TypeParam>(20000, random), 20000, random);
}

TYPED_TEST(LpmTest, WithoutRoutesFindsNone) {
    Random random(9);
    expect_same<TypeParam>({}, 100, random);
    EXPECT_EQ(Lpm<TypeParam>().lookup(TypeParam{}), kNoRoute);
}

TYPED_TEST(LpmTest, HasEveryLengthOfOneAddress) {
    Random random(10);
    const TypeParam address = Draw<TypeParam>::any(random);
    std::vector<LpmEntry<TypeParam>> entries;
    for (unsigned length = 0; length <= Draw<TypeParam>::kBits; ++length)
        entries.push_back(
            {masked(address, static_cast<uint8_t>(length)), static_cast<uint8_t>(length), length + 1});
    expect_same(entries, 5000, random);
}

TEST(Lpm, OfEqualPrefixesTheLastCounts) {
    const std::vector<LpmEntry<Ip4Address>> entries{
        {ip4("10.0.0.0"), 8, 1}, {ip4("10.1.0.0"), 16, 2}, {ip4("10.0.0.0"), 8, 3}};
    const auto lpm = Lpm<Ip4Address>::build(entries);
    EXPECT_EQ(lpm.lookup(ip4("10.2.0.1")), 3U);
    EXPECT_EQ(lpm.lookup(ip4("10.1.0.1")), 2U);
    EXPECT_EQ(lpm.lookup(ip4("11.0.0.0")), kNoRoute);
}

TEST(Lpm, AnEntryMayCutAHole) {
    const std::vector<LpmEntry<Ip4Address>> entries{
        {Ip4Address(), 0, 1}, {ip4("10.0.0.0"), 8, kNoRoute}, {ip4("10.9.9.9"), 32, kMaxRouteValue}};
    const auto lpm = Lpm<Ip4Address>::build(entries);
    EXPECT_EQ(lpm.lookup(ip4("9.255.255.255")), 1U);
    EXPECT_EQ(lpm.lookup(ip4("10.255.255.255")), kNoRoute);
    EXPECT_EQ(lpm.lookup(ip4("10.9.9.9")), kMaxRouteValue);
    EXPECT_EQ(lpm.lookup(ip4("255.255.255.255")), 1U);
}

TEST(Lpm, SmallTablesAreSmall) {
    std::vector<LpmEntry<Ip4Address>> few4;
    std::vector<LpmEntry<Ip6Address>> few6{
        {ip6("fd00:1::1"), 128, 1}, {ip6("fd00:1::"), 64, 2}, {Ip6Address(), 0, 3}};
    for (uint32_t i = 0; i < 10; ++i)
        few4.push_back({Ip4Address::from_host(i << 24 | 77), 32, i});
    EXPECT_LT(Lpm<Ip4Address>::build(few4).memory_bytes(), 100'000U);
    EXPECT_LT(Lpm<Ip6Address>::build(few6).memory_bytes(), 100'000U);
    EXPECT_LT(Lpm<Ip6Address>().memory_bytes(), 100U);
}

TEST(Lpm, IsReadTheSameAfterBeingMoved) {
    const std::vector<LpmEntry<Ip6Address>> entries{{ip6("2001:db8::"), 32, 5}};
    auto first = Lpm<Ip6Address>::build(entries);
    const auto second = std::move(first);
    EXPECT_EQ(second.lookup(ip6("2001:db8::1")), 5U);
    EXPECT_EQ(second.lookup(ip6("2001:db9::1")), kNoRoute);
}

}  // namespace
}  // namespace sluice::table
