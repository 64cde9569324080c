#include "config/places.hh"

#include <algorithm>
#include <cstdint>

namespace sluice::config {

Mark Places::find(size_t position) {
    const size_t wanted = std::min(position, text_.size());
    if (wanted < place_) {
        // Back to the start of the line it is in.
        const size_t end_of_line = wanted == 0 ? std::string_view::npos : text_.rfind('\n', wanted - 1);
        const size_t start = end_of_line == std::string_view::npos ? 0 : end_of_line + 1;
        const auto skipped = text_.substr(start, place_ - start);
        mark_ = {mark_.line - static_cast<uint32_t>(std::ranges::count(skipped, '\n')), 1};
        place_ = start;
    }
    for (; place_ < wanted; ++place_) {
        if (text_[place_] == '\n') {
            mark_ = {mark_.line + 1, 1};
        } else if ((static_cast<uint8_t>(text_[place_]) & 0xc0) != 0x80) {
            ++mark_.column;
        }
    }
    return mark_;
}

std::string_view Places::from(size_t position) const {
    return text_.substr(std::min(position, text_.size()));
}

bool closes_quotes(std::string_view text) {
    const char quotes = text.empty() ? '\0' : text[0];
    if (quotes != '"' && quotes != '\'')
        return true;
    for (size_t i = 1; i < text.size(); ++i) {
        if (quotes == '"' && text[i] == '\\') {
            ++i;
        } else if (text[i] == quotes) {
            if (quotes == '"' || i + 1 == text.size() || text[i + 1] != quotes)
                return true;
            ++i;  // two single quotes stand for one
        }
    }
    return false;
}

std::string_view null_word(std::string_view text) {
    for (const std::string_view word : {"null", "Null", "NULL", "~"})
        if (text.starts_with(word))
            return word;
    return {};
}

}  // namespace sluice::config
