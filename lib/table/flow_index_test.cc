#include "table/flow_index.hh"

#include <gtest/gtest.h>

#include <array>
#include <bit>
#include <set>
#include <vector>

#include "base/random.hh"

namespace sluice::table {
namespace {

TEST(FlowIndex, FindsWhatIsInItAndNothingElse) {
    FlowIndex index(100);
    ASSERT_TRUE(index.insert(0x1234567890abcdef, 7));
    EXPECT_EQ(index.find(0x1234567890abcdef, [](uint32_t number) { return number == 7; }), 7U);
    EXPECT_EQ(index.find(0x1234567890abcdef, [](uint32_t) { return false; }), FlowIndex::kNone);
    EXPECT_EQ(index.candidate(0x1234567890abcdef), 7U);
    EXPECT_TRUE(index.erase(0x1234567890abcdef, 7));
    EXPECT_FALSE(index.erase(0x1234567890abcdef, 7));
    EXPECT_EQ(index.find(0x1234567890abcdef, [](uint32_t) { return true; }), FlowIndex::kNone);
    EXPECT_EQ(index.size(), 0U);
}

TEST(FlowIndex, HomesOfManyHashesSayWhatEachOfThemDoes) {
    constexpr size_t kMost = FlowIndex::Homes::kMost;
    FlowIndex index(1000);
    Random random(3);
    std::array<uint64_t, kMost> hashes;
    for (const uint64_t places : {~uint64_t{0}, uint64_t{1}, uint64_t{0x8000000000000000}, random.next()}) {
        for (size_t place = 0; place < kMost; ++place) {
            hashes[place] = random.next();
            if (place % 3 == 0)
                continue;
            ASSERT_TRUE(index.insert(hashes[place], static_cast<uint32_t>(random.next())));
        }
        FlowIndex::Homes homes;
        index.find_homes(hashes.data(), places, homes);
        for (uint64_t left = places; left != 0; left &= left - 1) {
            const auto place = static_cast<size_t>(std::countr_zero(left));
            uint32_t number = FlowIndex::kNone;
            const bool found = homes.has_candidate(place, number);
            EXPECT_EQ(found ? number : FlowIndex::kNone, index.candidate(hashes[place])) << place;
        }
    }
}

TEST(FlowIndex, TakesAllItWasMadeForAndKeepsThemFindable) {
    constexpr uint32_t kEntries = 100'000;
    FlowIndex index(kEntries);
    Random random(1);
    std::vector<uint64_t> hashes(kEntries);
    for (auto& hash : hashes)
        hash = random.next();
    // Filled, and then churned at its fullest, which is where entries move about most.
    for (uint32_t number = 0; number < kEntries; ++number)
        ASSERT_TRUE(index.insert(hashes[number], number));
    for (int round = 0; round < 300'000; ++round) {
        const uint32_t number = random.below(kEntries);
        ASSERT_TRUE(index.erase(hashes[number], number));
        hashes[number] = random.next();
        ASSERT_TRUE(index.insert(hashes[number], number));
    }
    for (uint32_t number = 0; number < kEntries; ++number)
        ASSERT_EQ(index.find(hashes[number], [&](uint32_t found) { return found == number; }), number);
    for (uint32_t number = 0; number < kEntries; ++number)
        ASSERT_TRUE(index.erase(hashes[number], number));
    // Nothing is left, not even a claim that something lies elsewhere.
    for (uint32_t number = 0; number < kEntries; ++number)
        ASSERT_EQ(index.find(hashes[number], [](uint32_t) { return true; }), FlowIndex::kNone);
}

TEST(FlowIndex, RefusesWhatDoesNotFitAndLosesNothing) {
    FlowIndex index(1);
    const size_t places = index.bucket_count() * FlowIndex::kSlots;
    Random random(2);
    std::vector<uint64_t> hashes;
    while (hashes.size() < places + 10) {
        const uint64_t hash = random.next();
        if (!index.insert(hash, static_cast<uint32_t>(hashes.size())))
            break;
        hashes.push_back(hash);
    }
    EXPECT_LE(hashes.size(), places);
    EXPECT_EQ(index.size(), hashes.size());
    for (uint32_t number = 0; number < hashes.size(); ++number)
        EXPECT_EQ(index.find(hashes[number], [&](uint32_t found) { return found == number; }), number);
}

TEST(FlowIndex, EntriesOfOneHashEndAtTwoBuckets) {
    FlowIndex index(1000);
    uint32_t taken = 0;
    while (taken < 100 && index.insert(0x8000000000001234, taken))
        ++taken;
    EXPECT_GE(taken, FlowIndex::kSlots);
    EXPECT_LE(taken, 2 * FlowIndex::kSlots);
    for (uint32_t number = 0; number < taken; ++number)
        EXPECT_TRUE(index.erase(0x8000000000001234, number));
}

TEST(FlowIndex, VisitsNeighbouringBucketsRoundTheEnd) {
    FlowIndex index(200);
    Random random(3);
    for (uint32_t number = 0; number < 200; ++number)
        ASSERT_TRUE(index.insert(random.next(), number));
    std::set<uint32_t> seen;
    for (size_t distance = 0; distance < index.bucket_count(); ++distance)
        index.visit_bucket(0xffffffff00000000, distance, [&](uint32_t number) { seen.insert(number); });
    EXPECT_EQ(seen.size(), 200U);
}

}  // namespace
}  // namespace sluice::table
