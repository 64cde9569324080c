// What rules can look at, in the order in which a rule's matches are tried: first what is the same for all
// packets of a flow in one direction, then what its state decides, then what differs from packet to packet,
// and last what remembers.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>

namespace sluice::filter {

enum class Field : uint8_t {
    in,
    out,
    family,
    proto,
    saddr,
    daddr,
    sport,
    dport,
    match,  // several fields against one concatenated set
    ct,
    ct_direction,
    ct_status,
    mark,
    icmp_type,
    icmpv6_type,
    tcp_flags,
    length,
    ttl,
    fragment,
    exthdr,
    mac_saddr,
    limit,
    connlimit,
    none,  // no field: everything matched
};
inline constexpr size_t kFields = static_cast<size_t>(Field::none);

inline constexpr std::array<std::string_view, kFields + 1> kFieldNames{
    "in",     "out", "family",       "proto",     "saddr",     "daddr",     "sport",       "dport",
    "match",  "ct",  "ct_direction", "ct_status", "mark",      "icmp_type", "icmpv6_type", "tcp_flags",
    "length", "ttl", "fragment",     "exthdr",    "mac_saddr", "limit",     "connlimit",   ""};

// The key of the configuration; empty for none.
constexpr std::string_view to_string(Field field) {
    return kFieldNames[static_cast<size_t>(field)];
}

}  // namespace sluice::filter
