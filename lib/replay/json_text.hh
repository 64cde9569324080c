// The few shapes of JSON that replay writes, with a fixed order of keys and the same bytes every time.
#pragma once

#include <string>
#include <string_view>

#include "base/time.hh"

namespace sluice::replay {

// Each appends to `to`.
void append_string(std::string& to, std::string_view text);          // quoted and escaped
void append_string_or_null(std::string& to, std::string_view text);  // null when empty
void append_time(std::string& to, Instant time);                     // seconds with nine digits: 12.000000345

}  // namespace sluice::replay
