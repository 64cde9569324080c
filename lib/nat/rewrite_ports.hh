// rewrite() of both ends at once, for the packets of translated flows that go at burst speed.
#pragma once

#include <cstdint>
#include <cstring>

#include "wire/checksum.hh"
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

// `header` is of an IPv4 packet that is no later fragment, with at least a UDP or TCP header behind it at
// `upper`. An end that stays what it is is written as well.
inline void rewrite_ip4_ports(uint8_t* header, uint8_t* upper, wire::IpProtocol protocol, const Ip4Ends& to) {
    constexpr size_t kIpChecksum = 10;
    constexpr size_t kAddresses = 12;
    uint64_t addresses;
    uint32_t ports;
    std::memcpy(&addresses, header + kAddresses, sizeof addresses);
    std::memcpy(&ports, upper, sizeof ports);
    const uint32_t wanted = (to.ports & 0x00ff00ff) << 8 | (to.ports >> 8 & 0x00ff00ff);
    std::memcpy(header + kAddresses, &to.addresses, sizeof addresses);
    std::memcpy(upper, &wanted, sizeof wanted);

    // RFC 1624 equation 3, with the sums of all words that change.
    const auto update = [](uint8_t* at, uint64_t change) {
        uint16_t checksum;
        std::memcpy(&checksum, at, sizeof checksum);
        checksum = static_cast<uint16_t>(~wire::detail::fold(static_cast<uint16_t>(~checksum) + change));
        std::memcpy(at, &checksum, sizeof checksum);
        return checksum;
    };
    const uint64_t gone = ~addresses;
    const uint64_t change =
        (gone & 0xffffffff) + (gone >> 32) + (to.addresses & 0xffffffff) + (to.addresses >> 32);
    update(header + kIpChecksum, change);
    const uint64_t all = change + static_cast<uint32_t>(~ports) + wanted;
    if (protocol == wire::IpProtocol::tcp) {
        update(upper + 16, all);
    } else if (uint8_t* const checksum = upper + 6; checksum[0] != 0 || checksum[1] != 0) {
        if (update(checksum, all) == 0)
            std::memset(checksum, 0xff, 2);  // zero would mean that there is none (RFC 768)
    }
}

}  // namespace sluice::nat
