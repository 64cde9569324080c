#include "nat/slots.hh"

#include <gtest/gtest.h>

#include <array>
#include <set>

namespace sluice::nat {
namespace {

TEST(Slots, GiveEachPlaceOnceAndThoseGivenBackAgain) {
    Slots<uint64_t> slots(3);
    std::set<uint32_t> places;
    for (uint64_t value = 0; value < 3; ++value)
        places.insert(slots.take(value));
    EXPECT_EQ(places, (std::set<uint32_t>{0, 1, 2}));
    EXPECT_EQ(slots.take(3), Slots<uint64_t>::kNone);
    slots.give_back(2);
    slots.give_back(0);
    EXPECT_FALSE(slots.is_in_use(0));
    EXPECT_TRUE(slots.is_in_use(1));
    EXPECT_EQ(slots.size(), 1U);
    slots.prefetch_free(64);  // more than there are
    EXPECT_EQ(slots.take(7), 0U) << "that which is likeliest to be in the cache";
    EXPECT_EQ(slots.take(8), 2U);
    EXPECT_EQ(slots[0], 7U);
    EXPECT_EQ(slots[2], 8U);
    EXPECT_EQ(slots.take(9), Slots<uint64_t>::kNone);
    EXPECT_EQ(slots.touched(), 3U);
}

TEST(Slots, AreLinesOfMemoryWhereTheyFillMostOfOne) {
    EXPECT_EQ(sizeof(Slots<std::array<uint32_t, 15>>::Slot), 64U);
    EXPECT_EQ(sizeof(Slots<std::array<uint32_t, 10>>::Slot), 64U);
    EXPECT_EQ(sizeof(Slots<std::array<uint32_t, 3>>::Slot), 16U);
    Slots<std::array<uint32_t, 10>> slots(5);
    for (uint32_t value = 0; value < 5; ++value)
        EXPECT_EQ(reinterpret_cast<uintptr_t>(&slots[slots.take({value})]) % 64, 0U);
}

}  // namespace
}  // namespace sluice::nat
