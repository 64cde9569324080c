// What the neighbour resolver wants done, in the order it came to want it; the control thread does it.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

#include "base/address.hh"
#include "base/interface_id.hh"
#include "routing/held_packet.hh"

namespace sluice::routing {

// A whole Ethernet frame to send, without VLAN tag and without padding: the interface adds what it needs.
struct NeighbourFrame {
    static constexpr size_t kMaxBytes = 14 + 40 + 32;  // Ethernet, IPv6, NS or NA with one option
    InterfaceId out = kNoInterface;
    uint8_t size = 0;
    std::array<uint8_t, kMaxBytes> storage{};
    [[nodiscard]] std::span<const uint8_t> bytes() const { return {storage.data(), size}; }
};

// A packet whose next hop answered: to be sent.
struct ReleasedPacket {
    InterfaceId out = kNoInterface;
    MacAddress to;
    HeldPacket packet;
};

enum class NeighbourDropReason : uint8_t {
    unresolved,    // asked three times, no answer: ICMP host or address unreachable is due (RFC 1812 4.3.3.1)
    queue_full,    // more packets for this neighbour, or for all, than may wait; the oldest goes
    evicted,       // its neighbour made room for others while it was being resolved
    rate_limited,  // more unknown neighbours a second on this interface than are asked for
    table_full,    // no room for another neighbour
    interface_down,  // the link went down while it waited, or was down before
};
std::string_view to_string(NeighbourDropReason reason);

struct DroppedPacket {
    InterfaceId out = kNoInterface;
    IpAddress neighbour;
    NeighbourDropReason reason = NeighbourDropReason::unresolved;
    HeldPacket packet;
};

// Somebody else uses an address of ours (RFC 5227 2.4, RFC 4862 5.4.4): worth a log line.
struct AddressConflict {
    InterfaceId in = kNoInterface;
    IpAddress address;
    MacAddress theirs;
};

struct NeighbourActions {
    std::vector<NeighbourFrame> frames;
    std::vector<ReleasedPacket> released;
    std::vector<DroppedPacket> dropped;
    std::vector<AddressConflict> conflicts;
    [[nodiscard]] bool empty() const {
        return frames.empty() && released.empty() && dropped.empty() && conflicts.empty();
    }
};

}  // namespace sluice::routing
