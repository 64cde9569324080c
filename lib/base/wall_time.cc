#include "base/wall_time.hh"

#include <charconv>
#include <chrono>
#include <optional>
#include <string>

namespace sluice {
namespace {

// Reads a text from its beginning.
class Scanner {
  public:
    explicit Scanner(std::string_view text) : rest_(text) {}

    // So many digits.
    std::optional<int> digits(size_t count) {
        int value = 0;
        if (rest_.size() < count)
            return std::nullopt;
        const auto [at, error] = std::from_chars(rest_.data(), rest_.data() + count, value);
        if (error != std::errc() || at != rest_.data() + count || value < 0)
            return std::nullopt;
        rest_.remove_prefix(count);
        return value;
    }
    // Any of the characters; 0 if there is none of them.
    char any_of(std::string_view which) {
        if (rest_.empty() || which.find(rest_.front()) == std::string_view::npos)
            return 0;
        const char found = rest_.front();
        rest_.remove_prefix(1);
        return found;
    }
    // Digits behind a point.
    double fraction() {
        double scale = 0.1;
        double value = 0;
        for (char digit = any_of("0123456789"); digit != 0; digit = any_of("0123456789")) {
            value += (digit - '0') * scale;
            scale /= 10;
        }
        return value;
    }
    [[nodiscard]] bool at_end() const { return rest_.empty(); }

  private:
    std::string_view rest_;
};

std::optional<double> iso_8601(std::string_view text) {
    using namespace std::chrono;
    Scanner scan(text);
    const auto year = scan.digits(4);
    if (!year || scan.any_of("-") == 0)
        return std::nullopt;
    const auto month = scan.digits(2);
    if (!month || scan.any_of("-") == 0)
        return std::nullopt;
    const auto day = scan.digits(2);
    if (!day || scan.any_of("T ") == 0)
        return std::nullopt;
    const year_month_day date(std::chrono::year{*year}, std::chrono::month(static_cast<unsigned>(*month)),
                              std::chrono::day(static_cast<unsigned>(*day)));
    const auto hour = scan.digits(2);
    if (!date.ok() || !hour || *hour > 23 || scan.any_of(":") == 0)
        return std::nullopt;
    const auto minute = scan.digits(2);
    if (!minute || *minute > 59)
        return std::nullopt;
    double second = 0;
    if (scan.any_of(":") != 0) {
        const auto whole = scan.digits(2);
        if (!whole || *whole > 60)
            return std::nullopt;
        second = *whole;
        if (scan.any_of(".") != 0)
            second += scan.fraction();
    }
    double ahead = 0;
    if (const char sign = scan.any_of("+-"); sign != 0) {
        const auto hours = scan.digits(2);
        scan.any_of(":");
        const auto minutes = scan.digits(2);
        if (!hours || !minutes || *hours > 23 || *minutes > 59)
            return std::nullopt;
        ahead = (sign == '+' ? 60.0 : -60.0) * (*hours * 60 + *minutes);
    } else {
        scan.any_of("Z");
    }
    if (!scan.at_end())
        return std::nullopt;
    const auto days = static_cast<double>(sys_days(date).time_since_epoch().count());
    return days * 86400 + *hour * 3600 + *minute * 60 + second - ahead;
}

std::optional<double> number(std::string_view text) {
    double value = 0;
    const auto [at, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (error != std::errc() || at != text.data() + text.size())
        return std::nullopt;
    return value;
}

}  // namespace

Expected<double> parse_wall_time(std::string_view text) {
    constexpr double kLatest = 7258118400;  // 2200
    auto found = number(text);
    if (!found)
        found = iso_8601(text);
    if (!found || !(*found >= 0 && *found < kLatest))
        return fail("'" + std::string(text) + "' is no time",
                    "such as 2026-01-01T00:00:00Z, or seconds since 1970");
    return *found;
}

}  // namespace sluice
