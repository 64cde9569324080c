// Arrays of zeros as long as a table may grow, which cost memory only where they were written: large ones are
// mapped and not touched.
#pragma once

#include <sys/mman.h>

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <new>
#include <type_traits>
#include <utility>

namespace sluice::table {

// T must be valid as zero bytes. Does not grow.
template <typename T>
class ZeroedArray {
    static_assert(std::is_trivially_destructible_v<T>);

  public:
    ZeroedArray() = default;
    // `dense`: soon to be filled and read at random, so that huge pages are worth it.
    ZeroedArray(size_t size, bool dense) : size_(size) {
        if (size == 0)
            return;
        if (is_mapped()) {
            const size_t bytes = size * sizeof(T);
            const bool huge = dense && bytes >= kHugePage;
            data_ = static_cast<T*>(huge ? map_aligned(bytes) : map(bytes));
            if (huge)
                ::madvise(static_cast<void*>(data_), bytes, MADV_HUGEPAGE);  // a wish: failing is no matter
        } else {
            constexpr size_t kLine = 64;
            const size_t bytes = (size * sizeof(T) + kLine - 1) / kLine * kLine;
            void* memory = std::aligned_alloc(kLine, bytes);
            if (memory == nullptr)
                throw std::bad_alloc();
            __builtin_memset(memory, 0, bytes);
            data_ = static_cast<T*>(memory);
        }
    }
    ZeroedArray(ZeroedArray&& other) noexcept
        : data_(std::exchange(other.data_, nullptr)), size_(std::exchange(other.size_, 0)) {}
    ZeroedArray& operator=(ZeroedArray&& other) noexcept {
        std::swap(data_, other.data_);
        std::swap(size_, other.size_);
        return *this;
    }
    ~ZeroedArray() {
        if (is_mapped())
            ::munmap(data_, size_ * sizeof(T));
        else
            std::free(data_);
    }

    // Gives memory of a mapped array whose content is of no matter back to the system, also where the process
    // has locked all of its memory: zeros again, or as before where the system cannot (before Linux 5.18).
    void give_back() {
        if (is_mapped())
            ::madvise(static_cast<void*>(data_), size_ * sizeof(T), MADV_DONTNEED_LOCKED);
    }

    T& operator[](size_t at) { return data_[at]; }
    const T& operator[](size_t at) const { return data_[at]; }
    [[nodiscard]] T* data() { return data_; }
    [[nodiscard]] const T* data() const { return data_; }
    [[nodiscard]] size_t size() const { return size_; }
    [[nodiscard]] bool empty() const { return size_ == 0; }
    // Of what is written so far at the front, in bytes.
    static constexpr size_t bytes_of(size_t count) { return count * sizeof(T); }

  private:
    static constexpr size_t kMapFrom = size_t{64} << 10;
    static constexpr size_t kHugePage = size_t{2} << 20;

    static void* map(size_t bytes) {
        void* memory = ::mmap(nullptr, bytes, PROT_READ | PROT_WRITE,
                              MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
        if (memory == MAP_FAILED)
            throw std::bad_alloc();
        return memory;
    }
    // From where a huge page may begin.
    static void* map_aligned(size_t bytes) {
        auto* const memory = static_cast<std::byte*>(map(bytes + kHugePage));
        const size_t before = -reinterpret_cast<uintptr_t>(memory) % kHugePage;
        if (before != 0)
            ::munmap(memory, before);
        constexpr size_t kPage = 4096;
        const size_t end = before + (bytes + kPage - 1) / kPage * kPage;
        ::munmap(memory + end, bytes + kHugePage - end);
        return memory + before;
    }
    [[nodiscard]] bool is_mapped() const { return size_ * sizeof(T) >= kMapFrom; }
    T* data_ = nullptr;
    size_t size_ = 0;
};

}  // namespace sluice::table
