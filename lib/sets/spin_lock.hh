// Orders the few writers of a set, who hold it for the length of one element. Readers never take it.
#pragma once

#include <atomic>

namespace sluice::sets {

class SpinLock {
  public:
    void lock() {
        while (held_.exchange(true, std::memory_order_acquire))
            while (held_.load(std::memory_order_relaxed))
                __builtin_ia32_pause();
    }
    bool try_lock() { return !held_.exchange(true, std::memory_order_acquire); }
    void unlock() { held_.store(false, std::memory_order_release); }

  private:
    std::atomic<bool> held_{false};
};

}  // namespace sluice::sets
