// Why packets are invalid: one reason each, counted.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

namespace sluice::conntrack {

enum class InvalidReason : uint8_t {
    none,  // not invalid
#define SLUICE_INVALID(name, help) name,
#include "conntrack/invalid_reason.def"
#undef SLUICE_INVALID
};

inline constexpr size_t kInvalidReasons = 1
#define SLUICE_INVALID(name, help) +1
#include "conntrack/invalid_reason.def"
#undef SLUICE_INVALID
    ;

struct InvalidReasonInfo {
    std::string_view name;  // in counters and logs
    std::string_view help;
};

// In the order of the enumeration, so that a reason is an index; the first is `none`.
std::span<const InvalidReasonInfo> invalid_reason_catalog();

constexpr size_t index(InvalidReason reason) {
    return static_cast<size_t>(reason);
}

}  // namespace sluice::conntrack
