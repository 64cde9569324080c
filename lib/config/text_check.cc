#include "config/text_check.hh"

#include <cstdint>
#include <string>

namespace sluice::config {

namespace {

constexpr std::string_view kByteOrderMark = "\xef\xbb\xbf";

uint8_t byte_at(std::string_view text, size_t place) {
    return static_cast<uint8_t>(text[place]);
}

// What is wrong with the character at the start, if anything.
std::string_view offence(std::string_view rest) {
    const uint8_t first = byte_at(rest, 0);
    if (first == '\r')
        return rest.starts_with("\r\n") ? "" : "a carriage return stands alone";
    if ((first < 0x20 && first != '\t' && first != '\n') || first == 0x7f)
        return "a control character";
    return utf8_length(rest) == 0 ? "this is not UTF-8" : "";
}

}  // namespace

// The Unicode standard, table 3-7: well-formed UTF-8 byte sequences.
size_t utf8_length(std::string_view text) {
    const uint8_t first = byte_at(text, 0);
    if (first < 0x80)
        return 1;
    const size_t length = first >= 0xc2 && first <= 0xdf   ? 2
                          : first >= 0xe0 && first <= 0xef ? 3
                          : first >= 0xf0 && first <= 0xf4 ? 4
                                                           : 0;
    if (length == 0 || text.size() < length)
        return 0;
    for (size_t i = 1; i < length; ++i)
        if ((byte_at(text, i) & 0xc0) != 0x80)
            return 0;
    const uint8_t second = byte_at(text, 1);
    const bool overlong = (first == 0xe0 && second < 0xa0) || (first == 0xf0 && second < 0x90);
    const bool surrogate = first == 0xed && second > 0x9f;
    const bool beyond = first == 0xf4 && second > 0x8f;
    return overlong || surrogate || beyond ? 0 : length;
}

bool is_utf8(std::string_view text) {
    while (!text.empty()) {
        const size_t length = utf8_length(text);
        if (length == 0)
            return false;
        text.remove_prefix(length);
    }
    return true;
}

bool check_text(std::string_view file, std::string_view& text, Problems& problems, const Limits& limits) {
    const auto refuse = [&](Mark mark, std::string message, std::string hint) {
        problems.add(Problem{std::string(file), mark, {}, std::move(message), std::move(hint)});
        return false;
    };
    if (text.size() > limits.bytes)
        return refuse({}, "the file is too large",
                      "expected at most " + std::to_string(limits.bytes) + " bytes");
    if (text.starts_with(kByteOrderMark))
        text.remove_prefix(kByteOrderMark.size());
    if (text.starts_with("\xff\xfe") || text.starts_with("\xfe\xff"))
        return refuse({1, 1}, "the file is in UTF-16", "expected UTF-8");
    Mark mark{1, 1};
    for (size_t place = 0; place < text.size();) {
        const std::string_view rest = text.substr(place);
        if (const auto wrong = offence(rest); !wrong.empty())
            return refuse(mark, std::string(wrong),
                          "expected text in UTF-8 with lines ended by \\n or \\r\\n");
        place += utf8_length(rest);
        mark = rest[0] == '\n' ? Mark{mark.line + 1, 1} : Mark{mark.line, mark.column + 1};
    }
    return true;
}

}  // namespace sluice::config
