#include "pipeline/hand_over.hh"

#include <algorithm>
#include <bit>
#include <cstring>
#include <span>

#include "base/prefetch.hh"
#include "pipeline/drops.hh"

namespace sluice::pipeline {
namespace {

// A large frame keeps its buffer however short it is: that tells how long its segments are.
bool can_be_copied(const dpdk::Packet* packet) {
    return dpdk::is_contiguous(packet) && dpdk::length(packet) <= HandedPacket::kMostCopied &&
           dpdk::room(packet) >= HandedPacket::kMostCopied && !dpdk::is_large(packet);
}

void copy_into(HandedPacket& handed, const dpdk::Packet* packet) {
    handed.flags = packet->ol_flags;
    handed.copied = dpdk::length(packet);
    std::memcpy(handed.frame.data(), dpdk::data(packet), handed.frame.size());
}

void copy_out_of(const HandedPacket& handed, dpdk::Packet* packet) {
    packet->ol_flags = handed.flags;
    dpdk::set_length(packet, handed.copied);
    std::memcpy(dpdk::data(packet), handed.frame.data(), handed.frame.size());
}

// Fills the span from its front, with as many as there are; how many that was.
size_t allocate(const dpdk::PacketPool& pool, std::span<dpdk::Packet*> packets) {
    if (rte_pktmbuf_alloc_bulk(pool.raw(), packets.data(), static_cast<unsigned>(packets.size())) == 0)
        [[likely]]
        return packets.size();
    size_t found = 0;
    while (found < packets.size() && (packets[found] = pool.allocate()) != nullptr)
        ++found;
    return found;
}

}  // namespace

size_t HandOverRings::capacity(size_t workers) {
    constexpr size_t kOfAll = 8192;
    return std::bit_floor(std::clamp<size_t>(kOfAll / workers, 2 * kMaxBurst, 1024));
}

HandOverRings::HandOverRings(size_t workers)
    : workers_(workers), sleepers_(std::make_unique<Sleeper[]>(workers)) {
    rings_.reserve(workers * workers);
    for (size_t i = 0; i < workers * workers; ++i)
        rings_.emplace_back(capacity(workers));
}

HandOver::HandOver(HandOverRings& rings, WorkerId self)
    : rings_(rings),
      self_(index(self)),
      capacity_(HandOverRings::capacity(rings.workers())),
      rings_to_(&rings.ring(self_, 0)) {}

inline bool HandOver::put(Worker& worker, dpdk::Packet* packet, const PacketMeta& meta, size_t to,
                          bool is_to_be_collected) {
    HandedPacket* handed = rings_to_[to].next_free();
    if (handed == nullptr) [[unlikely]]
        return false;
    handed->packet = packet;
    handed->meta = meta;
    handed->burst_began = worker.burst_began;
    handed->is_to_be_collected = is_to_be_collected;
    if (!can_be_copied(packet) || to == self_) {
        handed->copied = 0;
        return true;
    }
    copy_into(*handed, packet);
    if (copied_count_ == copied_.size()) [[unlikely]]
        free_copied();
    copied_[copied_count_++] = packet;
    return true;
}

void HandOver::give(Worker& worker, dpdk::Packet* packet, const PacketMeta& meta, WorkerId to,
                    bool is_to_be_collected) {
    if (!put(worker, packet, meta, index(to), is_to_be_collected))
        finish(worker, packet, meta.in, Verdict::drop(drops::steer_ring_full));
}

void HandOver::give(Worker& worker, Burst& burst, std::span<const uint8_t> places,
                    std::span<const WorkerId> owners) {
    for (const size_t place : places) {
        PacketMeta& meta = burst.meta[place];
        if (!put(worker, burst.packets[place], meta, index(owners[place]), false)) [[unlikely]]
            finish(worker, burst.packets[place], meta.in, Verdict::drop(drops::steer_ring_full));
        meta.path = Path::done;
    }
}

void HandOver::free_copied() {
    rte_pktmbuf_free_bulk(copied_.data(), copied_count_);
    copied_count_ = 0;
}

void HandOver::flush(Worker& worker) {
    for (size_t to = 0; to < rings_.workers(); ++to) {
        const size_t given = rings_to_[to].publish();
        if (given == 0 || to == self_)
            continue;
        worker.loop.handed_over.add(given);
        wake(to);
    }
    if (copied_count_ != 0)
        free_copied();
}

void HandOver::wake(size_t to) {
    auto& sleeper = rings_.sleepers_[to];
    if (sleeper.bell == nullptr)
        return;
    // Either this sees that it sleeps, or it sees what was published (fall_asleep()).
    std::atomic_thread_fence(std::memory_order_seq_cst);
    if (sleeper.asleep.load(std::memory_order_relaxed) &&
        sleeper.asleep.exchange(false, std::memory_order_relaxed))
        sleeper.bell->ring();
}

void HandOver::take(Worker& worker, size_t from, Burst& burst) {
    HandOverRing& ring = rings_.ring(from, self_);
    size_t count = std::min<size_t>(ring.waiting(), kMaxBurst);
    burst.count = 0;
    to_be_collected_ = 0;
    if (count == 0)
        return;
    // Another CPU has written all of this.
    constexpr size_t kAhead = 12;
    const auto prefetch = [&ring](size_t place) {
        prefetch_line(&ring.waiting_at(place));
        prefetch_line(ring.waiting_at(place).frame.data() + 24);
    };
    for (size_t place = 0; place < std::min(kAhead, count); ++place)
        prefetch(place);
    std::array<dpdk::Packet*, kMaxBurst> buffers;
    size_t copies = 0;
    for (size_t place = 0; place < count; ++place) {
        if (place + kAhead < count)
            prefetch(place + kAhead);
        const HandedPacket& handed = ring.waiting_at(place);
        if (handed.copied != 0)
            ++copies;
        else
            dpdk::prefetch_header(handed.packet);
    }
    const size_t found = allocate(worker.pool, std::span(buffers).first(copies));
    size_t used = 0;
    for (size_t place = 0; place < count; ++place) {
        const HandedPacket& handed = ring.waiting_at(place);
        dpdk::Packet* packet = handed.packet;
        if (handed.copied != 0) {
            if (used == found) [[unlikely]] {
                count = place;
                break;
            }
            packet = buffers[used++];
            copy_out_of(handed, packet);
            worker.watch.pass_on(handed.packet, packet);
        } else {
            dpdk::prefetch_data(packet);
        }
        burst.packets[place] = packet;
        burst.meta[place] = handed.meta;
        to_be_collected_ |= uint64_t{handed.is_to_be_collected} << place;
    }
    if (count == 0)
        return;
    burst.count = static_cast<uint16_t>(count);
    worker.burst_began = ring.waiting_at(0).burst_began;
    ring.taken(count);
    if (from != self_)
        worker.loop.taken_over.add(count);
}

bool HandOver::fall_asleep() {
    auto& asleep = rings_.sleepers_[self_].asleep;
    asleep.store(true, std::memory_order_relaxed);
    std::atomic_thread_fence(std::memory_order_seq_cst);
    for (size_t from = 0; from < rings_.workers(); ++from) {
        if (rings_.ring(from, self_).waiting() != 0) {
            wake_up();
            return false;
        }
    }
    return true;
}

void HandOver::wake_up() {
    rings_.sleepers_[self_].asleep.store(false, std::memory_order_relaxed);
}

}  // namespace sluice::pipeline
