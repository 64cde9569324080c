// Names that point to something defined elsewhere, and what the writer of a misspelt one probably meant.
#pragma once

#include <cstddef>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "config/problem.hh"

namespace sluice::config {

inline constexpr size_t kMaxNameLength = 64;

// Letters, digits, `_`, `.` and `-`, one to kMaxNameLength of them: what users may call interfaces, zones,
// rules.
bool is_name(std::string_view text);

// The known name nearest to `name` by edit distance; empty when none is near enough to be meant.
std::string_view nearest(std::string_view name, std::span<const std::string_view> known);

// "expected one of a, b, c (did you mean 'b'?)": the list shortened when long.
std::string one_of(std::string_view name, std::span<const std::string_view> known);

// A name that must exist elsewhere, and where it was written.
struct Reference {
    std::string name;
    Location at;
    auto operator<=>(const Reference& other) const { return name <=> other.name; }
    bool operator==(const Reference& other) const { return name == other.name; }
};

// Reports a reference that names none of `known`: "there is no `what` 'lann'". True if it does or is empty
// (an empty name was reported when it was read).
bool resolve(const Reference& reference, std::string_view what, std::span<const std::string_view> known,
             Problems& problems);
bool resolve(const Reference& reference, std::string_view what, const std::vector<std::string>& known,
             Problems& problems);

}  // namespace sluice::config
