// Interfaces as the packet path sees them: immutable, part of the published snapshot.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "base/address.hh"
#include "base/interface_id.hh"
#include "base/prefix.hh"

namespace sluice::pipeline {

enum class RpFilter : uint8_t { off, strict, loose };

// The place of a device among the opened ones.
enum class PortId : uint16_t {};
constexpr size_t index(PortId id) {
    return static_cast<size_t>(id);
}

inline constexpr uint16_t kNoVlan = 0;
inline constexpr uint16_t kEthernetHeader = 14;
inline constexpr uint16_t kVlanTag = 4;

// A device, or a VLAN on one.
struct Interface {
    InterfaceId id{};
    PortId port{};
    uint16_t vlan = kNoVlan;
    uint16_t mtu = 1500;
    MacAddress mac;
    RpFilter rp_filter = RpFilter::off;
    bool martian_filter = true;  // R1812-5.3.7
    bool bc_forwarding = false;  // R1812-5.3.5.2
    // Its device may give large frames, and packets whose transport checksum is left to us.
    bool large_receive = false;
    std::string name;
    std::string parent;  // empty for a device
    std::vector<InterfaceAddress> addresses;

    [[nodiscard]] uint16_t link_header() const {
        return vlan == kNoVlan ? kEthernetHeader : kEthernetHeader + kVlanTag;
    }
};

// All interfaces by id, the ids of the VLANs of each port, and the interface of each port itself. Every id
// below kMaxInterfaces may be asked for: packets and flows may name an interface of the snapshot before, or
// of the next.
class Interfaces {
  public:
    // In the order of their ids.
    explicit Interfaces(std::vector<Interface> all);

    [[nodiscard]] const Interface& operator[](InterfaceId id) const { return all_[index(id)]; }
    [[nodiscard]] bool has(InterfaceId id) const { return index(id) < count_; }
    [[nodiscard]] std::span<const Interface> all() const { return std::span(all_).first(count_); }
    [[nodiscard]] size_t ports() const { return ports_.size(); }
    [[nodiscard]] InterfaceId of_port(PortId port) const { return ports_[index(port)].untagged; }
    // kNoInterface where the port has no such VLAN.
    [[nodiscard]] InterfaceId of_vlan(PortId port, uint16_t vlan) const {
        const auto& vlans = ports_[index(port)].vlans;
        return vlans ? (*vlans)[vlan & 0xfff] : kNoInterface;
    }
    [[nodiscard]] const Interface* find(std::string_view name) const;  // control thread

  private:
    using VlanTable = std::array<InterfaceId, 4096>;
    struct Port {
        InterfaceId untagged = kNoInterface;
        std::unique_ptr<VlanTable> vlans;
    };
    std::vector<Interface> all_;  // kMaxInterfaces, those from count_ on without name and addresses
    size_t count_;
    std::vector<Port> ports_;
};

}  // namespace sluice::pipeline
