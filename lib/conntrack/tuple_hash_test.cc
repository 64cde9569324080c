#include "conntrack/tuple_hash.hh"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <bit>
#include <cstring>
#include <vector>

#include "base/random.hh"

namespace sluice::conntrack {
namespace {

constexpr TupleHash kHash{{0x0123456789abcdef, 0xfedcba9876543210, 0x0f1e2d3c4b5a6978, 0x8796a5b4c3d2e1f0}};

Tuple ip4_tuple(uint32_t number) {
    return {Ip4Address::from_host(0x0a000000 + number), Ip4Address::from_host(0xc0000200),
            wire::IpProtocol::udp, 1024, 53};
}

Tuple ip6_tuple(uint64_t number) {
    std::array<uint8_t, 16> source{0x20, 1};
    std::memcpy(source.data() + 8, &number, sizeof number);
    return {Ip6Address(source), Ip6Address(std::array<uint8_t, 16>{0x20, 2}), wire::IpProtocol::udp, 1024,
            53};
}

TEST(TupleHash, DependsOnTheKeyAndOnEveryPart) {
    for (const Tuple& base : {ip4_tuple(2), ip6_tuple(2)}) {
        for (size_t word = 0; word < kHash.key.size(); ++word) {
            TupleHash other = kHash;
            other.key[word] ^= 1;
            EXPECT_NE(kHash(base), other(base));
        }
        std::vector<Tuple> others(6, base);
        others[0].sport ^= 1;
        others[1].dport ^= 1;
        others[2].set_source(base.destination());
        others[3].set_destination(base.source());
        others[4] = *inverted(base);
        others[5] = Tuple(base.source(), base.destination(), wire::IpProtocol::tcp, base.sport, base.dport);
        for (const Tuple& other : others)
            EXPECT_NE(kHash(base), kHash(other));
    }
}

// How much the upper 16 bits, by which tables choose their buckets, differ from an even spread: about one.
template <typename Make>
double unevenness(uint64_t step, Make&& make) {
    constexpr size_t kTuples = 1 << 20;
    std::vector<uint32_t> in(1 << 16);
    for (uint64_t number = 0; number < kTuples; ++number)
        ++in[kHash(make(number * step)) >> 48];
    const double mean = double{kTuples} / static_cast<double>(in.size());
    double squares = 0;
    for (const uint32_t count : in)
        squares += (count - mean) * (count - mean) / mean;
    return squares / static_cast<double>(in.size());
}

TEST(TupleHash, SpreadsAddressesThatFollowEachOther) {
    for (const uint64_t step : {1, 2, 16, 256, 4096})
        EXPECT_LT(unevenness(step, [](uint64_t number) { return ip4_tuple(static_cast<uint32_t>(number)); }),
                  1.1);
    for (const uint64_t step : {uint64_t{1}, uint64_t{1} << 16, uint64_t{1} << 40})
        EXPECT_LT(unevenness(step, ip6_tuple), 1.1);
}

TEST(TupleHash, EveryBitOfATupleChangesHalfOfTheHash) {
    Random random(1);
    for (unsigned bit = 0; bit < 40 * 8; ++bit) {
        unsigned changed = 0;
        constexpr unsigned kTries = 200;
        for (unsigned round = 0; round < kTries; ++round) {
            std::array<uint8_t, 32> addresses;
            std::ranges::generate(addresses, [&random] { return static_cast<uint8_t>(random.next()); });
            uint64_t rest = random.next();
            const uint64_t before = kHash.of_ip6(addresses.data(), rest);
            if (bit < 256)
                addresses[bit / 8] ^= static_cast<uint8_t>(1 << bit % 8);
            else
                rest ^= uint64_t{1} << (bit - 256);
            changed += static_cast<unsigned>(std::popcount(before ^ kHash.of_ip6(addresses.data(), rest)));
        }
        EXPECT_NEAR(changed, 32 * kTries, 2 * kTries) << bit;
    }
    for (unsigned bit = 0; bit < 128; ++bit) {
        unsigned changed = 0;
        constexpr unsigned kTries = 200;
        for (unsigned round = 0; round < kTries; ++round) {
            const uint64_t addresses = random.next();
            const uint64_t rest = random.next();
            const uint64_t flip = uint64_t{1} << bit % 64;
            const uint64_t other =
                bit < 64 ? kHash.of_ip4(addresses ^ flip, rest) : kHash.of_ip4(addresses, rest ^ flip);
            changed += static_cast<unsigned>(std::popcount(kHash.of_ip4(addresses, rest) ^ other));
        }
        EXPECT_NEAR(changed, 32 * kTries, 2 * kTries) << bit;
    }
}

TEST(TupleHash, ManyTuplesHaveTheHashThatEachOfThemHas) {
    constexpr size_t kMost = 64;
    Random random(2);
    std::array<uint64_t, kMost> addresses;
    std::array<uint64_t, kMost> rest;
    for (const HashIp4Tuples hash_many : {HashIp4Tuples{hash_singly}, choose_hash()}) {
        for (size_t count = 0; count <= kMost; ++count) {
            std::ranges::generate(addresses, [&random] { return random.next(); });
            std::ranges::generate(rest, [&random] { return random.next(); });
            std::array<uint64_t, kMost> hashes{};
            hash_many(kHash, addresses.data(), rest.data(), count, hashes.data());
            for (size_t i = 0; i < count; ++i)
                EXPECT_EQ(hashes[i], kHash.of_ip4(addresses[i], rest[i])) << i << " of " << count;
        }
    }
}

}  // namespace
}  // namespace sluice::conntrack
