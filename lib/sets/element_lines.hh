// Elements as lines of text: files, and bodies of requests.
//
//     192.0.2.1                               # what follows # is for people
//     192.0.2.0/24 timeout 10m
//     198.51.100.7 timeout 1h comment "asked twice"
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string_view>

#include "base/error.hh"
#include "sets/element.hh"

namespace sluice::sets {

// Nothing for a line that is empty or only a remark.
Expected<std::optional<Element>> parse_line(const SetType& type, std::string_view line);

// Calls fn(number, line) for each line, counted from 1, until it gives false. Line ends may be LF or CRLF.
void for_each_line(std::string_view text, const std::function<bool(uint32_t, std::string_view)>& fn);

// How many elements of each family a text may hold, roughly and quickly: lines with a colon count as IPv6.
struct LineCount {
    size_t ip4 = 0;
    size_t ip6 = 0;
};
LineCount count_lines(std::string_view text);

}  // namespace sluice::sets
