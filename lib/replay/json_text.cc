#include "replay/json_text.hh"

#include <fmt/format.h>

#include <iterator>

namespace sluice::replay {

void append_string(std::string& to, std::string_view text) {
    to += '"';
    for (const char letter : text) {
        if (letter == '"' || letter == '\\') {
            to += '\\';
            to += letter;
        } else if (static_cast<unsigned char>(letter) < 0x20) {
            fmt::format_to(std::back_inserter(to), "\\u{:04x}", static_cast<unsigned>(letter));
        } else {
            to += letter;
        }
    }
    to += '"';
}

void append_string_or_null(std::string& to, std::string_view text) {
    if (text.empty()) {
        to += "null";
    } else {
        append_string(to, text);
    }
}

void append_time(std::string& to, Instant time) {
    const auto whole = std::chrono::floor<std::chrono::seconds>(time.time_since_epoch());
    fmt::format_to(std::back_inserter(to), "{}.{:09}", whole.count(),
                   (time.time_since_epoch() - whole).count());
}

}  // namespace sluice::replay
