#include "dpdk/packet_pool.hh"

#include <rte_errno.h>
#include <rte_lcore.h>
#include <rte_mempool.h>

#include <algorithm>
#include <utility>

namespace sluice::dpdk {
namespace {

constexpr uint32_t kCachePerLcore = 256;

}  // namespace

Expected<PacketPool> PacketPool::create(const std::string& name, uint32_t packets, uint32_t frame_size) {
    const uint32_t room = std::max<uint32_t>(frame_size, RTE_MBUF_DEFAULT_DATAROOM) + RTE_PKTMBUF_HEADROOM;
    const uint32_t rounded = (room + 63) / 64 * 64;
    if (rounded > UINT16_MAX)
        return fail("a frame of " + std::to_string(frame_size) + " bytes does not fit a packet buffer",
                    "lower the mtu of the interface");
    // DPDK wants a cache no larger than two thirds of the pool.
    const uint32_t cache = packets / 3 >= kCachePerLcore ? kCachePerLcore : 0;
    rte_mempool* pool = rte_pktmbuf_pool_create(name.c_str(), packets, cache, kPrivateSize,
                                                static_cast<uint16_t>(rounded), SOCKET_ID_ANY);
    if (pool == nullptr)
        return fail("no memory for " + std::to_string(packets) + " packet buffers of " +
                        std::to_string(rounded) + " bytes: " + rte_strerror(rte_errno),
                    "lower engine.mbufs, or reserve more hugepages (sysctl vm.nr_hugepages)");
    return PacketPool(pool);
}

PacketPool::PacketPool(PacketPool&& other) noexcept : pool_(std::exchange(other.pool_, nullptr)) {}

PacketPool::~PacketPool() {
    rte_mempool_free(pool_);
}

Packet* PacketPool::copy_of(std::span<const uint8_t> bytes) const {
    Packet* packet = allocate();
    if (packet == nullptr)
        return nullptr;
    if (bytes.size() > room(packet)) {
        rte_pktmbuf_free(packet);
        return nullptr;
    }
    std::memcpy(data(packet), bytes.data(), bytes.size());
    set_length(packet, static_cast<uint16_t>(bytes.size()));
    return packet;
}

uint32_t PacketPool::size() const {
    return pool_->size;
}

uint32_t PacketPool::available() const {
    return rte_mempool_avail_count(pool_);
}

}  // namespace sluice::dpdk
