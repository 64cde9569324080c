#include "telemetry/latency_histogram.hh"

#include <gtest/gtest.h>

#include <memory>

namespace sluice::telemetry {
namespace {

using latency::end_of;
using latency::kLongest;
using latency::kRanges;
using latency::range_of;

TEST(LatencyRanges, follow_each_other_without_gaps) {
    uint64_t begin = 0;
    for (size_t range = 0; range < kRanges; ++range) {
        const uint64_t end = end_of(range);
        ASSERT_GT(end, begin);
        EXPECT_EQ(range_of(begin), range);
        EXPECT_EQ(range_of(end - 1), range);
        begin = end;
    }
    EXPECT_EQ(begin, kLongest + 1);
}

TEST(LatencyRanges, are_an_eighth_as_wide_as_what_they_begin_with) {
    EXPECT_EQ(range_of(7), 7U);
    EXPECT_EQ(end_of(range_of(7)), 8U);
    EXPECT_EQ(range_of(1024), range_of(1151));
    EXPECT_EQ(range_of(1152), range_of(1024) + 1);
    EXPECT_EQ(end_of(range_of(1024)), 1152U);
}

TEST(LatencyRanges, the_last_takes_whatever_is_longer) {
    EXPECT_EQ(range_of(kLongest), kRanges - 1);
    EXPECT_EQ(range_of(kLongest + 1), kRanges - 1);
    EXPECT_EQ(range_of(UINT64_MAX), kRanges - 1);
}

TEST(LatencyHistogram, without_counts_all_is_zero) {
    const auto counts = LatencyHistogram().read();
    EXPECT_EQ(counts.total(), 0U);
    EXPECT_EQ(counts.quantile(0.5), 0U);
    EXPECT_EQ(counts.quantile(1), 0U);
    EXPECT_EQ(counts.below(36), 0U);
}

TEST(LatencyHistogram, quantiles_are_right_to_an_eighth_and_never_too_small) {
    LatencyHistogram histogram;
    for (uint64_t nanoseconds = 1; nanoseconds <= 100'000; ++nanoseconds)
        histogram.add(nanoseconds, 1);
    const auto counts = histogram.read();
    EXPECT_EQ(counts.total(), 100'000U);
    EXPECT_EQ(counts.sum, uint64_t{100'000} * 100'001 / 2);
    for (const double share : {0.001, 0.1, 0.5, 0.9, 0.99, 0.999}) {
        const double right = share * 100'000;
        const auto told = static_cast<double>(counts.quantile(share));
        EXPECT_GE(told, right) << share;
        EXPECT_LE(told, right * 1.125) << share;
    }
    EXPECT_EQ(counts.quantile(1), 100'000U) << "not the end of its range";
    EXPECT_EQ(counts.quantile(0), 1U) << "the shortest";
}

TEST(LatencyHistogram, counts_the_packets_of_a_burst) {
    LatencyHistogram histogram;
    histogram.add(1000, 98);
    histogram.add(50'000, 2);
    histogram.add(900, 0);
    const auto counts = histogram.read();
    EXPECT_EQ(counts.total(), 100U);
    EXPECT_EQ(counts.sum, 198'000U);
    EXPECT_EQ(counts.longest, 50'000U);
    EXPECT_LT(counts.quantile(0.98), 1125U);
    EXPECT_GT(counts.quantile(0.981), 45'000U);
}

TEST(LatencyHistogram, below_counts_what_is_shorter_than_a_power_of_two) {
    LatencyHistogram histogram;
    histogram.add(0, 1);
    histogram.add(1023, 2);
    histogram.add(1024, 4);
    histogram.add(kLongest * 2, 8);
    const auto counts = histogram.read();
    EXPECT_EQ(counts.below(0), 1U);
    EXPECT_EQ(counts.below(9), 1U);
    EXPECT_EQ(counts.below(10), 3U);
    EXPECT_EQ(counts.below(11), 7U);
    EXPECT_EQ(counts.below(35), 7U);
    EXPECT_EQ(counts.below(36), 15U) << "the last range has no end";
}

TEST(LatencyHistogram, what_is_longer_than_all_ranges_is_told_as_it_was) {
    LatencyHistogram histogram;
    histogram.add(3 * kLongest, 1);
    EXPECT_EQ(histogram.read().quantile(0.5), 3 * kLongest);
}

TEST(LatencyHistogram, workers_add_up) {
    const auto one = std::make_unique<LatencyHistogram>();
    const auto other = std::make_unique<LatencyHistogram>();
    one->add(100, 60);
    one->add(7000, 1);
    other->add(100, 20);
    other->add(5000, 19);
    auto counts = one->read();
    counts += other->read();
    EXPECT_EQ(counts.total(), 100U);
    EXPECT_EQ(counts.sum, 80 * 100U + 7000 + 19 * 5000);
    EXPECT_EQ(counts.longest, 7000U);
    EXPECT_EQ(range_of(counts.quantile(0.8)), range_of(100));
    EXPECT_EQ(range_of(counts.quantile(0.99)), range_of(5000));
    EXPECT_EQ(counts.quantile(1), 7000U);
}

}  // namespace
}  // namespace sluice::telemetry
