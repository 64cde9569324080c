// Places for values of a kind, as many as were asked for. Their memory is taken from the system when a place
// is first used, and reused from then on.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <new>
#include <type_traits>

#include "base/prefetch.hh"
#include "table/huge_allocator.hh"
#include "table/zeroed_array.hh"

namespace sluice::nat {

// One owner.
template <typename T>
    requires std::is_trivially_destructible_v<T>
class Slots {
  public:
    static constexpr uint32_t kNone = 0xffffffff;
    // A place that fills most of a line of memory has one for itself.
    static constexpr size_t kLine = 64;
    static constexpr size_t kAlign = sizeof(T) > kLine / 2 && sizeof(T) <= kLine - sizeof(uint32_t)
                                         ? kLine
                                         : alignof(T);
    struct alignas(kAlign) Slot {
        T value;
        uint32_t in_use;
    };

    explicit Slots(size_t capacity)
        : capacity_(capacity),
          places_(table::HugeAllocator<Slot>().allocate(capacity)),
          free_(capacity, false) {}

    // kNone when all places are in use. Reads no memory of the place.
    [[nodiscard]] uint32_t take(const T& value) {
        uint32_t place = 0;
        if (free_count_ != 0)
            place = free_[--free_count_];
        else if (touched_ < capacity_)
            place = touched_++;
        else
            return kNone;
        new (&places_.get()[place]) Slot{value, 1};
        ++size_;
        return place;
    }
    void give_back(uint32_t place) {
        places_.get()[place].in_use = 0;
        free_[free_count_++] = place;
        --size_;
    }

    // Asks memory for the places that take() gives next.
    void prefetch_free(size_t count) const {
        for (size_t next = 1; next <= std::min(count, free_count_); ++next)
            prefetch(free_[free_count_ - next]);
    }
    void prefetch(uint32_t place) const { prefetch_line_to_write(&places_.get()[place]); }

    T& operator[](uint32_t place) { return places_.get()[place].value; }
    const T& operator[](uint32_t place) const { return places_.get()[place].value; }
    [[nodiscard]] bool is_in_use(uint32_t place) const {
        return place < touched_ && places_.get()[place].in_use != 0;
    }

    [[nodiscard]] size_t size() const { return size_; }
    [[nodiscard]] size_t capacity() const { return capacity_; }
    [[nodiscard]] uint32_t touched() const { return touched_; }  // places that were ever in use

  private:
    struct Free {
        void operator()(Slot* memory) const { table::HugeAllocator<Slot>().deallocate(memory, 0); }
    };

    size_t capacity_;
    std::unique_ptr<Slot, Free> places_;
    uint32_t touched_ = 0;
    table::ZeroedArray<uint32_t> free_;  // a stack of places that were given back
    size_t free_count_ = 0;
    size_t size_ = 0;
};

}  // namespace sluice::nat
