// How long flows live without packets, by protocol and state.
#pragma once

#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "base/time.hh"

namespace sluice::conntrack {

// Where the RFCs ask for something else than what Linux does, which of them is followed.
enum class Profile : uint8_t { rfc, linux };

enum class Timeout : uint8_t {
#define SLUICE_TIMEOUT(name, as_linux, by_rfc, help) name,
#include "conntrack/timeouts.def"
#undef SLUICE_TIMEOUT
};

inline constexpr size_t kTimeouts = 0
#define SLUICE_TIMEOUT(name, as_linux, by_rfc, help) +1
#include "conntrack/timeouts.def"
#undef SLUICE_TIMEOUT
    ;

struct TimeoutInfo {
    std::string_view name;  // the key in the configuration
    std::string_view help;
};

// In the order of the enumeration.
inline constexpr std::array<TimeoutInfo, kTimeouts> kTimeoutCatalog{{
#define SLUICE_TIMEOUT(name, as_linux, by_rfc, help) {#name, help},
#include "conntrack/timeouts.def"
#undef SLUICE_TIMEOUT
}};

// A duration for each; one array access.
class Timeouts {
  public:
    static constexpr Timeouts of(Profile profile) {
        Timeouts result;
        size_t place = 0;
#define SLUICE_TIMEOUT(name, as_linux, by_rfc, help) \
    result.values_[place++] = std::chrono::seconds(profile == Profile::linux ? (as_linux) : (by_rfc));
#include "conntrack/timeouts.def"
#undef SLUICE_TIMEOUT
        return result;
    }

    [[nodiscard]] constexpr Duration operator[](Timeout timeout) const {
        return values_[static_cast<size_t>(timeout)];
    }
    constexpr void set(Timeout timeout, Duration value) { values_[static_cast<size_t>(timeout)] = value; }
    constexpr bool operator==(const Timeouts&) const = default;

  private:
    constexpr Timeouts() = default;
    std::array<Duration, kTimeouts> values_{};
};

}  // namespace sluice::conntrack
