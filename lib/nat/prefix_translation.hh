// IPv6 prefixes exchanged for others so that no checksum changes (NPTv6, RFC 6296): a word of the address
// makes up for what the prefix adds, so that neither ports nor transports need be known.
#pragma once

#include <cstdint>
#include <expected>

#include "base/address.hh"
#include "base/prefix.hh"

namespace sluice::nat {

enum class PrefixTranslationError : uint8_t {
    not_in_prefix,  // the address does not begin with the prefix
    subnet_ones,    // of /48 and shorter: subnet 0xffff has no counterpart; destination unreachable (3.4)
    interface_ones  // of longer ones: nor has an interface identifier of ones; parameter problem (3.7)
};

// One direction from a prefix to another. Its way back is inverse(), which gives the very address that was
// translated.
class PrefixTranslation {
  public:
    static constexpr uint8_t kMaxLength = 64;
    static constexpr uint8_t kMaxSubnetLength = 48;  // up to here the subnet is changed, else the identifier

    // Both are IPv6 and at most kMaxLength long. The shorter one counts as filled up with zeros to the length
    // of the other (3.2).
    PrefixTranslation(const IpPrefix& from, const IpPrefix& to);

    // A handful of 16-bit operations.
    [[nodiscard]] std::expected<Ip6Address, PrefixTranslationError> translate(
        const Ip6Address& address) const;
    [[nodiscard]] PrefixTranslation inverse() const { return {to_, from_}; }
    [[nodiscard]] const IpPrefix& from() const { return from_; }
    [[nodiscard]] const IpPrefix& to() const { return to_; }
    bool operator==(const PrefixTranslation&) const = default;

  private:
    IpPrefix from_;  // both filled up
    IpPrefix to_;
    uint16_t adjustment_ = 0;  // host order; what is added to make up for the prefix
};

}  // namespace sluice::nat
