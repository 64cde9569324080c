// The words of NAT in the configuration: targets and ports of rules, and the options of the section `nat`
// besides its chains.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "base/time.hh"
#include "config/enum_names.hh"
#include "config/mapping.hh"
#include "conntrack/timeouts.hh"
#include "nat/rule.hh"
#include "nat/settings.hh"

namespace sluice::nat {

// What rules leave open. What the file leaves open too is as `conntrack.profile` has it.
struct NatOptions {
    std::optional<Dependence> mapping;
    std::optional<Dependence> filtering;
    std::optional<Pooling> pooling;
    std::optional<bool> hairpin;
    std::optional<bool> parity;
    std::optional<bool> port_overlap;
    std::optional<uint32_t> ports_per_host;
    std::optional<Duration> hold_down;
    std::optional<bool> hold_down_tcp;
    std::optional<bool> hold_down_filtered;
    std::optional<bool> hold_down_at_start;
    std::optional<Duration> syn_hold;
    std::optional<bool> unique_ids;
    bool operator==(const NatOptions&) const = default;

    [[nodiscard]] NatSettings settings(conntrack::Profile profile) const;
};

}  // namespace sluice::nat

namespace sluice {

template <>
struct config::EnumNames<nat::Dependence> {
    static constexpr auto names = std::to_array<EnumName<nat::Dependence>>(
        {{nat::Dependence::endpoint_independent, "endpoint_independent"},
         {nat::Dependence::address_dependent, "address_dependent"},
         {nat::Dependence::address_and_port_dependent, "address_and_port_dependent"}});
};
template <>
struct config::EnumNames<nat::Pooling> {
    static constexpr auto names = std::to_array<EnumName<nat::Pooling>>(
        {{nat::Pooling::paired, "paired"}, {nat::Pooling::soft, "soft"}});
};
template <>
struct config::Scalar<nat::PortRange> {
    static std::string expected();
    static Expected<nat::PortRange> parse(std::string_view text);
    static std::string format(const nat::PortRange& value);
};
// ADDR, ADDR-ADDR or PREFIX; ADDR:PORT or ADDR:PORT-PORT, IPv6 addresses then in brackets.
template <>
struct config::Scalar<nat::NatTarget> {
    static std::string expected();
    static Expected<nat::NatTarget> parse(std::string_view text);
    static std::string format(const nat::NatTarget& value);
};
template <>
struct config::Schema<nat::PrefixPair> {
    static const Mapping<nat::PrefixPair>& get();
};
template <>
struct config::Schema<nat::NatOptions> {
    static const Mapping<nat::NatOptions>& get();
};

}  // namespace sluice
