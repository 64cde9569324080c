// What an operator may say about routing: `neighbours`, `routes`, `route_rules`, `icmp`. As written; names
// are resolved when the FIB is built (fib.hh).
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "base/address.hh"
#include "base/prefix.hh"
#include "config/enum_names.hh"
#include "config/mapping.hh"
#include "config/problem.hh"
#include "config/quantity.hh"

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

inline constexpr std::string_view kMainTableName = "main";
inline constexpr std::string_view kLocalTableName =
    "local";  // the box's own addresses; not for configured routes

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
    std::string table{kMainTableName};
    uint32_t metric = 0;  // the lowest wins
    config::Location location;
    bool operator==(const RouteConfig&) const = default;
};

// Addresses a rule looks for: those in any of the prefixes or, negated, those of the same family in none.
struct AddressMatch {
    std::vector<IpPrefix> prefixes;
    bool negated = false;
    bool operator==(const AddressMatch&) const = default;
};

// A protocol by its name or number.
struct ProtocolNumber {
    uint8_t number = 0;
    bool operator==(const ProtocolNumber&) const = default;
};

// route_rules: - {in: lan, saddr: 192.168.1.128/25, proto: tcp, dport: [80, 443], table: backup}
struct RouteRuleConfig {
    std::vector<std::string> in;  // interfaces or zones; empty: all
    std::optional<AddressMatch> saddr;
    std::optional<AddressMatch> daddr;
    std::optional<ProtocolNumber> proto;
    std::vector<config::PortRange> sport;  // empty: all; otherwise only packets that have ports match
    std::vector<config::PortRange> dport;
    std::string table;
    config::Location location;
    bool operator==(const RouteRuleConfig&) const = default;
};

enum class Unlimited : uint8_t { unlimited };

// icmp: {errors: 1000/second}
struct IcmpConfig {
    // Errors the box may send, both families together (R1812-4.3.2.8, R4443-2.4f).
    std::variant<config::Rate, Unlimited> errors = config::Rate{1000, config::Rate::Unit::second};
    // At least 1; nothing: unlimited.
    [[nodiscard]] std::optional<uint64_t> errors_per_second() const;
    bool operator==(const IcmpConfig&) const = default;
};

}  // namespace sluice::routing

namespace sluice {

template <>
struct config::EnumNames<routing::RouteType> {
    static constexpr auto names =
        std::to_array<EnumName<routing::RouteType>>({{routing::RouteType::unicast, "unicast"},
                                                     {routing::RouteType::blackhole, "blackhole"},
                                                     {routing::RouteType::unreachable, "unreachable"},
                                                     {routing::RouteType::prohibit, "prohibit"}});
};
template <>
struct config::EnumNames<routing::Unlimited> {
    static constexpr auto names =
        std::to_array<EnumName<routing::Unlimited>>({{routing::Unlimited::unlimited, "unlimited"}});
};
template <>
struct config::Scalar<routing::RouteTarget> {
    static std::string expected();
    static Expected<routing::RouteTarget> parse(std::string_view text);
    static std::string format(const routing::RouteTarget& value);
};
template <>
struct config::Scalar<routing::ProtocolNumber> {
    static std::string expected();
    static Expected<routing::ProtocolNumber> parse(std::string_view text);
    static std::string format(const routing::ProtocolNumber& value);
};
template <>
struct config::Custom<routing::AddressMatch> {
    static std::string expected();
    static std::optional<routing::AddressMatch> read(const Node& node, Context& context);
    static Node print(const routing::AddressMatch& value);
};
template <>
struct config::Schema<routing::NeighbourConfig> {
    static const Mapping<routing::NeighbourConfig>& get();
};
template <>
struct config::Schema<routing::RouteConfig> {
    static const Mapping<routing::RouteConfig>& get();
};
template <>
struct config::Schema<routing::RouteRuleConfig> {
    static const Mapping<routing::RouteRuleConfig>& get();
};
template <>
struct config::Schema<routing::IcmpConfig> {
    static const Mapping<routing::IcmpConfig>& get();
};

}  // namespace sluice
