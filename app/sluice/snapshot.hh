// What the workers read: built whole from a configuration, published at once, never changed.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "base/address.hh"
#include "config/problem.hh"
#include "filter/stage.hh"
#include "routing/neighbour_service.hh"
#include "routing/tables.hh"
#include "sluice/config.hh"
#include "steering/plan.hh"

namespace sluice {

class FirewallControl;
struct FirewallFiles;

struct Snapshot {
    uint64_t generation = 0;  // of the configuration it was made from
    routing::Tables tables;
    routing::IcmpConfig icmp;
    std::unique_ptr<const filter::FirewallTables> firewall;  // null: everything passes
    std::unique_ptr<const steering::Plan> plan;              // null: there is one worker
};

// What the packet path has to know of a device.
struct OpenedDevice {
    MacAddress mac;
    bool large_receive = false;
};

// The interfaces of a configuration. `devices`: as they were opened, in the order of the file; the ports are
// numbered likewise.
pipeline::Interfaces make_interfaces(const GatewayConfig& config, std::span<const OpenedDevice> devices);

// The devices' own names in that order.
std::vector<std::string> device_interfaces(const GatewayConfig& config);

// Tells the neighbour service about the configuration and builds what the workers read. The configuration was
// checked when it was read; what is left to go wrong is a full neighbour table, and files that changed since,
// unless `files` has what was read before.
Expected<std::unique_ptr<const Snapshot>> build_snapshot(const GatewayConfig& config, uint64_t generation,
                                                         std::span<const OpenedDevice> devices,
                                                         routing::NeighbourService& neighbours,
                                                         FirewallControl& firewall, Instant now,
                                                         const FirewallFiles* files = nullptr);

// Checks neighbours, routes and rules as far as that goes without devices.
void check_routing(const GatewayConfig& config, config::Problems& problems);

}  // namespace sluice
