// How a type is written as one scalar: Scalar<T>. The type decides what a text means: `no`, `22:30`, `010`
// and `::/0` are what the option's type makes of them, and quotes do not matter.
//
// A codec for a type of one's own specialises Scalar<T> with
//   static std::string expected();                     what one may write: "a prefix such as 10.0.0.0/8"
//   static Expected<T> parse(std::string_view text);   never throws; a hint is given only where it says more
//   static std::string format(const T& value);         parse(format(x)) == x
// and, if values can be bounded, a kDimension, `static long double measure(const T&)` in its units, and
// perhaps noun(): what is expected, without bounds of its own.
#pragma once

#include <chrono>
#include <concepts>
#include <cstdint>
#include <limits>
#include <string>
#include <string_view>
#include <utility>

#include "base/address.hh"
#include "base/error.hh"
#include "base/prefix.hh"
#include "base/time.hh"
#include "config/constraint.hh"
#include "config/quantity.hh"

namespace sluice::config {

template <typename T>
struct Scalar;

template <typename T>
concept HasScalar = requires(const T& value, std::string_view text) {
    { Scalar<T>::expected() } -> std::same_as<std::string>;
    { Scalar<T>::parse(text) } -> std::same_as<Expected<T>>;
    { Scalar<T>::format(value) } -> std::same_as<std::string>;
};

// Whether values can be bounded with range().
template <typename T>
concept HasMeasure = requires(const T& value) {
    { Scalar<T>::kDimension } -> std::convertible_to<Dimension>;
    { Scalar<T>::measure(value) } -> std::same_as<long double>;
};

// Whether JSON writes it without quotes: numbers and booleans. A codec says so with `static constexpr bool
// bare = true` or, if it depends on the value, `static bool is_bare(const T&)`.
template <typename T>
bool is_bare(const T& value) {
    if constexpr (requires { Scalar<T>::is_bare(value); }) {
        return Scalar<T>::is_bare(value);
    } else {
        return requires { requires Scalar<T>::kBare; };
    }
}

template <typename T>
concept Number =
    std::integral<T> && !std::same_as<T, bool> && !std::same_as<T, char> && !std::same_as<T, wchar_t> &&
    !std::same_as<T, char8_t> && !std::same_as<T, char16_t> && !std::same_as<T, char32_t>;

// Whole numbers: decimal, or hexadecimal with 0x. A leading zero is refused, since some would read it as
// octal.
Expected<uint64_t> parse_unsigned(std::string_view text, uint64_t max);
Expected<int64_t> parse_signed(std::string_view text, int64_t min, int64_t max);

template <Number T>
struct Scalar<T> {
    static constexpr bool kBare = true;
    static constexpr Dimension kDimension = Dimension::number;
    static std::string noun() { return "a whole number"; }
    static std::string expected() {
        return noun() + " from " + std::to_string(std::numeric_limits<T>::min()) + " to " +
               std::to_string(std::numeric_limits<T>::max());
    }
    static Expected<T> parse(std::string_view text) {
        const auto wide = [text] {
            if constexpr (std::unsigned_integral<T>) {
                return parse_unsigned(text, std::numeric_limits<T>::max());
            } else {
                return parse_signed(text, std::numeric_limits<T>::min(), std::numeric_limits<T>::max());
            }
        }();
        if (!wide) {
            return std::unexpected(wide.error());
        }
        return static_cast<T>(*wide);
    }
    static std::string format(const T& value) { return std::to_string(value); }
    static long double measure(const T& value) { return static_cast<long double>(value); }
};

// `true` or `false` and nothing else.
template <>
struct Scalar<bool> {
    static constexpr bool kBare = true;
    static std::string expected();
    static Expected<bool> parse(std::string_view text);
    static std::string format(const bool& value);
};

// Any text without control characters other than tab and newline.
template <>
struct Scalar<std::string> {
    static std::string expected();
    static Expected<std::string> parse(std::string_view text);
    static std::string format(const std::string& value);
};

template <>
struct Scalar<MacAddress> {
    static std::string expected();
    static Expected<MacAddress> parse(std::string_view text);
    static std::string format(const MacAddress& value);
};

template <>
struct Scalar<Ip4Address> {
    static std::string expected();
    static Expected<Ip4Address> parse(std::string_view text);
    static std::string format(const Ip4Address& value);
};

template <>
struct Scalar<Ip6Address> {
    static std::string expected();
    static Expected<Ip6Address> parse(std::string_view text);
    static std::string format(const Ip6Address& value);
};

template <>
struct Scalar<IpAddress> {
    static std::string expected();
    static Expected<IpAddress> parse(std::string_view text);
    static std::string format(const IpAddress& value);
};

template <>
struct Scalar<IpPrefix> {
    static std::string expected();
    static Expected<IpPrefix> parse(std::string_view text);
    static std::string format(const IpPrefix& value);
};

template <>
struct Scalar<InterfaceAddress> {
    static std::string expected();
    static Expected<InterfaceAddress> parse(std::string_view text);
    static std::string format(const InterfaceAddress& value);
};

// `30s`, `5m`, `2h`, `1d`, `100ms`, `10us`, `1h30m`, or seconds with or without fractions: `0.5`. Never
// negative.
template <>
struct Scalar<Duration> {
    static constexpr Dimension kDimension = Dimension::nanoseconds;
    static std::string expected();
    static Expected<Duration> parse(std::string_view text);
    static std::string format(const Duration& value);
    static long double measure(const Duration& value) { return static_cast<long double>(value.count()); }
};

// Coarser durations (std::chrono::seconds ...) refuse what they cannot hold exactly.
template <typename Rep, typename Period>
struct Scalar<std::chrono::duration<Rep, Period>> {
    using Coarse = std::chrono::duration<Rep, Period>;
    static constexpr Dimension kDimension = Dimension::nanoseconds;
    static std::string expected() { return Scalar<Duration>::expected(); }
    static Expected<Coarse> parse(std::string_view text) {
        const auto fine = Scalar<Duration>::parse(text);
        if (!fine) {
            return std::unexpected(fine.error());
        }
        const auto coarse = std::chrono::duration_cast<Coarse>(*fine);
        if (std::chrono::duration_cast<Duration>(coarse) != *fine) {
            return fail("'" + std::string(text) + "' is finer than this option can be",
                        "expected a multiple of " +
                            Scalar<Duration>::format(std::chrono::duration_cast<Duration>(Coarse{1})));
        }
        return coarse;
    }
    static std::string format(const Coarse& value) {
        return Scalar<Duration>::format(std::chrono::duration_cast<Duration>(value));
    }
    static long double measure(const Coarse& value) {
        return Scalar<Duration>::measure(std::chrono::duration_cast<Duration>(value));
    }
};

template <>
struct Scalar<Rate> {
    static constexpr Dimension kDimension = Dimension::per_second;
    static std::string expected();
    static Expected<Rate> parse(std::string_view text);
    static std::string format(const Rate& value);
    static long double measure(const Rate& value) { return value.per_second(); }
};

template <>
struct Scalar<Bytes> {
    static constexpr Dimension kDimension = Dimension::bytes;
    static std::string expected();
    static Expected<Bytes> parse(std::string_view text);
    static std::string format(const Bytes& value);
    static long double measure(const Bytes& value) { return static_cast<long double>(value.count); }
};

template <>
struct Scalar<Port> {
    static constexpr bool kBare = true;
    static constexpr Dimension kDimension = Dimension::number;
    static std::string noun();
    static std::string expected();
    static Expected<Port> parse(std::string_view text);
    static std::string format(const Port& value);
    static long double measure(const Port& value) { return value.number; }
};

template <>
struct Scalar<PortRange> {
    static bool is_bare(const PortRange& value) { return value.first == value.last; }
    static std::string expected();
    static Expected<PortRange> parse(std::string_view text);
    static std::string format(const PortRange& value);
};

template <>
struct Scalar<Endpoint> {
    static std::string expected();
    static Expected<Endpoint> parse(std::string_view text);
    static std::string format(const Endpoint& value);
};

template <>
struct Scalar<Percent> {
    static constexpr Dimension kDimension = Dimension::hundredths;
    static std::string noun();
    static std::string expected();
    static Expected<Percent> parse(std::string_view text);
    static std::string format(const Percent& value);
    static long double measure(const Percent& value) { return value.hundredths; }
};

template <>
struct Scalar<FileMode> {
    static std::string expected();
    static Expected<FileMode> parse(std::string_view text);
    static std::string format(const FileMode& value);
};

}  // namespace sluice::config
