#include "sluice/config.hh"

#include "config/compound.hh"
#include "sluice/firewall.hh"
#include "sluice/snapshot.hh"

namespace sluice {
namespace {

// What no section can see alone: names of other sections, and whether the routes make a FIB.
void check_references(const GatewayConfig& config, config::Context& context) {
    pipeline::check_interfaces(config.interfaces, config.zones, context.problems());
    check_routing(config, context.problems());
    check_firewall(config, context.problems());
    if (config.interfaces.empty())
        context.problem("there is no interface", "expected a section `interfaces` with at least one");
}

}  // namespace

const config::Mapping<GatewayConfig>& config::Schema<GatewayConfig>::get() {
    static const auto mapping =
        Mapping<GatewayConfig>("the configuration")
            .optional("engine", &GatewayConfig::engine, "workers, polling and memory")
            .fixed()
            .optional("control", &GatewayConfig::control, "the admin socket and the metrics listener")
            .optional("log", &GatewayConfig::log, "what is logged, where to and how")
            .optional("interfaces", &GatewayConfig::interfaces,
                      "devices, and VLANs on them, by the name you give them")
            .optional("zones", &GatewayConfig::zones,
                      "names for groups of interfaces, usable wherever an interface is")
            .optional("neighbours", &GatewayConfig::neighbours,
                      "static neighbours; others are resolved by ARP and ND")
            .optional("routes", &GatewayConfig::routes, "static routes")
            .optional(
                "route_rules", &GatewayConfig::route_rules,
                "policy routing: the first rule that matches and whose table has a route, then table main")
            .optional("icmp", &GatewayConfig::icmp, "ICMP and ICMPv6 that the box sends")
            .optional("sets", &GatewayConfig::sets,
                      "addresses, networks and ports that rules look packets up in")
            .optional("conntrack", &GatewayConfig::conntrack,
                      "how flows are tracked; without the section they are where there is a chain")
            .include(&GatewayConfig::rules)
            .cross_check(check_references);
    return mapping;
}

}  // namespace sluice
