// The forwarding information base: what to do with a packet for an address. Built by the control thread from
// the interfaces' addresses and the configured routes, never changed afterwards, read by all workers as a
// part of the published snapshot.
//
// Every routing table has a longest-prefix-match structure for each family, whose values are places in one
// array of next hops. The box's own addresses stand in every table, since they come before any route (Linux:
// table local). Not in here, and decided by the stage: multicast, 255.255.255.255, IPv6 link-local (it has a
// meaning only with the arrival interface) and martian addresses.
#pragma once

#include <bitset>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/address.hh"
#include "base/interface_id.hh"
#include "base/prefetch.hh"
#include "base/prefix.hh"
#include "config/problem.hh"
#include "routing/config.hh"
#include "routing/neighbour_table.hh"
#include "table/lpm.hh"

namespace sluice::routing {

enum class NextHopKind : uint8_t {
    none,         // no route
    local,        // for the box itself
    broadcast,    // the directed broadcast address of a connected network (RFC 2644)
    connected,    // on the link of `out`: the destination itself is the neighbour
    gateway,      // through `gateway`, whose MAC stands at `neighbour`
    blackhole,    // discard silently
    unreachable,  // discard, ICMP host or address unreachable
    prohibit,     // discard, ICMP administratively prohibited
};
std::string_view to_string(NextHopKind kind);

// One cache line: all that sending to it needs.
struct alignas(64) NextHop {
    NextHopKind kind = NextHopKind::none;
    bool anycast = false;  // local: the subnet-router anycast address, never a source (RFC 4291 2.6.1)
    InterfaceId out = kNoInterface;           // local: the interface that has the address
    uint16_t mtu = 0;                         // of `out`
    NeighbourIndex neighbour = kNoNeighbour;  // gateway: pinned for as long as this FIB lives
    IpAddress gateway = {};
    bool operator==(const NextHop&) const = default;
};
static_assert(sizeof(NextHop) == 64);

// A place in Fib's array of next hops; 0 is "no route".
using NextHopIndex = uint32_t;
inline constexpr NextHopIndex kNoNextHop = table::kNoRoute;
static_assert(kNoNextHop == 0);

// A routing table.
enum class TableId : uint16_t {};
inline constexpr TableId kMainTable{0};
inline constexpr size_t kMaxTables = 256;

// What route rules look at.
struct RouteKey {
    InterfaceId in = kNoInterface;  // kNoInterface: from the box itself
    IpAddress saddr = {};
    IpAddress daddr = {};
    uint8_t proto = 0;
    bool has_ports = false;  // not in fragments after the first, nor without ports
    uint16_t sport = 0;
    uint16_t dport = 0;
};

// An interface as the FIB needs to know it.
struct FibInterface {
    InterfaceId id = kNoInterface;
    std::string name;
    uint16_t mtu = 1500;
    std::vector<InterfaceAddress> addresses;  // IPv6 link-local ones may be left out: they are not looked at
};

struct FibInput {
    std::span<const FibInterface> interfaces;
    std::span<const RouteConfig> routes;
    std::span<const RouteRuleConfig> rules;
    // The interfaces of a zone, or the one of that name; empty if there is neither.
    std::function<std::vector<InterfaceId>(std::string_view)> interfaces_named;
    // Makes sure the neighbour has an entry and keeps it; called once for each gateway, and only when nothing
    // is wrong. Left empty to check a configuration only.
    std::function<NeighbourIndex(InterfaceId, const IpAddress&)> pin_neighbour;
};

// A route as an operator sees it.
struct RouteStatus {
    enum class Source : uint8_t { local, connected, configured };
    IpPrefix to;
    NextHop next_hop;
    TableId table = kMainTable;  // means nothing for local ones, which are in all tables
    uint32_t metric = 0;
    Source source = Source::configured;
};
std::string_view to_string(RouteStatus::Source source);  // "local", "connected", "static"

class Fib {
  public:
    // Adds what is wrong with routes and rules to `problems` and gives nothing then. A million routes take
    // about a second.
    static std::unique_ptr<const Fib> build(const FibInput& input, config::Problems& problems);

    // --- Readers ---

    // Whether there are route rules. If not, table main is the whole answer, and lookups may go straight to
    // it.
    [[nodiscard]] bool has_rules() const { return !rules_.empty(); }
    [[nodiscard]] NextHopIndex lookup(TableId table, Ip4Address to) const {
        return tables_[static_cast<size_t>(table)].ip4.lookup(to);
    }
    [[nodiscard]] NextHopIndex lookup(TableId table, const Ip6Address& to) const {
        return tables_[static_cast<size_t>(table)].ip6.lookup(to);
    }
    [[nodiscard]] NextHopIndex lookup(TableId table, const IpAddress& to) const {
        return to.is_ip4() ? lookup(table, to.ip4()) : lookup(table, to.ip6());
    }
    // A burst of at most 64: destinations in host order; memory is waited for once for all of them.
    void lookup_burst(TableId table, const uint32_t* to, NextHopIndex* found, size_t count) const {
        tables_[static_cast<size_t>(table)].ip4.lookup_burst(to, found, count);
    }
    // The same for IPv6: pointers to the destinations as they stand in the packets.
    void lookup_burst(TableId table, const uint8_t* const* to, NextHopIndex* found, size_t count) const {
        tables_[static_cast<size_t>(table)].ip6.lookup_burst(to, found, count);
    }
    // The answer under route rules: the first rule that matches and whose table has a route; then table main.
    [[nodiscard]] NextHopIndex route(const RouteKey& key) const;
    [[nodiscard]] const NextHop& next_hop(NextHopIndex index) const { return next_hops_[index]; }
    // Of a next hop of this FIB.
    [[nodiscard]] NextHopIndex index_of(const NextHop& hop) const {
        return static_cast<NextHopIndex>(&hop - next_hops_.data());
    }
    void prefetch(NextHopIndex index) const { prefetch_line(&next_hops_[index]); }

    // --- The control plane ---

    [[nodiscard]] std::span<const NextHop> next_hops() const { return next_hops_; }
    // The neighbours this FIB has pinned, each once: to be unpinned when no reader has this FIB any more.
    [[nodiscard]] std::span<const NeighbourIndex> pinned() const { return pinned_; }
    // All routes, those beaten by a lower metric too: local, connected, then configured ones in their order.
    [[nodiscard]] size_t route_count() const { return routes_.size(); }
    [[nodiscard]] RouteStatus route_at(size_t place) const;
    [[nodiscard]] size_t table_count() const { return tables_.size(); }
    [[nodiscard]] const std::string& table_name(TableId table) const {
        return tables_[static_cast<size_t>(table)].name;
    }
    [[nodiscard]] size_t memory_bytes() const;

  private:
    friend class FibBuilder;
    struct Table {
        std::string name;
        table::Lpm<Ip4Address> ip4;
        table::Lpm<Ip6Address> ip6;
    };
    struct Rule {
        std::bitset<kMaxInterfaces> in;
        bool any_in = true;
        AddressMatch saddr;  // no prefixes: all
        AddressMatch daddr;
        std::optional<uint8_t> proto;
        std::vector<config::PortRange> sport;  // empty: all
        std::vector<config::PortRange> dport;
        TableId table = kMainTable;
        [[nodiscard]] bool matches(const RouteKey& key) const;
    };
    struct Record {
        IpPrefix to;
        NextHopIndex next_hop = kNoNextHop;
        uint32_t metric = 0;
        TableId table = kMainTable;
        RouteStatus::Source source = RouteStatus::Source::configured;
    };

    Fib() = default;
    std::vector<NextHop> next_hops_;
    std::vector<Table> tables_;
    std::vector<Rule> rules_;
    std::vector<Record> routes_;
    std::vector<NeighbourIndex> pinned_;
};

}  // namespace sluice::routing
