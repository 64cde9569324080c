#include "steering/plan.hh"

#include <algorithm>

#include "conntrack/icmp_tracker.hh"
#include "nat/manip.hh"
#include "nat/port_search.hh"
#include "routing/fib.hh"
#include "wire/icmp4.hh"

namespace sluice::steering {
namespace {

using conntrack::Tuple;
using wire::IpProtocol;

uint16_t fold(const std::array<uint8_t, 16>& address) {
    uint64_t words[2];
    std::memcpy(words, address.data(), sizeof words);
    const uint64_t both = words[0] ^ words[1];
    const auto half = static_cast<uint32_t>(both ^ both >> 32);
    return __builtin_bswap16(static_cast<uint16_t>(half ^ half >> 16));
}

// Those whose ports devices hash.
bool hashes_ports(IpProtocol protocol) {
    return protocol == IpProtocol::tcp || protocol == IpProtocol::udp;
}

}  // namespace

Plan::Plan(PlanOptions options, const routing::Fib& fib) : options_(std::move(options)), fib_(fib) {
    buckets_ = lay_out(options_.places, options_.workers);
    for (size_t i = 0; i < port_owners_.size(); ++i)
        port_owners_[i] = static_cast<WorkerId>(
            nat::PortShare::owner_of(static_cast<uint16_t>(i * nat::kPortBlock), options_.workers));
}

std::optional<Tuple> Plan::tuple_of(const wire::IpPacket& packet) const {
    const bool is_icmp = packet.protocol() == IpProtocol::icmp || packet.protocol() == IpProtocol::icmpv6;
    const bool is_readable = !packet.is_later_fragment() && !packet.has_broken_chain();
    if (!is_icmp || !is_readable || packet.upper().size() < wire::kIcmpHeaderSize ||
        conntrack::classify_icmp(packet) != conntrack::IcmpClass::error)
        return conntrack::tuple_of(packet);
    const auto quoted = conntrack::find_quotation(packet, options_.settings);
    if (!quoted)
        return std::nullopt;
    const auto about =
        conntrack::tuple_of(quoted->source, quoted->destination, quoted->protocol, quoted->upper);
    return about ? inverted(*about) : std::nullopt;
}

uint16_t Plan::fold(const Tuple& tuple) {
    return steering::fold(tuple.source_bytes()) ^ steering::fold(tuple.destination_bytes());
}

WorkerId Plan::owner_of(const Tuple& tuple) const {
    if (!options_.external.empty() && nat::has_port(tuple.protocol())) {
        for (const auto end : {nat::Manip::destination, nat::Manip::source}) {
            const auto endpoint = nat::endpoint_of(tuple, end);
            if (is_external(endpoint.address))
                return port_owners_[endpoint.port / nat::kPortBlock];
        }
    }
    if (options_.outside.any()) {
        const bool comes_from_outside = is_outside(tuple.source());
        if (comes_from_outside != is_outside(tuple.destination()))
            return buckets_[toeplitz_bucket(
                steering::fold(comes_from_outside ? tuple.destination_bytes() : tuple.source_bytes()))];
    }
    uint16_t folded = fold(tuple);
    if (!options_.by_addresses && hashes_ports(tuple.protocol()))
        folded = static_cast<uint16_t>(folded ^ tuple.sport ^ tuple.dport);
    return buckets_[toeplitz_bucket(folded)];
}

void Plan::spread(const conntrack::Ip4PortsKeys& keys, size_t count,
                  std::array<WorkerId, kMost>& owners) const {
    const uint64_t ports = options_.by_addresses ? 0 : 0xffff'ffff;
    // Many at a time: the compiler makes vectors of it.
    alignas(64) std::array<uint64_t, kMost> folded;
    for (size_t i = 0; i < count; ++i) {
        const uint64_t addresses = keys.addresses[i] ^ keys.addresses[i] >> 32;
        const uint64_t wire = (addresses ^ addresses >> 16) & 0xffff;
        const uint64_t own = keys.rest[i] & ports;
        folded[i] = ((wire >> 8 | wire << 8) ^ own ^ own >> 16) & 0xffff;
    }
    for (size_t i = 0; i < count; ++i)
        owners[i] = buckets_[toeplitz_bucket(static_cast<uint16_t>(folded[i]))];
}

WorkerId Plan::owner_of(const wire::IpPacket& packet) const {
    return buckets_[toeplitz_bucket(fold(Tuple(packet.source(), packet.destination(), packet.protocol())))];
}

bool Plan::is_external(const IpAddress& address) const {
    return std::ranges::any_of(options_.external, [&address](const AddressRange& range) {
        return address.family() == range.first.family() && range.first <= address && address <= range.last;
    });
}

bool Plan::is_outside(const IpAddress& address) const {
    const auto& hop = fib_.next_hop(fib_.lookup(routing::kMainTable, address));
    using enum routing::NextHopKind;
    // Inside networks are in table main; where it has no default route, another table leads to remotes.
    return hop.kind == none ||
           ((hop.kind == connected || hop.kind == gateway) && options_.outside[index(hop.out)]);
}

Tuple datagram_of(const wire::IpPacket& fragment) {
    if (fragment.family() == Family::ip4)
        return {fragment.source(), fragment.destination(), fragment.ip4().protocol(), 0, fragment.ip4().id()};
    const auto chain = wire::walk_extensions(fragment.ip6());
    const uint8_t* header = fragment.bytes().data() + chain.fragment_offset;
    return {fragment.source(), fragment.destination(), IpProtocol::fragment, wire::read16(header + 4),
            wire::read16(header + 6)};
}

}  // namespace sluice::steering
