// The order of frames from several captures.
#include <gtest/gtest.h>

#include <utility>
#include <vector>

#include "replay/merge.hh"
#include "replay/test_directory.hh"

namespace sluice::replay {
namespace {

// First byte and time of each frame, in merged order.
using Order = std::vector<std::pair<int, int64_t>>;

Order order_of(Merge& merge) {
    Order result;
    while (auto next = merge.next()) {
        result.emplace_back(next->frame.bytes[0], next->frame.time.time_since_epoch().count());
    }
    return result;
}

TEST(Merge, OrdersByTime) {
    TestDirectory directory;
    auto merge = Merge::open({{"lan", directory.write_capture("a.pcap", {{10, {1}}, {30, {3}}})},
                              {"wan", directory.write_capture("b.pcap", {{20, {2}}, {40, {4}}})}});
    ASSERT_TRUE(merge);
    EXPECT_EQ(order_of(*merge), (Order{{1, 10}, {2, 20}, {3, 30}, {4, 40}}));
}

TEST(Merge, TiesGoByInterfaceNameThenByPlace) {
    TestDirectory directory;
    auto merge = Merge::open({{"wan", directory.write_capture("a.pcap", {{10, {5}}})},
                              {"lan", directory.write_capture("b.pcap", {{10, {1}}, {10, {2}}})},
                              {"lan", directory.write_capture("c.pcap", {{10, {3}}, {10, {4}}})}});
    ASSERT_TRUE(merge);
    EXPECT_EQ(order_of(*merge), (Order{{1, 10}, {2, 10}, {3, 10}, {4, 10}, {5, 10}}));
}

TEST(Merge, TheClockNeverGoesBack) {
    TestDirectory directory;
    auto merge =
        Merge::open({{"lan", directory.write_capture("a.pcap", {{10, {1}}, {50, {3}}, {20, {4}}, {60, {6}}})},
                     {"wan", directory.write_capture("b.pcap", {{30, {2}}, {55, {5}}})}});
    ASSERT_TRUE(merge);
    EXPECT_EQ(order_of(*merge), (Order{{1, 10}, {2, 30}, {3, 50}, {4, 50}, {5, 55}, {6, 60}}));
    EXPECT_EQ(merge->tallies()[0].times_set_right, 1U);
    EXPECT_EQ(merge->tallies()[0].frames, 4U);
    EXPECT_EQ(merge->tallies()[1].times_set_right, 0U);
}

TEST(Merge, ADamagedCaptureEndsAloneAndIsReported) {
    TestDirectory directory;
    const auto whole = directory.write_capture("a.pcap", {{10, {1}}, {30, {3}}});
    const auto broken = directory.write_capture("b.pcap", {{20, {2}}, {25, {9}}});
    std::filesystem::resize_file(broken, std::filesystem::file_size(broken) - 1);
    auto merge = Merge::open({{"lan", whole}, {"wan", broken}});
    ASSERT_TRUE(merge);
    EXPECT_EQ(order_of(*merge), (Order{{1, 10}, {2, 20}, {3, 30}}));
    ASSERT_EQ(merge->errors().size(), 1U);
    EXPECT_NE(merge->errors()[0].message.find("b.pcap"), std::string::npos);
}

TEST(Merge, TalliesCountWhatWasHandedOut) {
    TestDirectory directory;
    auto merge = Merge::open({{"lan", directory.write_capture("a.pcap", {{10, {1}}, {30, {3}}})}});
    ASSERT_TRUE(merge);
    EXPECT_EQ(merge->tallies()[0].frames, 0U);
    ASSERT_TRUE(merge->next());
    EXPECT_EQ(merge->tallies()[0].frames, 1U);
}

TEST(Input, Parses) {
    EXPECT_EQ(Input::parse("lan=a/b=c.pcap").value(), (Input{"lan", "a/b=c.pcap"}));
    for (const char* wrong : {"lan", "=a.pcap", "lan=", ""}) {
        const auto input = Input::parse(wrong);
        ASSERT_FALSE(input) << wrong;
        EXPECT_FALSE(input.error().hint.empty());
    }
}

}  // namespace
}  // namespace sluice::replay
