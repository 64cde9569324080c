#include "config/scalar.hh"

#include <algorithm>
#include <charconv>

#include "config/enum_names.hh"
#include "config/names.hh"
#include "config/problem.hh"

namespace sluice::config {

namespace {

bool is_digit(char c) {
    return c >= '0' && c <= '9';
}

// The amount of a number `text`, whose digits come behind its sign.
Expected<uint64_t> magnitude(std::string_view text, std::string_view digits) {
    int base = 10;
    if (digits.starts_with("0x") || digits.starts_with("0X")) {
        base = 16;
        digits.remove_prefix(2);
    } else if (digits.size() > 1 && digits[0] == '0' && std::ranges::all_of(digits, is_digit)) {
        return fail(quote(text) + " has a leading zero, which some read as octal",
                    "expected it without, or with 0x for hexadecimal");
    }
    uint64_t value = 0;
    const char* const first = digits.data();
    const char* const last = first + digits.size();
    const auto [end, error] = std::from_chars(first, last, value, base);
    if (digits.empty() || error == std::errc::invalid_argument || end != last)
        return fail(quote(text) + " is not a whole number");
    if (error == std::errc::result_out_of_range)
        return fail(quote(text) + " is out of range");
    return value;
}

constexpr size_t kLongestAddress = 64;

// A text far too long for an address is not repeated in full; hints that say what to write instead are kept,
// others give way to expected().
template <typename T>
Expected<T> in_own_words(std::string_view text, Expected<T> parsed) {
    if (parsed)
        return parsed;
    if (text.size() > kLongestAddress)
        return fail(quote(text) + " is too long for an address");
    const bool advice = parsed.error().hint.starts_with("write ");
    return fail(parsed.error().message, advice ? parsed.error().hint : std::string());
}

}  // namespace

Expected<uint64_t> parse_unsigned(std::string_view text, uint64_t max) {
    if (text.size() > 1 && text[0] == '-' && is_digit(text[1]))
        return fail(quote(text) + " is negative");
    const auto value = magnitude(text, text);
    if (value && *value > max)
        return fail(quote(text) + " is out of range");
    return value;
}

Expected<int64_t> parse_signed(std::string_view text, int64_t min, int64_t max) {
    const bool negative = text.starts_with('-');
    const auto amount = magnitude(text, negative ? text.substr(1) : text);
    if (!amount)
        return std::unexpected(amount.error());
    const uint64_t most = negative ? uint64_t{0} - static_cast<uint64_t>(min) : static_cast<uint64_t>(max);
    if (*amount > most)
        return fail(quote(text) + " is out of range");
    return static_cast<int64_t>(negative ? uint64_t{0} - *amount : *amount);
}

std::string Scalar<bool>::expected() {
    return "true or false";
}

Expected<bool> Scalar<bool>::parse(std::string_view text) {
    if (text == "true")
        return true;
    if (text == "false")
        return false;
    for (const std::string_view yes : {"True", "TRUE", "yes", "Yes", "YES", "on", "On", "ON"})
        if (text == yes)
            return fail(quote(text) + " is not a truth value",
                        "expected true or false (did you mean 'true'?)");
    for (const std::string_view no : {"False", "FALSE", "no", "No", "NO", "off", "Off", "OFF"})
        if (text == no)
            return fail(quote(text) + " is not a truth value",
                        "expected true or false (did you mean 'false'?)");
    return fail(quote(text) + " is not a truth value");
}

std::string Scalar<bool>::format(const bool& value) {
    return value ? "true" : "false";
}

std::string Scalar<std::string>::expected() {
    return "a text";
}

Expected<std::string> Scalar<std::string>::parse(std::string_view text) {
    const auto forbidden = [](char c) {
        return (static_cast<uint8_t>(c) < 0x20 && c != '\n' && c != '\t') || c == 0x7f;
    };
    if (std::ranges::any_of(text, forbidden))
        return fail(quote(text) + " has control characters", "expected a text without them");
    return std::string(text);
}

std::string Scalar<std::string>::format(const std::string& value) {
    return value;
}

std::string Scalar<MacAddress>::expected() {
    return "a MAC address such as 02:00:00:00:01:01";
}

Expected<MacAddress> Scalar<MacAddress>::parse(std::string_view text) {
    return in_own_words(text, MacAddress::parse(text));
}

std::string Scalar<MacAddress>::format(const MacAddress& value) {
    return value.to_string();
}

std::string Scalar<Ip4Address>::expected() {
    return "an IPv4 address such as 192.0.2.1";
}

Expected<Ip4Address> Scalar<Ip4Address>::parse(std::string_view text) {
    return in_own_words(text, Ip4Address::parse(text));
}

std::string Scalar<Ip4Address>::format(const Ip4Address& value) {
    return value.to_string();
}

std::string Scalar<Ip6Address>::expected() {
    return "an IPv6 address such as 2001:db8::1";
}

Expected<Ip6Address> Scalar<Ip6Address>::parse(std::string_view text) {
    return in_own_words(text, Ip6Address::parse(text));
}

std::string Scalar<Ip6Address>::format(const Ip6Address& value) {
    return value.to_string();
}

std::string Scalar<IpAddress>::expected() {
    return "an address such as 192.0.2.1 or 2001:db8::1";
}

Expected<IpAddress> Scalar<IpAddress>::parse(std::string_view text) {
    return in_own_words(text, IpAddress::parse(text));
}

std::string Scalar<IpAddress>::format(const IpAddress& value) {
    return value.to_string();
}

std::string Scalar<IpPrefix>::expected() {
    return "a prefix such as 192.0.2.0/24 or 2001:db8::/32, or an address";
}

Expected<IpPrefix> Scalar<IpPrefix>::parse(std::string_view text) {
    return in_own_words(text, IpPrefix::parse(text));
}

std::string Scalar<IpPrefix>::format(const IpPrefix& value) {
    return value.to_string();
}

std::string Scalar<InterfaceAddress>::expected() {
    return "an address with the length of its network such as 192.0.2.1/24";
}

Expected<InterfaceAddress> Scalar<InterfaceAddress>::parse(std::string_view text) {
    return in_own_words(text, InterfaceAddress::parse(text));
}

std::string Scalar<InterfaceAddress>::format(const InterfaceAddress& value) {
    return value.to_string();
}

std::string alternatives(std::span<const std::string_view> names) {
    std::string text;
    for (size_t i = 0; i < names.size(); ++i) {
        if (i != 0)
            text += i + 1 == names.size() ? " or " : ", ";
        text += names[i];
    }
    return text;
}

Expected<size_t> parse_name(std::string_view text, std::span<const std::string_view> names) {
    const auto found = std::ranges::find(names, text);
    if (found == names.end())
        return fail(quote(text) + " is none of the known values", one_of(text, names));
    return static_cast<size_t>(found - names.begin());
}

}  // namespace sluice::config
