// rewrite_ip4_ports() of packets in a row that go on: their hops are counted, and those that may become
// fragments get another identification (Identifications::renew()). What they become is written as they are
// added; their checksums are worked out side by side.
#pragma once

#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>

#include "conntrack/flow.hh"
#include "nat/identifications.hh"
#include "nat/rewrite_ports.hh"
#include "wire/ipv4.hh"
#include "wire/protocol.hh"

namespace sluice::nat {

// Of packets of TCP or UDP without IP options that are no fragments, on a worker's stack. Sums are one's
// complement sums of 16-bit words, in wider words until they are folded (RFC 1624 equation 3).
template <wire::IpProtocol protocol, size_t capacity>
class Ip4RewriteRow {
  public:
    // `header` is there until write_checksums(), which must follow. With `identifications` the packet gets
    // another one if it may become fragments.
    [[gnu::always_inline]] void add(uint8_t* header, const Ip4Ends& to, Identifications* identifications) {
        uint64_t change = kOneHopLess;
        if (identifications != nullptr) {
            uint32_t fragment;
            std::memcpy(&fragment, header + kIdentification, sizeof fragment);
            if ((fragment & kDontFragment) == 0) {
                const uint16_t after = identifications->next(to.addresses, protocol);
                std::memcpy(header + kIdentification, &after, sizeof after);
                change += static_cast<uint16_t>(~fragment) + uint32_t{after};
            }
        }
        header_changes_[count_] = static_cast<uint32_t>(change);
        addresses_[count_] = to.addresses;
        std::memcpy(header + kAddresses, &to.addresses, sizeof to.addresses);
        const uint32_t ports = __builtin_bswap32(std::rotl(to.ports, 16));
        ports_[count_] = ports;
        std::memcpy(header + kPorts, &ports, sizeof ports);
        std::memcpy(&hops_[count_], header + kHop, sizeof hops_[count_]);
        uint16_t checksum;
        std::memcpy(&checksum, header + kUpperChecksum, sizeof checksum);
        checksums_[count_] = checksum;
        headers_[count_] = header;
        ++count_;
    }

    // `before`: what the packets were, in the order in which they were added.
    [[gnu::always_inline]] void write_checksums(const conntrack::Ip4PortsKeys& before) {
        work_out(before);
        for (size_t i = 0; i < count_; ++i) {
            uint8_t* const header = headers_[i];
            // In one piece, since it is read in one piece soon.
            std::memcpy(header + kHop, &hops_[i], sizeof hops_[i]);
            const auto checksum = static_cast<uint16_t>(checksums_[i]);
            std::memcpy(header + kUpperChecksum, &checksum, sizeof checksum);
        }
    }

  private:
    static constexpr size_t kIdentification = 4;
    static constexpr size_t kHop = 8;  // TTL, protocol, checksum
    static constexpr size_t kAddresses = 12;
    static constexpr size_t kPorts = wire::kIpv4HeaderSize;
    static constexpr size_t kUpperChecksum = kPorts + (protocol == wire::IpProtocol::tcp ? 16 : 6);
    static constexpr uint32_t kDontFragment = 0x0040'0000;  // of identification, flags and offset
    static constexpr uint64_t kOneHopLess = 0xfffe;         // TTL and protocol as a word

    // By shifts, which vectors have.
    static uint32_t in_wire_order(uint32_t ports) {
        return (ports & 0x00ff00ff) << 8 | (ports >> 8 & 0x00ff00ff);
    }
    // Of a sum that is not zero, and less than 2^32 - 2^16: neither is what is left.
    static uint32_t folded(uint32_t sum) {
        sum = (sum & 0xffff) + (sum >> 16);
        return (sum & 0xffff) + (sum >> 16);
    }

    // Loops without a branch or a call, for the compiler to make vectors of.
    void work_out(const conntrack::Ip4PortsKeys& before) {
        for (size_t i = 0; i < count_; ++i) {
            const uint64_t was = ~before.addresses[i];
            const uint64_t is = addresses_[i];
            const uint64_t sum = (was & 0xffffffff) + (was >> 32) + (is & 0xffffffff) + (is >> 32);
            address_changes_[i] = static_cast<uint32_t>((sum & 0xffff) + (sum >> 16));
        }
        for (size_t i = 0; i < count_; ++i) {
            const uint32_t hop = hops_[i];
            const uint32_t sum = folded(address_changes_[i] + header_changes_[i] + (~hop >> 16));
            hops_[i] = ((hop & 0xffff) - 1) | ~sum << 16;

            const uint32_t was = ~in_wire_order(static_cast<uint32_t>(before.rest[i]));
            const uint32_t is = ports_[i];
            const uint32_t checksum = checksums_[i];
            const uint32_t upper = folded(address_changes_[i] + (was & 0xffff) + (was >> 16) + (is & 0xffff) +
                                          (is >> 16) + (~checksum & 0xffff));
            uint32_t result = ~upper & 0xffff;
            if (protocol == wire::IpProtocol::udp) {
                // There is none if it is zero, which is therefore never worked out (RFC 768).
                result = result == 0 ? 0xffff : result;
                result = checksum == 0 ? 0 : result;
            }
            checksums_[i] = result;
        }
    }

    template <typename T>
    using Lanes = std::array<T, capacity>;

    // Filled up to count_; what lies behind is not initialised.
    size_t count_ = 0;
    Lanes<uint8_t*> headers_;
    alignas(64) Lanes<uint64_t> addresses_;
    alignas(64) Lanes<uint32_t> address_changes_;
    alignas(64) Lanes<uint32_t> header_changes_;
    alignas(64) Lanes<uint32_t> ports_;
    alignas(64) Lanes<uint32_t> hops_;
    alignas(64) Lanes<uint32_t> checksums_;
};

}  // namespace sluice::nat
