// A bounded queue from one thread to another. Neither waits, nothing is a read-modify-write.
#pragma once

#include <algorithm>
#include <atomic>
#include <bit>
#include <cstddef>
#include <type_traits>
#include <vector>

namespace sluice::table {

// T is copied bytewise. The capacity is rounded up to a power of two.
template <typename T>
class SpscRing {
    static_assert(std::is_trivially_copyable_v<T>);

  public:
    explicit SpscRing(size_t capacity)
        : slots_(std::bit_ceil(std::max(capacity, size_t{1}))), mask_(slots_.size() - 1) {}

    // The writer's. False if the ring is full.
    bool push(const T& value) {
        const size_t tail = tail_.load(std::memory_order_relaxed);
        if (tail - head_.load(std::memory_order_acquire) > mask_)
            return false;
        slots_[tail & mask_] = value;
        tail_.store(tail + 1, std::memory_order_release);
        return true;
    }

    // The reader's. False if the ring is empty.
    bool pop(T& value) {
        const size_t head = head_.load(std::memory_order_relaxed);
        if (head == tail_.load(std::memory_order_acquire))
            return false;
        value = slots_[head & mask_];
        head_.store(head + 1, std::memory_order_release);
        return true;
    }

    [[nodiscard]] size_t capacity() const { return slots_.size(); }

  private:
    std::vector<T> slots_;
    size_t mask_;
    alignas(64) std::atomic<size_t> head_{0};
    alignas(64) std::atomic<size_t> tail_{0};
};

}  // namespace sluice::table
