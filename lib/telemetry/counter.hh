// Counters of the packet path: one writer, any number of readers, no read-modify-write atomics.
#pragma once

#include <atomic>
#include <cstdint>

namespace sluice::telemetry {

// Written by one thread, read by any. A relaxed load and store compile to a plain add; readers see a value
// that is a little old at worst.
class Counter {
  public:
    void add(uint64_t amount) {
        value_.store(value_.load(std::memory_order_relaxed) + amount, std::memory_order_relaxed);
    }
    void set(uint64_t value) { value_.store(value, std::memory_order_relaxed); }
    [[nodiscard]] uint64_t read() const { return value_.load(std::memory_order_relaxed); }

  private:
    std::atomic<uint64_t> value_{0};
};

}  // namespace sluice::telemetry
