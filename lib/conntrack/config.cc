#include "conntrack/config.hh"

#include <algorithm>

#include "config/compound.hh"
#include "config/names.hh"

namespace sluice {
namespace conntrack {
namespace {

constexpr uint32_t kMostFlows = 1U << 28;
constexpr Duration kShortestTimeout = std::chrono::milliseconds(100);
constexpr config::Percent kLargestReserve{5000};

struct Share {
    size_t parts;
    size_t of;
    [[nodiscard]] uint32_t take(uint64_t whole) const {
        return static_cast<uint32_t>((whole * parts + of - 1) / of);
    }
};

void check_conntrack(const ConntrackConfig& conntrack, config::Context& context) {
    std::vector<Helper> helpers = conntrack.helpers;
    std::ranges::sort(helpers);
    if (std::ranges::adjacent_find(helpers) != helpers.end())
        context.problem_at("helpers", "a helper is named twice", "expected each once");
    for (const auto& entry : conntrack.per_source) {
        if (entry.value > conntrack.max)
            context.problem_at("per_source",
                               "'" + entry.name + "' allows one source more flows than there may be",
                               "expected at most " + std::to_string(conntrack.max) + ", as max says");
    }
}

}  // namespace

TimeoutsConfig TimeoutsConfig::of(Profile profile) {
    TimeoutsConfig result;
    if (profile == Profile::linux) {
#define SLUICE_TIMEOUT(name, as_linux, by_rfc, help) result.name = std::chrono::seconds(as_linux);
#include "conntrack/timeouts.def"
#undef SLUICE_TIMEOUT
    }
    return result;
}

Timeouts TimeoutsConfig::timeouts() const {
    Timeouts result = Timeouts::of(Profile::rfc);
#define SLUICE_TIMEOUT(name, as_linux, by_rfc, help) result.set(Timeout::name, name);
#include "conntrack/timeouts.def"
#undef SLUICE_TIMEOUT
    return result;
}

ConntrackConfig ConntrackConfig::of(Profile profile) {
    const Settings settings = Settings::of(profile);
    const bool as_linux = profile == Profile::linux;
    ConntrackConfig result;
    result.profile = profile;
    result.when_full = as_linux ? WhenFull::early_drop : WhenFull::refuse_new;
    result.reserve = as_linux ? config::Percent{} : result.reserve;
    result.pressure = !as_linux;
    result.timeouts = TimeoutsConfig::of(profile);
    result.tcp_loose = settings.tcp_loose;
    return result;
}

Settings ConntrackConfig::settings() const {
    Settings result = Settings::of(profile);
    result.timeouts = timeouts.timeouts();
    result.tcp_loose = tcp_loose;
    result.tcp_be_liberal = tcp_be_liberal;
    result.tcp_ignore_invalid_rst = tcp_ignore_invalid_rst;
    result.tcp_max_retrans = tcp_max_retrans;
    result.checksum = checksum;
    result.helpers = helpers;
    return result;
}

Limits ConntrackConfig::limits(
    size_t parts, size_t of,
    const std::function<std::vector<InterfaceId>(std::string_view)>& interfaces_named) const {
    const Share share{parts, of};
    Limits result;
    result.max = share.take(max);
    result.reserve = share.take(reserve.of(max));
    result.when_full = when_full;
    result.pressure = pressure;
    for (const auto& entry : per_source) {
        const uint32_t most = share.take(entry.value);
        for (const InterfaceId interface : interfaces_named(entry.name)) {
            uint32_t& limit = result.per_source.at(index(interface));
            limit = limit == 0 ? most : std::min(limit, most);
        }
    }
    return result;
}

void check_per_source(const ConntrackConfig& conntrack, const std::vector<std::string>& known,
                      config::Problems& problems) {
    for (const auto& entry : conntrack.per_source)
        config::resolve({entry.name, entry.at}, "interface or zone", known, problems);
}

}  // namespace conntrack

namespace config {

const Mapping<conntrack::TimeoutsConfig>& Schema<conntrack::TimeoutsConfig>::get() {
    using conntrack::TimeoutsConfig;
    static const auto mapping = [] {
        Mapping<TimeoutsConfig> result("timeouts of connection tracking");
#define SLUICE_TIMEOUT(name, as_linux, by_rfc, help)    \
    result.optional(#name, &TimeoutsConfig::name, help) \
        .range(conntrack::kShortestTimeout, conntrack::kMaxTimeout);
#include "conntrack/timeouts.def"
#undef SLUICE_TIMEOUT
        return result;
    }();
    return mapping;
}

const Mapping<conntrack::ConntrackConfig>& Schema<conntrack::ConntrackConfig>::get() {
    using conntrack::ConntrackConfig;
    static const auto mapping =
        Mapping<ConntrackConfig>("connection tracking")
            .optional("profile", &ConntrackConfig::profile,
                      "where they disagree, the defaults of all that follows are those the RFCs ask for, or "
                      "those of Linux")
            .optional("max", &ConntrackConfig::max,
                      "the most flows, all workers together; their memory is taken at start")
            .range(uint32_t{1}, conntrack::kMostFlows)
            .optional(
                "when_full", &ConntrackConfig::when_full,
                "`refuse_new` drops packets that would begin a flow; `early_drop` evicts a flow that is "
                "not assured; profile linux: `early_drop`")
            .optional("reserve", &ConntrackConfig::reserve,
                      "share of the flows that only the box's own traffic may take; profile linux: 0%")
            .range(Percent{}, conntrack::kLargestReserve)
            .optional("pressure", &ConntrackConfig::pressure,
                      "whether flows that are not assured time out sooner while the table is nearly full; "
                      "profile linux: false")
            .optional("per_source", &ConntrackConfig::per_source,
                      "the most flows one source address may hold, by the interface or zone it comes in by")
            .range(uint32_t{1}, conntrack::kMostFlows)
            .optional("timeouts", &ConntrackConfig::timeouts,
                      "how long flows live without packets; profile linux: the kernel's")
            .optional("tcp_loose", &ConntrackConfig::tcp_loose,
                      "whether connections may be picked up in their middle; profile linux: true")
            .optional("tcp_be_liberal", &ConntrackConfig::tcp_be_liberal,
                      "whether segments outside the window are taken all the same")
            .optional("tcp_ignore_invalid_rst", &ConntrackConfig::tcp_ignore_invalid_rst,
                      "whether a RST for data that has been acknowledged already is not invalid")
            .optional("tcp_max_retrans", &ConntrackConfig::tcp_max_retrans,
                      "repetitions of a segment after which the timeout tcp_max_retrans holds")
            .optional("checksum", &ConntrackConfig::checksum,
                      "whether a wrong transport checksum makes a packet invalid")
            .optional("helpers", &ConntrackConfig::helpers,
                      "protocols whose payload is read for the flows they announce: `ftp` (port 21), `tftp` "
                      "(port 69)")
            .optional(
                "decision_cache", &ConntrackConfig::decision_cache,
                "whether what the rules decide for a packet is repeated for the packets of its flow that "
                "they would treat the same; off, every packet goes through the rules")
            .check(conntrack::check_conntrack);
    return mapping;
}

std::string Custom<conntrack::ConntrackConfig>::expected() {
    return Schema<conntrack::ConntrackConfig>::get().what();
}

std::optional<conntrack::ConntrackConfig> Custom<conntrack::ConntrackConfig>::read(const Node& node,
                                                                                   Context& context) {
    auto profile = conntrack::Profile::rfc;
    if (const auto* entry = node.find("profile"); entry != nullptr) {
        // What is wrong with it is told below, with all other keys.
        Problems unheard;
        Context attempt = context.inside("profile", entry->value).with(unheard);
        profile = read_as<conntrack::Profile>(attempt).value_or(profile);
    }
    auto result = conntrack::ConntrackConfig::of(profile);
    if (!static_cast<const MappingBase&>(Schema<conntrack::ConntrackConfig>::get()).read(context, &result))
        return std::nullopt;
    return result;
}

Node Custom<conntrack::ConntrackConfig>::print(const conntrack::ConntrackConfig& value) {
    return static_cast<const MappingBase&>(Schema<conntrack::ConntrackConfig>::get()).print(&value);
}

}  // namespace config
}  // namespace sluice
