// Packets that one worker gives to another: a ring for each pair, so that every ring has one writer and one
// reader. Each worker also has a ring to itself, for packets that come up again outside their burst.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "base/interface_id.hh"
#include "dpdk/bell.hh"
#include "dpdk/packet.hh"
#include "dpdk/packet_ring.hh"
#include "pipeline/burst.hh"
#include "pipeline/worker.hh"

namespace sluice::pipeline {

// What was found out about a packet before it was given away; stands in its private area until it is taken.
struct Carried {
    PacketMeta meta;
    uint64_t burst_began = 0;         // of the burst in which it was given away
    bool is_to_be_collected = false;  // a fragment, to the worker that finds out whose its datagram is
};
static_assert(sizeof(Carried) <= dpdk::kPrivateSize);

inline Carried& carried(dpdk::Packet* packet) {
    return *static_cast<Carried*>(rte_mbuf_to_priv(packet));
}

// The rings between all workers. Made by the control thread.
class HandOverRings {
  public:
    static constexpr uint32_t kCapacity = 1024;
    // Bytes of all rings together, of the engine's memory.
    static constexpr size_t memory(size_t workers) {
        return workers * workers * (kCapacity * sizeof(void*) + 1024);
    }
    static Expected<HandOverRings> create(size_t workers);

    [[nodiscard]] const dpdk::PacketRing& ring(size_t from, size_t to) const {
        return rings_[from * workers_ + to];
    }
    [[nodiscard]] size_t workers() const { return workers_; }

    // Rung when something is given to the worker while it sleeps; outlives the rings. Without one nobody is
    // told.
    void set_bell(WorkerId worker, const dpdk::Bell& bell) { sleepers_[index(worker)].bell = &bell; }

  private:
    friend class HandOver;
    struct alignas(64) Sleeper {
        std::atomic<bool> asleep{false};
        const dpdk::Bell* bell = nullptr;
    };
    explicit HandOverRings(size_t workers)
        : workers_(workers), sleepers_(std::make_unique<Sleeper[]>(workers)) {}

    size_t workers_;
    std::vector<dpdk::PacketRing> rings_;
    std::unique_ptr<Sleeper[]> sleepers_;
};

// One worker's end.
class HandOver {
  public:
    HandOver(const HandOverRings& rings, WorkerId self)
        : rings_(rings), self_(index(self)), waiting_(rings.workers()) {}

    // The packet belongs to `to` from the next flush() on; if that has no room it is dropped.
    void give(Worker& worker, dpdk::Packet* packet, const Carried& what, WorkerId to);
    void flush(Worker& worker);

    [[nodiscard]] size_t workers() const { return rings_.workers(); }
    // What `from` has given, up to a burst; carried() tells what each is. The burst began when the first of
    // them did, which is the oldest.
    void take(Worker& worker, size_t from, Burst& burst) const;

    // Before a sleep: false if something has arrived meanwhile. Otherwise whoever gives something wakes.
    [[nodiscard]] bool fall_asleep() const;
    void wake_up() const;

  private:
    struct Waiting {
        uint16_t count = 0;
        std::array<dpdk::Packet*, kMaxBurst> packets;
    };
    void push(Worker& worker, size_t to);

    const HandOverRings& rings_;
    size_t self_;
    std::vector<Waiting> waiting_;  // by worker
};

}  // namespace sluice::pipeline
