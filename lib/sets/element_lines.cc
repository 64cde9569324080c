#include "sets/element_lines.hh"

#include <algorithm>
#include <cstring>

namespace sluice::sets {
namespace {

bool is_blank(char c) {
    return c == ' ' || c == '\t' || c == '\r';
}

// Where the next blank, or the next other character, is from a place on. Plain loops: the library's search
// for one of several characters costs a call for each it looks at.
size_t next_blank(std::string_view text, size_t at) {
    while (at < text.size() && !is_blank(text[at]))
        ++at;
    return at;
}

size_t next_other(std::string_view text, size_t at) {
    while (at < text.size() && is_blank(text[at]))
        ++at;
    return at;
}

void skip_blanks(std::string_view& text) {
    text.remove_prefix(next_other(text, 0));
}

// The next word; nothing at the end.
std::string_view take_word(std::string_view& text) {
    skip_blanks(text);
    const std::string_view word = text.substr(0, next_blank(text, 0));
    text.remove_prefix(word.size());
    return word;
}

// Where what follows the element begins: its fields may be separated by " . ", so that a blank alone does not
// end it.
size_t end_of_value(std::string_view line) {
    size_t at = 0;
    for (;;) {
        at = next_blank(line, at);
        const size_t next = next_other(line, at);
        if (next == line.size())
            return at;
        const bool joins = line[next] == '.' || line[next] == ',' || line[next] == '-' ||
                           (at > 0 && (line[at - 1] == '.' || line[at - 1] == ',' || line[at - 1] == '-'));
        if (!joins)
            return at;
        at = next + 1;
    }
}

// "text" in quotes; taken off the text.
Expected<std::string> take_comment(std::string_view& text) {
    skip_blanks(text);
    const size_t end = text.starts_with('"') ? text.find('"', 1) : std::string_view::npos;
    if (end == std::string_view::npos)
        return fail("a comment stands in quotes", "expected as in comment \"asked twice\"");
    auto comment = check_comment(text.substr(1, end - 1));
    text.remove_prefix(end + 1);
    return comment;
}

}  // namespace

Expected<std::optional<Element>> parse_line(const SetType& type, std::string_view line) {
    skip_blanks(line);
    if (line.empty() || line.front() == '#')
        return std::nullopt;
    // The remark begins at the first # that is not in a comment's quotes.
    std::string_view rest = line;
    const size_t end = std::min(end_of_value(line), line.find('#'));
    std::optional<Element> element(std::in_place);
    auto value = parse_element(type, line.substr(0, end));
    if (!value)
        return std::unexpected(std::move(value.error()));
    element->value = *value;
    rest.remove_prefix(end);
    for (;;) {
        skip_blanks(rest);
        if (rest.empty() || rest.front() == '#')
            return element;
        const std::string_view word = take_word(rest);
        if (word == "timeout" && !element->timeout) {
            auto timeout = parse_timeout(take_word(rest));
            if (!timeout)
                return std::unexpected(std::move(timeout.error()));
            element->timeout = *timeout;
        } else if (word == "comment" && element->comment.empty()) {
            auto comment = take_comment(rest);
            if (!comment)
                return std::unexpected(std::move(comment.error()));
            element->comment = std::move(*comment);
        } else {
            return fail("'" + std::string(word.substr(0, 32)) + "' is not expected behind an element",
                        "expected timeout DURATION, comment \"TEXT\" or # with a remark");
        }
    }
}

void for_each_line(std::string_view text, const std::function<bool(uint32_t, std::string_view)>& fn) {
    for (uint32_t number = 1; !text.empty(); ++number) {
        const size_t end = std::min(text.find('\n'), text.size());
        if (!fn(number, text.substr(0, end)))
            return;
        text.remove_prefix(std::min(end + 1, text.size()));
    }
}

LineCount count_lines(std::string_view text) {
    LineCount count;
    while (!text.empty()) {
        const size_t end = std::min(text.find('\n'), text.size());
        const std::string_view line = text.substr(0, std::min<size_t>(end, 64));
        size_t at = 0;
        while (at < line.size() && line[at] != ':' && line[at] != '#')
            ++at;
        if (at < line.size() && line[at] == ':')
            ++count.ip6;
        else if (at > 0)
            ++count.ip4;
        text.remove_prefix(std::min(end + 1, text.size()));
    }
    return count;
}

}  // namespace sluice::sets
