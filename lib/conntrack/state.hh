// What conntrack says about a packet: the words rules and operators use.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>

namespace sluice::conntrack {

// The packet's relation to its flow, as nftables' `ct state`.
enum class CtState : uint8_t {
    invalid,      // belongs to no flow and cannot begin one
    new_,         // begins a flow, or belongs to one that has not been answered
    established,  // of a flow that has been answered
    related,      // begins an expected flow, or an ICMP error about a flow
    untracked,    // a rule said notrack, or the protocol is not tracked (ND, multicast listeners)
};

constexpr std::string_view to_string(CtState state) {
    constexpr std::array<std::string_view, 5> kNames{"invalid", "new", "established", "related", "untracked"};
    return kNames[static_cast<size_t>(state)];
}

enum class Direction : uint8_t { original, reply };

constexpr Direction opposite(Direction direction) {
    return direction == Direction::original ? Direction::reply : Direction::original;
}

// A set of bits about a flow; their values are the kernel's IPS_ bits.
class Status {
  public:
    constexpr Status() = default;
    explicit constexpr Status(uint32_t bits) : bits_(bits) {}
    [[nodiscard]] constexpr uint32_t bits() const { return bits_; }
    [[nodiscard]] constexpr bool has(Status all) const { return (bits_ & all.bits_) == all.bits_; }
    [[nodiscard]] constexpr bool has_any(Status of) const { return (bits_ & of.bits_) != 0; }
    // Those of these bits that are set.
    [[nodiscard]] constexpr Status only(Status of) const { return Status(bits_ & of.bits_); }
    constexpr void set(Status more) { bits_ |= more.bits_; }
    constexpr void clear(Status less) { bits_ &= ~less.bits_; }
    constexpr Status operator|(Status other) const { return Status(bits_ | other.bits_); }
    constexpr bool operator==(const Status&) const = default;

  private:
    uint32_t bits_ = 0;
};

inline constexpr Status kExpected{1U << 0};       // begun by an expectation
inline constexpr Status kSeenReply{1U << 1};      // packets went both ways
inline constexpr Status kAssured{1U << 2};        // not to be evicted early
inline constexpr Status kConfirmed{1U << 3};      // its first packet has left
inline constexpr Status kSnat{1U << 4};           // the source is translated
inline constexpr Status kDnat{1U << 5};           // the destination is translated
inline constexpr Status kSeqAdjust{1U << 6};      // a helper changed the payload's length
inline constexpr Status kSnatDone{1U << 7};       // the postrouting NAT rules have been asked
inline constexpr Status kDnatDone{1U << 8};       // the prerouting NAT rules have been asked
inline constexpr Status kDying{1U << 9};          // being removed
inline constexpr Status kFixedTimeout{1U << 10};  // packets do not prolong it
// Not among the kernel's: which ends a NAT mapping stands behind.
inline constexpr Status kMappedSource{1U << 24};
inline constexpr Status kMappedDestination{1U << 25};

}  // namespace sluice::conntrack
