// One tracked flow. Both directions' tuples, what the protocol's tracker remembers, and what rules, NAT and
// the decision cache keep for it.
#pragma once

#include <immintrin.h>

#include <algorithm>
#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <new>
#include <type_traits>
#include <utility>

#include "base/interface_id.hh"
#include "base/prefetch.hh"
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
constexpr Ticks ticks_of(Duration timeout) {
    return ticks_from(Instant(std::clamp(timeout, Duration(1), kMaxTimeout)));
}
constexpr bool is_due(Ticks deadline, Ticks now) {
    return static_cast<int32_t>(deadline - now) <= 0;
}

// A flow's place in its worker's table; the highest bit tells the family. Reused when the flow is gone.
using FlowRef = uint32_t;
inline constexpr FlowRef kNoFlow = 0xffffffff;

// What a direction's packets have in common, written and understood by the decision cache alone. Zero:
// nothing.
struct Decision {
    uint64_t what = 0;
    uint64_t made_from = 0;
    // One comparison of all its bytes.
    bool operator==(const Decision& other) const {
        const auto ours = _mm_loadu_si128(reinterpret_cast<const __m128i*>(this));
        const auto theirs = _mm_loadu_si128(reinterpret_cast<const __m128i*>(&other));
        const auto differences = _mm_xor_si128(ours, theirs);
        return _mm_testz_si128(differences, differences) != 0;
    }
};

// Packets of a direction and the bytes of their IP packets, in twelve bytes: 2^44 packets and 2^52 bytes,
// 4500 TB, before they begin anew.
class [[gnu::packed]] FlowCounters {
  public:
    void add(uint64_t packets, uint64_t bytes) {
        const uint64_t low = low_packets_ + packets;
        low_packets_ = static_cast<uint32_t>(low);
        word_ += (low >> 32 << kBytesBits) + bytes;
    }
    // One packet.
    void add_packet(uint64_t bytes) {
        word_ += bytes;
        if (++low_packets_ == 0) [[unlikely]]
            word_ += uint64_t{1} << kBytesBits;
    }
    [[nodiscard]] uint64_t packets() const { return word_ >> kBytesBits << 32 | low_packets_; }
    [[nodiscard]] uint64_t bytes() const { return word_ & ((uint64_t{1} << kBytesBits) - 1); }

  private:
    static constexpr int kBytesBits = 52;
    uint64_t word_ = 0;  // bytes, and above them the upper bits of packets
    uint32_t low_packets_ = 0;
};
static_assert(sizeof(FlowCounters) == 12);

// An IPv4 tuple with ports as two words, in the way flows keep it: for bursts of ordinary packets, whose
// headers have it ready.
struct Ip4PortsTuple {
    uint64_t addresses;  // the eight bytes of the IP header from the source on
    uint32_t ports;      // host order, the source's in the lower half
    wire::IpProtocol protocol;

    // Of a header without options that TCP's or UDP's follows, of which the ports are there; no fragment.
    static Ip4PortsTuple of_plain(const uint8_t* header) {
        Ip4PortsTuple result;
        uint32_t ports;
        std::memcpy(&result.addresses, header + 12, sizeof result.addresses);
        std::memcpy(&ports, header + 20, sizeof ports);
        result.ports = std::rotl(__builtin_bswap32(ports), 16);
        result.protocol = wire::IpProtocol{header[9]};
        return result;
    }

    [[nodiscard]] uint16_t dport() const { return static_cast<uint16_t>(ports >> 16); }
    [[nodiscard]] uint64_t rest() const { return uint64_t{static_cast<uint8_t>(protocol)} << 32 | ports; }
    // Source and destination exchanged.
    [[nodiscard]] Ip4PortsTuple turned_around() const {
        return {.addresses = std::rotr(addresses, 32), .ports = std::rotr(ports, 16), .protocol = protocol};
    }
};

// Such tuples of many packets, by place; borrowed.
struct Ip4PortsKeys {
    const uint64_t* addresses;
    const uint64_t* rest;  // Ip4PortsTuple::rest()

    Ip4PortsTuple operator[](size_t place) const {
        return {.addresses = addresses[place],
                .ports = static_cast<uint32_t>(rest[place]),
                .protocol = wire::IpProtocol{static_cast<uint8_t>(rest[place] >> 32)}};
    }
    // Those from a place on.
    [[nodiscard]] Ip4PortsKeys from(size_t place) const { return {addresses + place, rest + place}; }
};

// How ordinary packets of a family name their flow.
template <Family family>
using PortsTuple = std::conditional_t<family == Family::ip4, Ip4PortsTuple, Tuple>;

// What a flow keeps for each of its directions, of which most packets need one.
struct FlowHalf {
    Decision decision{};
    FlowCounters counters;
    std::array<uint16_t, 2> ports{};      // host order; source, destination
    std::array<uint32_t, 2> addresses{};  // wire order; of an IPv4 flow

    // Of an IPv4 flow; ICMP's numbers are ports here.
    [[nodiscard]] Ip4PortsTuple tuple(wire::IpProtocol protocol) const {
        return {.addresses = std::bit_cast<uint64_t>(addresses),
                .ports = std::bit_cast<uint32_t>(ports),
                .protocol = protocol};
    }
    void set(const Ip4PortsTuple& tuple) {
        addresses = std::bit_cast<std::array<uint32_t, 2>>(tuple.addresses);
        ports = std::bit_cast<std::array<uint16_t, 2>>(tuple.ports);
    }
    [[nodiscard]] bool is(const Ip4PortsTuple& tuple) const {
        return std::bit_cast<uint64_t>(addresses) == tuple.addresses &&
               std::bit_cast<uint32_t>(ports) == tuple.ports;
    }
};
static_assert(sizeof(FlowHalf) == 40);

// Which helper reads this flow's payload.
enum class Helper : uint8_t { none, ftp, tftp };

// Lives in a FlowTable, belongs to one worker. Pointers are good until the table's next reclaim().
//
// What lies where decides how many lines of memory a packet needs: what both directions share stands between
// their halves, the tracker's memory behind them, and what is looked at only when a flow begins, changes or
// ends comes last.
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

    // By arithmetic: packets come from both ends in no order, so that a branch would be foretold wrong for
    // every other one.
    [[nodiscard]] FlowHalf& half(Direction direction) {
        return *std::launder(reinterpret_cast<FlowHalf*>(bytes() + static_cast<size_t>(direction) * kHalves));
    }
    [[nodiscard]] const FlowHalf& half(Direction direction) const {
        return *std::launder(
            reinterpret_cast<const FlowHalf*>(bytes() + static_cast<size_t>(direction) * kHalves));
    }
    [[nodiscard]] Direction direction_of(const FlowHalf& half) const {
        static_assert(kHalves >> 3 & 1);  // the bit that tells the second half from the first
        return Direction{static_cast<uint8_t>(place_of(half) >> 3 & 1)};
    }
    // Of two things of so many bytes that lie one behind the other, the original direction's first: where
    // that of a half's direction begins, 0 or `size`. One bit tells it, of sizes 8, 16 and 32.
    template <size_t size>
    [[nodiscard]] size_t step_to(const FlowHalf& half) const {
        static_assert(std::has_single_bit(size) && (kHalves & size) != 0);
        return place_of(half) & size;
    }
    // Of the opposite direction.
    [[nodiscard]] const FlowHalf& opposite_of(const FlowHalf& half) const {
        return *std::launder(reinterpret_cast<const FlowHalf*>(bytes() + (kHalves - place_of(half))));
    }
    [[nodiscard]] FlowCounters& counters(Direction direction) { return half(direction).counters; }
    [[nodiscard]] const FlowCounters& counters(Direction direction) const { return half(direction).counters; }
    [[nodiscard]] Decision& decision(Direction direction) { return half(direction).decision; }
    // Asks memory for what a packet of this direction needs: its half, and what lies between the halves.
    void prefetch(Direction direction) const {
        const size_t from = static_cast<size_t>(direction) * sizeof(FlowHalf);
        const auto* const start = bytes() + from;
        prefetch_line(start);
        prefetch_line(start + sizeof(FlowHalf) + kShared - 1);
    }
    void prefetch_halves() const {
        prefetch_line(&original_);
        prefetch_line(&reply_.addresses);
    }
    // And what the tracker of its protocol keeps: all lines from the first half on, wherever they begin,
    // which takes no more than those of one direction would.
    void prefetch_tracked() const {
        constexpr size_t kLine = 64;
        const auto* const start = bytes();
        for (size_t i = 0; i < sizeof(FlowHalf) + kHalves + kTrackSize; i += kLine)
            prefetch_line(start + i);
        prefetch_line(track_ + kTrackSize - 1);
    }
    // How the other direction's packets look, besides.
    void prefetch_tuple(Direction direction) const { prefetch_line(&half(direction).ports); }

    // Whether it is of a protocol, and of the bits `of` of its status has just `bits`: one comparison.
    [[nodiscard]] bool is_of(wire::IpProtocol protocol, Status bits, Status of) const {
        uint64_t word;  // the status, the protocol, and more
        std::memcpy(&word, bytes() + sizeof(FlowHalf), sizeof word);
        return (word & (of.bits() | uint64_t{0xff} << 32)) ==
               (bits.bits() | uint64_t{static_cast<uint8_t>(protocol)} << 32);
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

  protected:
    Flow() = default;

  private:
    friend class FlowTable;
    friend class Tracker;

    static constexpr size_t kShared = 16;                          // bytes between the halves
    static constexpr size_t kHalves = sizeof(FlowHalf) + kShared;  // from one to the other

    template <typename T>
    static constexpr void check_track() {
        static_assert(sizeof(T) <= kTrackSize && alignof(T) <= 8 && std::is_trivially_copyable_v<T> &&
                      std::is_trivially_destructible_v<T>);
    }

#pragma GCC diagnostic push
#pragma GCC diagnostic ignored \
    "-Winvalid-offsetof"  // members of several access levels, which g++ lays out in order
    [[nodiscard]] const std::byte* bytes() const {
        static_assert(offsetof(Flow, original_) == 0 && offsetof(Flow, reply_) == kHalves &&
                      offsetof(Flow, status) == sizeof(FlowHalf) &&
                      offsetof(Flow, protocol_) == offsetof(Flow, status) + sizeof(Status));
        return reinterpret_cast<const std::byte*>(this);
    }
#pragma GCC diagnostic pop
    // Of a half of this flow.
    [[nodiscard]] size_t place_of(const FlowHalf& half) const {
        return static_cast<size_t>(reinterpret_cast<const std::byte*>(&half) - bytes());
    }
    [[nodiscard]] std::byte* bytes() { return const_cast<std::byte*>(std::as_const(*this).bytes()); }

    FlowHalf original_;

  public:
    // Written by whoever is asked to: rules (ct_mark), NAT (its bits), the tracker.
    Status status;

  private:
    wire::IpProtocol protocol_{};  // beside the status: is_of()
    Family family_{};
    Helper helper_ = Helper::none;
    bool counted_by_source_ = false;
    Ticks deadline_ = 0;

  public:
    uint32_t mark = 0;

  private:
    FlowHalf reply_;
    alignas(8) std::byte track_[kTrackSize]{};
    table::TimerLink link_;  // in the wheel, or (next only) among the free or the dying; owner: in()
    uint32_t id_ = 0;
    uint32_t master_ = 0;

  public:
    uint32_t rule = 0;  // which rule let it begin, as the filter numbers them; 0: none
};

}  // namespace sluice::conntrack
