// What one worker counts. Written by that worker alone, read by the control thread at any time.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "base/interface_id.hh"
#include "telemetry/counter.hh"
#include "telemetry/drop_reason.hh"
#include "telemetry/protocol_counters.hh"

namespace sluice::telemetry {

struct InterfaceCounters {
    Counter rx_packets;
    Counter rx_bytes;
    Counter tx_packets;
    Counter tx_bytes;
};

struct DropCounter {
    Counter packets;
    Counter bytes;
};

// Where packets went. At rest, received + originated = sent + dropped + consumed + held; held is what waits
// in the box, so it is a difference of two counters.
struct PacketTotals {
    uint64_t received = 0;    // taken from a device
    uint64_t originated = 0;  // made by the box: ICMP errors, replies, fragments, ARP and ND
    uint64_t sent = 0;        // handed to a device
    uint64_t dropped = 0;     // with a reason
    uint64_t consumed = 0;    // ended in the box as they should
    uint64_t held = 0;        // waiting for a neighbour or a missing fragment

    PacketTotals& operator+=(const PacketTotals& other);
    [[nodiscard]] bool balanced() const { return received + originated == sent + dropped + consumed + held; }
};

class PacketCounters {
  public:
    explicit PacketCounters(size_t interfaces) : interfaces_(interfaces), drops_(interfaces) {}

    InterfaceCounters& interface(InterfaceId id) { return interfaces_[index(id)]; }
    [[nodiscard]] const InterfaceCounters& interface(InterfaceId id) const { return interfaces_[index(id)]; }
    [[nodiscard]] size_t interfaces() const { return interfaces_.size(); }

    void drop(InterfaceId id, DropReason reason, uint64_t bytes) { drop(id, reason, 1, bytes); }
    void drop(InterfaceId id, DropReason reason, uint64_t packets, uint64_t bytes) {
        auto& counter = drops_[index(id)][index(reason)];
        counter.packets.add(packets);
        counter.bytes.add(bytes);
        dropped.add(packets);
    }
    [[nodiscard]] const DropCounter& drops(InterfaceId id, DropReason reason) const {
        return drops_[index(id)][index(reason)];
    }
    [[nodiscard]] PacketTotals totals() const;

    ProtocolCounters protocol;
    Counter received;
    Counter originated;
    Counter sent;
    Counter dropped;
    Counter consumed;
    Counter held_in;   // packets that began to wait
    Counter held_out;  // packets that waited and went on

  private:
    std::vector<InterfaceCounters> interfaces_;
    std::vector<std::array<DropCounter, kMaxDropReasons>> drops_;
};

}  // namespace sluice::telemetry
