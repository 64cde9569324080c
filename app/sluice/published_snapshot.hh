// The snapshot in force, as the control thread tells it and the workers find it.
#pragma once

#include <atomic>
#include <cstdint>

#include "sluice/snapshot.hh"

namespace sluice {

class PublishedSnapshot {
  public:
    // The control thread's, which keeps it until all workers have another (dpdk::Rcu).
    void publish(const Snapshot& newest) {
        snapshot_.store(&newest, std::memory_order_release);
        number_.fetch_add(1, std::memory_order_release);
    }

    // The workers'. The number tells a snapshot from those before it. Its address does not: a worker may
    // sleep while two are published, and the second lie where the one that it used had been.
    [[nodiscard]] uint64_t number() const { return number_.load(std::memory_order_acquire); }
    // Of that number, or a later one.
    [[nodiscard]] const Snapshot* get() const { return snapshot_.load(std::memory_order_acquire); }

  private:
    std::atomic<const Snapshot*> snapshot_{nullptr};
    std::atomic<uint64_t> number_{0};  // 0: none yet
};

}  // namespace sluice
