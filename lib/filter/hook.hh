// The places where rules are asked, as netfilter's.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>

namespace sluice::filter {

enum class Hook : uint8_t { prerouting, input, forward, output, postrouting };
inline constexpr size_t kHooks = 5;

// The sections of the configuration that hold chains, in the order of their priorities.
enum class Table : uint8_t { raw, mangle, nat, filter };
inline constexpr size_t kTables = 4;

constexpr std::string_view to_string(Hook hook) {
    constexpr std::array<std::string_view, kHooks> names{"prerouting", "input", "forward", "output",
                                                         "postrouting"};
    return names[static_cast<size_t>(hook)];
}
constexpr std::string_view to_string(Table table) {
    constexpr std::array<std::string_view, kTables> names{"raw", "mangle", "nat", "filter"};
    return names[static_cast<size_t>(table)];
}

}  // namespace sluice::filter
