#include "telemetry/metrics_text.hh"

#include <gtest/gtest.h>

#include <limits>
#include <stdexcept>
#include <vector>

namespace sluice::telemetry {
namespace {

TEST(MetricsText, families_stand_together_with_one_head) {
    MetricsText text;
    text.counter("drops", "packets dropped").sample({{"reason", "martian"}, {"interface", "wan"}}, 3U);
    text.gauge("uptime_seconds", "since the start").sample({}, 1.5);
    text.counter("drops", "packets dropped")
        .sample({{"reason", "no_route"}, {"interface", "lan"}}, uint64_t{1} << 63);
    EXPECT_EQ(text.text(),
              "# HELP sluice_drops_total packets dropped\n"
              "# TYPE sluice_drops_total counter\n"
              "sluice_drops_total{reason=\"martian\",interface=\"wan\"} 3\n"
              "sluice_drops_total{reason=\"no_route\",interface=\"lan\"} 9223372036854775808\n"
              "# HELP sluice_uptime_seconds since the start\n"
              "# TYPE sluice_uptime_seconds gauge\n"
              "sluice_uptime_seconds 1.5\n");
}

TEST(MetricsText, escapes_values_and_help) {
    MetricsText text;
    text.gauge("x", "a\\b\n\"c\"").sample({{"device", "net_tap0,iface=\"l\\an\"\n"}}, -1);
    EXPECT_EQ(text.text(),
              "# HELP sluice_x a\\\\b\\n\"c\"\n# TYPE sluice_x gauge\n"
              "sluice_x{device=\"net_tap0,iface=\\\"l\\\\an\\\"\\n\"} -1\n");
}

TEST(MetricsText, numbers_that_are_none) {
    MetricsText text;
    auto& gauge = text.gauge("x", "y");
    gauge.sample({}, std::numeric_limits<double>::quiet_NaN());
    gauge.sample({}, std::numeric_limits<double>::infinity());
    gauge.sample({}, -std::numeric_limits<double>::infinity());
    EXPECT_TRUE(text.text().ends_with("sluice_x NaN\nsluice_x +Inf\nsluice_x -Inf\n"));
}

TEST(MetricsText, histograms_have_buckets_and_a_sum) {
    MetricsText text;
    auto& histogram = text.histogram("wait_seconds", "how long");
    histogram.sample({{"worker", "0"}}, std::vector<MetricBucket>{{0.001, 3}, {0.5, 7}}, 8, 2.25);
    histogram.sample({}, {}, 0, 0.0);
    EXPECT_EQ(text.text(),
              "# HELP sluice_wait_seconds how long\n"
              "# TYPE sluice_wait_seconds histogram\n"
              "sluice_wait_seconds_bucket{worker=\"0\",le=\"0.001\"} 3\n"
              "sluice_wait_seconds_bucket{worker=\"0\",le=\"0.5\"} 7\n"
              "sluice_wait_seconds_bucket{worker=\"0\",le=\"+Inf\"} 8\n"
              "sluice_wait_seconds_sum{worker=\"0\"} 2.25\n"
              "sluice_wait_seconds_count{worker=\"0\"} 8\n"
              "sluice_wait_seconds_bucket{le=\"+Inf\"} 0\n"
              "sluice_wait_seconds_sum 0\n"
              "sluice_wait_seconds_count 0\n");
}

TEST(MetricsText, names_are_checked) {
    MetricsText text;
    EXPECT_THROW(text.gauge("a-b", ""), std::logic_error);
    EXPECT_THROW(text.gauge("a", "").sample({{"1x", ""}}, 1), std::logic_error);
}

}  // namespace
}  // namespace sluice::telemetry
