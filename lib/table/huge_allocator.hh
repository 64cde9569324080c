// Memory for large read-mostly arrays: aligned to cache lines, and to huge pages when big enough to be worth
// one, so that lookups do not also miss the TLB.
#pragma once

#include <sys/mman.h>

#include <algorithm>
#include <cstddef>
#include <cstdlib>
#include <new>

namespace sluice::table {

template <typename T>
struct HugeAllocator {
    using value_type = T;
    static constexpr size_t kLine = 64;
    static constexpr size_t kHugePage = size_t{2} << 20;

    HugeAllocator() = default;
    template <typename U>
    HugeAllocator(const HugeAllocator<U>&) {}  // NOLINT: allocators convert

    T* allocate(size_t count) {
        const size_t bytes = count * sizeof(T);
        const size_t align = bytes >= kHugePage ? kHugePage : std::max(kLine, alignof(T));
        const size_t size = (bytes + align - 1) / align * align;
        void* memory = std::aligned_alloc(align, size);
        if (memory == nullptr)
            throw std::bad_alloc();
        if (align == kHugePage)
            ::madvise(memory, size, MADV_HUGEPAGE);  // a wish: failing is no matter
        return static_cast<T*>(memory);
    }
    void deallocate(T* memory, size_t) { std::free(memory); }
    bool operator==(const HugeAllocator&) const = default;
};

}  // namespace sluice::table
