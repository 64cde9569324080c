#include "routing/fib.hh"

#include <algorithm>

namespace sluice::routing {
namespace {

// Addresses of the other family are never in, negated or not, as in nftables.
bool matches(const AddressMatch& match, const IpAddress& address) {
    if (match.prefixes.empty())
        return true;
    bool same_family = false;
    for (const IpPrefix& prefix : match.prefixes) {
        same_family |= prefix.family() == address.family();
        if (prefix.contains(address))
            return !match.negated;
    }
    return same_family && match.negated;
}

bool matches(const std::vector<config::PortRange>& ranges, bool has_ports, uint16_t port) {
    if (ranges.empty())
        return true;
    return has_ports && std::ranges::any_of(ranges, [&](const auto& range) { return range.contains(port); });
}

}  // namespace

bool Fib::Rule::matches(const RouteKey& key) const {
    return (any_in || (key.in != kNoInterface && in.test(index(key.in)))) &&
           (!proto || *proto == key.proto) && routing::matches(saddr, key.saddr) &&
           routing::matches(daddr, key.daddr) && routing::matches(sport, key.has_ports, key.sport) &&
           routing::matches(dport, key.has_ports, key.dport);
}

NextHopIndex Fib::route(const RouteKey& key) const {
    for (const Rule& rule : rules_) {
        if (!rule.matches(key))
            continue;
        const NextHopIndex found = lookup(rule.table, key.daddr);
        if (found != kNoNextHop)
            return found;
    }
    return lookup(kMainTable, key.daddr);
}

RouteStatus Fib::route_at(size_t place) const {
    const Record& record = routes_[place];
    return {record.to, next_hops_[record.next_hop], record.table, record.metric, record.source};
}

size_t Fib::memory_bytes() const {
    size_t bytes = next_hops_.capacity() * sizeof(NextHop) + routes_.capacity() * sizeof(Record);
    for (const Table& table : tables_)
        bytes += table.ip4.memory_bytes() + table.ip6.memory_bytes();
    return bytes;
}

std::string_view to_string(NextHopKind kind) {
    switch (kind) {
        case NextHopKind::none:
            return "none";
        case NextHopKind::local:
            return "local";
        case NextHopKind::broadcast:
            return "broadcast";
        case NextHopKind::connected:
            return "connected";
        case NextHopKind::gateway:
            return "gateway";
        case NextHopKind::blackhole:
            return "blackhole";
        case NextHopKind::unreachable:
            return "unreachable";
        case NextHopKind::prohibit:
            return "prohibit";
    }
    return "none";
}

std::string_view to_string(RouteStatus::Source source) {
    switch (source) {
        case RouteStatus::Source::local:
            return "local";
        case RouteStatus::Source::connected:
            return "connected";
        case RouteStatus::Source::configured:
            return "static";
    }
    return "static";
}

}  // namespace sluice::routing
