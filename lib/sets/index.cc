#include "sets/index.hh"

namespace sluice::sets {

bool Index::insert(uint64_t hash, uint32_t tag, SlotRef ref) {
    size_t at = place(hash);
    for (size_t passed = 0; passed < kMaxChain; ++passed, at = next(at)) {
        for (auto& slot : buckets_[at].slots) {
            if (slot.load(std::memory_order_relaxed) != 0)
                continue;
            // Readers must learn of the overflow before the piece can be missed.
            for (size_t back = 0, full = place(hash); back < passed; ++back, full = next(full))
                buckets_[full].overflow.fetch_add(1, std::memory_order_release);
            slot.store(uint64_t{ref.packed()} << 32 | tag, std::memory_order_release);
            ++pieces_;
            return true;
        }
    }
    return false;
}

Index::Found Index::locate(uint64_t hash, uint32_t tag, uint32_t record) {
    size_t at = place(hash);
    for (size_t passed = 0; passed < kMaxChain; ++passed, at = next(at)) {
        for (auto& slot : buckets_[at].slots) {
            const uint64_t held = slot.load(std::memory_order_relaxed);
            if (held != 0 && static_cast<uint32_t>(held) == tag &&
                SlotRef::unpacked(static_cast<uint32_t>(held >> 32)).record == record)
                return {&slot, passed};
        }
        if (buckets_[at].overflow.load(std::memory_order_relaxed) == 0)
            break;
    }
    return {};
}

void Index::replace(uint64_t hash, uint32_t tag, SlotRef ref) {
    if (const Found found = locate(hash, tag, ref.record); found.slot != nullptr)
        found.slot->store(uint64_t{ref.packed()} << 32 | tag, std::memory_order_release);
}

void Index::erase(uint64_t hash, uint32_t tag, uint32_t record) {
    const Found found = locate(hash, tag, record);
    if (found.slot == nullptr)
        return;
    found.slot->store(0, std::memory_order_release);
    --pieces_;
    for (size_t back = 0, full = place(hash); back < found.passed; ++back, full = next(full))
        buckets_[full].overflow.fetch_sub(1, std::memory_order_release);
}

}  // namespace sluice::sets
