// Sources are counted exactly, and room for many costs nothing until they come.
#include "conntrack/source_limit.hh"

#include <gtest/gtest.h>
#include <unistd.h>

#include <cstdint>
#include <fstream>

namespace sluice::conntrack {
namespace {

constexpr InterfaceId kLan{0};

Tuple from_source(uint32_t number) {
    return {Ip4Address::from_host(0x0a000000U + number), Ip4Address::from_host(0xc0000201U),
            wire::IpProtocol::udp, 1000, 53};
}

uint64_t resident_bytes() {
    uint64_t size = 0;
    uint64_t resident = 0;
    std::ifstream("/proc/self/statm") >> size >> resident;
    return resident * static_cast<uint64_t>(sysconf(_SC_PAGESIZE));
}

class SourceLimitTest : public testing::Test {
  protected:
    void make(size_t sources) {
        limit = SourceLimit(sources, TupleHash{{1, 2, 3, 4}});
        limit.prepare();
    }
    SourceLimit limit{0, TupleHash{{1, 2, 3, 4}}};
};

TEST_F(SourceLimitTest, holds_each_source_to_its_most) {
    make(16);
    for (int flow = 0; flow < 3; ++flow)
        EXPECT_TRUE(limit.take(from_source(1), kLan, 3));
    EXPECT_FALSE(limit.take(from_source(1), kLan, 3));
    EXPECT_TRUE(limit.take(from_source(2), kLan, 3));
    EXPECT_TRUE(limit.take(from_source(1), InterfaceId{1}, 3)) << "another interface";
    limit.give_back(from_source(1), kLan);
    EXPECT_TRUE(limit.take(from_source(1), kLan, 3));
}

TEST_F(SourceLimitTest, takes_places_again) {
    make(4);
    for (uint32_t round = 0; round < 3; ++round) {
        for (uint32_t source = 0; source < 4; ++source)
            ASSERT_TRUE(limit.take(from_source(10 * round + source), kLan, 1));
        EXPECT_EQ(limit.sources(), 4U);
        EXPECT_FALSE(limit.take(from_source(99), kLan, 1));
        for (uint32_t source = 0; source < 4; ++source)
            limit.give_back(from_source(10 * round + source), kLan);
        EXPECT_EQ(limit.sources(), 0U);
    }
}

// A worker does it between two bursts.
TEST_F(SourceLimitTest, takes_no_memory_before_there_are_sources) {
    const uint64_t before = resident_bytes();
    make(1 << 22);
    EXPECT_LT(resident_bytes(), before + (1 << 20));
    EXPECT_TRUE(limit.take(from_source(1), kLan, 1));
}

}  // namespace
}  // namespace sluice::conntrack
