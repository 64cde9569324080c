// What limits and connlimits are kept for: an address, a port, or two of these, as a value to compare and
// hash.
#pragma once

#include <array>
#include <cstdint>
#include <optional>

#include "filter/packet.hh"
#include "filter/rule.hh"

namespace sluice::filter {

// Two addresses or an address and a port; unused bytes are zero.
struct LimitKeyValue {
    std::array<uint64_t, 4> words{};
    uint64_t kind = 0;  // family, never 0 for a key that was taken from a packet
    bool operator==(const LimitKeyValue&) const = default;

    // Nothing if the packet lacks a field, a port for instance.
    static std::optional<LimitKeyValue> of(LimitKey per, const RulePacket& packet);
    // As for LimitKey::saddr.
    static LimitKeyValue of_source(const IpAddress& source);
    [[nodiscard]] uint64_t hash(uint64_t seed) const;
};

}  // namespace sluice::filter
