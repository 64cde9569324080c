// Places for values of a kind, as many as were asked for. Their memory is taken from the system when a place
// is first used, and reused from then on.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <new>
#include <type_traits>

#include "table/huge_allocator.hh"

namespace sluice::nat {

// One owner.
template <typename T>
    requires std::is_trivially_destructible_v<T>
class Slots {
  public:
    static constexpr uint32_t kNone = 0xffffffff;

    explicit Slots(size_t capacity)
        : capacity_(capacity), places_(table::HugeAllocator<Slot>().allocate(capacity)) {}

    // kNone when all places are in use.
    [[nodiscard]] uint32_t take(const T& value) {
        uint32_t place = free_;
        if (place != kNone)
            free_ = places_.get()[place].next_free;
        else if (touched_ < capacity_)
            place = touched_++;
        else
            return kNone;
        new (&places_.get()[place]) Slot{value, kInUse};
        ++size_;
        return place;
    }
    void give_back(uint32_t place) {
        places_.get()[place].next_free = free_;
        free_ = place;
        --size_;
    }

    T& operator[](uint32_t place) { return places_.get()[place].value; }
    const T& operator[](uint32_t place) const { return places_.get()[place].value; }
    [[nodiscard]] bool is_in_use(uint32_t place) const {
        return place < touched_ && places_.get()[place].next_free == kInUse;
    }

    [[nodiscard]] size_t size() const { return size_; }
    [[nodiscard]] size_t capacity() const { return capacity_; }
    [[nodiscard]] uint32_t touched() const { return touched_; }  // places that were ever in use

  private:
    static constexpr uint32_t kInUse = 0xfffffffe;
    struct Slot {
        T value;
        uint32_t next_free;
    };
    struct Free {
        void operator()(Slot* memory) const { table::HugeAllocator<Slot>().deallocate(memory, 0); }
    };

    size_t capacity_;
    std::unique_ptr<Slot, Free> places_;
    uint32_t touched_ = 0;
    uint32_t free_ = kNone;
    size_t size_ = 0;
};

}  // namespace sluice::nat
