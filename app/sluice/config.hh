// The whole configuration file: every section, declared by its owner, joined here.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "admin/config.hh"
#include "config/document.hh"
#include "config/mapping.hh"
#include "conntrack/config.hh"
#include "dpdk/config.hh"
#include "filter/config.hh"
#include "pipeline/config.hh"
#include "routing/config.hh"
#include "sets/config.hh"
#include "telemetry/log_config.hh"

namespace sluice {

struct GatewayConfig {
    dpdk::EngineConfig engine;
    admin::ControlConfig control;
    telemetry::LogConfig log;
    pipeline::InterfacesConfig interfaces;
    pipeline::ZonesConfig zones;
    std::vector<routing::NeighbourConfig> neighbours;
    std::vector<routing::RouteConfig> routes;
    std::vector<routing::RouteRuleConfig> route_rules;
    routing::IcmpConfig icmp;
    sets::SetsConfig sets;
    std::optional<conntrack::ConntrackConfig> conntrack;  // without one flows are tracked where rules are
    filter::RulesConfig rules;
    bool operator==(const GatewayConfig&) const = default;
};

template <>
struct config::Schema<GatewayConfig> {
    static const Mapping<GatewayConfig>& get();
};

}  // namespace sluice
