#include "admin/request.hh"

#include <algorithm>
#include <boost/json/parse.hpp>
#include <boost/json/value.hpp>
#include <charconv>
#include <cmath>
#include <stdexcept>

namespace sluice::admin {
namespace {

int hex_digit(char digit) {
    if (digit >= '0' && digit <= '9')
        return digit - '0';
    if (digit >= 'a' && digit <= 'f')
        return digit - 'a' + 10;
    if (digit >= 'A' && digit <= 'F')
        return digit - 'A' + 10;
    return -1;
}

bool is_control(char byte) {
    return static_cast<unsigned char>(byte) < 0x20 || byte == 0x7f;
}

// In a query '+' is a space, as forms write it; "%2B" is a plus.
Expected<std::string> decode(std::string_view text, bool plus_is_space) {
    std::string result;
    result.reserve(text.size());
    for (size_t i = 0; i < text.size(); ++i) {
        char byte = text[i];
        if (byte == '%') {
            const int high = i + 1 < text.size() ? hex_digit(text[i + 1]) : -1;
            const int low = i + 2 < text.size() ? hex_digit(text[i + 2]) : -1;
            if (high < 0 || low < 0)
                return fail("bad escape in the request's address", "write % as %25");
            byte = static_cast<char>(high * 16 + low);
            i += 2;
        } else if (byte == '+' && plus_is_space) {
            byte = ' ';
        }
        if (is_control(byte))
            return fail("control character in the request's address");
        result += byte;
    }
    return result;
}

Expected<void> parse_query(std::string_view text, Fields& fields) {
    while (!text.empty()) {
        const std::string_view pair = text.substr(0, text.find('&'));
        text.remove_prefix(std::min(text.size(), pair.size() + 1));
        if (pair.empty())
            continue;
        const size_t equals = pair.find('=');
        auto name = decode(pair.substr(0, equals), true);
        auto value = decode(equals == std::string_view::npos ? "" : pair.substr(equals + 1), true);
        if (!name)
            return std::unexpected(std::move(name.error()));
        if (!value)
            return std::unexpected(std::move(value.error()));
        const auto [place, added] = fields.emplace(std::move(*name), std::move(*value));
        if (!added)
            return fail("?" + place->first + "= is given twice", "give it once");
    }
    return {};
}

}  // namespace

std::optional<std::string> Request::query_value(std::string_view name) const {
    const auto found = query.find(name);
    if (found == query.end())
        return std::nullopt;
    return found->second;
}

Expected<uint64_t> Request::query_number(std::string_view name, uint64_t fallback, uint64_t max) const {
    const auto found = query.find(name);
    if (found == query.end())
        return fallback;
    const std::string& text = found->second;
    uint64_t value = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (error != std::errc{} || end != text.data() + text.size() || value > max)
        return fail("?" + std::string(name) + "=" + text + " is not a number this method takes",
                    "a whole number from 0 to " + std::to_string(max));
    return value;
}

Expected<double> Request::query_seconds(std::string_view name, double fallback, double max) const {
    const auto found = query.find(name);
    if (found == query.end())
        return fallback;
    const std::string& text = found->second;
    double value = 0;
    const auto [end, error] =
        std::from_chars(text.data(), text.data() + text.size(), value, std::chars_format::fixed);
    if (error != std::errc{} || end != text.data() + text.size() || !(value >= 0 && value <= max))
        return fail("?" + std::string(name) + "=" + text + " is not a time this method takes",
                    "seconds from 0 to " + std::to_string(static_cast<uint64_t>(max)));
    return value;
}

const std::string& Request::param(std::string_view name) const {
    const auto found = params.find(name);
    if (found == params.end())
        throw std::logic_error("the path has no {" + std::string(name) + "}");
    return found->second;
}

Expected<boost::json::value> Request::json() const {
    boost::json::error_code error;
    boost::json::value value = boost::json::parse(body, error);
    if (error)
        return fail("the body is not JSON: " + error.message());
    return value;
}

Expected<void> Request::only(std::initializer_list<std::string_view> names) const {
    for (const auto& [name, value] : query) {
        if (std::find(names.begin(), names.end(), name) != names.end())
            continue;
        std::string known;
        for (const std::string_view one : names)
            known += (known.empty() ? "" : ", ") + std::string(one);
        return fail("?" + name + "= is not known here",
                    known.empty() ? "this method takes none" : "it takes " + known);
    }
    return {};
}

Expected<void> parse_target(std::string_view target, Request& request) {
    if (target.starts_with(
            "http://")) {  // absolute form (RFC 9112 3.2.2): the authority is of no interest here
        const size_t slash = target.find('/', 7);
        target = slash == std::string_view::npos ? "/" : target.substr(slash);
    }
    if (!target.starts_with('/'))
        return fail("the request's address does not begin with /");
    target = target.substr(0, target.find('#'));
    const size_t question = target.find('?');
    auto path = decode(target.substr(0, question), false);
    if (!path)
        return std::unexpected(std::move(path.error()));
    request.path = std::move(*path);
    return question == std::string_view::npos ? Expected<void>{}
                                              : parse_query(target.substr(question + 1), request.query);
}

std::string percent_encode(std::string_view text) {
    static constexpr std::string_view kHex = "0123456789ABCDEF";
    std::string result;
    for (const char byte : text) {
        const auto value = static_cast<unsigned char>(byte);
        const bool plain = (byte >= 'a' && byte <= 'z') || (byte >= 'A' && byte <= 'Z') ||
                           (byte >= '0' && byte <= '9') || byte == '-' || byte == '.' || byte == '_' ||
                           byte == '~';
        if (plain) {
            result += byte;
        } else {
            result += '%';
            result += kHex[value >> 4];
            result += kHex[value & 15];
        }
    }
    return result;
}

}  // namespace sluice::admin
