// Neighbour discovery for IPv6 over Ethernet (RFC 4861), with the validity checks of its sections 6.1, 7.1
// and 8.1. Slow path.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <expected>
#include <optional>

#include "base/address.hh"
#include "wire/bytes.hh"
#include "wire/icmp6.hh"
#include "wire/ipv6.hh"

namespace sluice::wire {

inline constexpr uint8_t kNdHopLimit = 255;

// Why a message is not to be believed (R4861). It is dropped in silence.
enum class NdError : uint8_t {
    wrong_type,     // not the message asked for
    bad_hop_limit,  // not 255: it came through a router
    bad_checksum,
    bad_code,   // not 0
    too_short,  // the fixed part is not whole
    zero_option_length,
    truncated_option,          // an option reaches beyond the message
    multicast_target,          // target, or a redirect's destination, is a multicast address
    not_solicited_node,        // unspecified source, but not sent to a solicited-node group
    unspecified_with_address,  // unspecified source, but with a source link-layer address
    solicited_multicast,       // advertisement to a group with the solicited flag
    source_not_link_local,     // of a router advertisement or redirect
    bad_redirect_target,       // neither link-local nor the destination itself
};

// A message with what its IPv6 header says.
struct NdPacket {
    Ip6Address source = {};
    Ip6Address destination = {};
    uint8_t hop_limit = 0;
    Bytes message = {};  // from the ICMPv6 type on
};

enum class NdOptionType : uint8_t {
    source_link_layer_address = 1,
    target_link_layer_address = 2,
    prefix_information = 3,
    redirected_header = 4,
    mtu = 5,
    nonce = 14,
};

struct NdOption {
    NdOptionType type{};
    Bytes bytes = {};  // whole option, a multiple of eight bytes

    // Of the link-layer address options, if the address is an Ethernet one.
    [[nodiscard]] std::optional<MacAddress> mac() const {
        return bytes.size() == 8 ? std::optional(MacAddress::load(bytes.data() + 2)) : std::nullopt;
    }
};

// Walks the options of a message that a parse() below has accepted, or one whose options are checked by the
// walk.
class NdOptionWalk {
  public:
    explicit NdOptionWalk(Bytes options) : options_(options) {}
    // The next option; none at the end, and at a malformed one, where error() is set.
    std::optional<NdOption> next() {
        if (options_.empty() || failed_) {
            return std::nullopt;
        }
        if (options_.size() < 2) {
            return fail(NdError::truncated_option);
        }
        const size_t size = size_t{options_[1]} * 8;
        if (size == 0 || size > options_.size()) {
            return fail(size == 0 ? NdError::zero_option_length : NdError::truncated_option);
        }
        const NdOption option{NdOptionType{options_[0]}, options_.first(size)};
        options_ = options_.subspan(size);
        return option;
    }
    [[nodiscard]] std::optional<NdError> error() const {
        return failed_ ? std::optional(error_) : std::nullopt;
    }

  private:
    std::optional<NdOption> fail(NdError error) {
        failed_ = true;
        error_ = error;
        return std::nullopt;
    }
    Bytes options_;
    bool failed_ = false;
    NdError error_ = NdError::zero_option_length;
};

// Every emit() writes the ICMPv6 message with its checksum and returns the bytes written, 0 if they do not
// fit. The hop limit of the IPv6 header must be kNdHopLimit.

struct NeighbourSolicitation {
    Ip6Address target = {};
    std::optional<MacAddress> source_mac = {};

    static std::expected<NeighbourSolicitation, NdError> parse(const NdPacket& packet);
    [[nodiscard]] size_t size() const { return source_mac ? 32 : 24; }
    size_t emit(MutableBytes to, const Ip6Address& source, const Ip6Address& destination) const;
    bool operator==(const NeighbourSolicitation&) const = default;
};

struct NeighbourAdvertisement {
    Ip6Address target = {};
    bool router = false;
    bool solicited = false;
    bool override_cache = false;
    std::optional<MacAddress> target_mac = {};

    static std::expected<NeighbourAdvertisement, NdError> parse(const NdPacket& packet);
    [[nodiscard]] size_t size() const { return target_mac ? 32 : 24; }
    size_t emit(MutableBytes to, const Ip6Address& source, const Ip6Address& destination) const;
    bool operator==(const NeighbourAdvertisement&) const = default;
};

struct RouterSolicitation {
    std::optional<MacAddress> source_mac = {};

    static std::expected<RouterSolicitation, NdError> parse(const NdPacket& packet);
    [[nodiscard]] size_t size() const { return source_mac ? 16 : 8; }
    size_t emit(MutableBytes to, const Ip6Address& source, const Ip6Address& destination) const;
    bool operator==(const RouterSolicitation&) const = default;
};

struct NdPrefix {
    Ip6Address prefix = {};
    uint8_t length = 0;
    bool on_link = false;
    bool autonomous = false;
    uint32_t valid_seconds = 0;
    uint32_t preferred_seconds = 0;
    bool operator==(const NdPrefix&) const = default;
};

struct RouterAdvertisement {
    static constexpr size_t kMaxPrefixes = 8;  // further ones are not taken in

    uint8_t hop_limit = 0;  // 0: not told
    bool managed = false;
    bool other = false;
    uint16_t lifetime_seconds = 0;  // 0: not a default router
    uint32_t reachable_milliseconds = 0;
    uint32_t retransmit_milliseconds = 0;
    std::optional<MacAddress> source_mac = {};
    std::optional<uint32_t> mtu = {};
    uint8_t prefix_count = 0;
    std::array<NdPrefix, kMaxPrefixes> prefixes{};

    static std::expected<RouterAdvertisement, NdError> parse(const NdPacket& packet);
    [[nodiscard]] size_t size() const {
        return size_t{16} + (source_mac ? 8 : 0) + (mtu ? 8 : 0) + size_t{prefix_count} * 32;
    }
    size_t emit(MutableBytes to, const Ip6Address& source, const Ip6Address& destination) const;
    bool operator==(const RouterAdvertisement&) const = default;
};

struct Redirect {
    Ip6Address target = {};
    Ip6Address redirected = {};  // the destination of the packets concerned
    std::optional<MacAddress> target_mac = {};

    static std::expected<Redirect, NdError> parse(const NdPacket& packet);
    [[nodiscard]] size_t size() const { return target_mac ? 48 : 40; }
    size_t emit(MutableBytes to, const Ip6Address& source, const Ip6Address& destination) const;
    bool operator==(const Redirect&) const = default;
};

}  // namespace sluice::wire
