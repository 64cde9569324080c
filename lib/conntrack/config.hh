// The section `conntrack` of the configuration.
#pragma once

#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/interface_id.hh"
#include "config/enum_names.hh"
#include "config/mapping.hh"
#include "config/named.hh"
#include "config/quantity.hh"
#include "conntrack/limits.hh"
#include "conntrack/settings.hh"
#include "conntrack/timeouts.hh"

namespace sluice::conntrack {

// timeouts: {tcp_established: 2h, udp_stream: 5m}
struct TimeoutsConfig {
#define SLUICE_TIMEOUT(name, as_linux, by_rfc, help) Duration name = std::chrono::seconds(by_rfc);
#include "conntrack/timeouts.def"
#undef SLUICE_TIMEOUT
    static TimeoutsConfig of(Profile profile);
    [[nodiscard]] Timeouts timeouts() const;
    bool operator==(const TimeoutsConfig&) const = default;
};

// Every value is the effective one: what the file leaves out is what its profile says.
struct ConntrackConfig {
    Profile profile = Profile::rfc;
    uint32_t max = 1048576;  // all workers together
    WhenFull when_full = WhenFull::refuse_new;
    config::Percent reserve{200};        // of max
    bool pressure = true;                // see Limits
    config::Named<uint32_t> per_source;  // by interface or zone
    TimeoutsConfig timeouts;
    bool tcp_loose = false;
    bool tcp_be_liberal = false;
    bool tcp_ignore_invalid_rst = false;
    uint8_t tcp_max_retrans = 3;
    bool checksum = true;
    std::vector<Helper> helpers;
    bool decision_cache = true;
    bool operator==(const ConntrackConfig&) const = default;

    // What a file that names nothing but the profile says.
    static ConntrackConfig of(Profile profile);
    [[nodiscard]] Settings settings() const;
    // A worker's share of the bounds, so many parts `of` so many, rounded up. `interfaces_named` gives the
    // interfaces of a name, several for a zone; where several entries apply to an interface the lowest holds.
    [[nodiscard]] Limits limits(
        size_t parts, size_t of,
        const std::function<std::vector<InterfaceId>(std::string_view)>& interfaces_named) const;
};

// Reports names in per_source that are neither interface nor zone; `known` are all of both.
void check_per_source(const ConntrackConfig& conntrack, const std::vector<std::string>& known,
                      config::Problems& problems);

}  // namespace sluice::conntrack

namespace sluice {

template <>
struct config::EnumNames<conntrack::Profile> {
    static constexpr auto names = std::to_array<EnumName<conntrack::Profile>>(
        {{conntrack::Profile::rfc, "rfc"}, {conntrack::Profile::linux, "linux"}});
};
template <>
struct config::EnumNames<conntrack::WhenFull> {
    static constexpr auto names = std::to_array<EnumName<conntrack::WhenFull>>(
        {{conntrack::WhenFull::refuse_new, "refuse_new"}, {conntrack::WhenFull::early_drop, "early_drop"}});
};
template <>
struct config::EnumNames<conntrack::Helper> {
    static constexpr auto names = std::to_array<EnumName<conntrack::Helper>>(
        {{conntrack::Helper::ftp, "ftp"}, {conntrack::Helper::tftp, "tftp"}});
};
template <>
struct config::Schema<conntrack::TimeoutsConfig> {
    static const Mapping<conntrack::TimeoutsConfig>& get();
};
template <>
struct config::Schema<conntrack::ConntrackConfig> {
    static const Mapping<conntrack::ConntrackConfig>& get();
};
// Reads the profile first, since it decides the defaults of all other keys.
template <>
struct config::Custom<conntrack::ConntrackConfig> {
    static std::string expected();
    static std::optional<conntrack::ConntrackConfig> read(const Node& node, Context& context);
    static Node print(const conntrack::ConntrackConfig& value);
    static bool takes(Node::Kind kind) { return kind == Node::Kind::mapping || kind == Node::Kind::null; }
};

}  // namespace sluice
