#include "config/quantity.hh"

#include <algorithm>
#include <array>
#include <utility>

#include "config/enum_names.hh"
#include "config/problem.hh"
#include "config/scalar.hh"

namespace sluice::config {

namespace {

constexpr std::array<std::string_view, 4> kRateUnits{"second", "minute", "hour", "day"};

struct SizeUnit {
    char letter;
    unsigned shift;
};
constexpr std::array kSizeUnits{SizeUnit{'T', 40}, SizeUnit{'G', 30}, SizeUnit{'M', 20}, SizeUnit{'k', 10}};

}  // namespace

Duration Rate::period() const {
    switch (unit) {
        case Unit::second:
            return std::chrono::seconds(1);
        case Unit::minute:
            return std::chrono::minutes(1);
        case Unit::hour:
            return std::chrono::hours(1);
        case Unit::day:
            return std::chrono::hours(24);
    }
    return std::chrono::seconds(1);
}

std::string Scalar<Rate>::expected() {
    return "a rate such as 10/second (or minute, hour, day)";
}

Expected<Rate> Scalar<Rate>::parse(std::string_view text) {
    const size_t slash = text.find('/');
    if (slash == std::string_view::npos)
        return fail(quote(text) + " is not a rate");
    const auto amount = parse_unsigned(text.substr(0, slash), UINT64_MAX);
    if (!amount)
        return std::unexpected(amount.error());
    const auto unit = parse_name(text.substr(slash + 1), kRateUnits);
    if (!unit)
        return fail(quote(text) + " has no known unit of time", unit.error().hint);
    return Rate{*amount, static_cast<Rate::Unit>(*unit)};
}

std::string Scalar<Rate>::format(const Rate& value) {
    return std::to_string(value.amount) + "/" + std::string(kRateUnits[static_cast<size_t>(value.unit)]);
}

std::string Scalar<Bytes>::expected() {
    return "a size such as 64k, 16M, 1G or plain bytes";
}

Expected<Bytes> Scalar<Bytes>::parse(std::string_view text) {
    unsigned shift = 0;
    std::string_view digits = text;
    for (const auto& unit : kSizeUnits) {
        if (text.ends_with(unit.letter) || (unit.letter == 'k' && text.ends_with('K'))) {
            shift = unit.shift;
            digits.remove_suffix(1);
        }
    }
    const bool plain =
        !digits.empty() && std::ranges::all_of(digits, [](char c) { return c >= '0' && c <= '9'; });
    if (!plain)
        return fail(quote(text) + " is not a size");
    const auto count = parse_unsigned(digits, UINT64_MAX);
    if (!count)
        return std::unexpected(count.error());
    if (*count > UINT64_MAX >> shift)
        return fail(quote(text) + " is out of range");
    return Bytes{*count << shift};
}

std::string Scalar<Bytes>::format(const Bytes& value) {
    for (const auto& unit : kSizeUnits)
        if (value.count != 0 && value.count % (uint64_t{1} << unit.shift) == 0)
            return std::to_string(value.count >> unit.shift) + unit.letter;
    return std::to_string(value.count);
}

std::string Scalar<Port>::expected() {
    return "a port from 0 to 65535";
}

std::string Scalar<Port>::noun() {
    return "a port";
}

Expected<Port> Scalar<Port>::parse(std::string_view text) {
    const auto number = parse_unsigned(text, UINT16_MAX);
    if (!number)
        return std::unexpected(number.error());
    return Port{static_cast<uint16_t>(*number)};
}

std::string Scalar<Port>::format(const Port& value) {
    return std::to_string(value.number);
}

std::string Scalar<PortRange>::expected() {
    return "a port or a range such as 1000-2000";
}

Expected<PortRange> Scalar<PortRange>::parse(std::string_view text) {
    const size_t dash = text.find('-');
    const auto first = parse_unsigned(text.substr(0, dash), UINT16_MAX);
    if (!first)
        return fail(quote(text) + " is not a port or a range of ports", first.error().hint);
    if (dash == std::string_view::npos)
        return PortRange{static_cast<uint16_t>(*first), static_cast<uint16_t>(*first)};
    const auto last = parse_unsigned(text.substr(dash + 1), UINT16_MAX);
    if (!last)
        return fail(quote(text) + " is not a port or a range of ports", last.error().hint);
    if (*last < *first)
        return fail(quote(text) + " ends before it begins",
                    "write " + std::to_string(*last) + "-" + std::to_string(*first));
    return PortRange{static_cast<uint16_t>(*first), static_cast<uint16_t>(*last)};
}

std::string Scalar<PortRange>::format(const PortRange& value) {
    const std::string first = std::to_string(value.first);
    return value.first == value.last ? first : first + "-" + std::to_string(value.last);
}

std::string Scalar<Endpoint>::expected() {
    return "an address and a port such as 127.0.0.1:9273 or [::1]:80";
}

Expected<Endpoint> Scalar<Endpoint>::parse(std::string_view text) {
    const size_t colon = text.rfind(':');
    if (colon == std::string_view::npos)
        return fail(quote(text) + " lacks a port");
    std::string_view host = text.substr(0, colon);
    const bool bracketed = host.size() > 2 && host.front() == '[' && host.back() == ']';
    if (bracketed)
        host = host.substr(1, host.size() - 2);
    const auto address = Scalar<IpAddress>::parse(host);
    if (!address)
        return fail(quote(text) + " is not an address and a port");
    if (address->is_ip6() != bracketed)
        return fail(quote(text) + (bracketed ? " has brackets around an IPv4 address"
                                             : " lacks brackets around the IPv6 address"));
    const auto port = parse_unsigned(text.substr(colon + 1), UINT16_MAX);
    if (!port)
        return fail(quote(text) + " has no port that could be", port.error().hint);
    return Endpoint{*address, static_cast<uint16_t>(*port)};
}

std::string Scalar<Endpoint>::format(const Endpoint& value) {
    const std::string host = value.address.to_string();
    return (value.address.is_ip6() ? "[" + host + "]" : host) + ":" + std::to_string(value.port);
}

std::string Scalar<Percent>::expected() {
    return "a percentage such as 2% or 0.25%, at most 100%";
}

std::string Scalar<Percent>::noun() {
    return "a percentage";
}

Expected<Percent> Scalar<Percent>::parse(std::string_view text) {
    if (!text.ends_with('%'))
        return fail(quote(text) + " is not a percentage");
    const std::string_view number = text.substr(0, text.size() - 1);
    const size_t point = number.find('.');
    const auto whole = parse_unsigned(number.substr(0, point), 100);
    if (!whole)
        return fail(quote(text) + " is not a percentage from 0% to 100%", whole.error().hint);
    uint32_t hundredths = static_cast<uint32_t>(*whole) * 100;
    if (point != std::string_view::npos) {
        const std::string_view fraction = number.substr(point + 1);
        const bool digits = std::ranges::all_of(fraction, [](char c) { return c >= '0' && c <= '9'; });
        if (fraction.empty() || fraction.size() > 2 || !digits)
            return fail(quote(text) + " is not a percentage", "expected at most two digits behind the point");
        hundredths += static_cast<uint32_t>(fraction[0] - '0') * 10;
        hundredths += fraction.size() == 2 ? static_cast<uint32_t>(fraction[1] - '0') : 0;
    }
    if (hundredths > 10000)
        return fail(quote(text) + " is more than all");
    return Percent{hundredths};
}

std::string Scalar<Percent>::format(const Percent& value) {
    std::string text = std::to_string(value.hundredths / 100);
    if (const uint32_t rest = value.hundredths % 100; rest != 0) {
        text += '.';
        text += static_cast<char>('0' + rest / 10);
        if (rest % 10 != 0)
            text += static_cast<char>('0' + rest % 10);
    }
    return text + "%";
}

std::string Scalar<FileMode>::expected() {
    return "permissions as four octal digits such as \"0660\"";
}

Expected<FileMode> Scalar<FileMode>::parse(std::string_view text) {
    const bool octal = std::ranges::all_of(text, [](char c) { return c >= '0' && c <= '7'; });
    if (text.size() != 4 || text[0] != '0' || !octal)
        return fail(quote(text) + " is not a file mode");
    uint32_t bits = 0;
    for (const char digit : text)
        bits = bits * 8 + static_cast<uint32_t>(digit - '0');
    return FileMode{bits};
}

std::string Scalar<FileMode>::format(const FileMode& value) {
    std::string text = "0000";
    for (size_t i = 0; i < 3; ++i)
        text[3 - i] = static_cast<char>('0' + ((value.bits >> (3 * i)) & 7));
    return text;
}

}  // namespace sluice::config
