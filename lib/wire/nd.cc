#include "wire/nd.hh"

#include <algorithm>

namespace sluice::wire {

namespace {

// Checks shared by all messages: hop limit, checksum, code, length of the fixed part, shape of the options.
std::optional<NdError> common_error(const NdPacket& packet, Icmp6Type type, size_t fixed) {
    if (packet.message.size() < kIcmpHeaderSize) {
        return NdError::too_short;
    }
    const auto icmp = Icmp6View::checked(packet.message, packet.source, packet.destination);
    if (Icmp6View::unchecked(packet.message).type() != type) {
        return NdError::wrong_type;
    }
    if (packet.hop_limit != kNdHopLimit) {
        return NdError::bad_hop_limit;
    }
    if (!icmp) {
        return NdError::bad_checksum;
    }
    if (icmp->code() != 0) {
        return NdError::bad_code;
    }
    if (packet.message.size() < fixed) {
        return NdError::too_short;
    }
    NdOptionWalk walk(packet.message.subspan(fixed));
    while (walk.next()) {
    }
    return walk.error();
}

// The last link-layer address option of that type.
std::optional<MacAddress> find_mac(Bytes options, NdOptionType type) {
    std::optional<MacAddress> result;
    NdOptionWalk walk(options);
    while (const auto option = walk.next()) {
        if (option->type == type) {
            result = option->mac();
        }
    }
    return result;
}

bool has_option(Bytes options, NdOptionType type) {
    NdOptionWalk walk(options);
    while (const auto option = walk.next()) {
        if (option->type == type) {
            return true;
        }
    }
    return false;
}

bool is_solicited_node(const Ip6Address& address) {
    return address == address.solicited_node();
}

// Writes a message from front to back.
class Writer {
  public:
    Writer(MutableBytes to, Icmp6Type type) : to_(to) {
        std::ranges::fill(to, uint8_t{0});
        to_[0] = static_cast<uint8_t>(type);
        at_ = 4;
    }
    Writer& byte(uint8_t value) {
        to_[at_++] = value;
        return *this;
    }
    Writer& number16(uint16_t value) {
        write16(to_.data() + at_, value);
        at_ += 2;
        return *this;
    }
    Writer& number32(uint32_t value) {
        write32(to_.data() + at_, value);
        at_ += 4;
        return *this;
    }
    Writer& address(const Ip6Address& value) {
        value.store(to_.data() + at_);
        at_ += 16;
        return *this;
    }
    Writer& mac(NdOptionType type, const std::optional<MacAddress>& value) {
        if (value) {
            byte(static_cast<uint8_t>(type)).byte(1);
            value->store(to_.data() + at_);
            at_ += 6;
        }
        return *this;
    }
    size_t finish(const Ip6Address& source, const Ip6Address& destination) {
        set_icmp6_checksum(to_, source, destination);
        return at_;
    }

  private:
    MutableBytes to_;
    size_t at_ = 0;
};

NdPrefix parse_prefix(Bytes option) {
    return {.prefix = Ip6Address::load(option.data() + 16),
            .length = option[2],
            .on_link = (option[3] & 0x80) != 0,
            .autonomous = (option[3] & 0x40) != 0,
            .valid_seconds = read32(option.data() + 4),
            .preferred_seconds = read32(option.data() + 8)};
}

}  // namespace

std::expected<NeighbourSolicitation, NdError> NeighbourSolicitation::parse(const NdPacket& packet) {
    if (const auto error = common_error(packet, Icmp6Type::neighbour_solicitation, 24)) {
        return std::unexpected(*error);
    }
    const Bytes options = packet.message.subspan(24);
    const NeighbourSolicitation result{Ip6Address::load(packet.message.data() + 8),
                                       find_mac(options, NdOptionType::source_link_layer_address)};
    if (result.target.is_multicast()) {
        return std::unexpected(NdError::multicast_target);
    }
    if (packet.source.is_unspecified()) {
        if (!is_solicited_node(packet.destination)) {
            return std::unexpected(NdError::not_solicited_node);
        }
        if (has_option(options, NdOptionType::source_link_layer_address)) {
            return std::unexpected(NdError::unspecified_with_address);
        }
    }
    return result;
}

size_t NeighbourSolicitation::emit(MutableBytes to, const Ip6Address& source,
                                   const Ip6Address& destination) const {
    if (to.size() < size()) {
        return 0;
    }
    return Writer(to.first(size()), Icmp6Type::neighbour_solicitation)
        .number32(0)
        .address(target)
        .mac(NdOptionType::source_link_layer_address, source_mac)
        .finish(source, destination);
}

std::expected<NeighbourAdvertisement, NdError> NeighbourAdvertisement::parse(const NdPacket& packet) {
    if (const auto error = common_error(packet, Icmp6Type::neighbour_advertisement, 24)) {
        return std::unexpected(*error);
    }
    const uint8_t flags = packet.message[4];
    const NeighbourAdvertisement result{
        Ip6Address::load(packet.message.data() + 8), (flags & 0x80) != 0, (flags & 0x40) != 0,
        (flags & 0x20) != 0, find_mac(packet.message.subspan(24), NdOptionType::target_link_layer_address)};
    if (result.target.is_multicast()) {
        return std::unexpected(NdError::multicast_target);
    }
    if (packet.destination.is_multicast() && result.solicited) {
        return std::unexpected(NdError::solicited_multicast);
    }
    return result;
}

size_t NeighbourAdvertisement::emit(MutableBytes to, const Ip6Address& source,
                                    const Ip6Address& destination) const {
    if (to.size() < size()) {
        return 0;
    }
    const uint32_t flags =
        (router ? 1U << 31 : 0) | (solicited ? 1U << 30 : 0) | (override_cache ? 1U << 29 : 0);
    return Writer(to.first(size()), Icmp6Type::neighbour_advertisement)
        .number32(flags)
        .address(target)
        .mac(NdOptionType::target_link_layer_address, target_mac)
        .finish(source, destination);
}

std::expected<RouterSolicitation, NdError> RouterSolicitation::parse(const NdPacket& packet) {
    if (const auto error = common_error(packet, Icmp6Type::router_solicitation, 8)) {
        return std::unexpected(*error);
    }
    const Bytes options = packet.message.subspan(8);
    if (packet.source.is_unspecified() && has_option(options, NdOptionType::source_link_layer_address)) {
        return std::unexpected(NdError::unspecified_with_address);
    }
    return RouterSolicitation{find_mac(options, NdOptionType::source_link_layer_address)};
}

size_t RouterSolicitation::emit(MutableBytes to, const Ip6Address& source,
                                const Ip6Address& destination) const {
    if (to.size() < size()) {
        return 0;
    }
    return Writer(to.first(size()), Icmp6Type::router_solicitation)
        .number32(0)
        .mac(NdOptionType::source_link_layer_address, source_mac)
        .finish(source, destination);
}

std::expected<RouterAdvertisement, NdError> RouterAdvertisement::parse(const NdPacket& packet) {
    if (const auto error = common_error(packet, Icmp6Type::router_advertisement, 16)) {
        return std::unexpected(*error);
    }
    if (!packet.source.is_link_local()) {
        return std::unexpected(NdError::source_not_link_local);
    }
    const uint8_t* data = packet.message.data();
    RouterAdvertisement result;
    result.hop_limit = data[4];
    result.managed = (data[5] & 0x80) != 0;
    result.other = (data[5] & 0x40) != 0;
    result.lifetime_seconds = read16(data + 6);
    result.reachable_milliseconds = read32(data + 8);
    result.retransmit_milliseconds = read32(data + 12);
    NdOptionWalk walk(packet.message.subspan(16));
    while (const auto option = walk.next()) {
        const Bytes bytes = option->bytes;
        if (option->type == NdOptionType::source_link_layer_address) {
            result.source_mac = option->mac();
        } else if (option->type == NdOptionType::mtu && bytes.size() == 8) {
            result.mtu = read32(bytes.data() + 4);
        } else if (option->type == NdOptionType::prefix_information && bytes.size() == 32 &&
                   result.prefix_count < kMaxPrefixes) {
            result.prefixes.at(result.prefix_count++) = parse_prefix(bytes);
        }
    }
    return result;
}

size_t RouterAdvertisement::emit(MutableBytes to, const Ip6Address& source,
                                 const Ip6Address& destination) const {
    if (to.size() < size()) {
        return 0;
    }
    Writer writer(to.first(size()), Icmp6Type::router_advertisement);
    writer.byte(hop_limit).byte(static_cast<uint8_t>((managed ? 0x80 : 0) | (other ? 0x40 : 0)));
    writer.number16(lifetime_seconds).number32(reachable_milliseconds).number32(retransmit_milliseconds);
    writer.mac(NdOptionType::source_link_layer_address, source_mac);
    if (mtu) {
        writer.byte(static_cast<uint8_t>(NdOptionType::mtu)).byte(1).number16(0).number32(*mtu);
    }
    for (size_t at = 0; at < prefix_count; ++at) {
        const NdPrefix& prefix = prefixes.at(at);
        writer.byte(static_cast<uint8_t>(NdOptionType::prefix_information)).byte(4).byte(prefix.length);
        writer.byte(static_cast<uint8_t>((prefix.on_link ? 0x80 : 0) | (prefix.autonomous ? 0x40 : 0)));
        writer.number32(prefix.valid_seconds)
            .number32(prefix.preferred_seconds)
            .number32(0)
            .address(prefix.prefix);
    }
    return writer.finish(source, destination);
}

std::expected<Redirect, NdError> Redirect::parse(const NdPacket& packet) {
    if (const auto error = common_error(packet, Icmp6Type::redirect, 40)) {
        return std::unexpected(*error);
    }
    if (!packet.source.is_link_local()) {
        return std::unexpected(NdError::source_not_link_local);
    }
    const Redirect result{Ip6Address::load(packet.message.data() + 8),
                          Ip6Address::load(packet.message.data() + 24),
                          find_mac(packet.message.subspan(40), NdOptionType::target_link_layer_address)};
    if (result.redirected.is_multicast()) {
        return std::unexpected(NdError::multicast_target);
    }
    if (!result.target.is_link_local() && result.target != result.redirected) {
        return std::unexpected(NdError::bad_redirect_target);
    }
    return result;
}

size_t Redirect::emit(MutableBytes to, const Ip6Address& source, const Ip6Address& destination) const {
    if (to.size() < size()) {
        return 0;
    }
    return Writer(to.first(size()), Icmp6Type::redirect)
        .number32(0)
        .address(target)
        .address(redirected)
        .mac(NdOptionType::target_link_layer_address, target_mac)
        .finish(source, destination);
}

}  // namespace sluice::wire
