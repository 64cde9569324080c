#include "routing/slow.hh"
#include "wire/bytes.hh"
#include "wire/ipv6_extensions.hh"

namespace sluice::routing {
namespace {

// Protocols whose first four bytes are the ports.
bool has_ports(wire::IpProtocol protocol) {
    return protocol == wire::IpProtocol::tcp || protocol == wire::IpProtocol::udp ||
           protocol == wire::IpProtocol::sctp || protocol == wire::IpProtocol::udplite;
}

void take_ports(RouteKey& key, wire::IpProtocol protocol, wire::Bytes transport) {
    key.proto = static_cast<uint8_t>(protocol);
    if (!has_ports(protocol) || transport.size() < 4)
        return;
    key.has_ports = true;
    key.sport = wire::read16(transport.data());
    key.dport = wire::read16(transport.data() + 2);
}

}  // namespace

const NextHop& route_of(const Context& context, wire::Ipv4View packet, InterfaceId in) {
    const auto& fib = *context.tables.fib;
    if (!fib.has_rules())
        return fib.next_hop(fib.lookup(kMainTable, packet.destination()));
    RouteKey key{.in = in, .saddr = packet.source(), .daddr = packet.destination()};
    take_ports(key, packet.protocol(), packet.is_first_fragment() ? packet.payload() : wire::Bytes());
    return fib.next_hop(fib.route(key));
}

const NextHop& route_of(const Context& context, wire::Ipv6View packet, InterfaceId in) {
    const auto& fib = *context.tables.fib;
    if (!fib.has_rules())
        return fib.next_hop(fib.lookup(kMainTable, packet.destination()));
    RouteKey key{.in = in, .saddr = packet.source(), .daddr = packet.destination()};
    const auto chain = wire::walk_extensions(packet);
    const bool whole = chain.ok() && !chain.non_first_fragment;
    take_ports(key, chain.upper_protocol, whole ? packet.bytes().subspan(chain.upper_offset) : wire::Bytes());
    return fib.next_hop(fib.route(key));
}

bool source_is_reachable(const Context& context, const IpAddress& source, const IpAddress& destination,
                         InterfaceId in) {
    const auto& fib = *context.tables.fib;
    const auto& way_back = fib.next_hop(fib.route({.saddr = destination, .daddr = source}));
    if (way_back.kind != NextHopKind::connected && way_back.kind != NextHopKind::gateway)
        return false;
    return context.tables.interfaces[in].rp_filter == pipeline::RpFilter::loose || way_back.out == in;
}

}  // namespace sluice::routing
