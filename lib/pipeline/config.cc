#include "pipeline/config.hh"

#include <algorithm>
#include <map>

#include "config/compound.hh"
#include "config/names.hh"

namespace sluice {
namespace {

void check_one(const pipeline::InterfaceConfig& interface, config::Context& context) {
    const bool is_vlan = !interface.parent.empty() || interface.vlan.has_value();
    if (is_vlan && !interface.device.empty()) {
        context.problem_at("device", "an interface cannot be a device and a VLAN",
                           "expected either device, or parent and vlan");
    } else if (is_vlan && (interface.parent.empty() || !interface.vlan)) {
        context.problem("a VLAN needs both parent and vlan", "expected as in {parent: lan, vlan: 20}");
    } else if (!is_vlan && interface.device.empty()) {
        context.problem("an interface needs a device, or parent and vlan",
                        "expected as in device: \"net_tap0,iface=lan0\"");
    }
    if (is_vlan && interface.profile)
        context.problem_at("profile", "belongs to a device",
                           "expected it on the parent '" + interface.parent + "'");
    if (interface.mac && !interface.mac->is_unicast())
        context.problem_at("mac", "is no unicast address", "expected as in 02:00:00:00:01:01");
    for (const auto& address : interface.addresses) {
        if (address.address.is_ip4() &&
            (address.address.ip4().is_loopback() || address.address.ip4().is_class_e() ||
             address.address.ip4().is_this_network()))
            context.problem_at("addresses",
                               "'" + address.to_string() + "' cannot be the address of an interface",
                               "expected a unicast address");
        if (address.address.is_ip6() && address.address.ip6().is_loopback())
            context.problem_at("addresses",
                               "'" + address.to_string() + "' cannot be the address of an interface",
                               "expected a unicast address");
        if (address.has_broadcast() &&
            (address.address.ip4() == address.broadcast() || address.address == address.network().address()))
            context.problem_at("addresses",
                               "'" + address.to_string() + "' is the network's own or its broadcast address",
                               "expected an address of a host in it");
    }
    if (interface.mtu && *interface.mtu < 1280 &&
        std::ranges::any_of(interface.addresses, [](const auto& each) { return each.address.is_ip6(); }))
        context.problem_at("mtu", "is too small for IPv6", "expected at least 1280 (RFC 8200 5)");
}

}  // namespace

const config::Mapping<pipeline::InterfaceConfig>& config::Schema<pipeline::InterfaceConfig>::get() {
    using pipeline::InterfaceConfig;
    static const auto mapping =
        Mapping<InterfaceConfig>("an interface")
            .optional("device", &InterfaceConfig::device, "a PCI address or a DPDK vdev string")
            .fixed()
            .optional("profile", &InterfaceConfig::profile,
                      "a file of drivers-config/; default: the one that lists the device's driver")
            .fixed()
            .optional("parent", &InterfaceConfig::parent, "of a VLAN: the interface that carries it")
            .fixed()
            .optional("vlan", &InterfaceConfig::vlan, "the VLAN's number")
            .range<uint16_t, uint16_t>(1, 4094)
            .fixed()
            .optional("mac", &InterfaceConfig::mac, "default: the device's own, or the parent's")
            .fixed()
            .optional("mtu", &InterfaceConfig::mtu,
                      "largest IP packet in bytes; default: 1500, or the parent's")
            .range<uint16_t, uint16_t>(68, 9216)
            .fixed()
            .optional("addresses", &InterfaceConfig::addresses, "the box's own addresses with their networks")
            .list_or_one()
            .optional("rp_filter", &InterfaceConfig::rp_filter,
                      "whether sources must be reachable: `strict` through this interface, `loose` at all")
            .optional(
                "bc_forwarding", &InterfaceConfig::bc_forwarding,
                "forward packets that come in here to the broadcast address of another interface's network "
                "(RFC 2644: off)")
            .optional(
                "martian_filter", &InterfaceConfig::martian_filter,
                "drop packets from 240.0.0.0/4, and to 240.0.0.0/4 or 0.0.0.0/8 (RFC 1812 5.3.7); other "
                "addresses that can be no host's are always refused")
            .location(&InterfaceConfig::location)
            .check(check_one);
    return mapping;
}

namespace pipeline {
namespace {

std::string one_of(std::string_view name, const InterfacesConfig& interfaces) {
    const auto names = interfaces.names();
    const std::vector<std::string_view> known(names.begin(), names.end());
    return config::one_of(name, known);
}

void check_vlans(const InterfacesConfig& interfaces, config::Problems& problems) {
    std::map<std::pair<std::string, uint16_t>, std::string> seen;
    for (const auto& [name, interface, at] : interfaces) {
        if (interface.parent.empty() || !interface.vlan)
            continue;
        const auto* parent = interfaces.find(interface.parent);
        if (parent == nullptr) {
            problems.add(at.inside("parent"), "there is no interface '" + interface.parent + "'",
                         one_of(interface.parent, interfaces));
            continue;
        }
        if (!parent->parent.empty())
            problems.add(at.inside("parent"), "'" + interface.parent + "' is a VLAN itself",
                         "expected the interface of a device");
        const auto [other, fresh] = seen.try_emplace({interface.parent, *interface.vlan}, name);
        if (!fresh)
            problems.add(at.inside("vlan"),
                         "VLAN " + std::to_string(*interface.vlan) + " of '" + interface.parent + "' is '" +
                             other->second + "' already",
                         "expected another number");
        if (interface.mtu.value_or(0) > parent->mtu.value_or(kDefaultMtu))
            problems.add(at.inside("mtu"), "is larger than that of '" + interface.parent + "'",
                         "expected at most " + std::to_string(parent->mtu.value_or(kDefaultMtu)));
    }
}

void check_uniqueness(const InterfacesConfig& interfaces, config::Problems& problems) {
    std::map<std::string, std::string> devices;
    std::map<IpAddress, std::string> addresses;
    for (const auto& [name, interface, at] : interfaces) {
        const std::string device = interface.device.substr(0, interface.device.find(','));
        if (!device.empty()) {
            const auto [other, fresh] = devices.try_emplace(device, name);
            if (!fresh)
                problems.add(at.inside("device"),
                             "'" + device + "' is the device of '" + other->second + "' already",
                             "expected another number, as in net_tap1");
        }
        for (const auto& address : interface.addresses) {
            const bool link_local = address.address.is_ip6() && address.address.ip6().is_link_local();
            const auto [other, fresh] = addresses.try_emplace(address.address, name);
            if (!fresh && !link_local)
                problems.add(
                    at.inside("addresses"),
                    "'" + address.address.to_string() + "' is an address of '" + other->second + "' already",
                    "expected each address once");
        }
    }
}

void check_zones(const InterfacesConfig& interfaces, const ZonesConfig& zones, config::Problems& problems) {
    for (const auto& [name, members, at] : zones) {
        if (interfaces.contains(name))
            problems.add(at, "an interface has the name '" + name + "' already",
                         "expected a name of its own");
        for (const auto& member : members) {
            if (!interfaces.contains(member.name))
                problems.add(member.at, "there is no interface '" + member.name + "'",
                             one_of(member.name, interfaces));
        }
    }
}

}  // namespace

void check_interfaces(const InterfacesConfig& interfaces, const ZonesConfig& zones,
                      config::Problems& problems) {
    if (interfaces.size() > kMaxInterfaces) {
        const auto& first_beyond = *(interfaces.begin() + kMaxInterfaces);
        problems.add(first_beyond.at, "is one interface too many",
                     "expected at most " + std::to_string(kMaxInterfaces));
    }
    check_vlans(interfaces, problems);
    check_uniqueness(interfaces, problems);
    check_zones(interfaces, zones, problems);
}

Expected<InterfacesConfig> in_place_of(const InterfacesConfig& used, InterfacesConfig interfaces) {
    InterfacesConfig result;
    const InterfacesConfig::Entry* gone = nullptr;
    for (const auto& entry : used) {
        const auto now = std::ranges::find(interfaces, entry.name, &InterfacesConfig::Entry::name);
        if (now != interfaces.end()) {
            if (gone != nullptr)
                return fail("cannot change while running: interfaces." + gone->name + " is gone, but " +
                                entry.name + " behind it stays",
                            "restart sluice to change it");
            result.add(now->name, now->value, now->at);
            continue;
        }
        if (!entry.value.device.empty())
            return fail("cannot change while running: interfaces." + entry.name + " is gone",
                        "restart sluice to change it");
        gone = gone != nullptr ? gone : &entry;
    }
    for (const auto& entry : interfaces) {
        if (used.contains(entry.name))
            continue;
        if (!entry.value.device.empty())
            return fail("cannot change while running: interfaces." + entry.name + " is a new device",
                        "restart sluice to change it");
        result.add(entry.name, entry.value, entry.at);
    }
    return result;
}

InterfaceId id_of(const InterfacesConfig& interfaces, std::string_view name) {
    const auto found = std::ranges::find(interfaces, name, &InterfacesConfig::Entry::name);
    return found == interfaces.end() ? kNoInterface : static_cast<InterfaceId>(found - interfaces.begin());
}

std::vector<InterfaceId> interfaces_named(const InterfacesConfig& interfaces, const ZonesConfig& zones,
                                          std::string_view name) {
    std::vector<InterfaceId> found;
    if (const auto id = id_of(interfaces, name); id != kNoInterface)
        found.push_back(id);
    if (const auto* members = zones.find(name)) {
        for (const auto& member : *members)
            found.push_back(id_of(interfaces, member.name));
    }
    return found;
}

}  // namespace pipeline
}  // namespace sluice
