#include "pipeline/hand_over.hh"

#include "pipeline/drops.hh"

namespace sluice::pipeline {

Expected<HandOverRings> HandOverRings::create(size_t workers) {
    HandOverRings result(workers);
    for (size_t from = 0; from < workers; ++from) {
        for (size_t to = 0; to < workers; ++to) {
            auto ring = dpdk::PacketRing::create(
                "hand_over_" + std::to_string(from) + "_" + std::to_string(to), kCapacity);
            if (!ring)
                return std::unexpected(ring.error());
            result.rings_.push_back(std::move(*ring));
        }
    }
    return result;
}

void HandOver::give(Worker& worker, dpdk::Packet* packet, const Carried& what, WorkerId to) {
    carried(packet) = what;
    carried(packet).burst_began = worker.burst_began;
    Waiting& waiting = waiting_[index(to)];
    if (waiting.count == waiting.packets.size())
        push(worker, index(to));
    waiting.packets[waiting.count++] = packet;
}

void HandOver::flush(Worker& worker) {
    for (size_t to = 0; to < waiting_.size(); ++to) {
        if (waiting_[to].count != 0)
            push(worker, to);
    }
}

void HandOver::push(Worker& worker, size_t to) {
    Waiting& waiting = waiting_[to];
    const auto packets = std::span(waiting.packets).first(waiting.count);
    waiting.count = 0;
    const unsigned taken = rings_.ring(self_, to).push(packets);
    if (to != self_)
        worker.loop.handed_over.add(taken);
    for (auto* packet : packets.subspan(taken))
        finish(worker, packet, carried(packet).meta.in, Verdict::drop(drops::steer_ring_full));
    auto& sleeper = rings_.sleepers_[to];
    if (sleeper.bell == nullptr || to == self_)
        return;
    // Either this sees that it sleeps, or it sees what was pushed (fall_asleep()).
    std::atomic_thread_fence(std::memory_order_seq_cst);
    if (sleeper.asleep.load(std::memory_order_relaxed) &&
        sleeper.asleep.exchange(false, std::memory_order_relaxed))
        sleeper.bell->ring();
}

void HandOver::take(Worker& worker, size_t from, Burst& burst) const {
    burst.count = static_cast<uint16_t>(rings_.ring(from, self_).pop(burst.packets));
    if (burst.count == 0)
        return;
    // Another CPU has written all of this.
    for (uint16_t i = 0; i < burst.count; ++i) {
        dpdk::prefetch_header(burst.packets[i]);
        __builtin_prefetch(&carried(burst.packets[i]));
    }
    worker.burst_began = carried(burst.packets[0]).burst_began;
    if (from != self_)
        worker.loop.taken_over.add(burst.count);
}

bool HandOver::fall_asleep() const {
    auto& asleep = rings_.sleepers_[self_].asleep;
    asleep.store(true, std::memory_order_relaxed);
    std::atomic_thread_fence(std::memory_order_seq_cst);
    for (size_t from = 0; from < rings_.workers(); ++from) {
        if (!rings_.ring(from, self_).empty()) {
            wake_up();
            return false;
        }
    }
    return true;
}

void HandOver::wake_up() const {
    rings_.sleepers_[self_].asleep.store(false, std::memory_order_relaxed);
}

}  // namespace sluice::pipeline
