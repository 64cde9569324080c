#include "telemetry/metrics_text.hh"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <stdexcept>

namespace sluice::telemetry {
namespace {

bool is_name(std::string_view name) {
    return !name.empty() && !(name.front() >= '0' && name.front() <= '9') &&
           std::ranges::all_of(name, [](char c) {
               return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
           });
}

std::string escape(std::string_view text, bool quotes) {
    std::string result;
    result.reserve(text.size());
    for (const char c : text) {
        if (c == '\\')
            result += "\\\\";
        else if (c == '\n')
            result += "\\n";
        else if (c == '"' && quotes)
            result += "\\\"";
        else
            result += c;
    }
    return result;
}

}  // namespace

void MetricsText::Family::start_line(MetricLabels labels, std::string_view suffix, std::string_view bound) {
    text_ += name_;
    text_ += suffix;
    char separator = '{';
    for (const auto& [name, value] : labels) {
        if (!is_name(name))
            throw std::logic_error("not a label's name: " + std::string(name));
        text_ += separator;
        text_ += name;
        text_ += "=\"" + escape(value, true) + '"';
        separator = ',';
    }
    if (!bound.empty()) {
        text_ += fmt::format("{}le=\"{}\"", separator, bound);
        separator = ',';
    }
    text_ += separator == '{' ? " " : "} ";
}

void MetricsText::Family::add(MetricLabels labels, uint64_t value) {
    start_line(labels);
    text_ += fmt::format("{}\n", value);
}

void MetricsText::Family::add(MetricLabels labels, int64_t value) {
    start_line(labels);
    text_ += fmt::format("{}\n", value);
}

void MetricsText::Family::sample(MetricLabels labels, double value) {
    start_line(labels);
    if (std::isnan(value))
        text_ += "NaN\n";
    else if (std::isinf(value))
        text_ += value > 0 ? "+Inf\n" : "-Inf\n";
    else
        text_ += fmt::format("{}\n", value);
}

void MetricsText::Family::sample(MetricLabels labels, std::span<const MetricBucket> buckets, uint64_t count,
                                 double sum) {
    for (const auto& bucket : buckets) {
        start_line(labels, "_bucket", fmt::format("{}", bucket.bound));
        text_ += fmt::format("{}\n", bucket.count);
    }
    start_line(labels, "_bucket", "+Inf");
    text_ += fmt::format("{}\n", count);
    start_line(labels, "_sum");
    text_ += fmt::format("{}\n", sum);
    start_line(labels, "_count");
    text_ += fmt::format("{}\n", count);
}

MetricsText::Family& MetricsText::counter(std::string_view name, std::string_view help) {
    return family(fmt::format("sluice_{}_total", name), help, "counter");
}

MetricsText::Family& MetricsText::gauge(std::string_view name, std::string_view help) {
    return family(fmt::format("sluice_{}", name), help, "gauge");
}

MetricsText::Family& MetricsText::histogram(std::string_view name, std::string_view help) {
    return family(fmt::format("sluice_{}", name), help, "histogram");
}

MetricsText::Family& MetricsText::family(std::string name, std::string_view help, std::string_view type) {
    const auto found = std::ranges::find(families_, name, &Family::name_);
    if (found != families_.end())
        return *found;
    if (!is_name(name))
        throw std::logic_error("not a metric's name: " + name);
    std::string head = fmt::format("# HELP {} {}\n# TYPE {} {}\n", name, escape(help, false), name, type);
    families_.push_back(Family(std::move(name), std::move(head)));
    return families_.back();
}

std::string MetricsText::text() const {
    std::string result;
    for (const Family& one : families_)
        result += one.text_;
    return result;
}

}  // namespace sluice::telemetry
