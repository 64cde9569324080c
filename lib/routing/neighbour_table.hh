// Who answers for which address on which link: the table the packet path reads. The control thread
// (neighbour_resolver.hh) writes it in place; workers read without locks while it does.
//
// An entry lives in a numbered slot and never moves. A small hash index maps {interface, address} to the
// slot. What a reader needs, the MAC and whether it may be used, is one 64-bit word, so that it is never seen
// half changed. A slot that was removed is used again only after a grace period, when no reader can still
// hold its number.
#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <memory>
#include <optional>
#include <vector>

#include "base/address.hh"
#include "base/interface_id.hh"
#include "base/prefetch.hh"

namespace sluice::routing {

// The slot of a neighbour. Valid while its entry exists; routes pin the entries of their gateways.
enum class NeighbourIndex : uint32_t {};
inline constexpr NeighbourIndex kNoNeighbour{0xffffffff};

// What readers see of a neighbour, in one word.
class NeighbourLink {
  public:
    constexpr NeighbourLink() = default;  // not usable
    static NeighbourLink usable(MacAddress mac) {
        NeighbourLink result;
        mac.store(&result.word_);
        result.word_ |= kUsable;
        return result;
    }
    static constexpr NeighbourLink from_word(uint64_t word) {
        NeighbourLink result;
        result.word_ = word;
        return result;
    }
    // Whether the MAC is known and may be sent to; otherwise the packet goes to the resolver.
    [[nodiscard]] constexpr bool usable() const { return (word_ & kUsable) != 0; }
    [[nodiscard]] MacAddress mac() const { return MacAddress::load(&word_); }
    // Writes the MAC as on the wire in one store, and two bytes behind it that something else must overwrite.
    void store_mac_before(void* to) const { std::memcpy(to, &word_, sizeof word_); }
    [[nodiscard]] constexpr uint64_t word() const { return word_; }
    constexpr bool operator==(const NeighbourLink&) const = default;

  private:
    static constexpr uint64_t kUsable = uint64_t{1} << 48;
    uint64_t word_ = 0;  // bytes 0-5: the MAC in wire order
};

struct NeighbourKey {
    InterfaceId interface = kNoInterface;
    IpAddress address;
    bool operator==(const NeighbourKey&) const = default;
};

// Tells when readers that began before a moment are done: RCU of the workers, or nothing where there are
// none.
class GracePeriod {
  public:
    virtual ~GracePeriod() = default;
    virtual uint64_t begin() = 0;             // a token for readers active now
    virtual bool passed(uint64_t token) = 0;  // never blocks
};

// For replay and tests, where reader and writer are one thread.
class NoGracePeriod final : public GracePeriod {
  public:
    uint64_t begin() override { return 0; }
    bool passed(uint64_t) override { return true; }
};

class NeighbourTable {
  public:
    // What a lookup found. Without an entry: kNoNeighbour and a link that is not usable.
    struct Found {
        NeighbourIndex index = kNoNeighbour;
        NeighbourLink link;
    };

    // `slots` is rounded up to a power of two; entries are at most half of it, the rest is room for removed
    // slots that wait for their grace period. `seed` makes collisions hard to aim at.
    explicit NeighbourTable(size_t slots = 8192, uint64_t seed = 0x51c7b2a96e0d3f85U);
    NeighbourTable(const NeighbourTable&) = delete;
    NeighbourTable& operator=(const NeighbourTable&) = delete;
    ~NeighbourTable();

    // --- Readers: any thread, lock-free, one or two cache lines, no allocation. ---

    // Pulls the index line of a key into the cache; call for a whole burst before find().
    void prefetch(InterfaceId interface, Ip4Address address) const;
    void prefetch(InterfaceId interface, const Ip6Address& address) const;
    [[nodiscard]] Found find(InterfaceId interface, Ip4Address address) const;
    [[nodiscard]] Found find(InterfaceId interface, const Ip6Address& address) const;
    [[nodiscard]] Found find(InterfaceId interface, const IpAddress& address) const;
    // The link of an entry known to exist, such as the gateway of a route; of kNoNeighbour one not usable.
    [[nodiscard]] NeighbourLink link(NeighbourIndex index) const {
        if (index == kNoNeighbour) [[unlikely]]
            return {};
        return NeighbourLink::from_word(slot(index).link.load(std::memory_order_relaxed));
    }
    void prefetch_link(NeighbourIndex index) const { prefetch_line(&slot(index)); }
    // Notes that a packet was sent to the entry, which keeps it alive and lets the resolver verify it. Writes
    // only the first time after take_used(). Not for kNoNeighbour.
    void mark_used(NeighbourIndex index) const {
        auto& used = slot(index).used;
        if (!used.load(std::memory_order_relaxed))
            used.store(true, std::memory_order_relaxed);
    }

    // --- The writer: the control thread. ---

    // A new entry whose link is not usable. The key must not be present. Nothing when full.
    std::optional<NeighbourIndex> insert(const NeighbourKey& key);
    void set_link(NeighbourIndex index, NeighbourLink link);
    // Whether the entry was used since the last call.
    bool take_used(NeighbourIndex index);
    [[nodiscard]] bool used(NeighbourIndex index) const;
    // Takes the entry out of the index; its slot waits for the readers.
    void remove(NeighbourIndex index, GracePeriod& grace);
    // Frees the removed slots whose grace period has passed; returns how many still wait.
    size_t reclaim(GracePeriod& grace);
    [[nodiscard]] const NeighbourKey& key(NeighbourIndex index) const;
    [[nodiscard]] size_t size() const { return size_; }
    [[nodiscard]] size_t max_entries() const { return slot_count_ / 2; }
    [[nodiscard]] size_t slot_count() const { return slot_count_; }  // every index is below it

  private:
    // The key is written before the slot is in the index and not again while a reader may see it.
    struct alignas(64) Slot {
        std::atomic<uint64_t> link{0};  // control thread writes, workers read
        std::atomic<bool> used{false};  // workers set, control thread clears
        NeighbourKey key;
    };
    static constexpr size_t kCells = 7;
    // One cache line of the index. An entry that finds its bucket full goes to the next one and is counted in
    // every bucket it passed, so that a reader knows where to stop and removal leaves no marks. Writer:
    // control thread.
    struct alignas(64) Bucket {
        std::array<std::atomic<uint64_t>, kCells>
            cells{};  // hash in the upper half, slot + 1 in the lower; 0 free
        std::atomic<uint64_t> passed{0};
    };
    struct Removed {
        NeighbourIndex index;
        uint64_t token;
    };

    Slot& slot(NeighbourIndex index) const { return slots_[static_cast<size_t>(index)]; }
    [[nodiscard]] uint64_t hash(InterfaceId interface, Ip4Address address) const;
    [[nodiscard]] uint64_t hash(InterfaceId interface, const Ip6Address& address) const;
    [[nodiscard]] uint64_t hash(const NeighbourKey& key) const;
    template <typename Matches>
    Found find_hashed(uint64_t hash, Matches matches) const;

    size_t slot_count_;
    size_t bucket_mask_;
    uint64_t seed_;
    std::unique_ptr<Slot[]> slots_;
    std::unique_ptr<Bucket[]> buckets_;
    std::vector<NeighbourIndex> free_;  // control thread
    std::vector<Removed> removed_;      // control thread, oldest first
    size_t size_ = 0;                   // control thread
};

}  // namespace sluice::routing
