// What an operator may say about routing: `neighbours`, `routes`, `route_rules`, `icmp`. As written; names
// are resolved when the FIB is built (fib.hh).
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/address.hh"
#include "base/interface_id.hh"
#include "base/prefix.hh"
#include "config/problem.hh"

namespace sluice::routing {

// neighbours: - {interface: wan, ip: 203.0.113.1, mac: 02:00:00:00:02:01}
struct NeighbourConfig {
    std::string interface;
    IpAddress ip;
    MacAddress mac;
    config::Location location;
    bool operator==(const NeighbourConfig&) const = default;
};

enum class RouteType : uint8_t {
    unicast,      // send it on
    blackhole,    // discard silently
    unreachable,  // discard, ICMP host or address unreachable
    prohibit,     // discard, ICMP administratively prohibited
};

inline constexpr const char* kMainTableName = "main";

// Where a route leads to: a network, or everything.
struct RouteTarget {
    // Nothing for `default`, whose family is that of `via`; without `via` it stands for both families.
    std::optional<IpPrefix> prefix;
    bool operator==(const RouteTarget&) const = default;
};

// routes: - {to: 10.0.0.0/8, via: 192.168.1.254, interface: lan, type: unicast, table: main, metric: 0}
struct RouteConfig {
    RouteTarget to;
    std::optional<IpAddress> via;  // the gateway; without one the network is on the link
    std::string interface;         // empty: the one whose network holds the gateway
    RouteType type = RouteType::unicast;
    std::string table = kMainTableName;
    uint32_t metric = 0;  // the lowest wins
    config::Location location;
    bool operator==(const RouteConfig&) const = default;
};

// Addresses a rule looks for: any of the prefixes, or with `not`, none of them. No prefixes: all addresses.
struct AddressMatch {
    std::vector<IpPrefix> prefixes;
    bool negated = false;
    bool operator==(const AddressMatch&) const = default;
};

// Ports from first to last.
struct PortRange {
    uint16_t first = 0;
    uint16_t last = 0;
    bool operator==(const PortRange&) const = default;
};

// route_rules: - {in: lan, saddr: 192.168.1.128/25, proto: tcp, dport: [80, 443], table: backup}
struct RouteRuleConfig {
    std::vector<std::string> in;  // interfaces or zones; empty: all
    AddressMatch saddr;
    AddressMatch daddr;
    std::optional<uint8_t> proto;
    std::vector<PortRange> sport;  // empty: all; otherwise only packets that have ports match
    std::vector<PortRange> dport;
    std::string table;
    config::Location location;
    bool operator==(const RouteRuleConfig&) const = default;
};

// icmp: {errors: 1000/second}
struct IcmpConfig {
    // Errors the box may send per second, both families together; nothing: as many as there are
    // (`unlimited`).
    std::optional<double> errors_per_second = 1000;
    bool operator==(const IcmpConfig&) const = default;
};

}  // namespace sluice::routing
