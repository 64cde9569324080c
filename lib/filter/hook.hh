// The places where rules are asked, as netfilter's.
#pragma once

#include <cstddef>
#include <cstdint>

namespace sluice::filter {

enum class Hook : uint8_t { prerouting, input, forward, output, postrouting };
inline constexpr size_t kHooks = 5;

// The sections of the configuration that hold chains, in the order of their priorities.
enum class Table : uint8_t { raw, mangle, nat, filter };
inline constexpr size_t kTables = 4;

}  // namespace sluice::filter
