#include "base/address.hh"

#include <arpa/inet.h>

#include <charconv>

namespace sluice {
namespace {

// inet_pton wants a terminated string; addresses longer than this are wrong anyway.
constexpr size_t kLongestAddress = 45;

bool text_to_address(int family, std::string_view text, void* to) {
    if (text.size() > kLongestAddress || text.find('\0') != std::string_view::npos)
        return false;
    const std::string terminated(text);
    return inet_pton(family, terminated.c_str(), to) == 1;
}

}  // namespace

std::string_view to_string(Family family) {
    return family == Family::ip4 ? "ip4" : "ip6";
}

Expected<MacAddress> MacAddress::parse(std::string_view text) {
    const auto wrong = [&] {
        return fail("'" + std::string(text) + "' is not a MAC address",
                    "six hexadecimal bytes as in 02:00:00:00:01:01");
    };
    if (text.size() != 17)
        return wrong();
    MacAddress result;
    for (size_t i = 0; i < 6; ++i) {
        const char* first = text.data() + i * 3;
        const auto [end, error] = std::from_chars(first, first + 2, result.bytes[i], 16);
        if (error != std::errc{} || end != first + 2 || (i < 5 && *end != ':'))
            return wrong();
    }
    return result;
}

std::string MacAddress::to_string() const {
    constexpr std::string_view kDigits = "0123456789abcdef";
    std::string text;
    text.reserve(17);
    for (const uint8_t byte : bytes) {
        if (!text.empty())
            text += ':';
        text += kDigits[byte >> 4];
        text += kDigits[byte & 15];
    }
    return text;
}

Expected<Ip4Address> Ip4Address::parse(std::string_view text) {
    uint32_t wire = 0;
    if (!text_to_address(AF_INET, text, &wire))
        return fail("'" + std::string(text) + "' is not an IPv4 address", "four numbers as in 192.0.2.1");
    return from_wire(Be32::from_wire(wire));
}

std::string Ip4Address::to_string() const {
    char buffer[INET_ADDRSTRLEN];
    const uint32_t wire = wire_.wire();
    return inet_ntop(AF_INET, &wire, buffer, sizeof buffer);
}

bool Ip6Address::is_v4_mapped() const {
    constexpr std::array<uint8_t, 12> kPrefix{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};
    return std::memcmp(bytes_.data(), kPrefix.data(), kPrefix.size()) == 0;
}

Ip6Address Ip6Address::solicited_node() const {
    return Ip6Address({0xff, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0xff, bytes_[13], bytes_[14], bytes_[15]});
}

Ip6Address Ip6Address::link_local(MacAddress mac) {
    const auto& m = mac.bytes;
    return Ip6Address({0xfe, 0x80, 0, 0, 0, 0, 0, 0, static_cast<uint8_t>(m[0] ^ 2), m[1], m[2], 0xff, 0xfe,
                       m[3], m[4], m[5]});
}

Expected<Ip6Address> Ip6Address::parse(std::string_view text) {
    std::array<uint8_t, 16> bytes{};
    if (!text_to_address(AF_INET6, text, bytes.data()))
        return fail("'" + std::string(text) + "' is not an IPv6 address", "groups as in 2001:db8::1");
    return Ip6Address(bytes);
}

std::string Ip6Address::to_string() const {
    char buffer[INET6_ADDRSTRLEN];
    return inet_ntop(AF_INET6, bytes_.data(), buffer, sizeof buffer);
}

MacAddress multicast_mac(Ip4Address group) {
    const uint32_t host = group.host();
    return {{0x01, 0x00, 0x5e, static_cast<uint8_t>((host >> 16) & 0x7f), static_cast<uint8_t>(host >> 8),
             static_cast<uint8_t>(host)}};
}

MacAddress multicast_mac(const Ip6Address& group) {
    const auto& b = group.bytes();
    return {{0x33, 0x33, b[12], b[13], b[14], b[15]}};
}

Expected<IpAddress> IpAddress::parse(std::string_view text) {
    if (text.find(':') != std::string_view::npos) {
        if (const auto address = Ip6Address::parse(text))
            return *address;
    } else if (const auto address = Ip4Address::parse(text)) {
        return *address;
    }
    return fail("'" + std::string(text) + "' is not an IP address",
                "an address as in 192.0.2.1 or 2001:db8::1");
}

std::string IpAddress::to_string() const {
    return is_ip4() ? ip4_.to_string() : ip6_.to_string();
}

}  // namespace sluice
