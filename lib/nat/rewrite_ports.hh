// rewrite() of both ends at once, for the packets of translated flows that go at burst speed.
#pragma once

#include <array>
#include <cstdint>
#include <cstring>

#include "wire/checksum.hh"
#include "wire/ipv4.hh"
#include "wire/protocol.hh"

namespace sluice::nat {

// Both ends of an IPv4 TCP or UDP packet as they shall be: the eight bytes of its addresses, and its ports in
// host order with the source's in the lower half.
struct Ip4Ends {
    uint64_t addresses = 0;
    uint32_t ports = 0;

    [[nodiscard]] Ip4Address destination() const {
        return Ip4Address::from_wire(Be32::from_wire(static_cast<uint32_t>(addresses >> 32)));
    }
};

// The same of IPv6, with the addresses of an answer: 32 bytes, of which the source's become the
// destination's. Borrowed.
struct Ip6Ends {
    const uint8_t* answer = nullptr;
    uint32_t ports = 0;
};

namespace detail {

using wire::detail::add_around;

// What a checksum becomes when words change whose old complements and new values add up to this, carries
// coming around: RFC 1624 equation 3. Never 0xffff.
inline uint16_t changed(uint16_t checksum, uint64_t change) {
    return static_cast<uint16_t>(~wire::detail::fold(add_around(change, static_cast<uint16_t>(~checksum))));
}

// What a sum changes by when eight bytes become others.
inline uint64_t change_of(uint64_t before, uint64_t after) {
    return add_around(~before, after);
}

// Writes the addresses; what that changes of a sum.
inline uint64_t put_addresses(uint8_t* at, uint64_t addresses) {
    uint64_t before;
    std::memcpy(&before, at, sizeof before);
    std::memcpy(at, &addresses, sizeof addresses);
    return change_of(before, addresses);
}
inline uint64_t put_addresses(uint8_t* at, const uint8_t* answer) {
    constexpr size_t kAddress = 16;
    std::array<uint64_t, 4> before;
    std::array<uint64_t, 4> after;
    std::memcpy(before.data(), at, sizeof before);
    std::memcpy(after.data(), answer + kAddress, kAddress);
    std::memcpy(after.data() + 2, answer, kAddress);
    std::memcpy(at, after.data(), sizeof after);
    uint64_t change = 0;
    for (size_t i = 0; i < before.size(); ++i)
        change = add_around(change, change_of(before[i], after[i]));
    return change;
}

// Writes the ports; `change` is what has changed of the pseudo header.
inline void put_ports(uint8_t* upper, wire::IpProtocol protocol, uint32_t ports, uint64_t change) {
    uint32_t before;
    std::memcpy(&before, upper, sizeof before);
    const uint32_t wanted = (ports & 0x00ff00ff) << 8 | (ports >> 8 & 0x00ff00ff);
    std::memcpy(upper, &wanted, sizeof wanted);
    uint8_t* const at = upper + (protocol == wire::IpProtocol::tcp ? 16 : 6);
    uint16_t checksum;
    std::memcpy(&checksum, at, sizeof checksum);
    const bool is_udp = protocol == wire::IpProtocol::udp;
    if (is_udp && checksum == 0)
        return;
    checksum = changed(checksum, add_around(change, uint64_t{~before} + wanted));
    if (is_udp && checksum == 0)
        checksum = 0xffff;  // zero would mean that there is none (RFC 768)
    std::memcpy(at, &checksum, sizeof checksum);
}

}  // namespace detail

// `header` is of an IPv4 packet that is no later fragment, with at least a UDP or TCP header behind it at
// `upper`. An end that stays what it is is written as well.
inline void rewrite_ip4_ports(uint8_t* header, uint8_t* upper, wire::IpProtocol protocol, const Ip4Ends& to) {
    constexpr size_t kIpChecksum = 10;
    constexpr size_t kAddresses = 12;
    const uint64_t change = detail::put_addresses(header + kAddresses, to.addresses);
    uint16_t checksum;
    std::memcpy(&checksum, header + kIpChecksum, sizeof checksum);
    checksum = detail::changed(checksum, change);
    std::memcpy(header + kIpChecksum, &checksum, sizeof checksum);
    detail::put_ports(upper, protocol, to.ports, change);
}

// The same of an IPv6 packet.
inline void rewrite_ip6_ports(uint8_t* header, uint8_t* upper, wire::IpProtocol protocol, const Ip6Ends& to) {
    constexpr size_t kAddresses = 8;
    const uint64_t change = detail::put_addresses(header + kAddresses, to.answer);
    detail::put_ports(upper, protocol, to.ports, change);
}

}  // namespace sluice::nat
