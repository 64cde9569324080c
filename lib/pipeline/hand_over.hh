// Packets that one worker gives to another: a ring for each pair, so that every ring has one writer and one
// reader. Each worker also has a ring to itself, for packets that come up again outside their burst.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "base/interface_id.hh"
#include "dpdk/bell.hh"
#include "dpdk/packet.hh"
#include "pipeline/burst.hh"
#include "pipeline/hand_over_ring.hh"
#include "pipeline/worker.hh"

namespace sluice::pipeline {

// The rings between all workers. Made by the control thread.
class HandOverRings {
  public:
    explicit HandOverRings(size_t workers);

    // Packets that one ring holds. The more workers there are, the fewer each of them gives to another.
    static size_t capacity(size_t workers);
    [[nodiscard]] HandOverRing& ring(size_t from, size_t to) { return rings_[from * workers_ + to]; }
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
    size_t workers_;
    std::vector<HandOverRing> rings_;
    std::unique_ptr<Sleeper[]> sleepers_;
};

// One worker's end.
class HandOver {
  public:
    HandOver(HandOverRings& rings, WorkerId self);

    // The packet belongs to `to` from the next flush() on; if that has no room it is dropped. One to be
    // collected is a fragment, to the worker that finds out whose its datagram is.
    void give(Worker& worker, dpdk::Packet* packet, const PacketMeta& meta, WorkerId to,
              bool is_to_be_collected = false);
    // Those of a burst at these places, each to its owner; their path is done in the burst.
    void give(Worker& worker, Burst& burst, std::span<const uint8_t> places,
              std::span<const WorkerId> owners);
    void flush(Worker& worker);

    [[nodiscard]] size_t workers() const { return rings_.workers(); }
    // Packets that each ring holds.
    [[nodiscard]] size_t capacity() const { return capacity_; }
    // What `from` has given, up to a burst, with its meta. The burst began when the first of them did, which
    // is the oldest. Where buffers for it are short, the rest stays for later.
    void take(Worker& worker, size_t from, Burst& burst);
    // Of the burst taken last: a bit for each packet that is to be collected.
    [[nodiscard]] uint64_t to_be_collected() const { return to_be_collected_; }

    // Before a sleep: false if something has arrived meanwhile. Otherwise whoever gives something wakes.
    [[nodiscard]] bool fall_asleep();
    void wake_up();

  private:
    // False if the ring is full.
    bool put(Worker& worker, dpdk::Packet* packet, const PacketMeta& meta, size_t to,
             bool is_to_be_collected);
    void wake(size_t to);
    void free_copied();

    HandOverRings& rings_;
    size_t self_;
    size_t capacity_;
    HandOverRing* rings_to_;  // by worker
    uint64_t to_be_collected_ = 0;
    uint16_t copied_count_ = 0;
    std::array<dpdk::Packet*, kMaxBurst> copied_;  // to be freed
};

}  // namespace sluice::pipeline
