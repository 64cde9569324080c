// The whole configuration file: every section, declared by its owner, joined here.
#pragma once

#include <string>
#include <vector>

#include "admin/config.hh"
#include "config/document.hh"
#include "config/mapping.hh"
#include "dpdk/config.hh"
#include "pipeline/config.hh"
#include "routing/config.hh"
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
    bool operator==(const GatewayConfig&) const = default;
};

template <>
struct config::Schema<GatewayConfig> {
    static const Mapping<GatewayConfig>& get();
};

}  // namespace sluice
