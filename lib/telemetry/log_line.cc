#include "telemetry/log_line.hh"

#include <fmt/chrono.h>
#include <fmt/core.h>

#include <cstddef>
#include <cstdint>

namespace sluice::telemetry {
namespace {

using std::chrono::duration_cast;

bool is_control(char byte) {
    return static_cast<unsigned char>(byte) < 0x20 || byte == 0x7f;
}

// The length of the well-formed UTF-8 character the text begins with (RFC 3629 4), 0 if there is none.
size_t character_length(std::string_view text) {
    const auto byte = [text](size_t i) { return i < text.size() ? static_cast<unsigned char>(text[i]) : 0U; };
    const auto continues = [byte](size_t i) { return (byte(i) & 0xc0U) == 0x80U; };
    const unsigned first = byte(0);
    if (first < 0x80)
        return 1;
    if (first >= 0xc2 && first < 0xe0)
        return continues(1) ? 2 : 0;
    if (first >= 0xe0 && first < 0xf0) {
        const bool overlong = first == 0xe0 && byte(1) < 0xa0;
        const bool surrogate = first == 0xed && byte(1) >= 0xa0;
        return continues(1) && continues(2) && !overlong && !surrogate ? 3 : 0;
    }
    if (first >= 0xf0 && first < 0xf5) {
        const bool overlong = first == 0xf0 && byte(1) < 0x90;
        const bool too_high = first == 0xf4 && byte(1) >= 0x90;
        return continues(1) && continues(2) && continues(3) && !overlong && !too_high ? 4 : 0;
    }
    return 0;
}

std::string json_string(std::string_view text) {
    std::string result = "\"";
    while (!text.empty()) {
        const size_t length = character_length(text);
        const char first = text.front();
        if (length == 0)
            result += "\\ufffd";
        else if (first == '"' || first == '\\')
            result += {'\\', first};
        else if (is_control(first))
            result += fmt::format("\\u{:04x}", static_cast<unsigned>(first));
        else
            result += text.substr(0, length);
        text.remove_prefix(length == 0 ? 1 : length);
    }
    return result + '"';
}

}  // namespace

std::string escape_control(std::string_view message) {
    std::string result;
    result.reserve(message.size());
    for (const char byte : message) {
        if (byte == '\n')
            result += "\\n";
        else if (byte == '\t')
            result += "\\t";
        else if (is_control(byte))
            result += fmt::format("\\x{:02x}", static_cast<unsigned>(byte));
        else
            result += byte;
    }
    return result;
}

std::string text_line(WallTime time, LogLevel level, std::string_view cause, std::string_view message) {
    const auto milliseconds = duration_cast<std::chrono::milliseconds>(time.time_since_epoch()).count();
    std::string line = fmt::format("{:%Y-%m-%dT%H:%M:%S}.{:03}Z {:<5} {}",
                                   fmt::gmtime(static_cast<time_t>(milliseconds / 1000)), milliseconds % 1000,
                                   config::name_of(level), escape_control(message));
    if (!cause.empty())
        line += fmt::format(" [{}]", cause);
    return line;
}

std::string json_line(WallTime time, LogLevel level, std::string_view cause, std::string_view message) {
    const auto microseconds = duration_cast<std::chrono::microseconds>(time.time_since_epoch()).count();
    std::string line = fmt::format(R"({{"time":{}.{:06},"level":"{}")", microseconds / 1000000,
                                   microseconds % 1000000, config::name_of(level));
    if (!cause.empty())
        line += R"(,"cause":)" + json_string(cause);
    return line + R"(,"message":)" + json_string(message) + "}";
}

}  // namespace sluice::telemetry
