#include "routing/config.hh"

#include <algorithm>
#include <limits>

#include "config/compound.hh"
#include "config/names.hh"

namespace sluice {
namespace routing {
namespace {

struct ProtocolName {
    uint8_t number;
    std::string_view name;
};
constexpr auto kProtocols = std::to_array<ProtocolName>({{1, "icmp"},
                                                         {6, "tcp"},
                                                         {17, "udp"},
                                                         {47, "gre"},
                                                         {50, "esp"},
                                                         {51, "ah"},
                                                         {58, "icmpv6"},
                                                         {132, "sctp"}});

std::optional<Family> family_of(const RouteConfig& route) {
    if (route.to.prefix)
        return route.to.prefix->family();
    if (route.via)
        return route.via->family();
    return std::nullopt;
}

void check_target(const RouteConfig& route, config::Context& context) {
    if (!route.to.prefix || route.to.prefix->length() == 0)
        return;
    const IpAddress& address = route.to.prefix->address();
    if (address.is_multicast())
        context.problem_at("to", "multicast is not routed", "expected a unicast network");
    if (address.is_ip6() && address.ip6().is_link_local())
        context.problem_at("to", "link-local addresses are not routed", "expected another network");
}

void check_route(const RouteConfig& route, config::Context& context) {
    check_target(route, context);
    if (route.table == kLocalTableName)
        context.problem_at("table", "table 'local' holds the box's own addresses", "expected another name");
    if (route.type != RouteType::unicast) {
        const auto type = std::string(config::name_of(route.type));
        if (route.via)
            context.problem_at("via", "a route of type " + type + " leads nowhere", "leave via out");
        if (!route.interface.empty())
            context.problem_at("interface", "a route of type " + type + " leads nowhere",
                               "leave interface out");
        return;
    }
    if (!route.via && route.interface.empty())
        context.problem("the route says neither via which gateway nor on which interface",
                        "expected as in {to: default, via: 203.0.113.1}");
    if (route.via && (route.via->is_unspecified() || route.via->is_multicast()))
        context.problem_at("via", "'" + route.via->to_string() + "' cannot be a gateway",
                           "expected a unicast address");
    if (route.via && family_of(route) != route.via->family())
        context.problem_at(
            "via", "the gateway is of another family than the network",
            std::string("expected an ") + (*family_of(route) == Family::ip4 ? "IPv4" : "IPv6") + " address");
}

void check_neighbour(const NeighbourConfig& neighbour, config::Context& context) {
    if (!neighbour.mac.is_unicast())
        context.problem_at("mac", "'" + neighbour.mac.to_string() + "' is no unicast address",
                           "expected as in 02:00:00:00:02:01");
    if (neighbour.ip.is_multicast() || neighbour.ip.is_unspecified())
        context.problem_at("ip", "'" + neighbour.ip.to_string() + "' cannot be a neighbour",
                           "expected a unicast address");
}

}  // namespace

std::optional<uint64_t> IcmpConfig::errors_per_second() const {
    if (const auto* rate = std::get_if<config::Rate>(&errors))
        return static_cast<uint64_t>(rate->per_second());
    return std::nullopt;
}

}  // namespace routing

namespace config {

std::string Scalar<routing::RouteTarget>::expected() {
    return "a network such as 10.0.0.0/8, or default";
}

Expected<routing::RouteTarget> Scalar<routing::RouteTarget>::parse(std::string_view text) {
    if (text == "default")
        return routing::RouteTarget{};
    auto prefix = IpPrefix::parse(text);
    if (!prefix)
        return std::unexpected(std::move(prefix.error()));
    return routing::RouteTarget{*prefix};
}

std::string Scalar<routing::RouteTarget>::format(const routing::RouteTarget& value) {
    return value.prefix ? value.prefix->to_string() : "default";
}

std::string Scalar<routing::ProtocolNumber>::expected() {
    return "a protocol such as tcp or udp, or its number";
}

Expected<routing::ProtocolNumber> Scalar<routing::ProtocolNumber>::parse(std::string_view text) {
    const auto named = std::ranges::find(routing::kProtocols, text, &routing::ProtocolName::name);
    if (named != routing::kProtocols.end())
        return routing::ProtocolNumber{named->number};
    const auto number = Scalar<uint8_t>::parse(text);
    if (!number)
        return fail("'" + std::string(text) + "' is no protocol", "expected " + expected());
    return routing::ProtocolNumber{*number};
}

std::string Scalar<routing::ProtocolNumber>::format(const routing::ProtocolNumber& value) {
    const auto named = std::ranges::find(routing::kProtocols, value.number, &routing::ProtocolName::number);
    return named == routing::kProtocols.end() ? std::to_string(value.number) : std::string(named->name);
}

std::string Custom<routing::AddressMatch>::expected() {
    return "an address, a network, a list of these, \"!NETWORK\" or {not: [NETWORK]}";
}

std::optional<routing::AddressMatch> Custom<routing::AddressMatch>::read(const Node& node, Context& context) {
    const auto networks = [](Context& at) -> std::optional<std::vector<IpPrefix>> {
        Constraint one_or_more;
        one_or_more.list_or_one = true;
        one_or_more.length = {1, std::numeric_limits<size_t>::max()};
        return read_as<std::vector<IpPrefix>>(at, one_or_more);
    };
    std::optional<std::vector<IpPrefix>> read;
    bool negated = false;
    if (node.is_mapping()) {
        if (node.entries.size() != 1 || node.entries[0].key != "not") {
            context.problem("this is no match for addresses", "expected " + expected());
            return std::nullopt;
        }
        negated = true;
        Context inside = context.inside("not", node.entries[0].value);
        read = networks(inside);
    } else if (node.is_scalar() && node.text.starts_with('!')) {
        negated = true;
        auto prefix = IpPrefix::parse(std::string_view(node.text).substr(1));
        if (!prefix) {
            context.problem(prefix.error().message, prefix.error().hint);
            return std::nullopt;
        }
        read = std::vector{*prefix};
    } else {
        read = networks(context);
    }
    if (!read)
        return std::nullopt;
    return routing::AddressMatch{std::move(*read), negated};
}

Node Custom<routing::AddressMatch>::print(const routing::AddressMatch& value) {
    Node list = print_as(value.prefixes);
    if (!value.negated)
        return list;
    Node node = Node::mapping();
    node.append("not", std::move(list));
    return node;
}

const Mapping<routing::NeighbourConfig>& Schema<routing::NeighbourConfig>::get() {
    using routing::NeighbourConfig;
    static const auto mapping =
        Mapping<NeighbourConfig>("a neighbour")
            .required("interface", &NeighbourConfig::interface, "the interface it is connected to")
            .required("ip", &NeighbourConfig::ip, "its address")
            .required("mac", &NeighbourConfig::mac, "its Ethernet address")
            .location(&NeighbourConfig::location)
            .check(routing::check_neighbour);
    return mapping;
}

const Mapping<routing::RouteConfig>& Schema<routing::RouteConfig>::get() {
    using routing::RouteConfig;
    static const auto mapping =
        Mapping<RouteConfig>("a route")
            .required("to", &RouteConfig::to,
                      "the network, or `default`, which is of the family of `via`, and without `via` of both")
            .optional("via", &RouteConfig::via, "the gateway; without one the network is on the link")
            .optional("interface", &RouteConfig::interface,
                      "the interface; default: the one whose network holds the gateway")
            .optional("type", &RouteConfig::type,
                      "`unicast` sends on; `blackhole` discards in silence, `unreachable` and `prohibit` "
                      "tell the sender")
            .optional("table", &RouteConfig::table,
                      "the routing table; others than `main` are chosen by route_rules")
            .length(1, kMaxNameLength)
            .optional("metric", &RouteConfig::metric, "of routes to the same network the lowest counts")
            .location(&RouteConfig::location)
            .check(routing::check_route);
    return mapping;
}

const Mapping<routing::RouteRuleConfig>& Schema<routing::RouteRuleConfig>::get() {
    using routing::RouteRuleConfig;
    static const auto mapping =
        Mapping<RouteRuleConfig>("a route rule")
            .optional("in", &RouteRuleConfig::in,
                      "arrival interfaces or zones; default: any, and the box itself")
            .list_or_one()
            .optional("saddr", &RouteRuleConfig::saddr, "source address")
            .optional("daddr", &RouteRuleConfig::daddr, "destination address")
            .optional("proto", &RouteRuleConfig::proto, "protocol")
            .optional("sport", &RouteRuleConfig::sport, "source port")
            .list_or_one()
            .optional("dport", &RouteRuleConfig::dport, "destination port")
            .list_or_one()
            .required("table", &RouteRuleConfig::table,
                      "the routing table to ask; if it has no route the next rule is tried, then `main`")
            .length(1, kMaxNameLength)
            .location(&RouteRuleConfig::location);
    return mapping;
}

const Mapping<routing::IcmpConfig>& Schema<routing::IcmpConfig>::get() {
    using routing::IcmpConfig;
    static const auto mapping =
        Mapping<IcmpConfig>("icmp")
            .optional("errors", &IcmpConfig::errors,
                      "how many ICMP and ICMPv6 errors the box may send, both together")
            .check([](const IcmpConfig& icmp, Context& context) {
                if (icmp.errors_per_second() == 0)
                    context.problem_at("errors", "less than one error a second",
                                       "expected at least 1/second, or unlimited");
            });
    return mapping;
}

}  // namespace config
}  // namespace sluice
