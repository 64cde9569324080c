// Bounds an owner sets to an option beyond what its type says.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <utility>

namespace sluice::config {

// What amounts are measured in; bounds must have that of the option.
enum class Dimension : uint8_t { number, nanoseconds, bytes, per_second, hundredths };

// Bounds, both allowed values themselves; an empty text means there is none on that side. A long double holds
// every 64-bit integer exactly.
struct Range {
    Dimension dimension = Dimension::number;
    long double low = 0;
    long double high = 0;
    std::string low_text;
    std::string high_text;
};

struct Constraint {
    std::optional<Range> range;  // of numbers, durations, sizes ..., or of each in a list
    std::optional<std::pair<size_t, size_t>> length;  // of a string, a list or a named mapping
    bool list_or_one = false;                         // one value may stand for a list of one

    [[nodiscard]] bool bounds(Dimension dimension) const { return range && range->dimension == dimension; }
    // `expected` with the bounds, if any, behind it: "a whole number from 1 to 1024".
    [[nodiscard]] std::string amend(const std::string& expected) const;
    // That of the items of a list.
    [[nodiscard]] Constraint of_items() const { return {range, std::nullopt, false}; }
};

}  // namespace sluice::config
