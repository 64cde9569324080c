// What replay needs of the packet path. The program that knows every stage implements it; replay itself knows
// captures, time and results only. Calls are virtual because a capture is not a fast path.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.hh"
#include "base/interface_id.hh"
#include "base/time.hh"

namespace sluice::replay {

// What became of a packet when the packet path was done with it.
enum class FinalVerdict : uint8_t {
    accept,    // went on: forwarded, whole or as fragments
    drop,      // discarded, for a reason
    consumed,  // taken by the box itself: an echo request, ARP, a datagram for it
    held,      // kept for now, e.g. a fragment until the others are there; its end is told by what ends it
};
inline constexpr size_t kFinalVerdicts = 4;

std::string_view to_string(FinalVerdict verdict);  // "accept", "drop", "consumed", "held"

// A frame that left the box: from the destination MAC on, without frame check sequence.
struct Output {
    InterfaceId interface = kNoInterface;
    std::vector<uint8_t> frame;
    bool operator==(const Output&) const = default;
};

// The way of one packet, or of one timer, as an operator reads it. Empty words are printed as null.
struct Outcome {
    FinalVerdict verdict = FinalVerdict::accept;
    std::string reason = {};    // of a drop: the name in drops.def
    std::string hook = {};      // where rules decided: prerouting, input, forward, output, postrouting
    std::string rule = {};      // the rule that decided
    std::string ct_state = {};  // new, established, related, invalid, untracked
    std::vector<Output> outputs =
        {};  // in the order they left; errors, replies and released packets included
    bool operator==(const Outcome&) const = default;
};

// What a timer caused: a retransmission, a packet given up.
struct TimerOutcome {
    Instant time;
    // Of a packet that ended here. Without one nothing ended: something was sent only, and the other words
    // are empty.
    std::optional<FinalVerdict> verdict;
    Outcome outcome;  // its verdict is not looked at
};

// The packet path's own count of packets, which must balance:
// received + originated = sent + dropped + consumed + held.
struct PacketTotals {
    uint64_t received = 0;    // frames taken from a wire
    uint64_t originated = 0;  // made by the box: errors, replies, requests, and fragments beyond the first
    uint64_t sent = 0;        // frames handed to a wire
    uint64_t dropped = 0;
    uint64_t consumed = 0;
    uint64_t held = 0;  // still inside
    [[nodiscard]] bool balanced() const { return received + originated == sent + dropped + consumed + held; }
    bool operator==(const PacketTotals&) const = default;
};

// Packets under a name: a drop reason, or a protocol counter by its SNMP or nstat name.
struct NamedCount {
    std::string name;
    uint64_t count = 0;
    auto operator<=>(const NamedCount&) const = default;
};

// The packet path under replay. One thread; time never goes back between calls.
class Dataplane {
  public:
    Dataplane() = default;
    Dataplane(const Dataplane&) = delete;
    Dataplane& operator=(const Dataplane&) = delete;
    virtual ~Dataplane() = default;

    // An interface frames enter and leave by: one with a device. Frames of a VLAN pass through its parent,
    // tagged.
    struct Interface {
        InterfaceId id = kNoInterface;
        std::string name;
    };
    [[nodiscard]] virtual std::vector<Interface> interfaces() const = 0;

    // The clock starts. Called once, before all that follows; fails if the configuration cannot be put in
    // force.
    virtual Expected<void> begin(Instant first) = 0;

    // Runs every timer due until `now`, in time order, and appends what they caused; times are at most `now`.
    // Fails if what is in force cannot go on, as when a rule has expired and a file that is read again is
    // gone.
    virtual Expected<void> advance(Instant now, std::vector<TimerOutcome>& caused) = 0;

    // One frame through the whole packet path at `now`. The bytes are copied. A frame too long for a packet
    // buffer is a drop like any other.
    virtual Outcome inject(InterfaceId interface, std::span<const uint8_t> frame, Instant now) = 0;

    [[nodiscard]] virtual PacketTotals totals() const = 0;
    [[nodiscard]] virtual std::vector<NamedCount> drops() const = 0;     // by reason; zeros may be left out
    [[nodiscard]] virtual std::vector<NamedCount> counters() const = 0;  // of protocols
    // The flows that live at the end, each as the JSON object the admin API gives.
    virtual std::vector<std::string> flows() = 0;
    // The chains with what their rules have counted, likewise.
    virtual std::vector<std::string> rules() = 0;
};

}  // namespace sluice::replay
