#include "sluicectl/json_items.hh"

namespace sluice::sluicectl {

void JsonItems::add(std::string_view piece, const std::function<void(std::string_view)>& visit) {
    for (const char letter : piece) {
        const bool opens = !in_string_ && (letter == '{' || letter == '[');
        const bool closes = !in_string_ && (letter == '}' || letter == ']');
        if (level_ > depth_ || (level_ == depth_ && letter == '{' && !in_string_))
            item_ += letter;
        if (opens)
            ++level_;
        if (closes && --level_ == depth_ && !item_.empty()) {
            visit(item_);
            item_.clear();
        }
        if (in_string_) {
            if (!escaped_ && letter == '"')
                in_string_ = false;
            escaped_ = !escaped_ && letter == '\\';
        } else if (letter == '"') {
            in_string_ = true;
        }
    }
}

}  // namespace sluice::sluicectl
