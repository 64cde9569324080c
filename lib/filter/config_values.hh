// What all matches have in common as they are written: one value or a list of them, {not: ...} or a leading !
// around it, sets and names among the values. For the files that say how each kind of match is written.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "filter/config.hh"

namespace sluice::filter {

// What a number is called.
struct NumberName {
    std::string_view name;
    uint32_t number;
};

std::vector<std::string_view> names_of(std::span<const NumberName> names);
std::optional<uint32_t> number_named(std::span<const NumberName> names, std::string_view name);

// Gives every value of a match to `take`: of a scalar, of a list, of "!VALUE" or {not: ...}. False, with the
// problem told, if one of them or the shape is wrong; `expected` says what a right one is.
bool each_value(config::Context& context, const std::string& expected, bool& negated,
                const std::function<bool(config::Context&, std::string_view)>& take);

// "@name"; nothing if it is something else.
std::optional<config::Reference> set_reference(const config::Context& context, std::string_view text);

// The other way round: one value alone, or a list; {not: ...} around it.
config::Node shaped(std::vector<config::Node> values, bool negated);
void print_sets(const std::vector<config::Reference>& sets, std::vector<config::Node>& into);

}  // namespace sluice::filter
