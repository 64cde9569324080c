#include "telemetry/metrics_text.hh"

#include <gtest/gtest.h>

#include <limits>
#include <stdexcept>

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

TEST(MetricsText, names_are_checked) {
    MetricsText text;
    EXPECT_THROW(text.gauge("a-b", ""), std::logic_error);
    EXPECT_THROW(text.gauge("a", "").sample({{"1x", ""}}, 1), std::logic_error);
}

}  // namespace
}  // namespace sluice::telemetry
