// The links of the box as ARP and ND see them: which addresses are its own, and which others are on a link.
#pragma once

#include <string>
#include <vector>

#include "base/address.hh"
#include "base/interface_id.hh"
#include "base/prefix.hh"

namespace sluice::routing {

// An interface the resolver answers and asks on.
struct NeighbourInterface {
    InterfaceId id = kNoInterface;
    std::string name;
    MacAddress mac;
    std::vector<InterfaceAddress> addresses;  // without an fe80:: one, that of the MAC is added
    bool up = true;
    bool operator==(const NeighbourInterface&) const = default;
};

class NeighbourLinkSet {
  public:
    enum class Own : uint8_t {
        no,
        unicast,
        anycast,  // the subnet-router anycast address of a network (RFC 4291 2.6.1)
    };

    NeighbourLinkSet() = default;
    explicit NeighbourLinkSet(std::vector<NeighbourInterface> interfaces);

    [[nodiscard]] const std::vector<NeighbourInterface>& all() const { return interfaces_; }
    [[nodiscard]] const NeighbourInterface* find(InterfaceId id) const;
    NeighbourInterface* find(InterfaceId id);

    // IPv4: an address of the box, whichever interface has it (Linux arp_ignore=0).
    [[nodiscard]] bool is_own(Ip4Address address) const;
    // IPv6: an address of that interface.
    [[nodiscard]] static Own own(const NeighbourInterface& interface, const Ip6Address& address);
    // Whether the address can belong to a host on the link: inside a network of the interface, and neither
    // the network's broadcast address nor a group. IPv6 link-local addresses always are.
    [[nodiscard]] static bool on_link(const NeighbourInterface& interface, const IpAddress& address);
    // The directed broadcast address of a network of the interface, which no host can have.
    [[nodiscard]] static bool is_broadcast(const NeighbourInterface& interface, Ip4Address address);
    // The address to ask for `target` with: one of the same network, else the interface's first, else the
    // box's first, else 0.0.0.0.
    [[nodiscard]] Ip4Address source_for(const NeighbourInterface& interface, Ip4Address target) const;
    [[nodiscard]] static Ip6Address link_local(const NeighbourInterface& interface);

  private:
    std::vector<NeighbourInterface> interfaces_;
};

}  // namespace sluice::routing
