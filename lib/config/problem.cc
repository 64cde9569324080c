#include "config/problem.hh"

#include <algorithm>
#include <tuple>
#include <utility>

namespace sluice::config {

namespace {

constexpr size_t kLongestQuote = 80;
constexpr size_t kLongestMessage = 600;

// One line without control characters, at most `longest` bytes and an ellipsis; UTF-8 characters stay whole.
std::string printable(std::string_view text, size_t longest) {
    constexpr std::string_view kDigits = "0123456789abcdef";
    std::string result;
    result.reserve(std::min(text.size(), longest));
    for (const char each : text) {
        const auto byte = static_cast<uint8_t>(each);
        if (result.size() >= longest && (byte & 0xc0) != 0x80)
            return result + "…";
        if (byte == '\n') {
            result += "\\n";
        } else if (byte == '\t') {
            result += "\\t";
        } else if (byte < 0x20 || byte == 0x7f) {
            result += "\\x";
            result += kDigits[byte >> 4];
            result += kDigits[byte & 15];
        } else {
            result += each;
        }
    }
    return result;
}

}  // namespace

std::string quote(std::string_view text) {
    return "'" + printable(text, kLongestQuote) + "'";
}

Location Location::inside(std::string_view key) const {
    Location result = *this;
    if (!result.path.empty())
        result.path += '.';
    result.path += key;
    return result;
}

std::string Problem::text() const {
    std::string line = file;
    if (mark.line != 0)
        line += ":" + std::to_string(mark.line) + ":" + std::to_string(mark.column);
    line += ": ";
    if (!path.empty())
        line += path + ": ";
    line += message;
    if (!hint.empty())
        line += "; " + hint;
    return line;
}

void Problems::add(Problem problem) {
    if (kept_.size() == kMax) {
        ++left_out_;
        return;
    }
    problem.file = printable(problem.file, kLongestMessage);
    problem.path = printable(problem.path, kLongestMessage);
    problem.message = printable(problem.message, kLongestMessage);
    problem.hint = printable(problem.hint, kLongestMessage);
    const auto later = [](const Problem& a, const Problem& b) {
        return std::tie(a.file, a.mark) < std::tie(b.file, b.mark);
    };
    const auto place = std::upper_bound(kept_.begin(), kept_.end(), problem, later);
    kept_.insert(place, std::move(problem));
}

void Problems::add(const Location& at, std::string message, std::string hint) {
    add(Problem{at.file ? *at.file : std::string(), at.mark, at.path, std::move(message), std::move(hint)});
}

void Problems::add(const Problems& others) {
    for (const auto& problem : others.kept_)
        add(problem);
    left_out_ += others.left_out_;
}

std::string Problems::text() const {
    std::string result;
    for (const auto& problem : kept_)
        result += problem.text() + "\n";
    if (left_out_ != 0)
        result += "and " + std::to_string(left_out_) + " more\n";
    return result;
}

Error Problems::first() const {
    const Problem& problem = kept_.front();
    std::string more = size() > 1 ? " (and " + std::to_string(size() - 1) + " more)" : "";
    return {Problem{problem.file, problem.mark, problem.path, problem.message, {}}.text() + more,
            problem.hint};
}

}  // namespace sluice::config
