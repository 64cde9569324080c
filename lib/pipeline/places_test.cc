// Sets of places are walked in order, up to the first that is refused.
#include "pipeline/places.hh"

#include <gtest/gtest.h>

#include <vector>

#include "base/random.hh"

namespace sluice::pipeline {
namespace {

TEST(Places, AreInARowWithoutGaps) {
    for (size_t first = 0; first < 64; ++first)
        for (size_t end = first + 1; end <= 64; ++end) {
            const uint64_t row = first_places(end) & ~first_places(first);
            EXPECT_TRUE(are_in_a_row(row)) << first << ' ' << end;
            for (size_t gap = first + 1; gap + 1 < end; ++gap)
                EXPECT_FALSE(are_in_a_row(row & ~place_bit(gap))) << first << ' ' << end << ' ' << gap;
        }
}

TEST(Places, AreWalkedUntilOneIsRefused) {
    Random random(3);
    for (int round = 0; round < 20'000; ++round) {
        // Rows as well as places here and there.
        const size_t first = random.below(64);
        uint64_t places =
            ~uint64_t{0} << first >> random.below(static_cast<uint32_t>(64 - first)) | place_bit(first);
        if (random.below(2) == 0)
            places &= random.next() | place_bit(first);
        const uint64_t refused = random.below(4) == 0 ? 0 : random.next() & random.next();
        uint64_t expected = 0;
        std::vector<size_t> walked;
        for (size_t place = 0; place < 64; ++place) {
            if ((places >> place & 1) == 0)
                continue;
            walked.push_back(place);
            if ((refused >> place & 1) != 0)
                break;
            expected |= place_bit(place);
        }
        std::vector<size_t> seen;
        EXPECT_EQ(while_each_place(places,
                                   [&](size_t place) {
                                       seen.push_back(place);
                                       return (refused >> place & 1) == 0;
                                   }),
                  expected);
        ASSERT_EQ(seen, walked);
    }
}

}  // namespace
}  // namespace sluice::pipeline
