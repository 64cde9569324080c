#include "steering/flow_directory.hh"

#include <sys/mman.h>

#include <algorithm>
#include <bit>
#include <new>

namespace sluice::steering {

FlowDirectory::FlowDirectory(size_t flows, Random& random)
    : hash_{{random.next(), random.next(), random.next(), random.next()}},
      mask_(std::bit_ceil(std::max<size_t>(flows, kChoices)) - 1) {
    // From the system as zeros: pages that nobody writes cost nothing.
    const size_t bytes = (mask_ + 1) * kSlots * sizeof(uint64_t);
    void* memory = ::mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED)
        throw std::bad_alloc();
    slots_ = {static_cast<uint64_t*>(memory), Unmap{bytes}};
}

void FlowDirectory::Unmap::operator()(uint64_t* memory) const {
    ::munmap(memory, bytes);
}

bool FlowDirectory::publish(Hash hash, WorkerId owner) {
    const uint64_t wanted = entry(hash, owner);
    for (size_t choice = 0; choice < kChoices; ++choice) {
        for (size_t slot = 0; slot < kSlots; ++slot) {
            if (std::atomic_ref(bucket(hash, choice)[slot]).load(std::memory_order_relaxed) == wanted)
                return true;
        }
    }
    for (size_t choice = 0; choice < kChoices; ++choice) {
        for (size_t slot = 0; slot < kSlots; ++slot) {
            uint64_t empty = 0;
            if (std::atomic_ref(bucket(hash, choice)[slot])
                    .compare_exchange_strong(empty, wanted, std::memory_order_release,
                                             std::memory_order_relaxed)) {
                if (!is_used())
                    used_.store(true, std::memory_order_release);
                return true;
            }
        }
    }
    return false;
}

void FlowDirectory::withdraw(Hash hash, WorkerId owner) {
    const uint64_t published = entry(hash, owner);
    for (size_t choice = 0; choice < kChoices; ++choice) {
        for (size_t slot = 0; slot < kSlots; ++slot) {
            const std::atomic_ref word(bucket(hash, choice)[slot]);
            if (word.load(std::memory_order_relaxed) == published)
                word.store(0, std::memory_order_release);
        }
    }
}

template <typename IsIt>
bool FlowDirectory::any_owner(Hash hash, IsIt&& is_it) const {
    const uint64_t wanted = hash >> 8;
    for (size_t choice = 0; choice < kChoices; ++choice) {
        uint64_t* const words = bucket(hash, choice);
        for (size_t slot = 0; slot < kSlots; ++slot) {
            const uint64_t word = std::atomic_ref(words[slot]).load(std::memory_order_acquire);
            if (word >> 8 == wanted && (word & 0xff) != 0 && is_it(static_cast<WorkerId>((word & 0xff) - 1)))
                return true;
        }
    }
    return false;
}

std::optional<WorkerId> FlowDirectory::find(Hash hash) const {
    std::optional<WorkerId> found;
    any_owner(hash, [&found](WorkerId owner) {
        found = owner;
        return true;
    });
    return found;
}

bool FlowDirectory::is_taken(Hash hash, WorkerId self) const {
    return any_owner(hash, [self](WorkerId owner) { return owner != self; });
}

bool FlowDirectory::claim(Hash hash, WorkerId owner) {
    if (!publish(hash, owner))
        return false;
    // Both have published before they look.
    std::atomic_thread_fence(std::memory_order_seq_cst);
    if (!is_taken(hash, owner))
        return true;
    withdraw(hash, owner);
    return false;
}

}  // namespace sluice::steering
