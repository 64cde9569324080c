#include "routing/neighbour_table.hh"

#include <algorithm>
#include <bit>

#include "base/prefetch.hh"

namespace sluice::routing {
namespace {

constexpr size_t kMinSlots = 16;

// Folded 64x64 multiplication: every input bit reaches every output bit.
__extension__ typedef unsigned __int128 Wide;

uint64_t fold(uint64_t a, uint64_t b) {
    const auto product = static_cast<Wide>(a) * b;
    return static_cast<uint64_t>(product) ^ static_cast<uint64_t>(product >> 64);
}

}  // namespace

NeighbourTable::NeighbourTable(size_t slots, uint64_t seed)
    : slot_count_(std::bit_ceil(std::max(slots, kMinSlots))),
      // At most half the slots are entries, so a bucket holds two of its seven cells on average.
      bucket_mask_(slot_count_ / 4 - 1),
      seed_(seed),
      slots_(std::make_unique<Slot[]>(slot_count_)),
      buckets_(std::make_unique<Bucket[]>(bucket_mask_ + 1)) {
    free_.reserve(slot_count_);
    for (size_t i = slot_count_; i-- > 0;)
        free_.push_back(static_cast<NeighbourIndex>(i));
}

NeighbourTable::~NeighbourTable() = default;

uint64_t NeighbourTable::hash(InterfaceId interface, Ip4Address address) const {
    const uint64_t word = uint64_t{address.wire().wire()} << 16 | index(interface);
    return fold(word ^ seed_, 0x9e3779b97f4a7c15U ^ seed_ >> 32);
}

uint64_t NeighbourTable::hash(InterfaceId interface, const Ip6Address& address) const {
    uint64_t high;
    uint64_t low;
    std::memcpy(&high, address.bytes().data(), 8);
    std::memcpy(&low, address.bytes().data() + 8, 8);
    return fold(fold(high ^ seed_, 0x9e3779b97f4a7c15U ^ index(interface)) ^ low,
                0xd6e8feb86659fd93U ^ seed_);
}

uint64_t NeighbourTable::hash(const NeighbourKey& key) const {
    return key.address.is_ip4() ? hash(key.interface, key.address.ip4())
                                : hash(key.interface, key.address.ip6());
}

void NeighbourTable::prefetch(InterfaceId interface, Ip4Address address) const {
    prefetch_line(&buckets_[hash(interface, address) & bucket_mask_]);
}

void NeighbourTable::prefetch(InterfaceId interface, const Ip6Address& address) const {
    prefetch_line(&buckets_[hash(interface, address) & bucket_mask_]);
}

template <typename Matches>
NeighbourTable::Found NeighbourTable::find_hashed(uint64_t hash, Matches matches) const {
    for (size_t at = hash & bucket_mask_, tried = 0; tried <= bucket_mask_;
         at = (at + 1) & bucket_mask_, ++tried) {
        const Bucket& bucket = buckets_[at];
        for (const auto& cell : bucket.cells) {
            const uint64_t word = cell.load(std::memory_order_acquire);
            if (word == 0 || word >> 32 != hash >> 32)
                continue;
            const auto found = static_cast<NeighbourIndex>(static_cast<uint32_t>(word) - 1);
            if (matches(slot(found).key))
                return {found, link(found)};
        }
        if (bucket.passed.load(std::memory_order_acquire) == 0)
            break;
    }
    return {};
}

NeighbourTable::Found NeighbourTable::find(InterfaceId interface, Ip4Address address) const {
    return find_hashed(hash(interface, address), [&](const NeighbourKey& key) {
        return key.interface == interface && key.address.is_ip4() && key.address.ip4() == address;
    });
}

NeighbourTable::Found NeighbourTable::find(InterfaceId interface, const Ip6Address& address) const {
    return find_hashed(hash(interface, address), [&](const NeighbourKey& key) {
        return key.interface == interface && key.address.is_ip6() && key.address.ip6() == address;
    });
}

NeighbourTable::Found NeighbourTable::find(InterfaceId interface, const IpAddress& address) const {
    return address.is_ip4() ? find(interface, address.ip4()) : find(interface, address.ip6());
}

std::optional<NeighbourIndex> NeighbourTable::insert(const NeighbourKey& key) {
    if (size_ >= max_entries() || free_.empty())
        return std::nullopt;
    const NeighbourIndex result = free_.back();
    free_.pop_back();
    Slot& fresh = slot(result);
    fresh.key = key;
    fresh.link.store(0, std::memory_order_relaxed);
    fresh.used.store(false, std::memory_order_relaxed);

    const uint64_t hashed = hash(key);
    const uint64_t word = (hashed & 0xffffffff00000000U) | (static_cast<uint32_t>(result) + 1);
    // Entries fill at most two sevenths of the cells: the walk ends.
    for (size_t at = hashed & bucket_mask_;; at = (at + 1) & bucket_mask_) {
        Bucket& bucket = buckets_[at];
        for (auto& cell : bucket.cells) {
            if (cell.load(std::memory_order_relaxed) != 0)
                continue;
            cell.store(word, std::memory_order_release);
            ++size_;
            return result;
        }
        bucket.passed.store(bucket.passed.load(std::memory_order_relaxed) + 1, std::memory_order_release);
    }
}

void NeighbourTable::set_link(NeighbourIndex index, NeighbourLink link) {
    slot(index).link.store(link.word(), std::memory_order_relaxed);
}

bool NeighbourTable::used(NeighbourIndex index) const {
    return slot(index).used.load(std::memory_order_relaxed);
}

bool NeighbourTable::take_used(NeighbourIndex index) {
    if (!used(index))
        return false;
    slot(index).used.store(false, std::memory_order_relaxed);
    return true;
}

const NeighbourKey& NeighbourTable::key(NeighbourIndex index) const {
    return slot(index).key;
}

void NeighbourTable::remove(NeighbourIndex index, GracePeriod& grace) {
    set_link(index, {});
    for (size_t at = hash(key(index)) & bucket_mask_;; at = (at + 1) & bucket_mask_) {
        Bucket& bucket = buckets_[at];
        for (auto& cell : bucket.cells) {
            if (static_cast<uint32_t>(cell.load(std::memory_order_relaxed)) !=
                static_cast<uint32_t>(index) + 1)
                continue;
            cell.store(0, std::memory_order_release);
            --size_;
            removed_.push_back({index, grace.begin()});
            return;
        }
        bucket.passed.store(bucket.passed.load(std::memory_order_relaxed) - 1, std::memory_order_release);
    }
}

size_t NeighbourTable::reclaim(GracePeriod& grace) {
    auto waiting = removed_.begin();
    while (waiting != removed_.end() && grace.passed(waiting->token))
        free_.push_back((waiting++)->index);
    removed_.erase(removed_.begin(), waiting);
    return removed_.size();
}

}  // namespace sluice::routing
