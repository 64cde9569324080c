#include "table/zeroed_array.hh"

#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>
#include <vector>

namespace sluice::table {
namespace {

constexpr size_t kSize = size_t{4} << 20;

// Of an array, what lies in memory.
size_t resident_bytes(ZeroedArray<uint8_t>& array) {
    const auto page = static_cast<size_t>(sysconf(_SC_PAGESIZE));
    std::vector<unsigned char> pages((array.size() + page - 1) / page);
    EXPECT_EQ(mincore(array.data(), array.size(), pages.data()), 0);
    return page * static_cast<size_t>(
                      std::ranges::count_if(pages, [](unsigned char state) { return (state & 1) != 0; }));
}

TEST(ZeroedArrayTest, TakesMemoryWhereItIsWritten) {
    for (const bool dense : {false, true}) {
        ZeroedArray<uint8_t> array(kSize, dense);
        EXPECT_EQ(resident_bytes(array), 0U);
        EXPECT_EQ(array[kSize - 1], 0);
        array[kSize - 1] = 1;
        EXPECT_GT(resident_bytes(array), 0U);
    }
}

TEST(ZeroedArrayTest, GivesMemoryBackAlsoWhereItIsLocked) {
    for (const bool locked : {false, true}) {
        ZeroedArray<uint8_t> array(kSize, true);
        if (locked && mlock2(array.data(), kSize, MLOCK_ONFAULT) != 0)
            GTEST_SKIP() << "memory cannot be locked: " << std::strerror(errno);
        std::memset(array.data(), 1, kSize);
        ASSERT_EQ(resident_bytes(array), kSize);
        array.give_back();
        EXPECT_EQ(resident_bytes(array), 0U);
    }
}

}  // namespace
}  // namespace sluice::table
