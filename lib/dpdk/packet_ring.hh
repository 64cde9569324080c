// A bounded queue of packets from one thread to another.
#pragma once

#include <rte_ring.h>

#include <cstdint>
#include <span>
#include <string>

#include "base/error.hh"
#include "dpdk/packet.hh"

namespace sluice::dpdk {

// One producer, one consumer. What is left in it at the end is freed.
class PacketRing {
  public:
    static Expected<PacketRing> create(const std::string& name, uint32_t capacity);  // a power of two
    PacketRing(PacketRing&& other) noexcept;
    PacketRing& operator=(PacketRing&&) = delete;
    PacketRing(const PacketRing&) = delete;
    ~PacketRing();

    // False when full; the packet stays the caller's.
    [[nodiscard]] bool push(Packet* packet) const { return rte_ring_sp_enqueue(ring_, packet) == 0; }
    // How many found room, the first ones; the others stay the caller's.
    [[nodiscard]] unsigned push(std::span<Packet*> packets) const {
        return rte_ring_sp_enqueue_burst(ring_, reinterpret_cast<void**>(packets.data()),
                                         static_cast<unsigned>(packets.size()), nullptr);
    }
    // How many were taken.
    [[nodiscard]] unsigned pop(std::span<Packet*> into) const {
        return rte_ring_sc_dequeue_burst(ring_, reinterpret_cast<void**>(into.data()),
                                         static_cast<unsigned>(into.size()), nullptr);
    }
    [[nodiscard]] bool empty() const { return rte_ring_empty(ring_) != 0; }

  private:
    explicit PacketRing(rte_ring* ring) : ring_(ring) {}
    rte_ring* ring_;
};

}  // namespace sluice::dpdk
