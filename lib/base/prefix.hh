// Address prefixes (networks) and addresses with the length of their network.
#pragma once

#include <compare>
#include <cstdint>
#include <string>
#include <string_view>

#include "base/address.hh"
#include "base/error.hh"

namespace sluice {

// The first `length` bits of the address kept, the others zero.
Ip4Address masked(Ip4Address address, uint8_t length);
Ip6Address masked(const Ip6Address& address, uint8_t length);

constexpr uint8_t address_bits(Family family) {
    return family == Family::ip4 ? 32 : 128;
}

// A network. Bits behind the length are always zero.
class IpPrefix {
  public:
    constexpr IpPrefix() = default;  // 0.0.0.0/0
    // Masks the address; length is at most address_bits().
    IpPrefix(const IpAddress& address, uint8_t length);
    static IpPrefix any(Family family);
    static IpPrefix host(const IpAddress& address) { return {address, address_bits(address.family())}; }

    [[nodiscard]] constexpr const IpAddress& address() const { return address_; }
    [[nodiscard]] constexpr uint8_t length() const { return length_; }
    [[nodiscard]] constexpr Family family() const { return address_.family(); }
    [[nodiscard]] bool contains(const IpAddress& address) const;
    [[nodiscard]] bool contains(const IpPrefix& other) const;
    [[nodiscard]] IpAddress last() const;  // the highest address in it
    constexpr bool operator==(const IpPrefix&) const = default;
    constexpr auto operator<=>(const IpPrefix&) const = default;

    // "10.0.0.0/8", or an address alone (a host). Set bits behind the length are refused.
    static Expected<IpPrefix> parse(std::string_view text);
    [[nodiscard]] std::string to_string() const;

  private:
    IpAddress address_;
    uint8_t length_ = 0;
};

// An address of an interface together with the network it lives in: "192.168.1.1/24".
struct InterfaceAddress {
    IpAddress address;
    uint8_t length = 0;

    [[nodiscard]] IpPrefix network() const { return {address, length}; }
    // The directed broadcast address: IPv4 with a network of /30 or wider (RFC 3021: a /31 has none).
    [[nodiscard]] bool has_broadcast() const { return address.is_ip4() && length <= 30; }
    [[nodiscard]] Ip4Address broadcast() const;
    // Whether network().address() is the subnet-router anycast address (RFC 4291 2.6.1; RFC 6164: a /127 has
    // none).
    [[nodiscard]] bool has_subnet_anycast() const { return address.is_ip6() && length <= 126; }
    constexpr auto operator<=>(const InterfaceAddress&) const = default;

    static Expected<InterfaceAddress> parse(std::string_view text);  // the length is required
    [[nodiscard]] std::string to_string() const;
};

}  // namespace sluice
