#include "sluice/snapshot.hh"

#include <algorithm>

#include "routing/static_neighbours.hh"
#include "sluice/firewall.hh"
#include "sluice/steering.hh"

namespace sluice {
namespace {

std::vector<routing::FibInterface> fib_interfaces(const pipeline::Interfaces& interfaces) {
    std::vector<routing::FibInterface> result;
    for (const auto& interface : interfaces.all())
        result.push_back({.id = interface.id,
                          .name = interface.name,
                          .mtu = interface.mtu,
                          .addresses = interface.addresses});
    return result;
}

using PinNeighbour = std::function<routing::NeighbourIndex(InterfaceId, const IpAddress&)>;

std::unique_ptr<const routing::Fib> build_fib(const GatewayConfig& config,
                                              const pipeline::Interfaces& interfaces, PinNeighbour pin,
                                              config::Problems& problems) {
    const auto known = fib_interfaces(interfaces);
    const routing::FibInput input{.interfaces = known,
                                  .routes = config.routes,
                                  .rules = config.route_rules,
                                  .interfaces_named =
                                      [&](std::string_view name) {
                                          return pipeline::interfaces_named(config.interfaces, config.zones,
                                                                            name);
                                      },
                                  .pin_neighbour = std::move(pin)};
    return routing::Fib::build(input, problems);
}

std::vector<routing::StaticNeighbour> neighbours_of(const GatewayConfig& config, config::Problems& problems) {
    return routing::static_neighbours(
        config.neighbours, [&](std::string_view name) { return pipeline::id_of(config.interfaces, name); },
        problems);
}

}  // namespace

std::vector<std::string> device_interfaces(const GatewayConfig& config) {
    std::vector<std::string> names;
    for (const auto& [name, interface, at] : config.interfaces) {
        if (interface.parent.empty())
            names.push_back(name);
    }
    return names;
}

pipeline::Interfaces make_interfaces(const GatewayConfig& config, std::span<const OpenedDevice> devices) {
    const auto names = device_interfaces(config);
    std::vector<pipeline::Interface> all;
    for (const auto& [name, settings, at] : config.interfaces) {
        const auto* parent = settings.parent.empty() ? nullptr : config.interfaces.find(settings.parent);
        const std::string& device = settings.parent.empty() ? name : settings.parent;
        const auto port = static_cast<size_t>(std::ranges::find(names, device) - names.begin());
        const OpenedDevice opened = port < devices.size() ? devices[port] : OpenedDevice();
        const uint16_t inherited_mtu =
            parent != nullptr ? parent->mtu.value_or(pipeline::kDefaultMtu) : pipeline::kDefaultMtu;
        all.push_back({.id = static_cast<InterfaceId>(all.size()),
                       .port = static_cast<pipeline::PortId>(port),
                       .vlan = settings.vlan.value_or(pipeline::kNoVlan),
                       .mtu = settings.mtu.value_or(inherited_mtu),
                       .mac = settings.mac.value_or(opened.mac),
                       .rp_filter = settings.rp_filter,
                       .martian_filter = settings.martian_filter,
                       .bc_forwarding = settings.bc_forwarding,
                       .large_receive = opened.large_receive,
                       .name = name,
                       .parent = settings.parent,
                       .addresses = settings.addresses});
    }
    return pipeline::Interfaces(std::move(all));
}

Expected<std::unique_ptr<const Snapshot>> build_snapshot(const GatewayConfig& config, uint64_t generation,
                                                         std::span<const OpenedDevice> devices,
                                                         routing::NeighbourService& neighbours,
                                                         FirewallControl& firewall, Instant now,
                                                         const FirewallFiles* files) {
    auto firewall_tables = firewall.prepare(config, now, files);
    if (!firewall_tables)
        return std::unexpected(firewall_tables.error());
    auto interfaces = make_interfaces(config, devices);
    config::Problems problems;
    neighbours.configure(interfaces, neighbours_of(config, problems), now);
    auto fib = build_fib(
        config, interfaces,
        [&](InterfaceId interface, const IpAddress& address) {
            return neighbours.resolver().pin(interface, address, now);
        },
        problems);
    if (fib == nullptr)
        return std::unexpected(problems.first());
    std::unique_ptr<const steering::Plan> plan;
    if (firewall.workers() > 1)
        plan = std::make_unique<const steering::Plan>(
            plan_options(firewall.workers(), firewall.places(), firewall_tables->get(), interfaces), *fib);
    return std::make_unique<const Snapshot>(
        generation, routing::Tables(std::move(interfaces), std::move(fib), neighbours.table()), config.icmp,
        std::move(*firewall_tables), std::move(plan));
}

void check_routing(const GatewayConfig& config, config::Problems& problems) {
    if (config.interfaces.size() > kMaxInterfaces)
        return;
    neighbours_of(config, problems);
    const auto interfaces = make_interfaces(config, {});
    build_fib(
        config, interfaces, [](InterfaceId, const IpAddress&) { return routing::NeighbourIndex{0}; },
        problems);
}

}  // namespace sluice
