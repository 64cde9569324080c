#include "sluicectl/units.hh"

#include <fmt/core.h>

#include <array>
#include <cmath>
#include <string_view>

namespace sluice::sluicectl {
namespace {

// Three digits that count, and the unit of the right size.
template <size_t N>
std::string scaled(double value, double step, const std::array<std::string_view, N>& units) {
    size_t unit = 0;
    while (std::abs(value) >= step && unit + 1 < N) {
        value /= step;
        ++unit;
    }
    if (unit == 0 && value == std::floor(value))
        return fmt::format("{:.0f}{}", value, units[0]);
    const double size = std::abs(value);
    const int decimals = size < 9.995 ? 2 : size < 99.95 ? 1 : 0;
    return fmt::format("{:.{}f}{}", value, decimals, units[unit]);
}

}  // namespace

std::string count_text(double value) {
    if (std::abs(value) < 100000)
        return number_text(std::round(value * 10) / 10);
    static constexpr std::array<std::string_view, 6> kUnits{"", "k", "M", "G", "T", "P"};
    return scaled(value, 1000, kUnits);
}

std::string bytes_text(double value) {
    static constexpr std::array<std::string_view, 6> kUnits{" B", " KiB", " MiB", " GiB", " TiB", " PiB"};
    return scaled(value, 1024, kUnits);
}

std::string bit_rate_text(double bytes_per_second) {
    static constexpr std::array<std::string_view, 5> kUnits{" bit/s", " kbit/s", " Mbit/s", " Gbit/s",
                                                            " Tbit/s"};
    return scaled(std::round(bytes_per_second * 8), 1000, kUnits);
}

std::string duration_text(double seconds) {
    if (seconds < 0)
        return "-" + duration_text(-seconds);
    if (seconds < 1)
        return fmt::format("{:.0f} ms", seconds * 1000);
    if (seconds < 60)
        return fmt::format("{} s", number_text(std::round(seconds * 10) / 10));
    const auto whole = static_cast<uint64_t>(seconds);
    if (whole < 3600)
        return fmt::format("{}m {}s", whole / 60, whole % 60);
    if (whole < 86400)
        return fmt::format("{}h {}m", whole / 3600, whole / 60 % 60);
    return fmt::format("{}d {}h", whole / 86400, whole / 3600 % 24);
}

std::string latency_text(double seconds) {
    static constexpr std::array<std::string_view, 4> kUnits{" ns", " us", " ms", " s"};
    return scaled(std::round(seconds * 1e9), 1000, kUnits);
}

std::string share_text(double share) {
    return fmt::format("{:.1f} %", share * 100);
}

std::string number_text(double value) {
    return value == std::floor(value) && std::abs(value) < 1e15 ? fmt::format("{:.0f}", value)
                                                                : fmt::format("{}", value);
}

}  // namespace sluice::sluicectl
