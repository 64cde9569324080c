// A request of the admin API, decoded.
#pragma once

#include <boost/json/fwd.hpp>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>

#include "base/error.hh"

namespace sluice::admin {

using Fields = std::map<std::string, std::string, std::less<>>;

struct Request {
    std::string method;  // "GET", "POST", ...
    std::string path;    // "/v1/sets/x", percent-decoded, without the query
    Fields query;        // ?a=b&c=d, percent-decoded; a name appears once
    Fields params;       // from {name} in the path pattern
    std::string body;

    // The value of ?name=, if it was given.
    [[nodiscard]] std::optional<std::string> query_value(std::string_view name) const;
    // ?name= as a whole number, or fallback when it was not given; an error when it is no number or above
    // max.
    [[nodiscard]] Expected<uint64_t> query_number(std::string_view name, uint64_t fallback,
                                                  uint64_t max) const;
    // ?name= as seconds, with or without a fraction; otherwise as above. Never negative.
    [[nodiscard]] Expected<double> query_seconds(std::string_view name, double fallback, double max) const;
    // The value of {name} in the pattern; a name the pattern has not is a programming error.
    [[nodiscard]] const std::string& param(std::string_view name) const;
    // The body as JSON; bounded in depth.
    [[nodiscard]] Expected<boost::json::value> json() const;
    // An error that names the first ?name= not in the list; a misspelt filter must not mean "all".
    [[nodiscard]] Expected<void> only(std::initializer_list<std::string_view> names) const;
};

// Splits and decodes a request target ("/v1/x?a=%20b"). Refuses bad escapes, control characters, relative
// paths and repeated query names.
Expected<void> parse_target(std::string_view target, Request& request);

// Escapes everything but unreserved characters (RFC 3986 2.3), for building targets.
std::string percent_encode(std::string_view text);

}  // namespace sluice::admin
