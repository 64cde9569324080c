// A bounded queue of packets from one worker to another. Short frames travel in the ring itself: the reader
// puts them into buffers of its own, and the writer keeps its buffers. So a short frame costs two lines of
// memory from one CPU's cache to the other's, one way, where its buffer would cost five and come back cold.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "base/prefetch.hh"
#include "dpdk/packet.hh"
#include "pipeline/burst.hh"
#include "table/huge_allocator.hh"

namespace sluice::pipeline {

// A packet on its way, with what was found out about it.
struct alignas(128) HandedPacket {
    // The longest frame that is copied: TCP over IPv6 with timestamps and no payload has 86 bytes.
    static constexpr uint16_t kMostCopied = 88;

    dpdk::Packet* packet;  // of a copied frame only its name: the buffer is with the writer
    PacketMeta meta;
    uint64_t burst_began;  // of the burst in which it was given away
    uint64_t flags;        // of a copied frame, as the device set them
    uint16_t copied;       // length of the frame; 0: the packet itself is given
    bool is_to_be_collected;
    std::array<uint8_t, kMostCopied> frame;
};
static_assert(sizeof(HandedPacket) == 128);

// One writer, one reader. What has been read is the writer's again when the reader says so.
class HandOverRing {
  public:
    // A power of two.
    explicit HandOverRing(size_t capacity) : places_(capacity), mask_(capacity - 1) {}
    // While nobody uses it.
    HandOverRing(HandOverRing&& other) noexcept : places_(std::move(other.places_)), mask_(other.mask_) {}
    HandOverRing& operator=(HandOverRing&&) = delete;
    HandOverRing(const HandOverRing&) = delete;
    // Packets that nobody has taken are freed.
    ~HandOverRing() {
        for (size_t place = head_.load(); place != tail_.load(); ++place) {
            if (at(place).copied == 0)
                rte_pktmbuf_free(at(place).packet);
        }
    }

    // The writer's. A place to fill, the reader's with the next publish(); nullptr if there is none.
    [[nodiscard]] HandedPacket* next_free() {
        if (next_ - head_seen_ > mask_) {
            head_seen_ = head_.load(std::memory_order_acquire);
            if (next_ - head_seen_ > mask_)
                return nullptr;
        }
        claim(at(next_ + kClaimedAhead));
        return &at(next_++);
    }
    // How many places were filled since the last time.
    size_t publish() {
        const size_t filled = next_ - tail_.load(std::memory_order_relaxed);
        tail_.store(next_, std::memory_order_release);
        return filled;
    }

    // The reader's. How many packets there are; the first is waiting_at(0).
    [[nodiscard]] size_t waiting() const {
        return tail_.load(std::memory_order_acquire) - head_.load(std::memory_order_relaxed);
    }
    [[nodiscard]] const HandedPacket& waiting_at(size_t place) const {
        return at(head_.load(std::memory_order_relaxed) + place);
    }
    void taken(size_t count) {
        head_.store(head_.load(std::memory_order_relaxed) + count, std::memory_order_release);
    }

  private:
    static constexpr size_t kClaimedAhead = 16;

    // Asks for the lines of a place, which the reader's cache has, to write them.
    static void claim(HandedPacket& place) {
        prefetch_line_to_write(&place);
        prefetch_line_to_write(place.frame.data() + (64 - offsetof(HandedPacket, frame)));
    }
    [[nodiscard]] HandedPacket& at(size_t place) { return places_[place & mask_]; }
    [[nodiscard]] const HandedPacket& at(size_t place) const { return places_[place & mask_]; }

    std::vector<HandedPacket, table::HugeAllocator<HandedPacket>> places_;
    size_t mask_;
    // The writer's own.
    alignas(128) size_t next_ = 0;
    size_t head_seen_ = 0;
    alignas(128) std::atomic<size_t> tail_{0};
    alignas(128) std::atomic<size_t> head_{0};
};

}  // namespace sluice::pipeline
