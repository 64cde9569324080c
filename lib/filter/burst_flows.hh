// The flows of a burst's packets, looked up together.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>

#include "conntrack/flow_table.hh"
#include "conntrack/tuple.hh"
#include "pipeline/burst.hh"
#include "pipeline/interfaces.hh"
#include "pipeline/places.hh"
#include "wire/ipv6.hh"
#include "wire/protocol.hh"

namespace sluice::filter {
namespace detail {

inline bool has_ports(uint8_t protocol) {
    return protocol == static_cast<uint8_t>(wire::IpProtocol::tcp) ||
           protocol == static_cast<uint8_t>(wire::IpProtocol::udp);
}

// By place, and not initialised: whoever makes it fills as many places as there are packets.
template <typename T>
struct ByPlace {
    ByPlace() {}
    T& operator[](size_t place) { return values[place]; }
    const T& operator[](size_t place) const { return values[place]; }
    union {
        std::array<T, pipeline::kMaxBurst> values;
    };
};

}  // namespace detail

// Of a packet on its fast path, so without options, of which `length` bytes are there from its header on.
// False for fragments, and for what has no ports.
[[nodiscard]] inline bool read_tuple(const uint8_t* header, uint16_t length,
                                     conntrack::Ip4PortsTuple& tuple) {
    constexpr size_t kHeader = 20;
    constexpr size_t kPorts = 8;                 // so much there must be of the upper layer
    constexpr uint64_t kFragment = 0xff3f'0000;  // more fragments, or an offset
    uint64_t middle;                             // from the identification on
    std::memcpy(&middle, header + 4, sizeof middle);
    const auto protocol = static_cast<uint8_t>(middle >> 40);
    if (!detail::has_ports(protocol) || (middle & kFragment) != 0 || length < kHeader + kPorts)
        return false;
    tuple = conntrack::Ip4PortsTuple::of_plain(header);
    return true;
}
[[nodiscard]] inline bool read_tuple(const uint8_t* header, uint16_t length, conntrack::Tuple& tuple) {
    constexpr size_t kPorts = 8;
    if (!detail::has_ports(header[6]) || length < wire::kIpv6HeaderSize + kPorts)
        return false;
    tuple = conntrack::Tuple::of_plain(header);
    return true;
}

inline conntrack::Ip4PortsKeys keys_of(const pipeline::Burst& burst) {
    return {.addresses = burst.keys.addresses.data(), .rest = burst.keys.rest.data()};
}

inline conntrack::Ip6PortsKeys ip6_keys_of(const pipeline::Burst& burst) {
    constexpr size_t kAddresses = 8;  // in the IP header
    return {.frames = burst.keys.frames.data(),
            .addresses_at = pipeline::kEthernetHeader + kAddresses,
            .rest = burst.keys.rest.data()};
}

// The flows of a burst. Of packets that rules might see otherwise than conntrack does (trail.hh) there are
// none.
struct BurstFlows {
    // Places with a key have a guess and a hash.
    uint64_t ip4 = 0;
    uint64_t ip6 = 0;
    uint64_t new4 = 0;  // those of IPv4 without a flow: their packets probably begin one
    detail::ByPlace<conntrack::Guess> guesses;
    detail::ByPlace<uint64_t> hashes;

    [[nodiscard]] conntrack::Found at(const conntrack::FlowTable& table, const pipeline::Burst& burst,
                                      size_t place) const {
        if ((ip4 >> place & 1) != 0) [[likely]]
            return table.find_guessed(guesses[place], keys_of(burst)[place], hashes[place]);
        if ((ip6 >> place & 1) != 0)
            return table.find_guessed(guesses[place], ip6_keys_of(burst), place, hashes[place]);
        return {};
    }
};

// Keys that the parser has not found are completed.
void find_flows(const conntrack::FlowTable& table, pipeline::Burst& burst, BurstFlows& flows);

}  // namespace sluice::filter
