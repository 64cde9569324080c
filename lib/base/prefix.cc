#include "base/prefix.hh"

#include <charconv>
#include <optional>

namespace sluice {
namespace {

struct Split {
    IpAddress address;
    std::optional<uint8_t> length;
};

Expected<Split> split(std::string_view text) {
    const size_t slash = text.find('/');
    const auto address = IpAddress::parse(text.substr(0, slash));
    if (!address)
        return std::unexpected(address.error());
    if (slash == std::string_view::npos)
        return Split{*address, std::nullopt};
    const std::string_view digits = text.substr(slash + 1);
    unsigned length = 0;
    const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), length);
    const uint8_t most = address_bits(address->family());
    if (error != std::errc{} || end != digits.data() + digits.size() || length > most)
        return fail("'" + std::string(text) + "' has the wrong prefix length",
                    "a number from 0 to " + std::to_string(most));
    return Split{*address, static_cast<uint8_t>(length)};
}

}  // namespace

Ip4Address masked(Ip4Address address, uint8_t length) {
    return length == 0 ? Ip4Address()
                       : Ip4Address::from_host(address.host() & (0xffffffffU << (32 - length)));
}

Ip6Address masked(const Ip6Address& address, uint8_t length) {
    auto bytes = address.bytes();
    for (unsigned i = 0; i < 16; ++i) {
        const unsigned kept = length > i * 8 ? length - i * 8 : 0;
        if (kept < 8)
            bytes[i] = static_cast<uint8_t>(bytes[i] & ~(0xffU >> kept));
    }
    return Ip6Address(bytes);
}

IpPrefix::IpPrefix(const IpAddress& address, uint8_t length)
    : address_(address.is_ip4() ? IpAddress(masked(address.ip4(), length))
                                : IpAddress(masked(address.ip6(), length))),
      length_(length) {}

IpPrefix IpPrefix::any(Family family) {
    return family == Family::ip4 ? IpPrefix(Ip4Address(), 0) : IpPrefix(Ip6Address(), 0);
}

bool IpPrefix::contains(const IpAddress& address) const {
    return address.family() == family() && IpPrefix(address, length_).address_ == address_;
}

bool IpPrefix::contains(const IpPrefix& other) const {
    return other.length_ >= length_ && contains(other.address_);
}

IpAddress IpPrefix::last() const {
    if (family() == Family::ip4) {
        const uint32_t host_bits = length_ == 0 ? UINT32_MAX : (uint32_t{1} << (32 - length_)) - 1;
        return Ip4Address::from_host(address_.ip4().host() | (length_ == 32 ? 0 : host_bits));
    }
    auto bytes = address_.ip6().bytes();
    for (size_t bit = length_; bit < 128; ++bit)
        bytes[bit / 8] = static_cast<uint8_t>(bytes[bit / 8] | 0x80 >> bit % 8);
    return Ip6Address(bytes);
}

Expected<IpPrefix> IpPrefix::parse(std::string_view text) {
    const auto parts = split(text);
    if (!parts)
        return std::unexpected(parts.error());
    if (!parts->length)
        return host(parts->address);
    const IpPrefix prefix(parts->address, *parts->length);
    if (prefix.address_ != parts->address)
        return fail("'" + std::string(text) + "' has bits set behind its length",
                    "write " + prefix.to_string());
    return prefix;
}

std::string IpPrefix::to_string() const {
    return address_.to_string() + "/" + std::to_string(length_);
}

Ip4Address InterfaceAddress::broadcast() const {
    const uint32_t host_part = length == 0 ? 0xffffffffU : ~(0xffffffffU << (32 - length));
    return Ip4Address::from_host(address.ip4().host() | host_part);
}

Expected<InterfaceAddress> InterfaceAddress::parse(std::string_view text) {
    const auto parts = split(text);
    if (!parts)
        return std::unexpected(parts.error());
    if (!parts->length)
        return fail("'" + std::string(text) + "' lacks the length of its network",
                    "an address with a length, as in 192.0.2.1/24");
    if (parts->address.is_unspecified() || parts->address.is_multicast())
        return fail("'" + std::string(text) + "' cannot be the address of an interface", "a unicast address");
    return InterfaceAddress{parts->address, *parts->length};
}

std::string InterfaceAddress::to_string() const {
    return address.to_string() + "/" + std::to_string(length);
}

}  // namespace sluice
