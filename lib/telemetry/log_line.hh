// How a line of the log is written.
#pragma once

#include <chrono>
#include <string>
#include <string_view>

#include "telemetry/log_config.hh"

namespace sluice::telemetry {

using WallTime = std::chrono::system_clock::time_point;

// Control characters, line breaks among them, as \n, \t or \xNN: a line stays one line and a terminal is
// safe.
std::string escape_control(std::string_view message);

// "2026-11-20T23:27:25.123Z warn  message [cause]"
std::string text_line(WallTime time, LogLevel level, std::string_view cause, std::string_view message);

// {"time": seconds since 1970 with a fraction, "level": ..., "cause": ..., "message": ...}; the cause is left
// out if empty. Bytes that are not UTF-8 become U+FFFD.
std::string json_line(WallTime time, LogLevel level, std::string_view cause, std::string_view message);

}  // namespace sluice::telemetry
