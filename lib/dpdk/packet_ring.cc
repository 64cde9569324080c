#include "dpdk/packet_ring.hh"

#include <rte_errno.h>

#include <array>
#include <utility>

namespace sluice::dpdk {

Expected<PacketRing> PacketRing::create(const std::string& name, uint32_t capacity) {
    rte_ring* ring = rte_ring_create(name.c_str(), capacity, SOCKET_ID_ANY, RING_F_SP_ENQ | RING_F_SC_DEQ);
    if (ring == nullptr)
        return fail("cannot create the ring " + name + ": " + rte_strerror(rte_errno),
                    "give the engine more memory");
    return PacketRing(ring);
}

PacketRing::PacketRing(PacketRing&& other) noexcept : ring_(std::exchange(other.ring_, nullptr)) {}

PacketRing::~PacketRing() {
    if (ring_ == nullptr)
        return;
    std::array<Packet*, 32> left;
    while (const unsigned count = pop(left)) {
        for (unsigned i = 0; i < count; ++i)
            rte_pktmbuf_free(left[i]);
    }
    rte_ring_free(ring_);
}

}  // namespace sluice::dpdk
