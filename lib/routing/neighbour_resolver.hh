// Finds out and remembers who answers for an address on a link: ARP (RFC 826) for IPv4, Neighbour Discovery
// (RFC 4861 7) for IPv6, with the neighbour unreachability detection of RFC 4861 7.3 for both, as Linux does.
//
// A state machine for the control thread, without clock, socket or thread. Packets that lack a MAC, received
// ARP and ND packets, link changes and time go in; the neighbour table changes and actions come out
// (take_actions()). Call tick() at next_deadline(), and every second or so, since that is when it learns
// which entries were used.
//
//   none ─resolve→ incomplete ─answer→ reachable ─30 s→ stale ─used→ delay ─5 s→ probe ─answer→ reachable
//                   └3 requests→ failed ─resolve→ incomplete           3 unicast requests└→ failed
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/address.hh"
#include "base/interface_id.hh"
#include "base/prefix.hh"
#include "base/random.hh"
#include "base/time.hh"
#include "routing/neighbour_actions.hh"
#include "routing/neighbour_link_set.hh"
#include "routing/neighbour_table.hh"
#include "table/token_bucket.hh"
#include "wire/nd.hh"

namespace sluice::routing {

// RFC 4861 7.3.2; `none` is an entry that only a route keeps, `failed` one that did not answer, `permanent` a
// static one.
enum class NeighbourState : uint8_t { none, incomplete, reachable, stale, delay, probe, failed, permanent };
std::string_view to_string(NeighbourState state);

struct NeighbourTiming {
    Duration reachable = std::chrono::seconds(30);  // times 0.5 to 1.5 by chance (RFC 4861 6.3.2)
    Duration retransmit = std::chrono::seconds(1);  // between requests
    Duration delay = std::chrono::seconds(5);       // from use of a stale entry to its first probe
    uint32_t requests = 3;  // multicast ones while incomplete; as many unicast ones in probe
    Duration lock = std::chrono::seconds(1);  // ARP may not change a MAC again sooner (Linux locktime)
    Duration stale_unused = std::chrono::seconds(60);  // then garbage, if there are more than `keep` entries
};

// Bounds. What happens at each is a NeighbourDropReason.
struct NeighbourLimits {
    size_t packets_per_neighbour = 64;
    size_t packets = 4096;                  // waiting in all
    size_t incomplete_per_interface = 512;  // the oldest makes room (R4861: a scan of a /64)
    uint32_t new_per_second = 1000;         // neighbours first asked for, each interface; a burst of as many
    size_t keep = 128;  // entries below which unused ones are left alone (Linux gc_thresh1)
};

// How addresses are resolved.
enum class NeighbourMode : uint8_t {
    ask,     // ARP and ND
    derive,  // nobody to ask (replay): every address has the MAC derived_mac() gives
    strict,  // nobody to ask, and only static neighbours are known: all others fail at once
};

// The MAC of a neighbour in NeighbourMode::derive, locally administered: 02:04 and the four bytes of an IPv4
// address; 02:06 and four bytes of FNV-1a over the sixteen bytes of an IPv6 address.
MacAddress derived_mac(const IpAddress& address);

struct StaticNeighbour {
    NeighbourKey key;
    MacAddress mac;
};

// A received ARP or ND packet.
struct NeighbourPacket {
    InterfaceId in = kNoInterface;
    MacAddress source;               // of the frame
    MacAddress destination;          // of the frame
    std::span<const uint8_t> bytes;  // from the ARP or IPv6 header on; link padding may follow
};

// What became of a received packet.
enum class NeighbourInput : uint8_t {
    used,       // answered or learned from
    ignored,    // well-formed, but nothing to us
    malformed,  // fails the checks of RFC 826 or RFC 4861 7.1
};

struct NeighbourCounters {
    uint64_t requests_sent = 0;
    uint64_t replies_sent = 0;
    uint64_t announcements_sent = 0;
    uint64_t received = 0;
    uint64_t malformed = 0;
    uint64_t conflicts = 0;
    uint64_t failures = 0;   // neighbours that did not answer
    uint64_t evictions = 0;  // entries that made room for others
};

struct NeighbourStatus {
    NeighbourKey key;
    std::optional<MacAddress> mac;
    NeighbourState state = NeighbourState::none;
    bool router = false;              // said so itself (ND)
    bool gateway = false;             // of a route
    Duration age{};                   // since the state began or was confirmed
    std::optional<Duration> expires;  // until the state ends by itself
};

class NeighbourResolver {
  public:
    // All three references outlive the resolver, which is the only writer of `table`.
    NeighbourResolver(NeighbourTable& table, GracePeriod& grace, Random& random, NeighbourMode mode,
                      const NeighbourLimits& limits = {}, const NeighbourTiming& timing = {});
    ~NeighbourResolver();
    NeighbourResolver(const NeighbourResolver&) = delete;
    NeighbourResolver& operator=(const NeighbourResolver&) = delete;

    // The interfaces and static neighbours of a new configuration. Entries of interfaces whose number now
    // means another one are forgotten, the others stay. New addresses of an interface that is up are
    // announced.
    void configure(std::vector<NeighbourInterface> interfaces, std::span<const StaticNeighbour> neighbours,
                   Instant now);

    // Keeps an entry for the gateway of a route, resolved or not, until unpin(); each pin counts.
    // kNoNeighbour if the table is full even so.
    NeighbourIndex pin(InterfaceId interface, const IpAddress& address, Instant now);
    void unpin(NeighbourIndex index);

    // A packet for a neighbour whose link was not usable. It is sent as soon as the neighbour answers.
    void resolve(InterfaceId out, const IpAddress& address, HeldPacket packet, Instant now);
    NeighbourInput on_arp(const NeighbourPacket& packet, Instant now);
    // Neighbour solicitations and advertisements; the bytes begin with the IPv6 header.
    NeighbourInput on_nd(const NeighbourPacket& packet, Instant now);
    // Something the neighbour sent proves that it gets our packets (RFC 4861 7.3.1), such as a TCP ACK.
    void confirm(InterfaceId interface, const IpAddress& address, Instant now);
    void on_link_up(InterfaceId interface, Instant now);    // announces all own addresses
    void on_link_down(InterfaceId interface, Instant now);  // forgets all but static neighbours
    void tick(Instant now);
    // When tick() is due for a timer; nothing if there is none.
    [[nodiscard]] std::optional<Instant> next_deadline() const;

    // What is to be done since the last call.
    [[nodiscard]] NeighbourActions take_actions();

    [[nodiscard]] std::vector<NeighbourStatus> list(Instant now) const;
    [[nodiscard]] const NeighbourCounters& counters() const { return counters_; }
    [[nodiscard]] size_t waiting_packets() const { return waiting_; }

  private:
    // What only the control thread knows of a neighbour; stands at the place of its slot in the table.
    struct Entry {
        NeighbourState state = NeighbourState::none;
        bool router = false;
        bool configured = false;  // static, from the configuration
        uint32_t pins = 0;
        uint32_t requests = 0;    // sent in this state
        uint32_t live_place = 0;  // in live_
        Instant since;            // the state began or was confirmed
        Instant deadline;         // of incomplete, reachable, delay and probe
        Instant mac_since;
        Instant last_used;
        std::vector<HeldPacket> held;
    };
    Entry& entry(NeighbourIndex index) { return entries_[static_cast<size_t>(index)]; }
    [[nodiscard]] const Entry& entry(NeighbourIndex index) const {
        return entries_[static_cast<size_t>(index)];
    }
    [[nodiscard]] NeighbourIndex find(InterfaceId interface, const IpAddress& address) const {
        return table_.find(interface, address).index;
    }

    // Entries: neighbour_entries.cc
    NeighbourIndex create(InterfaceId interface, const IpAddress& address, Instant now);
    bool make_room();
    void forget(NeighbourIndex index, NeighbourDropReason reason);  // keeps it as `none` when pinned
    void erase(NeighbourIndex index);
    void set_permanent(NeighbourIndex index, MacAddress mac, Instant now);
    void set_mac(NeighbourIndex index, MacAddress mac, NeighbourState state, Instant now);
    void set_state(NeighbourIndex index, NeighbourState state, Instant now);
    void begin_incomplete(NeighbourIndex index, Instant now);
    void evict_incomplete(InterfaceId interface);
    void hold(NeighbourIndex index, HeldPacket packet);
    void release_held(NeighbourIndex index);
    void drop_held(NeighbourIndex index, NeighbourDropReason reason);
    void drop(InterfaceId out, const IpAddress& address, NeighbourDropReason reason, HeldPacket packet);
    bool take_allowance(InterfaceId interface, Instant now) {
        return allowances_[sluice::index(interface)].take(now);
    }
    // Timers: neighbour_resolver.cc
    void tick_entry(NeighbourIndex index, Instant now);
    void tick_stale(NeighbourIndex index, Instant now);
    void ask(
        NeighbourIndex index);  // one request as the state wants it: to all, or in probe to the known MAC
    void announce(const NeighbourInterface& interface, const IpAddress& address);
    // Received packets: neighbour_arp.cc, neighbour_nd.cc
    NeighbourInput on_checked_arp(const NeighbourInterface& interface, const NeighbourPacket& packet,
                                  Instant now);
    NeighbourInput on_solicitation(const NeighbourInterface& interface, MacAddress frame_source,
                                   const Ip6Address& source, const wire::NeighbourSolicitation& message,
                                   Instant now);
    NeighbourInput on_advertisement(const NeighbourInterface& interface, MacAddress frame_source,
                                    const wire::NeighbourAdvertisement& message, Instant now);
    void learn_from_request(const NeighbourInterface& interface, const IpAddress& address, MacAddress mac,
                            Instant now);
    void conflict(const NeighbourInterface& interface, const IpAddress& address, MacAddress theirs);

    NeighbourTable& table_;
    GracePeriod& grace_;
    Random& random_;
    const NeighbourMode mode_;
    const NeighbourLimits limits_;
    const NeighbourTiming timing_;
    NeighbourLinkSet links_;
    std::vector<Entry> entries_;                         // by slot
    std::vector<NeighbourIndex> live_;                   // those in use, in no order
    std::vector<table::TokenBucket> allowances_;         // new neighbours, by interface
    std::array<uint32_t, kMaxInterfaces> incomplete_{};  // how many, by interface
    size_t waiting_ = 0;                                 // packets in all `held`
    NeighbourActions actions_;
    NeighbourCounters counters_;
};

}  // namespace sluice::routing
