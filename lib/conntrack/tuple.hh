// What tells flows apart in one direction, as nf_conntrack's tuple: addresses, protocol, and ports or what
// stands in for them.
#pragma once

#include <array>
#include <cstdint>
#include <cstring>
#include <optional>
#include <utility>

#include "base/address.hh"
#include "wire/bytes.hh"
#include "wire/ip_packet.hh"
#include "wire/protocol.hh"

namespace sluice::conntrack {

// A value of 40 bytes without padding, so that it is compared and hashed as bytes.
class Tuple {
  public:
    Tuple() = default;
    Tuple(const IpAddress& source, const IpAddress& destination, wire::IpProtocol protocol,
          uint16_t source_port = 0, uint16_t destination_port = 0)
        : sport(source_port), dport(destination_port), protocol_(protocol), family_(source.family()) {
        set_source(source);
        set_destination(destination);
    }

    // Of an IPv6 header that TCP's or UDP's follows at once, of which the ports are there.
    static Tuple of_plain(const uint8_t* header) {
        Tuple result;
        result.protocol_ = wire::IpProtocol{header[6]};
        result.family_ = Family::ip6;
        std::memcpy(&result.source_, header + 8, sizeof result.source_);
        std::memcpy(&result.destination_, header + 24, sizeof result.destination_);
        result.sport = wire::read16(header + 40);
        result.dport = wire::read16(header + 42);
        return result;
    }
    // Source and destination exchanged, as answers have them where ports are ports.
    [[nodiscard]] Tuple turned_around() const {
        Tuple result = *this;
        std::swap(result.source_, result.destination_);
        std::swap(result.sport, result.dport);
        return result;
    }

    [[nodiscard]] Family family() const { return family_; }
    [[nodiscard]] wire::IpProtocol protocol() const { return protocol_; }
    [[nodiscard]] IpAddress source() const { return load(source_); }
    [[nodiscard]] IpAddress destination() const { return load(destination_); }
    // The family stays what it is.
    void set_source(const IpAddress& address) { store(address, source_); }
    void set_destination(const IpAddress& address) { store(address, destination_); }
    // Addresses in wire order, the first four bytes for IPv4, the rest zero.
    [[nodiscard]] const std::array<uint8_t, 16>& source_bytes() const { return source_; }
    [[nodiscard]] const std::array<uint8_t, 16>& destination_bytes() const { return destination_; }
    // Both, the source first.
    [[nodiscard]] const uint8_t* addresses() const { return source_.data(); }

    // The ports in host order, the source's lowest, and the protocol above them.
    [[nodiscard]] uint64_t rest() const {
        return uint64_t{static_cast<uint8_t>(protocol_)} << 32 | uint64_t{dport} << 16 | sport;
    }

    // ICMP queries keep their identifier in sport, type and code in dport.
    [[nodiscard]] bool is_icmp() const {
        return protocol_ == wire::IpProtocol::icmp || protocol_ == wire::IpProtocol::icmpv6;
    }
    [[nodiscard]] uint16_t icmp_id() const { return sport; }
    [[nodiscard]] uint8_t icmp_type() const { return static_cast<uint8_t>(dport >> 8); }
    [[nodiscard]] uint8_t icmp_code() const { return static_cast<uint8_t>(dport); }

    // No padding: flow tables compare tuples all the time.
    bool operator==(const Tuple& other) const {
        return std::memcmp(this, &other, sizeof *this) == 0;  // NOLINT(bugprone-suspicious-memory-comparison)
    }

    // Host order. Zero for protocols without ports; the key of an enhanced GRE packet (RFC 2637) is in dport.
    uint16_t sport = 0;
    uint16_t dport = 0;

  private:
    [[nodiscard]] IpAddress load(const std::array<uint8_t, 16>& from) const {
        return family_ == Family::ip4 ? IpAddress(Ip4Address::load(from.data())) : Ip6Address(from);
    }
    static void store(const IpAddress& address, std::array<uint8_t, 16>& to) {
        to = {};
        if (address.is_ip4())
            address.ip4().store(to.data());
        else
            address.ip6().store(to.data());
    }

    wire::IpProtocol protocol_{};
    Family family_ = Family::ip4;
    [[maybe_unused]] std::array<uint8_t, 2> zero_{};
    std::array<uint8_t, 16> source_{};
    std::array<uint8_t, 16> destination_{};
};
static_assert(sizeof(Tuple) == 40);

// The tuple of a packet as nf_ct_get_tuple makes it. Nothing when the packet is too short for it, is a later
// fragment, has a broken chain of extension headers or no upper layer at all.
std::optional<Tuple> tuple_of(const wire::IpPacket& packet);

// The same for an upper layer that stands alone, as in the packet an ICMP error quotes.
std::optional<Tuple> tuple_of(const IpAddress& source, const IpAddress& destination,
                              wire::IpProtocol protocol, wire::Bytes upper);

// The tuple an answer has. Nothing for ICMP types that are not answered.
std::optional<Tuple> inverted(const Tuple& tuple);

}  // namespace sluice::conntrack
