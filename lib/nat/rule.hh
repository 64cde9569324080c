// What a NAT statement of a rule asks for: values without YAML. Words left out take what NatSettings says.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "base/address.hh"
#include "base/prefix.hh"
#include "nat/prefix_translation.hh"

namespace sluice::nat {

enum class NatKind : uint8_t {
    snat,         // another source, of `targets`
    masquerade,   // another source: an address of the interface by which the packet leaves
    dnat,         // another destination, of `targets`; of several each client gets one
    redirect,     // another destination: the box itself
    snat_prefix,  // the source's prefix exchanged (NPTv6, RFC 6296)
    dnat_prefix,  // that of the destination
};
// Whether rules of this kind give flows sources and ports.
constexpr bool gives_sources(NatKind kind) {
    return kind == NatKind::snat || kind == NatKind::masquerade;
}

// On what of the remote endpoint a mapping or a filter depends (RFC 4787 4.1 and 5).
enum class Dependence : uint8_t { endpoint_independent, address_dependent, address_and_port_dependent };

// What happens when the external address an inside host is paired with has no port left (R7857-4).
enum class Pooling : uint8_t {
    paired,  // the flow is refused
    soft,    // it uses another address of the pool
};

// Ports or ICMP identifiers from first to last, both included.
struct PortRange {
    uint16_t first = 0;
    uint16_t last = 0;
    [[nodiscard]] constexpr bool contains(uint16_t port) const { return first <= port && port <= last; }
    [[nodiscard]] constexpr uint32_t size() const { return uint32_t{last} - first + 1; }
    bool operator==(const PortRange&) const = default;
};

// Addresses from first to last, of one family, and the ports written behind them.
struct NatTarget {
    IpAddress first;
    IpAddress last;
    std::optional<PortRange> ports = {};
    [[nodiscard]] bool contains(const IpAddress& address) const {
        return address.family() == first.family() && first <= address && address <= last;
    }
    bool operator==(const NatTarget&) const = default;
};

// IPv6 prefixes of one length, of which one takes the place of the other.
struct PrefixPair {
    IpPrefix from;
    IpPrefix to;
    bool operator==(const PrefixPair&) const = default;
};

struct NatRule {
    NatKind kind = NatKind::snat;
    std::vector<NatTarget> targets = {};  // of snat and dnat; need not be contiguous (R6888-3)
    std::optional<PortRange> ports = {};  // for targets without their own; the port of a redirect
    bool persistent = false;              // the address is chosen by the client alone, not by where it goes
    bool random = false;                  // the port is not kept but chosen at random

    std::optional<bool> hairpin = {};
    std::optional<Dependence> mapping = {};
    std::optional<Dependence> filtering = {};
    std::optional<Pooling> pooling = {};
    std::optional<bool> parity = {};
    std::optional<bool> port_overlap = {};
    std::optional<uint32_t> ports_per_host = {};

    std::optional<PrefixTranslation> prefix = {};  // of snat_prefix and dnat_prefix

    // The ports of a target, or else those of the rule.
    [[nodiscard]] const std::optional<PortRange>& ports_of(const NatTarget& target) const {
        return target.ports ? target.ports : ports;
    }
    bool operator==(const NatRule&) const = default;
};

}  // namespace sluice::nat
