// What a text must be before YAML is looked for in it.
#pragma once

#include <string_view>

#include "config/node.hh"
#include "config/problem.hh"

namespace sluice::config {

// UTF-8 without control characters other than tab and line ends, within the size; reports the first offence.
// A byte order mark at the start is taken off the text.
bool check_text(std::string_view file, std::string_view& text, Problems& problems, const Limits& limits);

// The number of bytes of the well-formed UTF-8 character at the start of a text that is not empty; 0 if it is
// not.
size_t utf8_length(std::string_view text);

bool is_utf8(std::string_view text);

}  // namespace sluice::config
