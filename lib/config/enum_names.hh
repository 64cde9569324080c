// Enums with the names users write for their values.
//   template <> struct config::EnumNames<PollMode> {
//       static constexpr auto names = std::to_array<config::EnumName<PollMode>>({
//           {PollMode::busy, "busy"}, {PollMode::adaptive, "adaptive"}});
//   };
#pragma once

#include <array>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>

#include "base/error.hh"
#include "config/scalar.hh"

namespace sluice::config {

template <typename E>
struct EnumName {
    E value;
    std::string_view name;
};

template <typename E>
struct EnumNames;

template <typename E>
concept NamedEnum = std::is_enum_v<E> && requires { EnumNames<E>::names.size(); };

// The name of a value; "?" for one that has none.
template <NamedEnum E>
constexpr std::string_view name_of(E value) {
    for (const auto& each : EnumNames<E>::names) {
        if (each.value == value) {
            return each.name;
        }
    }
    return "?";
}

// All names, in the order of the list.
template <NamedEnum E>
constexpr auto all_names() {
    std::array<std::string_view, EnumNames<E>::names.size()> result{};
    for (size_t i = 0; i < result.size(); ++i) {
        result[i] = EnumNames<E>::names[i].name;
    }
    return result;
}

// "a, b or c"
std::string alternatives(std::span<const std::string_view> names);
// The place of the text in the list, or what is wrong with it.
Expected<size_t> parse_name(std::string_view text, std::span<const std::string_view> names);

template <NamedEnum E>
struct Scalar<E> {
    static std::string expected() { return alternatives(all_names<E>()); }
    static Expected<E> parse(std::string_view text) {
        const auto place = parse_name(text, all_names<E>());
        if (!place) {
            return std::unexpected(place.error());
        }
        return EnumNames<E>::names[*place].value;
    }
    static std::string format(const E& value) { return std::string(name_of(value)); }
};

}  // namespace sluice::config
