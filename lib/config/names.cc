#include "config/names.hh"

#include <algorithm>
#include <array>
#include <utility>

namespace sluice::config {

namespace {

constexpr size_t kMostListed = 24;

// Letters in lower case, `-` as `_`: differences nobody means.
char folded(char letter) {
    if (letter >= 'A' && letter <= 'Z')
        return static_cast<char>(letter - 'A' + 'a');
    return letter == '-' ? '_' : letter;
}

// How many insertions, removals, replacements and swaps of neighbours make one of the other. Both at most
// kMaxNameLength long.
size_t distance(std::string_view a, std::string_view b) {
    using Row = std::array<size_t, kMaxNameLength + 1>;
    Row before_last{};
    Row last{};
    Row row{};
    for (size_t j = 0; j <= b.size(); ++j)
        last[j] = j;
    for (size_t i = 1; i <= a.size(); ++i) {
        row[0] = i;
        for (size_t j = 1; j <= b.size(); ++j) {
            const bool same = folded(a[i - 1]) == folded(b[j - 1]);
            row[j] = std::min({last[j] + 1, row[j - 1] + 1, last[j - 1] + (same ? 0U : 1U)});
            if (i > 1 && j > 1 && folded(a[i - 1]) == folded(b[j - 2]) &&
                folded(a[i - 2]) == folded(b[j - 1]))
                row[j] = std::min(row[j], before_last[j - 2] + 1);
        }
        before_last = last;
        last = row;
    }
    return last[b.size()];
}

}  // namespace

bool is_name(std::string_view text) {
    const auto allowed = [](char c) {
        return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' ||
               c == '.' || c == '-';
    };
    return !text.empty() && text.size() <= kMaxNameLength && std::ranges::all_of(text, allowed);
}

std::string_view nearest(std::string_view name, std::span<const std::string_view> known) {
    std::string_view best;
    if (name.empty() || name.size() > kMaxNameLength)
        return best;
    size_t least = std::max<size_t>(1, name.size() / 3) + 1;
    for (const auto candidate : known) {
        if (candidate.empty() || candidate.size() > kMaxNameLength)
            continue;
        const size_t far = distance(name, candidate);
        if (far < least && far < candidate.size()) {
            least = far;
            best = candidate;
        }
    }
    return best;
}

std::string one_of(std::string_view name, std::span<const std::string_view> known) {
    std::string text;
    if (known.empty())
        return "there are none";
    if (known.size() == 1) {
        text = "expected " + std::string(known.front());
    } else if (known.size() <= kMostListed) {
        text = "expected one of ";
        for (size_t i = 0; i < known.size(); ++i)
            text += (i == 0 ? "" : ", ") + std::string(known[i]);
    } else {
        text = "expected one of " + std::to_string(known.size()) + " known ones";
    }
    if (const auto meant = nearest(name, known); !meant.empty())
        text += " (did you mean '" + std::string(meant) + "'?)";
    return text;
}

bool resolve(const Reference& reference, std::string_view what, std::span<const std::string_view> known,
             Problems& problems) {
    if (reference.name.empty() || std::ranges::find(known, reference.name) != known.end())
        return true;
    problems.add(reference.at, "there is no " + std::string(what) + " " + quote(reference.name),
                 one_of(reference.name, known));
    return false;
}

bool resolve(const Reference& reference, std::string_view what, const std::vector<std::string>& known,
             Problems& problems) {
    const std::vector<std::string_view> views(known.begin(), known.end());
    return resolve(reference, what, std::span(views), problems);
}

}  // namespace sluice::config
