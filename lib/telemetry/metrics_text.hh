// Writes the Prometheus text exposition format, version 0.0.4. Names get the prefix "sluice_", counters the
// suffix
// "_total".
#pragma once

#include <concepts>
#include <cstdint>
#include <deque>
#include <initializer_list>
#include <span>
#include <string>
#include <string_view>
#include <utility>

namespace sluice::telemetry {

using MetricLabels = std::initializer_list<std::pair<std::string_view, std::string_view>>;

// How many observations of a histogram are below a bound, those below smaller bounds among them.
struct MetricBucket {
    double bound;
    uint64_t count;
};

class MetricsText {
  public:
    // One metric: its samples differ in their labels. Lives as long as the MetricsText it came from.
    class Family {
      public:
        // Label names are snake_case literals; values may be any text and are escaped.
        template <std::unsigned_integral Number>
        void sample(MetricLabels labels, Number value) {
            add(labels, uint64_t{value});
        }
        template <std::signed_integral Number>
        void sample(MetricLabels labels, Number value) {
            add(labels, int64_t{value});
        }
        void sample(MetricLabels labels, double value);
        // Of a histogram; buckets by rising bounds, without that of everything.
        void sample(MetricLabels labels, std::span<const MetricBucket> buckets, uint64_t count, double sum);

      private:
        friend class MetricsText;
        Family(std::string name, std::string head) : name_(std::move(name)), text_(std::move(head)) {}
        void add(MetricLabels labels, uint64_t value);
        void add(MetricLabels labels, int64_t value);
        void start_line(MetricLabels labels, std::string_view suffix = {}, std::string_view bound = {});
        std::string name_;
        std::string text_;
    };

    // "drops" becomes sluice_drops_total. Asked for again, the same family is given back, so that several
    // parts can add samples to it and HELP and TYPE still come once.
    Family& counter(std::string_view name, std::string_view help);
    Family& gauge(std::string_view name, std::string_view help);
    Family& histogram(std::string_view name, std::string_view help);
    // All families in the order in which they were first asked for.
    [[nodiscard]] std::string text() const;

  private:
    Family& family(std::string name, std::string_view help, std::string_view type);
    std::deque<Family> families_;
};

}  // namespace sluice::telemetry
