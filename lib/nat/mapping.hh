// A mapping: the external endpoint an inside endpoint is known by.
#pragma once

#include <cstdint>

#include "base/interface_id.hh"
#include "base/time.hh"
#include "nat/endpoint.hh"
#include "nat/inside_hosts.hh"
#include "nat/port_spaces.hh"
#include "nat/rule.hh"
#include "wire/protocol.hh"

namespace sluice::nat {

// A mapping's place in its worker's table; reused when the mapping is gone.
using MappingRef = uint32_t;
inline constexpr MappingRef kNoMapping = 0xffffffff;

struct Mapping {
    Endpoint inside;
    Endpoint external;
    // The remote it is for: unspecified where it is endpoint independent, without port where it depends on
    // the address alone. Nothing either where it overlaps: then flows tell it apart.
    Endpoint remote;
    wire::IpProtocol protocol{};  // mappings and filters are per protocol (R7857-5, R7857-6)
    Dependence filtering{};       // as it was when the mapping began
    bool hairpin = false;         // inside hosts reach it by its external endpoint
    bool had_flows = false;
    bool overlaps = false;                   // others may have its external endpoint too
    InterfaceId out = kNoInterface;          // by which its first packet left
    uint32_t flows = 0;                      // that use it, from either side
    PortSpaceRef port_space = kNoPortSpace;  // in which its port is counted
    HostRef host = kNoHost;                  // whose it is
    Instant began{};
};

// One of IPv4 with ports that has its external endpoint for itself, as it begins; otherwise like a Mapping.
struct Ip4Mapping {
    Ip4Endpoint inside;
    Ip4Endpoint external;
    Ip4Endpoint remote;
    wire::IpProtocol protocol{};
    Dependence filtering{};
    bool hairpin = false;
    InterfaceId out = kNoInterface;
    PortSpaceRef port_space = kNoPortSpace;
    HostRef host = kNoHost;
    Instant began{};
};

}  // namespace sluice::nat
