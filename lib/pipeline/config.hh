// The sections `interfaces` and `zones`.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/address.hh"
#include "base/error.hh"
#include "base/interface_id.hh"
#include "base/prefix.hh"
#include "config/enum_names.hh"
#include "config/mapping.hh"
#include "config/named.hh"
#include "pipeline/interfaces.hh"

namespace sluice::pipeline {

struct InterfaceConfig {
    std::string device;  // of a device
    std::optional<std::string> profile;
    std::string parent;  // of a VLAN
    std::optional<uint16_t> vlan;
    std::optional<MacAddress> mac;
    std::optional<uint16_t> mtu;  // of a VLAN: the parent's; of a device: 1500
    std::vector<InterfaceAddress> addresses;
    RpFilter rp_filter = RpFilter::off;
    bool bc_forwarding = false;
    bool martian_filter = true;
    config::Location location;
    bool operator==(const InterfaceConfig&) const = default;
};

using InterfacesConfig = config::Named<InterfaceConfig>;
using ZonesConfig = config::Named<std::vector<config::Reference>>;

inline constexpr uint16_t kDefaultMtu = 1500;

// What can only be seen of all interfaces and zones together: parents, VLAN numbers, addresses, names.
void check_interfaces(const InterfacesConfig& interfaces, const ZonesConfig& zones,
                      config::Problems& problems);

// The interfaces of a zone, or the one of that name; empty if there is neither.
std::vector<InterfaceId> interfaces_named(const InterfacesConfig& interfaces, const ZonesConfig& zones,
                                          std::string_view name);

// Of interfaces that may take the place of those that are in use: in an order in which each that stays keeps
// its id, new ones behind. Devices cannot come or go, VLANs go only if none that stays is behind them.
Expected<InterfacesConfig> in_place_of(const InterfacesConfig& used, InterfacesConfig interfaces);

// The order of ids is that of the interfaces here.
InterfaceId id_of(const InterfacesConfig& interfaces,
                  std::string_view name);  // kNoInterface if there is none

}  // namespace sluice::pipeline

namespace sluice {

template <>
struct config::EnumNames<pipeline::RpFilter> {
    static constexpr auto names =
        std::to_array<EnumName<pipeline::RpFilter>>({{pipeline::RpFilter::strict, "strict"},
                                                     {pipeline::RpFilter::loose, "loose"},
                                                     {pipeline::RpFilter::off, "off"}});
};
template <>
struct config::Schema<pipeline::InterfaceConfig> {
    static const Mapping<pipeline::InterfaceConfig>& get();
};

}  // namespace sluice
