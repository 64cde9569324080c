#include "table/ip4_cover.hh"

#include <gtest/gtest.h>

#include <algorithm>
#include <vector>

#include "base/random.hh"

namespace sluice::table {
namespace {

using Prefix = Ip4Cover::Prefix;

uint32_t mask_of(unsigned length) {
    return length == 0 ? 0 : ~uint32_t{0} << (32 - length);
}

Prefix prefix(uint32_t address, unsigned length) {
    return {.address = Ip4Address::from_host(address & mask_of(length)),
            .length = static_cast<uint8_t>(length)};
}

bool is_covered(const std::vector<Prefix>& prefixes, uint32_t address) {
    return std::ranges::any_of(prefixes, [address](const Prefix& each) {
        return ((address ^ each.address.host()) & mask_of(each.length)) == 0;
    });
}

void expect_like(const Ip4Cover& cover, const std::vector<Prefix>& prefixes,
                 const std::vector<uint32_t>& asked) {
    for (size_t at = 0; at < asked.size(); at += Ip4Cover::kMaxBurst) {
        std::vector<Ip4Address> burst;
        for (size_t i = at; i < std::min(asked.size(), at + Ip4Cover::kMaxBurst); ++i)
            burst.push_back(Ip4Address::from_host(asked[i]));
        const uint64_t found = cover.contains_burst(burst);
        for (size_t i = 0; i < burst.size(); ++i) {
            const bool expected = is_covered(prefixes, asked[at + i]);
            EXPECT_EQ(cover.contains(burst[i]), expected) << burst[i].to_string();
            EXPECT_EQ((found >> i & 1) != 0, expected) << burst[i].to_string();
        }
    }
}

// First and last addresses of prefixes, and those beside them.
std::vector<uint32_t> edges(const std::vector<Prefix>& prefixes) {
    std::vector<uint32_t> result{0, 1, 0x7fffffff, 0x80000000, 0xfffffffe, 0xffffffff};
    for (const Prefix& each : prefixes) {
        const uint32_t first = each.address.host();
        const uint32_t last = first | ~mask_of(each.length);
        result.insert(result.end(), {first - 1, first, first + 1, last - 1, last, last + 1});
    }
    return result;
}

TEST(Ip4Cover, HoldsNothingIfEmpty) {
    expect_like(Ip4Cover({}), {}, edges({prefix(0x0a000000, 8)}));
}

TEST(Ip4Cover, KnowsEveryLengthAtBothEndsOfTheAddressSpace) {
    for (unsigned length = 0; length <= 32; ++length) {
        for (const uint32_t address : {uint32_t{0}, uint32_t{0xffffffff}, uint32_t{0xc6336455}}) {
            const std::vector<Prefix> one{prefix(address, length)};
            expect_like(Ip4Cover(one), one, edges(one));
        }
    }
}

TEST(Ip4Cover, JoinsPrefixesThatOverlap) {
    const std::vector<Prefix> prefixes{prefix(0x0a0b0c00, 25), prefix(0x0a0b0c40, 26), prefix(0x0a0b0c00, 24),
                                       prefix(0x0a0b0d80, 32), prefix(0x0a0b0d81, 32), prefix(0x0a000000, 12),
                                       prefix(0x0a200000, 31)};
    expect_like(Ip4Cover(prefixes), prefixes, edges(prefixes));
}

// As whoever looks at all of them finds it; close together, so that they overlap and share networks.
TEST(Ip4Cover, FindsWhatAListFinds) {
    Random random(11);
    for (int round = 0; round < 12; ++round) {
        std::vector<Prefix> prefixes;
        std::vector<uint32_t> asked;
        for (int i = 0; i < 100; ++i) {
            const auto address = 0xac100000 | static_cast<uint32_t>(random.next() & 0x3ffff);
            prefixes.push_back(prefix(address, 19 + static_cast<unsigned>(random.next() % 14)));
            asked.push_back(0xac100000 ^ static_cast<uint32_t>(random.next() & 0x7ffff));
        }
        if (round % 2 == 1)
            std::erase_if(prefixes, [](const Prefix& each) { return each.length < 24; });
        const auto more = edges(prefixes);
        asked.insert(asked.end(), more.begin(), more.end());
        expect_like(Ip4Cover(prefixes), prefixes, asked);
    }
}

}  // namespace
}  // namespace sluice::table
