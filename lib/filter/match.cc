#include "filter/match.hh"

#include <algorithm>

#include "wire/bytes.hh"
#include "wire/protocol.hh"

namespace sluice::filter {
namespace {

using conntrack::Status;
using wire::Bytes;
using wire::IpProtocol;

constexpr IpProtocol kDccp{33};
constexpr size_t kTcpFlagsOffset = 13;

bool has_ports(IpProtocol protocol) {
    return protocol == IpProtocol::tcp || protocol == IpProtocol::udp || protocol == IpProtocol::udplite ||
           protocol == IpProtocol::sctp || protocol == kDccp;
}

// Whether so many bytes of the transport header from `at` on are in this packet.
bool has_transport(const RulePacket& packet, size_t at, size_t size) {
    return packet.transport.known && !packet.transport.later_fragment &&
           packet.transport.offset + at + size <= packet.ip.length();
}

int64_t port_at(const RulePacket& packet, size_t at) {
    if (!has_transport(packet, at, 2) || !has_ports(packet.transport.protocol))
        return kMissing;
    return wire::read16(packet.ip.bytes().data() + packet.transport.offset + at);
}

int64_t icmp_type(const RulePacket& packet, Family family, IpProtocol protocol) {
    if (packet.ip.family() != family || !has_transport(packet, 0, 1) || packet.transport.protocol != protocol)
        return kMissing;
    return packet.ip.bytes()[packet.transport.offset];
}

template <typename Range, typename Value>
bool contains(std::span<const Range> ranges, const Value& value) {
    // The first range that does not end before the value.
    const auto found = std::ranges::lower_bound(ranges, value, {}, &Range::last);
    return found != ranges.end() && found->first <= value;
}

template <bool kLive>
bool in_sets(std::span<const SetCheck> sets, const RulePacket& packet, Trail* trail, bool& asked) {
    bool found = false;
    for (const SetCheck& check : sets) {
        sets::Fields fields;
        if (!fill(check, packet, fields))
            continue;
        asked = true;
        if constexpr (kLive) {
            const auto taken = std::span(check.fields).first(check.count);
            const bool has_mac = std::ranges::find(taken, Field::mac_saddr) != taken.end();
            if (check.set->repeatable() && !has_mac)
                trail->read_set();
            else
                trail->varied();
            found = found || check.set->contains(fields, packet.now, packet.ip.length());
        } else {
            found = found || check.set->contains(fields, packet.now);
        }
    }
    return found;
}

template <bool kLive>
bool address_holds(const CompiledRules& rules, const Check& check, const RulePacket& packet, Trail* trail) {
    const bool is_source = check.field == Field::saddr;
    bool asked = false;
    bool found = false;
    if (packet.ip.family() == Family::ip4 && check.count != 0) {
        const auto header = packet.ip.ip4();
        asked = true;
        found =
            contains(rules.numbers_of(check), (is_source ? header.source() : header.destination()).host());
    } else if (packet.ip.family() == Family::ip6 && check.wide_count != 0) {
        const auto header = packet.ip.ip6();
        asked = true;
        found = contains(rules.wide_of(check), Wide::of(is_source ? header.source() : header.destination()));
    }
    if (!found && check.set_count != 0)
        found = in_sets<kLive>(rules.sets_of(check), packet, trail, asked);
    return asked && found != check.negated;
}

bool flags_hold(const CompiledRules& rules, const Check& check, const RulePacket& packet) {
    if (packet.transport.protocol != IpProtocol::tcp || !has_transport(packet, kTcpFlagsOffset, 1))
        return false;
    const uint8_t flags = packet.ip.bytes()[packet.transport.offset + kTcpFlagsOffset];
    const bool found = std::ranges::any_of(
        rules.flags_of(check), [&](const auto& pair) { return (flags & pair.mask) == pair.value; });
    return found != check.negated;
}

bool extension_holds(const CompiledRules& rules, const Check& check, const RulePacket& packet) {
    if (packet.ip.family() != Family::ip6)
        return false;
    const bool found = std::ranges::any_of(rules.numbers_of(check), [&](const NumberRange& range) {
        for (uint32_t kind = range.first; kind <= range.last; ++kind)
            if (has_extension_header(packet.ip, static_cast<IpProtocol>(kind)))
                return true;
        return false;
    });
    return found != check.negated;
}

template <bool kLive>
bool mac_holds(const CompiledRules& rules, const Check& check, const RulePacket& packet, Trail* trail) {
    if (!packet.mac_saddr)
        return false;
    bool asked = true;
    const bool found =
        std::ranges::find(rules.macs_of(check), *packet.mac_saddr) != rules.macs_of(check).end() ||
        in_sets<kLive>(rules.sets_of(check), packet, trail, asked);
    return found != check.negated;
}

template <bool kLive>
bool number_holds(const CompiledRules& rules, const Check& check, const RulePacket& packet, Trail* trail) {
    const int64_t value = number_of(check.field, packet);
    if (value == kMissing)
        return false;
    bool asked = true;
    const auto number = static_cast<uint32_t>(value);
    const bool found = check.count == 1 ? check.one.first <= number && number <= check.one.last
                                        : contains(rules.numbers_of(check), number);
    if (check.set_count == 0 || found)
        return found != check.negated;
    return in_sets<kLive>(rules.sets_of(check), packet, trail, asked) != check.negated;
}

template <bool kLive>
bool check_holds(const CompiledRules& rules, const Check& check, const RulePacket& packet, Trail* trail) {
    switch (check.field) {
        case Field::saddr:
        case Field::daddr:
            return address_holds<kLive>(rules, check, packet, trail);
        case Field::match: {
            bool asked = false;
            const bool found = in_sets<kLive>(rules.sets_of(check), packet, trail, asked);
            return asked && found != check.negated;
        }
        case Field::ct_status:
            return packet.ct.exists() && packet.ct.status.has_any(Status(check.one.first)) != check.negated;
        case Field::tcp_flags:
            return flags_hold(rules, check, packet);
        case Field::exthdr:
            return extension_holds(rules, check, packet);
        case Field::mac_saddr:
            return mac_holds<kLive>(rules, check, packet, trail);
        default:
            return number_holds<kLive>(rules, check, packet, trail);
    }
}

bool add_field(Field field, const RulePacket& packet, sets::Fields& fields) {
    switch (field) {
        case Field::saddr:
            fields.add(packet.ip.source());
            return true;
        case Field::daddr:
            fields.add(packet.ip.destination());
            return true;
        case Field::mac_saddr:
            if (!packet.mac_saddr)
                return false;
            fields.add(*packet.mac_saddr);
            return true;
        case Field::mark:
            fields.add_mark(packet.mark);
            return true;
        default:
            break;
    }
    const int64_t value = number_of(field, packet);
    if (value == kMissing)
        return false;
    if (field == Field::proto)
        fields.add_proto(static_cast<uint8_t>(value));
    else
        fields.add(Be16::from_host(static_cast<uint16_t>(value)));
    return true;
}

}  // namespace

int64_t number_of(Field field, const RulePacket& packet) {
    switch (field) {
        case Field::in:
            return static_cast<int64_t>(index(packet.in));
        case Field::out:
            return static_cast<int64_t>(index(packet.out));
        case Field::family:
            return static_cast<int64_t>(packet.ip.family());
        case Field::proto:
            return packet.transport.known ? static_cast<int64_t>(packet.transport.protocol) : kMissing;
        case Field::sport:
            return port_at(packet, 0);
        case Field::dport:
            return port_at(packet, 2);
        case Field::ct:
            return static_cast<int64_t>(packet.ct.state);
        case Field::ct_direction:
            return packet.ct.exists() ? static_cast<int64_t>(packet.ct.direction) : kMissing;
        case Field::mark:
            return packet.mark;
        case Field::icmp_type:
            return icmp_type(packet, Family::ip4, IpProtocol::icmp);
        case Field::icmpv6_type:
            return icmp_type(packet, Family::ip6, IpProtocol::icmpv6);
        case Field::length:
            return packet.ip.length();
        case Field::ttl:
            return packet.ip.hop_limit();
        case Field::fragment:
            return packet.transport.known && packet.transport.later_fragment ? 1 : 0;
        default:
            return kMissing;
    }
}

bool fill(const SetCheck& check, const RulePacket& packet, sets::Fields& fields) {
    for (size_t i = 0; i < check.count; ++i) {
        if (!add_field(check.fields[i], packet, fields))
            return false;
    }
    return true;
}

bool is_constant(const Check& check) {
    if (check.field == Field::ct_status)
        return (check.one.first & ~(conntrack::kSnat | conntrack::kDnat).bits()) == 0;
    return check.field < Field::tcp_flags;
}

bool holds(const CompiledRules& rules, const Check& check, const RulePacket& packet, Trail& trail) {
    if (!is_constant(check))
        trail.varied();
    return check_holds<true>(rules, check, packet, &trail);
}

bool holds(const CompiledRules& rules, const Check& check, const RulePacket& packet) {
    return check_holds<false>(rules, check, packet, nullptr);
}

}  // namespace sluice::filter
