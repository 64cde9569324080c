// ICMPv6 (RFC 4443). Neighbour discovery is in wire/nd.hh.
#pragma once

#include <cstddef>
#include <cstdint>
#include <expected>

#include "base/address.hh"
#include "wire/bytes.hh"
#include "wire/checksum.hh"
#include "wire/icmp4.hh"
#include "wire/protocol.hh"

namespace sluice::wire {

enum class Icmp6Type : uint8_t {
    destination_unreachable = 1,
    packet_too_big = 2,
    time_exceeded = 3,
    parameter_problem = 4,
    echo_request = 128,
    echo_reply = 129,
    mld_query = 130,
    mld_report = 131,
    mld_done = 132,
    router_solicitation = 133,
    router_advertisement = 134,
    neighbour_solicitation = 135,
    neighbour_advertisement = 136,
    redirect = 137,
    mld2_report = 143,
};

// Codes of destination_unreachable (R4443-3.1).
enum class Icmp6Unreachable : uint8_t {
    no_route = 0,
    admin_prohibited = 1,
    beyond_scope = 2,
    address = 3,
    port = 4,
    failed_policy = 5,
    reject_route = 6,
};

// Codes of parameter_problem.
enum class Icmp6ParameterProblem : uint8_t {
    erroneous_field = 0,
    unknown_next_header = 1,
    unknown_option = 2,
    incomplete_first_fragment = 3,  // RFC 7112
};

// The highest bit tells errors from the rest (RFC 4443 2.1).
constexpr bool is_error(Icmp6Type type) {
    return static_cast<uint8_t>(type) < 128;
}
constexpr bool is_neighbour_discovery(Icmp6Type type) {
    return type >= Icmp6Type::router_solicitation && type <= Icmp6Type::redirect;
}

class Icmp6View {
  public:
    // The addresses of the pseudo header; the destination is the final one.
    static std::expected<Icmp6View, IcmpError> checked(Bytes bytes, const Ip6Address& source,
                                                       const Ip6Address& destination) {
        auto view = checked_shape(bytes);
        if (view &&
            !pseudo_header(source, destination, IpProtocol::icmpv6, static_cast<uint32_t>(bytes.size()))
                 .add(bytes)
                 .verifies()) {
            return std::unexpected(IcmpError::bad_checksum);
        }
        return view;
    }
    // Without the checksum: for fragments, and quotations that were cut.
    static std::expected<Icmp6View, IcmpError> checked_shape(Bytes bytes) {
        if (bytes.size() < kIcmpHeaderSize) {
            return std::unexpected(IcmpError::too_short);
        }
        return Icmp6View(bytes);
    }
    static Icmp6View unchecked(Bytes bytes) { return Icmp6View(bytes); }

    [[nodiscard]] Icmp6Type type() const { return Icmp6Type{bytes_[0]}; }
    [[nodiscard]] uint8_t code() const { return bytes_[1]; }
    [[nodiscard]] Be16 checksum() const { return Be16::load(bytes_.data() + 2); }
    [[nodiscard]] uint32_t word() const { return read32(bytes_.data() + 4); }  // the second word as a number
    [[nodiscard]] uint16_t identifier() const { return read16(bytes_.data() + 4); }  // echo
    [[nodiscard]] uint16_t sequence() const { return read16(bytes_.data() + 6); }    // echo
    [[nodiscard]] uint32_t mtu() const { return word(); }                            // packet too big
    [[nodiscard]] uint32_t pointer() const { return word(); }                        // parameter problem
    // Behind the eight bytes: echo data, or the packet an error quotes.
    [[nodiscard]] Bytes body() const { return bytes_.subspan(kIcmpHeaderSize); }
    [[nodiscard]] Bytes bytes() const { return bytes_; }

  private:
    explicit Icmp6View(Bytes bytes) : bytes_(bytes) {}
    Bytes bytes_;
};

// Fills the checksum of a message that is complete but for it. At least eight bytes.
inline void set_icmp6_checksum(MutableBytes message, const Ip6Address& source,
                               const Ip6Address& destination) {
    write16(message.data() + 2, 0);
    pseudo_header(source, destination, IpProtocol::icmpv6, static_cast<uint32_t>(message.size()))
        .add(message)
        .finish()
        .store(message.data() + 2);
}

// A message as a value. The body is borrowed.
struct Icmp6Message {
    Icmp6Type type{};
    uint8_t code = 0;
    uint32_t word = 0;  // the second word: identifier and sequence, MTU, pointer
    Bytes body = {};

    [[nodiscard]] size_t size() const { return kIcmpHeaderSize + body.size(); }
    static Icmp6Message parse(Icmp6View view) { return {view.type(), view.code(), view.word(), view.body()}; }
    // Writes header, checksum and body; the body may already stand in its place. Bytes written; 0 if they do
    // not fit.
    size_t emit(MutableBytes to, const Ip6Address& source, const Ip6Address& destination) const;
    bool operator==(const Icmp6Message& other) const {
        return type == other.type && code == other.code && word == other.word && same_bytes(body, other.body);
    }
};

// Turns the echo request in place into its reply. Swapping the addresses leaves the checksum alone; a reply
// from another address than the request went to needs set_icmp6_checksum(). At least eight bytes.
inline void make_echo6_reply(MutableBytes icmp6) {
    const Be16 before = Be16::load(icmp6.data());
    icmp6[0] = static_cast<uint8_t>(Icmp6Type::echo_reply);
    const Be16 checksum = Be16::load(icmp6.data() + 2);
    ChecksumDelta{}.add(before, Be16::load(icmp6.data())).apply(checksum).store(icmp6.data() + 2);
}

}  // namespace sluice::wire
