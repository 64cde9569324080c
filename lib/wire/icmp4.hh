// ICMP for IPv4 (RFC 792, RFC 1812 4.3).
#pragma once

#include <cstddef>
#include <cstdint>
#include <expected>

#include "base/address.hh"
#include "wire/bytes.hh"
#include "wire/checksum.hh"

namespace sluice::wire {

inline constexpr size_t kIcmpHeaderSize = 8;  // of ICMPv6 too

enum class Icmp4Type : uint8_t {
    echo_reply = 0,
    destination_unreachable = 3,
    source_quench = 4,
    redirect = 5,
    echo_request = 8,
    router_advertisement = 9,
    router_solicitation = 10,
    time_exceeded = 11,
    parameter_problem = 12,
    timestamp_request = 13,
    timestamp_reply = 14,
    information_request = 15,
    information_reply = 16,
    address_mask_request = 17,
    address_mask_reply = 18,
};

// Codes of destination_unreachable.
enum class Icmp4Unreachable : uint8_t {
    net = 0,
    host = 1,
    protocol = 2,
    port = 3,
    fragmentation_needed = 4,
    source_route_failed = 5,
    net_unknown = 6,
    host_unknown = 7,
    net_prohibited = 9,
    host_prohibited = 10,
    net_tos = 11,
    host_tos = 12,
    admin_prohibited = 13,
};

// Codes of time_exceeded, of ICMPv6 too.
enum class IcmpTimeExceeded : uint8_t { in_transit = 0, reassembly = 1 };

// An error must never cause another (R1812-4.3.2.7); an unknown type is to be taken for an error.
enum class IcmpKind : uint8_t { error, query, unknown };

constexpr IcmpKind kind_of(Icmp4Type type) {
    switch (type) {
        case Icmp4Type::destination_unreachable:
        case Icmp4Type::source_quench:
        case Icmp4Type::redirect:
        case Icmp4Type::time_exceeded:
        case Icmp4Type::parameter_problem:
            return IcmpKind::error;
        case Icmp4Type::echo_reply:
        case Icmp4Type::echo_request:
        case Icmp4Type::router_advertisement:
        case Icmp4Type::router_solicitation:
        case Icmp4Type::timestamp_request:
        case Icmp4Type::timestamp_reply:
        case Icmp4Type::information_request:
        case Icmp4Type::information_reply:
        case Icmp4Type::address_mask_request:
        case Icmp4Type::address_mask_reply:
            return IcmpKind::query;
    }
    return IcmpKind::unknown;
}

enum class IcmpError : uint8_t { too_short, bad_checksum };

// A message. Which of the fields of its second word mean something depends on the type.
class Icmp4View {
  public:
    static std::expected<Icmp4View, IcmpError> checked(Bytes bytes) {
        auto view = checked_shape(bytes);
        if (view && !checksum_verifies(bytes)) {
            return std::unexpected(IcmpError::bad_checksum);
        }
        return view;
    }
    // Without the checksum: for fragments, and quotations that were cut.
    static std::expected<Icmp4View, IcmpError> checked_shape(Bytes bytes) {
        if (bytes.size() < kIcmpHeaderSize) {
            return std::unexpected(IcmpError::too_short);
        }
        return Icmp4View(bytes);
    }
    static Icmp4View unchecked(Bytes bytes) { return Icmp4View(bytes); }

    [[nodiscard]] Icmp4Type type() const { return Icmp4Type{bytes_[0]}; }
    [[nodiscard]] uint8_t code() const { return bytes_[1]; }
    [[nodiscard]] Be16 checksum() const { return Be16::load(bytes_.data() + 2); }
    [[nodiscard]] uint32_t word() const { return read32(bytes_.data() + 4); }  // the second word as a number
    [[nodiscard]] uint16_t identifier() const { return read16(bytes_.data() + 4); }  // queries
    [[nodiscard]] uint16_t sequence() const { return read16(bytes_.data() + 6); }    // queries
    [[nodiscard]] uint8_t pointer() const { return bytes_[4]; }                      // parameter problem
    [[nodiscard]] uint16_t next_hop_mtu() const {
        return read16(bytes_.data() + 6);
    }  // RFC 1191; 0: not told
    [[nodiscard]] Ip4Address gateway() const { return Ip4Address::load(bytes_.data() + 4); }  // redirect
    // Behind the eight bytes: echo data, or the packet an error quotes.
    [[nodiscard]] Bytes body() const { return bytes_.subspan(kIcmpHeaderSize); }

  private:
    explicit Icmp4View(Bytes bytes) : bytes_(bytes) {}
    Bytes bytes_;
};

// A message as a value. The body is borrowed.
struct Icmp4Message {
    Icmp4Type type{};
    uint8_t code = 0;
    uint32_t word = 0;  // the second word: identifier and sequence, MTU, pointer in the highest byte
    Bytes body = {};

    [[nodiscard]] size_t size() const { return kIcmpHeaderSize + body.size(); }
    static Icmp4Message parse(Icmp4View view) { return {view.type(), view.code(), view.word(), view.body()}; }
    // Writes header, checksum and body; the body may already stand in its place. Bytes written; 0 if they do
    // not fit.
    size_t emit(MutableBytes to) const;
    bool operator==(const Icmp4Message& other) const {
        return type == other.type && code == other.code && word == other.word && same_bytes(body, other.body);
    }
};

// Turns the echo request in place into its reply; a right checksum stays right. At least eight bytes.
inline void make_echo_reply(MutableBytes icmp4) {
    const Be16 before = Be16::load(icmp4.data());
    icmp4[0] = static_cast<uint8_t>(Icmp4Type::echo_reply);
    const auto delta = ChecksumDelta{}.add(before, Be16::load(icmp4.data()));
    const Be16 updated = delta.apply(Be16::load(icmp4.data() + 2));
    updated.store(icmp4.data() + 2);
    if (updated.wire() == 0 && checksum(icmp4).wire() == 0xffff) [[unlikely]] {
        // Nothing but zeros is left, whose checksum is the one value an update never yields.
        Be16::from_wire(0xffff).store(icmp4.data() + 2);
    }
}

}  // namespace sluice::wire
