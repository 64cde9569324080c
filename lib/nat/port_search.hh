// Another port for a tuple, so that no other flow has it: nf_nat_l4proto_unique_tuple.
#pragma once

#include <cstdint>
#include <optional>

#include "base/random.hh"
#include "conntrack/tuple.hh"
#include "nat/endpoint.hh"
#include "nat/manip.hh"
#include "nat/rule.hh"
#include "nat/settings.hh"
#include "wire/protocol.hh"

namespace sluice::nat {

// Whether NAT may change a port, or the identifier of a query in its place. The keys of GRE belong to the
// hosts.
constexpr bool has_port(wire::IpProtocol protocol) {
    using wire::IpProtocol;
    return protocol == IpProtocol::tcp || protocol == IpProtocol::udp || protocol == IpProtocol::udplite ||
           protocol == IpProtocol::sctp || protocol == IpProtocol::icmp || protocol == IpProtocol::icmpv6;
}

// The tuple with another endpoint at one end.
conntrack::Tuple with_endpoint(const conntrack::Tuple& tuple, Manip manip, const Endpoint& endpoint);

// The ports that may replace a source port where a rule names none. Below 512 they stay there, since such
// ports once were credentials.
constexpr PortRange replacement_ports(wire::IpProtocol protocol, uint16_t port) {
    if (protocol == wire::IpProtocol::icmp || protocol == wire::IpProtocol::icmpv6)
        return {0, 65535};
    if (port < 512)
        return {1, 511};
    return port < 1024 ? PortRange{600, 1023} : PortRange{1024, 65535};
}

// Tries the share's ports of the range from an offset on, modulo its size; after 128 in vain from elsewhere,
// in ever shorter rows. `may_use(port)`: it can be had. If none can, nothing comes back, and `last` is the
// one tried last.
template <typename MayUse>
std::optional<uint16_t> search_port(const PortRange& range, const PortShare& share, uint16_t offset,
                                    Random& random, MayUse&& may_use, uint16_t& last) {
    constexpr uint32_t kMostInARow = 128;
    constexpr uint32_t kFewestInARow = 16;
    const uint32_t size = range.size();
    uint32_t row = size < kMostInARow ? size : kMostInARow;
    for (uint32_t at = offset;; at = random.below(65536)) {
        uint32_t tried = 0;
        for (uint32_t step = 0; step < size && tried < row; ++step, ++at) {
            const auto port = static_cast<uint16_t>(range.first + at % size);
            if (!share.owns(port))
                continue;
            last = port;
            if (may_use(port))
                return port;
            ++tried;
        }
        if (tried < row || row >= size || row < kFewestInARow)
            return std::nullopt;
        row /= 2;
    }
}

}  // namespace sluice::nat
