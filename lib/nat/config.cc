#include "nat/config.hh"

#include <chrono>
#include <limits>

#include "base/address.hh"
#include "base/prefix.hh"
#include "config/compound.hh"

namespace sluice {
namespace nat {
namespace {

constexpr Duration kLongestHoldDown = std::chrono::hours(24);
constexpr Duration kLongestSynHold = std::chrono::minutes(1);

Expected<NatTarget> parse_range(std::string_view text) {
    const size_t dash = text.find('-');
    if (dash == std::string_view::npos) {
        const auto prefix = IpPrefix::parse(text);
        if (!prefix)
            return std::unexpected(prefix.error());
        return NatTarget{.first = prefix->address(), .last = prefix->last()};
    }
    const auto first = IpAddress::parse(text.substr(0, dash));
    const auto last = IpAddress::parse(text.substr(dash + 1));
    if (!first || !last)
        return std::unexpected((first ? last : first).error());
    if (first->family() != last->family())
        return fail("the range " + std::string(text) + " begins and ends in different families",
                    "expected two addresses of one family");
    if (*last < *first)
        return fail("the range " + std::string(text) + " ends before it begins",
                    "expected the smaller address first");
    return NatTarget{.first = *first, .last = *last};
}

Expected<NatTarget> with_ports(Expected<NatTarget> target, std::string_view ports) {
    if (!target)
        return target;
    const auto range = config::Scalar<PortRange>::parse(ports);
    if (!range)
        return std::unexpected(range.error());
    target->ports = *range;
    return target;
}

std::string ports_text(const PortRange& range) {
    return range.first == range.last ? std::to_string(range.first)
                                     : std::to_string(range.first) + "-" + std::to_string(range.last);
}

}  // namespace

NatSettings NatOptions::settings(conntrack::Profile profile) const {
    NatSettings result = NatSettings::of(profile);
    result.mapping = mapping.value_or(result.mapping);
    result.filtering = filtering.value_or(result.filtering);
    result.pooling = pooling.value_or(result.pooling);
    result.hairpin = hairpin.value_or(result.hairpin);
    result.parity = parity.value_or(result.parity);
    result.port_overlap = port_overlap.value_or(result.port_overlap);
    result.ports_per_host = ports_per_host.value_or(result.ports_per_host);
    result.hold_down = hold_down.value_or(result.hold_down);
    result.hold_down_tcp = hold_down_tcp.value_or(result.hold_down_tcp);
    result.hold_down_filtered = hold_down_filtered.value_or(result.hold_down_filtered);
    result.hold_down_at_start = hold_down_at_start.value_or(result.hold_down_at_start);
    result.syn_hold = syn_hold.value_or(result.syn_hold);
    result.unique_ids = unique_ids.value_or(result.unique_ids);
    return result;
}

}  // namespace nat

namespace config {

std::string Scalar<nat::PortRange>::expected() {
    return "a port or a range such as 1024-65535";
}

Expected<nat::PortRange> Scalar<nat::PortRange>::parse(std::string_view text) {
    const size_t dash = text.find('-');
    const auto first = Scalar<uint16_t>::parse(text.substr(0, dash));
    const auto last = dash == std::string_view::npos ? first : Scalar<uint16_t>::parse(text.substr(dash + 1));
    if (!first || !last || *first == 0)
        return fail(quote(text) + " is no port", "expected " + expected());
    if (*last < *first)
        return fail("the range " + std::string(text) + " ends before it begins",
                    "expected the smaller port first");
    return nat::PortRange{*first, *last};
}

std::string Scalar<nat::PortRange>::format(const nat::PortRange& value) {
    return nat::ports_text(value);
}

std::string Scalar<nat::NatTarget>::expected() {
    return "an address, a range or a network, such as 192.0.2.1, 192.0.2.1-192.0.2.9 or 192.0.2.0/28, with "
           "ports 192.0.2.1:80 or [2001:db8::1]:8000-8010";
}

Expected<nat::NatTarget> Scalar<nat::NatTarget>::parse(std::string_view text) {
    if (text.starts_with('[')) {
        const size_t close = text.find(']');
        if (close == std::string_view::npos)
            return fail(quote(text) + " has no closing bracket", "expected " + expected());
        const auto inside = text.substr(1, close - 1);
        const auto rest = text.substr(close + 1);
        auto target = nat::parse_range(inside);
        if (target && !target->first.is_ip6())
            return fail(quote(text) + " has brackets around an IPv4 address", "expected " + expected());
        if (rest.empty())
            return target;
        if (!rest.starts_with(':'))
            return fail(quote(text) + " is no target", "expected " + expected());
        return nat::with_ports(std::move(target), rest.substr(1));
    }
    const size_t colon = text.find(':');
    if (colon == std::string_view::npos || text.find(':', colon + 1) != std::string_view::npos)
        return nat::parse_range(text);
    return nat::with_ports(nat::parse_range(text.substr(0, colon)), text.substr(colon + 1));
}

std::string Scalar<nat::NatTarget>::format(const nat::NatTarget& value) {
    std::string text = value.first.to_string();
    if (value.first != value.last)
        text += "-" + value.last.to_string();
    if (!value.ports)
        return text;
    if (value.first.is_ip6())
        text = "[" + text + "]";
    return text + ":" + nat::ports_text(*value.ports);
}

const Mapping<nat::PrefixPair>& Schema<nat::PrefixPair>::get() {
    using nat::PrefixPair;
    static const auto mapping =
        Mapping<PrefixPair>("IPv6 prefixes of one length, at most 64")
            .required("from", &PrefixPair::from, "the prefix that packets have, by which they match")
            .required("to", &PrefixPair::to, "what they get in its place");
    return mapping;
}

const Mapping<nat::NatOptions>& Schema<nat::NatOptions>::get() {
    using nat::NatOptions;
    static const auto mapping =
        Mapping<NatOptions>("what NAT does where a rule leaves it open")
            .optional(
                "mapping", &NatOptions::mapping,
                "on what of the remote endpoint the external endpoint of an inside one depends; profile "
                "rfc: `endpoint_independent`, profile linux: `address_and_port_dependent`")
            .optional("filtering", &NatOptions::filtering,
                      "which remotes may send to a mapping: all, addresses it has sent to, or only endpoints "
                      "it has sent to; profile rfc: `address_dependent`, profile linux: "
                      "`address_and_port_dependent`")
            .optional(
                "pooling", &NatOptions::pooling,
                "`paired`: an inside host keeps one external address; `soft`: it takes another when that "
                "has no port left; default `paired`")
            .optional(
                "hairpin", &NatOptions::hairpin,
                "whether inside hosts reach one another by their external endpoints; profile rfc: true, "
                "profile linux: false")
            .optional("parity", &NatOptions::parity, "even ports stay even, odd ones odd; default false")
            .optional(
                "port_overlap", &NatOptions::port_overlap,
                "whether inside hosts may share an external port towards different remotes, with mapping "
                "`address_and_port_dependent`; profile rfc: false, profile linux: true")
            .optional("ports_per_host", &NatOptions::ports_per_host,
                      "the most mappings of one inside address; 0, the default: any number")
            .optional("hold_down", &NatOptions::hold_down,
                      "how long a port is not used again after its mapping ended; default 2m")
            .range(Duration{}, nat::kLongestHoldDown)
            .optional("hold_down_tcp", &NatOptions::hold_down_tcp,
                      "whether ports of TCP are held down too; default false")
            .optional("hold_down_filtered", &NatOptions::hold_down_filtered,
                      "whether ports are held down too where filtering depends on the address; default false")
            .optional("hold_down_at_start", &NatOptions::hold_down_at_start,
                      "whether after the start every port is held down for that long; default false")
            .optional("syn_hold", &NatOptions::syn_hold,
                      "how long a TCP SYN to an external address that no mapping lets in waits for one from "
                      "inside, until its sender is told port unreachable; 0s: it does not wait, and those a "
                      "mapping's filter keeps out are never answered; profile rfc: 6s, profile linux: 0s")
            .range(Duration{}, nat::kLongestSynHold)
            .optional("unique_ids", &NatOptions::unique_ids,
                      "whether IPv4 packets that may be fragmented get another identification with another "
                      "source; profile rfc: true, profile linux: false");
    return mapping;
}

}  // namespace config
}  // namespace sluice
