// Why packets are dropped. Each folder lists its reasons once, in its drops.def, which gives the enumerator,
// the name the operator sees and the help text; no packet can be dropped without one.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

namespace sluice::telemetry {

// Blocked because somebody wants it so, or dropped because something is wrong or lacking.
enum class DropFamily : uint8_t { policy, error };

std::string_view to_string(DropFamily family);

// The number of a reason over all folders, an index into the drop counters.
enum class DropReason : uint16_t {};

// Each folder has a block of numbers of its own.
inline constexpr uint16_t kDropBlock = 64;
inline constexpr uint16_t kDropBlocks = 5;
inline constexpr uint16_t kMaxDropReasons = kDropBlock * kDropBlocks;

enum class DropBlock : uint16_t { pipeline, routing, conntrack, filter, nat };

constexpr DropReason drop_reason(DropBlock block, uint16_t place) {
    return static_cast<DropReason>(static_cast<uint16_t>(block) * kDropBlock + place);
}

constexpr size_t index(DropReason reason) {
    return static_cast<size_t>(reason);
}

struct DropInfo {
    DropReason reason;
    DropFamily family;
    std::string_view name;
    std::string_view help;
};

// All reasons the program knows, put together at start.
class DropCatalog {
  public:
    void add(std::span<const DropInfo> reasons);
    [[nodiscard]] std::span<const DropInfo> all() const { return all_; }
    // nullptr for a number that no folder uses.
    [[nodiscard]] const DropInfo* find(DropReason reason) const;

  private:
    std::vector<DropInfo> all_;
};

}  // namespace sluice::telemetry
