#include "pipeline/interfaces.hh"

#include <algorithm>

namespace sluice::pipeline {

Interfaces::Interfaces(std::vector<Interface> all) : all_(std::move(all)), count_(all_.size()) {
    all_.resize(kMaxInterfaces);
    for (const auto& interface : this->all()) {
        if (ports_.size() <= index(interface.port))
            ports_.resize(index(interface.port) + 1);
        auto& port = ports_[index(interface.port)];
        if (interface.vlan == kNoVlan) {
            port.untagged = interface.id;
            continue;
        }
        if (!port.vlans) {
            port.vlans = std::make_unique<VlanTable>();
            port.vlans->fill(kNoInterface);
        }
        (*port.vlans)[interface.vlan] = interface.id;
    }
}

const Interface* Interfaces::find(std::string_view name) const {
    const auto found = std::ranges::find(all(), name, &Interface::name);
    return found == all().end() ? nullptr : &*found;
}

}  // namespace sluice::pipeline
