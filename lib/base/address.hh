// Link-layer and internet addresses. Values, stored in wire order, cheap to copy and compare.
#pragma once

#include <array>
#include <bit>
#include <compare>
#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>

#include "base/byte_order.hh"
#include "base/error.hh"

namespace sluice {

enum class Family : uint8_t { ip4 = 4, ip6 = 6 };

std::string_view to_string(Family family);  // "ip4", "ip6"

// An Ethernet address.
struct MacAddress {
    std::array<uint8_t, 6> bytes{};

    static MacAddress load(const void* from) {
        MacAddress result;
        std::memcpy(result.bytes.data(), from, 6);
        return result;
    }
    void store(void* to) const { std::memcpy(to, bytes.data(), 6); }
    [[nodiscard]] constexpr bool is_multicast() const { return (bytes[0] & 1) != 0; }  // broadcast included
    [[nodiscard]] constexpr bool is_broadcast() const {
        return bytes == std::array<uint8_t, 6>{0xff, 0xff, 0xff, 0xff, 0xff, 0xff};
    }
    [[nodiscard]] constexpr bool is_zero() const { return bytes == std::array<uint8_t, 6>{}; }
    [[nodiscard]] constexpr bool is_unicast() const { return !is_multicast() && !is_zero(); }
    constexpr auto operator<=>(const MacAddress&) const = default;

    // "02:00:00:00:01:01"
    static Expected<MacAddress> parse(std::string_view text);
    [[nodiscard]] std::string to_string() const;
};

inline constexpr MacAddress kBroadcastMac{{0xff, 0xff, 0xff, 0xff, 0xff, 0xff}};

// An IPv4 address. Orders by value.
class Ip4Address {
  public:
    constexpr Ip4Address() = default;
    static constexpr Ip4Address from_host(uint32_t value) { return from_wire(Be32::from_host(value)); }
    static constexpr Ip4Address from_wire(Be32 wire) {
        Ip4Address result;
        result.wire_ = wire;
        return result;
    }
    static Ip4Address load(const void* from) { return from_wire(Be32::load(from)); }
    void store(void* to) const { wire_.store(to); }
    [[nodiscard]] constexpr uint32_t host() const { return wire_.host(); }
    [[nodiscard]] constexpr Be32 wire() const { return wire_; }

    [[nodiscard]] constexpr bool is_unspecified() const { return host() == 0; }
    [[nodiscard]] constexpr bool is_this_network() const { return host() >> 24 == 0; }     // 0/8
    [[nodiscard]] constexpr bool is_loopback() const { return host() >> 24 == 127; }       // 127/8
    [[nodiscard]] constexpr bool is_link_local() const { return host() >> 16 == 0xa9fe; }  // 169.254/16
    [[nodiscard]] constexpr bool is_multicast() const { return host() >> 28 == 0xe; }      // 224/4
    [[nodiscard]] constexpr bool is_class_e() const {
        return host() >> 28 == 0xf;
    }  // 240/4, broadcast included
    [[nodiscard]] constexpr bool is_limited_broadcast() const { return host() == 0xffffffff; }
    constexpr bool operator==(const Ip4Address&) const = default;
    constexpr auto operator<=>(const Ip4Address&) const = default;

    static Expected<Ip4Address> parse(std::string_view text);  // dotted quad only
    [[nodiscard]] std::string to_string() const;

  private:
    Be32 wire_;
};

// An IPv6 address.
class Ip6Address {
  public:
    constexpr Ip6Address() = default;
    explicit constexpr Ip6Address(const std::array<uint8_t, 16>& bytes) : bytes_(bytes) {}
    static Ip6Address load(const void* from) {
        Ip6Address result;
        std::memcpy(result.bytes_.data(), from, 16);
        return result;
    }
    void store(void* to) const { std::memcpy(to, bytes_.data(), 16); }
    [[nodiscard]] constexpr const std::array<uint8_t, 16>& bytes() const { return bytes_; }

    [[nodiscard]] constexpr bool is_unspecified() const { return *this == Ip6Address(); }
    [[nodiscard]] constexpr bool is_loopback() const {
        return *this == Ip6Address({0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1});
    }
    [[nodiscard]] constexpr bool is_link_local() const {  // fe80::/10
        return bytes_[0] == 0xfe && (bytes_[1] & 0xc0) == 0x80;
    }
    [[nodiscard]] constexpr bool is_multicast() const { return bytes_[0] == 0xff; }
    // Scope of a multicast address (RFC 4291 2.7); meaningless for others.
    [[nodiscard]] constexpr uint8_t multicast_scope() const { return bytes_[1] & 0x0f; }
    [[nodiscard]] bool is_v4_mapped() const;          // ::ffff:0:0/96
    [[nodiscard]] Ip6Address solicited_node() const;  // RFC 4291 2.7.1
    // Two words each: of 16 bytes g++ makes a call of memcmp, which cost a sixth of the fast path.
    constexpr bool operator==(const Ip6Address& other) const {
        using Words = std::array<uint64_t, 2>;
        const auto own = std::bit_cast<Words>(bytes_);
        const auto others = std::bit_cast<Words>(other.bytes_);
        return ((own[0] ^ others[0]) | (own[1] ^ others[1])) == 0;
    }
    constexpr auto operator<=>(const Ip6Address&) const = default;

    // fe80::/64 with the modified EUI-64 of the MAC (RFC 4291 appendix A).
    static Ip6Address link_local(MacAddress mac);
    static Expected<Ip6Address> parse(std::string_view text);
    [[nodiscard]] std::string to_string() const;  // RFC 5952

  private:
    std::array<uint8_t, 16> bytes_{};
};

// The Ethernet group address of an IP multicast group (RFC 1112 6.4, RFC 2464 7).
MacAddress multicast_mac(Ip4Address group);
MacAddress multicast_mac(const Ip6Address& group);

// An address of either family.
class IpAddress {
  public:
    constexpr IpAddress() = default;                            // 0.0.0.0
    constexpr IpAddress(Ip4Address address) : ip4_(address) {}  // NOLINT: an Ip4Address is an IpAddress
    constexpr IpAddress(const Ip6Address& address)
        : family_(Family::ip6), ip6_(address) {}  // NOLINT: as above

    [[nodiscard]] constexpr Family family() const { return family_; }
    [[nodiscard]] constexpr bool is_ip4() const { return family_ == Family::ip4; }
    [[nodiscard]] constexpr bool is_ip6() const { return family_ == Family::ip6; }
    // The caller knows the family; of the other one these give the unspecified address.
    [[nodiscard]] constexpr Ip4Address ip4() const { return ip4_; }
    [[nodiscard]] constexpr const Ip6Address& ip6() const { return ip6_; }
    [[nodiscard]] constexpr bool is_unspecified() const {
        return is_ip4() ? ip4_.is_unspecified() : ip6_.is_unspecified();
    }
    [[nodiscard]] constexpr bool is_multicast() const {
        return is_ip4() ? ip4_.is_multicast() : ip6_.is_multicast();
    }
    constexpr bool operator==(const IpAddress&) const = default;
    constexpr auto operator<=>(const IpAddress&) const = default;

    static Expected<IpAddress> parse(std::string_view text);
    [[nodiscard]] std::string to_string() const;

  private:
    Family family_ = Family::ip4;
    Ip4Address ip4_;
    Ip6Address ip6_;
};

}  // namespace sluice
