// The pool that all packet buffers come from.
#pragma once

#include <cstdint>
#include <span>
#include <string>

#include "base/error.hh"
#include "dpdk/packet.hh"

struct rte_mempool;

namespace sluice::dpdk {

// Owns a DPDK mempool with a cache for each lcore. allocate() may be called from every lcore.
class PacketPool {
  public:
    // `frame_size`: the longest frame in bytes that must fit behind the headroom.
    static Expected<PacketPool> create(const std::string& name, uint32_t packets, uint32_t frame_size);
    PacketPool(PacketPool&& other) noexcept;
    PacketPool& operator=(PacketPool&&) = delete;
    PacketPool(const PacketPool&) = delete;
    ~PacketPool();

    // nullptr when the pool is empty. The packet is empty and starts behind the headroom.
    [[nodiscard]] Packet* allocate() const { return rte_pktmbuf_alloc(pool_); }
    // A packet with a copy of the bytes; nullptr when the pool is empty or the bytes do not fit.
    [[nodiscard]] Packet* copy_of(std::span<const uint8_t> bytes) const;
    [[nodiscard]] uint32_t size() const;
    [[nodiscard]] uint32_t available() const;  // slow: walks all caches
    [[nodiscard]] rte_mempool* raw() const { return pool_; }

  private:
    explicit PacketPool(rte_mempool* pool) : pool_(pool) {}
    rte_mempool* pool_;
};

}  // namespace sluice::dpdk
