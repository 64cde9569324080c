#include "steering/places.hh"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <numeric>
#include <vector>

namespace sluice::steering {
namespace {

using Queues = std::vector<size_t>;
using Places = std::vector<uint8_t>;

Places places_for(const Queues& queues) {
    return steering::places_for(std::span(queues));
}

TEST(Places, AreEqualWhereAllReceiveAlike) {
    EXPECT_TRUE(places_for({1, 1}).empty());
    EXPECT_TRUE(places_for({0, 0, 0, 0}).empty());
    EXPECT_TRUE(places_for({3}).empty());
}

TEST(Places, AreFewerForThoseWhoReceiveForOthers) {
    EXPECT_EQ(places_for({1, 0}), (Places{38, 90}));
    EXPECT_EQ(places_for({0, 2}), (Places{90, 38}));
    const auto four = places_for({1, 1, 0, 0});
    EXPECT_EQ(four[0], four[1]);
    EXPECT_EQ(four[2], four[3]);
    EXPECT_LT(four[0], four[2]);
    EXPECT_GT(four[0], 0);
    // One that receives for three others has enough to do.
    EXPECT_EQ(places_for({1, 0, 0, 0})[0], 0);
}

TEST(Places, AreAllGivenAway) {
    for (size_t workers = 2; workers <= 127; ++workers) {
        for (size_t receiving = 1; receiving < workers; receiving += 1 + workers / 4) {
            Queues queues(workers);
            std::fill_n(queues.begin(), receiving, size_t{1});
            const auto places = places_for(queues);
            ASSERT_EQ(places.size(), workers);
            ASSERT_EQ(std::accumulate(places.begin(), places.end(), 0U), kBuckets)
                << workers << ' ' << receiving;
        }
    }
}

TEST(Places, LieAllOverTheTable) {
    const Places places{32, 96};
    const auto table = lay_out(places, 2);
    for (size_t first = 0; first < kBuckets; first += 4)
        EXPECT_EQ(std::count(table.begin() + first, table.begin() + first + 4, WorkerId{0}), 1) << first;
}

TEST(Places, HaveTheirOwners) {
    for (const Places& places : {Places{32, 96}, Places{0, 43, 43, 42}, Places{16, 16, 48, 48}}) {
        const auto table = lay_out(places, places.size());
        for (size_t worker = 0; worker < places.size(); ++worker)
            EXPECT_EQ(std::ranges::count(table, static_cast<WorkerId>(worker)), places[worker]);
    }
}

// As devices have it that nobody has told otherwise.
TEST(Places, EqualOnesAreInTurn) {
    const auto table = lay_out({}, 3);
    for (size_t i = 0; i < table.size(); ++i)
        EXPECT_EQ(table[i], static_cast<WorkerId>(i % 3));
}

}  // namespace
}  // namespace sluice::steering
