// One tracked flow. Both directions' tuples, what the protocol's tracker remembers, and what rules, NAT and
// the decision cache keep for it.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <new>
#include <type_traits>

#include "base/interface_id.hh"
#include "base/time.hh"
#include "conntrack/state.hh"
#include "conntrack/tuple.hh"
#include "table/timer_wheel.hh"

namespace sluice::conntrack {

// Time as flows keep it: 2^20 ns (about a millisecond) in 32 bits, so that it is made by a shift and 26 days
// can be told apart. Longer timeouts are cut to kMaxTimeout.
using Ticks = uint32_t;
inline constexpr int kTickShift = 20;
inline constexpr Duration kMaxTimeout = std::chrono::hours(24 * 25);

constexpr Ticks ticks_at(Instant now) {
    return static_cast<Ticks>(static_cast<uint64_t>(now.time_since_epoch().count()) >> kTickShift);
}
// The first tick that is not before `at`.
constexpr Ticks ticks_from(Instant at) {
    return ticks_at(at + Duration((int64_t{1} << kTickShift) - 1));
}
constexpr bool is_due(Ticks deadline, Ticks now) {
    return static_cast<int32_t>(deadline - now) <= 0;
}

// A flow's place in its worker's table; the highest bit tells the family. Reused when the flow is gone.
using FlowRef = uint32_t;
inline constexpr FlowRef kNoFlow = 0xffffffff;

// What a direction's packets have in common, written and understood by the decision cache alone. Zero:
// nothing.
using Decision = std::array<uint64_t, 2>;

// Unsigned numbers of 48 bits: enough for 281 TB a flow.
class Count48 {
  public:
    void add(uint64_t amount) { set(value() + amount); }
    void set(uint64_t value) {
        low_ = static_cast<uint16_t>(value);
        mid_ = static_cast<uint16_t>(value >> 16);
        high_ = static_cast<uint16_t>(value >> 32);
    }
    [[nodiscard]] uint64_t value() const { return uint64_t{high_} << 32 | uint64_t{mid_} << 16 | low_; }

  private:
    uint16_t low_ = 0;
    uint16_t mid_ = 0;
    uint16_t high_ = 0;
};

struct FlowCounters {
    Count48 packets;
    Count48 bytes;  // of IP packets
};

// Which helper reads this flow's payload.
enum class Helper : uint8_t { none, ftp, tftp };

// Lives in a FlowTable, belongs to one worker. Pointers are good until the table's next reclaim().
class Flow {
  public:
    static constexpr size_t kTrackSize = 56;

    Flow(const Flow&) = delete;
    Flow& operator=(const Flow&) = delete;

    // By value: IPv4 flows keep their tuples short. The reply's is what an answer looks like when it arrives,
    // so it differs from the inverted original under NAT.
    [[nodiscard]] Tuple tuple(Direction direction) const;
    [[nodiscard]] Family family() const { return family_; }
    [[nodiscard]] wire::IpProtocol protocol() const { return protocol_; }
    // NAT, before confirmation only: afterwards the index would no longer find the flow.
    void set_tuple(Direction direction, const Tuple& tuple);

    [[nodiscard]] bool is_confirmed() const { return status.has(kConfirmed); }
    [[nodiscard]] bool is_dying() const { return status.has(kDying); }

    // The protocol tracker's memory. begin_track() makes it; afterwards track() must name the same type.
    template <typename T>
    T& begin_track() {
        check_track<T>();
        return *new (track_) T{};
    }
    template <typename T>
    T& track() {
        check_track<T>();
        return *std::launder(reinterpret_cast<T*>(track_));
    }
    template <typename T>
    [[nodiscard]] const T& track() const {
        check_track<T>();
        return *std::launder(reinterpret_cast<const T*>(track_));
    }

    [[nodiscard]] FlowCounters& counters(Direction direction) {
        return counters_[static_cast<size_t>(direction)];
    }
    [[nodiscard]] const FlowCounters& counters(Direction direction) const {
        return counters_[static_cast<size_t>(direction)];
    }
    [[nodiscard]] Decision& decision(Direction direction) {
        return decisions_[static_cast<size_t>(direction)];
    }

    // When it ends unless a packet comes. Before confirmation it counts from zero: the time it will have.
    [[nodiscard]] Ticks deadline() const { return deadline_; }
    [[nodiscard]] bool is_expired(Ticks now) const { return is_confirmed() && is_due(deadline_, now); }

    // Unique in its worker's table over four thousand million flows; never 0.
    [[nodiscard]] uint32_t id() const { return id_; }
    // The id of the flow that made this one expected; 0 for others. That one may have ended.
    [[nodiscard]] uint32_t master() const { return master_; }
    // By which its first packet came; kNoInterface for the box's own.
    [[nodiscard]] InterfaceId in() const { return InterfaceId{link_.owner}; }
    [[nodiscard]] Helper helper() const { return helper_; }

    // Written by whoever is asked to: rules (ct_mark), NAT (its bits), the tracker.
    Status status;
    uint32_t mark = 0;
    uint32_t rule = 0;  // which rule let it begin, as the filter numbers them; 0: none

  protected:
    Flow() = default;

  private:
    friend class FlowTable;
    friend class Tracker;

    template <typename T>
    static constexpr void check_track() {
        static_assert(sizeof(T) <= kTrackSize && alignof(T) <= 8 && std::is_trivially_copyable_v<T> &&
                      std::is_trivially_destructible_v<T>);
    }

    uint32_t id_ = 0;
    uint32_t master_ = 0;
    table::TimerLink link_;  // in the wheel, or (next only) among the free or the dying; owner: in()
    Family family_{};
    wire::IpProtocol protocol_{};
    Helper helper_ = Helper::none;
    bool counted_by_source_ = false;
    Ticks deadline_ = 0;
    std::array<FlowCounters, 2> counters_;
    std::array<Decision, 2> decisions_{};
    alignas(8) std::byte track_[kTrackSize]{};
};

}  // namespace sluice::conntrack
