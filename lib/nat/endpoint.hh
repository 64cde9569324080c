// One end of a flow as NAT sees it: what is put in the place of another.
#pragma once

#include <cstdint>

#include "base/address.hh"

namespace sluice::nat {

struct Endpoint {
    IpAddress address;
    uint16_t port = 0;  // host order; the identifier of ICMP queries; 0 for protocols without ports

    bool operator==(const Endpoint&) const = default;
};

}  // namespace sluice::nat
