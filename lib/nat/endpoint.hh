// One end of a flow as NAT sees it: what is put in the place of another.
#pragma once

#include <cstdint>

#include "base/address.hh"
#include "conntrack/flow.hh"

namespace sluice::nat {

struct Endpoint {
    IpAddress address;
    uint16_t port = 0;  // host order; the identifier of ICMP queries; 0 for protocols without ports

    bool operator==(const Endpoint&) const = default;
};

// One of IPv4 in words, as it stands in a conntrack::Ip4PortsTuple.
struct Ip4Endpoint {
    uint32_t address = 0;  // wire order
    uint16_t port = 0;     // host order

    static constexpr Ip4Endpoint source_of(const conntrack::Ip4PortsTuple& tuple) {
        return {.address = static_cast<uint32_t>(tuple.addresses),
                .port = static_cast<uint16_t>(tuple.ports)};
    }
    static constexpr Ip4Endpoint destination_of(const conntrack::Ip4PortsTuple& tuple) {
        return {.address = static_cast<uint32_t>(tuple.addresses >> 32),
                .port = static_cast<uint16_t>(tuple.ports >> 16)};
    }
    [[nodiscard]] constexpr Ip4Address ip4() const { return Ip4Address::from_wire(Be32::from_wire(address)); }
    bool operator==(const Ip4Endpoint&) const = default;
};

}  // namespace sluice::nat
