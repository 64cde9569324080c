// Durations: `1h30m`, `100ms`, `0.5`.
#include <algorithm>
#include <array>
#include <charconv>
#include <string>
#include <string_view>

#include "config/problem.hh"
#include "config/scalar.hh"

namespace sluice::config {

namespace {

struct Unit {
    std::string_view name;
    int64_t nanoseconds;
};
// From the largest: a duration of several parts names them in this order.
constexpr std::array kUnits{
    Unit{"d", 86'400'000'000'000},
    Unit{"h", 3'600'000'000'000},
    Unit{"m", 60'000'000'000},
    Unit{"s", 1'000'000'000},
    Unit{"ms", 1'000'000},
    Unit{"us", 1'000},
    Unit{"ns", 1},
};
constexpr size_t kSeconds = 3;
constexpr size_t kMostDigits = 18;  // of a fraction; one more fits into what stands before it

bool is_digit(char c) {
    return c >= '0' && c <= '9';
}

bool is_letter(char c) {
    return c >= 'a' && c <= 'z';
}

// Takes the characters from the front for which `wanted` holds.
std::string_view take(std::string_view& text, bool (*wanted)(char)) {
    const auto end = std::ranges::find_if_not(text, wanted);
    const auto taken = text.substr(0, static_cast<size_t>(end - text.begin()));
    text.remove_prefix(taken.size());
    return taken;
}

// whole.fraction units in nanoseconds; -1 if that is no whole number of them or more than fits.
__extension__ using Wide = __int128;
int64_t amount_of(std::string_view whole, std::string_view fraction, const Unit& unit) {
    if (whole.size() > kMostDigits + 1 || fraction.size() > kMostDigits)
        return -1;
    uint64_t number = 0;
    std::from_chars(whole.data(), whole.data() + whole.size(), number);
    Wide total = Wide{number} * unit.nanoseconds;
    if (!fraction.empty()) {
        int64_t part = 0;
        std::from_chars(fraction.data(), fraction.data() + fraction.size(), part);
        Wide scaled = Wide{part} * unit.nanoseconds;
        for (size_t i = 0; i < fraction.size(); ++i) {
            if (scaled % 10 != 0)
                return -1;
            scaled /= 10;
        }
        total += scaled;
    }
    return total > INT64_MAX ? -1 : static_cast<int64_t>(total);
}

}  // namespace

std::string Scalar<Duration>::expected() {
    return "a duration such as 30s, 5m, 2h, 1d, 100ms, or seconds";
}

Expected<Duration> Scalar<Duration>::parse(std::string_view text) {
    const auto no_duration = [text] { return fail(quote(text) + " is not a duration"); };
    std::string_view rest = text;
    int64_t total = 0;
    size_t next_unit = 0;
    do {
        const std::string_view whole = take(rest, is_digit);
        std::string_view fraction;
        if (rest.starts_with('.')) {
            rest.remove_prefix(1);
            fraction = take(rest, is_digit);
            if (fraction.empty())
                return no_duration();
        }
        const std::string_view name = take(rest, is_letter);
        if (whole.empty() || (name.empty() && (next_unit != 0 || !rest.empty())))
            return no_duration();
        if (whole.size() > 1 && whole[0] == '0')
            return fail(quote(text) + " has a leading zero, which some read as octal", "expected it without");
        const auto unit =
            name.empty() ? kUnits.begin() + kSeconds : std::ranges::find(kUnits, name, &Unit::name);
        if (unit == kUnits.end() || unit < kUnits.begin() + static_cast<ptrdiff_t>(next_unit))
            return no_duration();
        next_unit = static_cast<size_t>(unit - kUnits.begin()) + 1;
        const int64_t amount = amount_of(whole, fraction, *unit);
        if (amount < 0 || amount > INT64_MAX - total)
            return fail(quote(text) + " is too long or too fine",
                        "expected whole nanoseconds, less than 292 years");
        total += amount;
    } while (!rest.empty());
    return Duration(total);
}

std::string Scalar<Duration>::format(const Duration& value) {
    const int64_t count = value.count();
    if (count == 0)
        return "0s";
    for (const auto& unit : kUnits)
        if (count % unit.nanoseconds == 0)
            return std::to_string(count / unit.nanoseconds) + std::string(unit.name);
    return std::to_string(count) + "ns";
}

}  // namespace sluice::config
