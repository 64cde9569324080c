#include "table/growing_index.hh"

#include <gtest/gtest.h>

#include <algorithm>
#include <vector>

#include "base/random.hh"

namespace sluice::table {
namespace {

// Numbers and their hashes, as an owner has them.
class GrowingIndexTest : public ::testing::Test {
  protected:
    static constexpr size_t kEntries = 100'000;

    auto hash_of() {
        return [this](uint32_t number) { return hashes_[number]; };
    }
    void add() {
        const auto number = static_cast<uint32_t>(hashes_.size());
        hashes_.push_back(random_.next());
        if (index_.is_full())
            index_.grow(hash_of());
        ASSERT_TRUE(index_.insert(hashes_[number], number));
    }
    void replace(uint32_t number) {
        ASSERT_TRUE(index_.erase(hashes_[number], number));
        hashes_[number] = random_.next();
        if (index_.is_full())
            index_.grow(hash_of());
        ASSERT_TRUE(index_.insert(hashes_[number], number));
    }
    [[nodiscard]] bool has(uint32_t number) const {
        return index_.may_have(hashes_[number]) &&
               index_.find(hashes_[number], [&](uint32_t found) { return found == number; }) == number;
    }
    void expect_all() const {
        for (uint32_t number = 0; number < hashes_.size(); ++number)
            ASSERT_TRUE(has(number)) << number;
        ASSERT_EQ(index_.size(), hashes_.size());
    }

    GrowingIndex index_{kEntries};
    Random random_{5};
    std::vector<uint64_t> hashes_;
};

TEST_F(GrowingIndexTest, FindsAllWhileItGrowsAndEntriesComeAndGo) {
    size_t sizes = 0;
    size_t capacity = 0;
    bool moved_slowly = false;
    while (hashes_.size() < kEntries) {
        add();
        replace(random_.below(static_cast<uint32_t>(hashes_.size())));
        ASSERT_TRUE(has(random_.below(static_cast<uint32_t>(hashes_.size()))));
        if (index_.now().capacity() != capacity) {
            capacity = index_.now().capacity();
            ++sizes;
            expect_all();
        }
        moved_slowly = moved_slowly || index_.is_moving();
        if (hashes_.size() % 16 == 0)
            index_.move(1, hash_of());
    }
    EXPECT_EQ(sizes, 2U);
    EXPECT_TRUE(moved_slowly);
    expect_all();
}

TEST_F(GrowingIndexTest, GrowsAlsoIfNothingHasBeenMovedInBetween) {
    while (hashes_.size() < kEntries)
        add();
    EXPECT_TRUE(index_.is_moving());
    expect_all();
    while (!index_.move(7, hash_of()))
        replace(random_.below(kEntries));
    expect_all();
    EXPECT_FALSE(index_.is_moving());
}

TEST_F(GrowingIndexTest, TakesAsMuchMemoryAsItHasEntries) {
    const size_t first = index_.now().capacity();
    EXPECT_EQ(index_.memory(), first * FlowIndex::kBytesPerEntry);
    EXPECT_LE(first, kEntries / GrowingIndex::kGrowth + FlowIndex::kFill);
    while (hashes_.size() < first)
        add();
    EXPECT_FALSE(index_.is_moving());
    add();
    EXPECT_TRUE(index_.is_moving());
    const size_t all = index_.now().capacity();
    EXPECT_EQ(index_.memory(), (first + all) * FlowIndex::kBytesPerEntry);
    while (!index_.move(100, hash_of())) {
    }
    EXPECT_EQ(index_.memory(), all * FlowIndex::kBytesPerEntry);
    expect_all();
}

TEST(GrowingIndexSizes, NoneIsNearlyAsLargeAsTheNext) {
    for (const size_t entries : {1UL, 4096UL, 32767UL, 32768UL, 2'500'000UL, 33'554'432UL}) {
        GrowingIndex index(entries);
        EXPECT_LT(index.now().capacity(),
                  std::max(entries + 1, GrowingIndex::kFirst * GrowingIndex::kGrowth) + 32);
        size_t last = index.now().capacity();
        for (int step = 0; step < 8 && last < entries; ++step) {
            index.grow([](uint32_t) { return 0; });
            EXPECT_GE(index.now().capacity() + FlowIndex::kFill, last * (GrowingIndex::kGrowth - 1));
            last = index.now().capacity();
            EXPECT_TRUE(index.move(last, [](uint32_t) { return 0; }));
        }
        EXPECT_GE(last, entries);
    }
}

TEST_F(GrowingIndexTest, VisitsAndForgetsWhereverEntriesAre) {
    while (hashes_.size() < kEntries / 4)
        add();
    ASSERT_TRUE(index_.is_moving());
    for (uint32_t number = 0; number < hashes_.size(); ++number) {
        bool seen = false;
        index_.visit_bucket(hashes_[number], 0, [&](uint32_t found) { seen = seen || found == number; });
        // Of the few that lie elsewhere nothing is said.
        if (index_.candidate(hashes_[number]) == number) {
            ASSERT_TRUE(seen);
        }
        ASSERT_TRUE(index_.erase(hashes_[number], number));
        ASSERT_FALSE(index_.erase(hashes_[number], number));
    }
    EXPECT_EQ(index_.size(), 0U);
}

}  // namespace
}  // namespace sluice::table
