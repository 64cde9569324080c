// The loop of a worker lcore: takes bursts from its queues and runs each to completion, until told to stop.
#pragma once

#include <algorithm>
#include <array>
#include <atomic>
#include <chrono>
#include <memory>
#include <span>
#include <utility>
#include <vector>

#include "dpdk/bell.hh"
#include "dpdk/config.hh"
#include "dpdk/device.hh"
#include "dpdk/eal.hh"
#include "dpdk/packet_ring.hh"
#include "dpdk/patience.hh"
#include "dpdk/rcu.hh"
#include "dpdk/sleeper.hh"
#include "pipeline/burst.hh"
#include "pipeline/hand_over.hh"
#include "pipeline/worker.hh"

namespace sluice::pipeline {

// A receive queue and the port it belongs to.
struct PolledQueue {
    PortId port{};
    const dpdk::Device* device = nullptr;
    uint16_t queue = 0;
};

// All that a worker's loop works with. Made by the control thread, which keeps it until the loop has ended.
struct WorkerRun {
    Worker& worker;
    const dpdk::Rcu& rcu;
    dpdk::Sleeper& sleeper;
    const dpdk::Bell& control_bell;
    const dpdk::PacketRing& from_control;
    HandOver* hand_over = nullptr;  // null: there is one worker
    std::vector<PolledQueue> queues;
    dpdk::Poll poll = dpdk::Poll::adaptive;
    uint16_t budget = 64;
    const std::atomic<bool>& stop;
    std::atomic<size_t>& receiving;  // workers that may still hand over what they receive
};

namespace detail {

inline constexpr Duration kTickEvery = std::chrono::milliseconds(10);

// When timers are looked at: now and then, and again at once while some wait that are due, or their work
// would pile up.
class TickTimer {
  public:
    [[nodiscard]] bool is_due(Instant now) const { return now >= next_; }
    // `all`: nothing waits that is due.
    void looked(Instant now, bool all) { next_ = all ? now + kTickEvery : now; }

  private:
    Instant next_{};
};

// Counts the time of the packets that a burst sends; what is sent between bursts was held and is not counted.
// Where one burst follows another, or nothing but empty queues came between, the end of the first is the
// beginning of the second, so that the time stamp counter is read once for both.
class BurstTimer {
  public:
    explicit BurstTimer(Worker& worker) : worker_(worker), tick_length_(dpdk::cycles_per_second()) {}

    // The time stamp counter has been read just now.
    void go_on(uint64_t cycles) { ended_ = cycles; }
    // Before a queue is asked.
    void begin() {
        if (ended_ == 0) [[unlikely]]
            ended_ = dpdk::cycles();
        worker_.burst_began = ended_;
        sent_ = worker_.counters.sent.read();
    }
    // A burst that began with another worker, or frames of former bursts that waited for more.
    void take_over() { sent_ = worker_.counters.sent.read(); }
    // After the transmit. What waited goes with what came last: all are counted with the oldest's time.
    void end() {
        ended_ = dpdk::cycles();
        const uint64_t began = waiting_since_ != 0 ? waiting_since_ : worker_.burst_began;
        const uint64_t took = tick_length_.nanoseconds(ended_ - began);
        worker_.latency.add(took, worker_.counters.sent.read() - sent_);
        waiting_since_ = worker_.frames_wait ? began : 0;
    }
    // Something other than a burst follows.
    void pause() { ended_ = 0; }
    // When the last one ended; 0: some time ago.
    [[nodiscard]] uint64_t ended() const { return ended_; }

  private:
    Worker& worker_;
    dpdk::TickLength tick_length_;
    uint64_t sent_ = 0;
    uint64_t ended_ = 0;          // 0: some time ago
    uint64_t waiting_since_ = 0;  // the oldest burst of which frames wait; 0: none does
};

// What a queue gave in its turn; `budget` is all it may.
enum class Turn : uint8_t { nothing, some, budget };

template <typename Path>
Turn poll_queue(WorkerRun& run, const PolledQueue& polled, Path& path, Burst& burst, BurstTimer& timer) {
    Worker& worker = run.worker;
    uint32_t taken = 0;
    while (taken < run.budget) {
        const auto most = static_cast<uint16_t>(std::min<uint32_t>(run.budget - taken, kMaxBurst));
        timer.begin();
        const uint16_t received = polled.device->receive(polled.queue, burst.packets.data(), most);
        if (received == 0)
            break;
        burst.count = received;
        taken += received;
        worker.loop.bursts.add(1);
        worker.now = worker.clock.at(worker.burst_began);
        worker.more_comes = worker.more_comes || received == most;
        path.process(polled.port, burst, worker.burst_began);
        timer.end();
        if (received < most)
            break;
    }
    if (taken >= run.budget) {
        worker.loop.budget_exhausted.add(1);
        return Turn::budget;
    }
    return taken != 0 ? Turn::some : Turn::nothing;
}

// Turns of the queues in a round, the first of which all have. As long as frames wait for more and queues
// give full bursts there is another one, up to this: so many bursts leave by one system call where to send
// takes one. Nothing waits for longer than a round, since then the snapshot may be another.
inline constexpr int kMostTurns = 4;

// True if any queue gave anything.
template <typename Path>
bool poll_queues(WorkerRun& run, Path& path, Burst& burst, BurstTimer& timer) {
    Worker& worker = run.worker;
    bool gave = false;
    for (int turn = 0; turn < kMostTurns; ++turn) {
        bool more = false;
        for (size_t place = 0; place < run.queues.size(); ++place) {
            const Turn given = poll_queue(run, run.queues[place], path, burst, timer);
            if (given == Turn::nothing)
                continue;
            gave = true;
            more = more || given == Turn::budget;
            run.sleeper.gave(place);
        }
        if (!worker.frames_wait || !more)
            break;
    }
    worker.more_comes = false;
    if (worker.frames_wait) {
        timer.take_over();
        path.send_waiting();
        timer.end();
    }
    return gave;
}

// Errands are taken before the snapshot, so that this knows the interfaces they are about.
template <typename Path>
bool begin_round(WorkerRun& run, Path& path) {
    std::array<dpdk::Packet*, kMaxBurst> packets;
    const unsigned count = run.from_control.pop(packets);
    path.begin_round();
    if (count == 0)
        return false;
    run.worker.now = run.worker.clock.read();
    path.errands(std::span(packets).first(count));
    return true;
}

// What other workers have handed over: of each as many bursts as a round of this worker's own queues may
// give, since theirs may; where it has no queue all that waits.
template <typename Path>
bool take_over(WorkerRun& run, Path& path, Burst& burst, BurstTimer& timer) {
    if (run.hand_over == nullptr)
        return false;
    const size_t workers = run.hand_over->workers();
    const size_t waiting = run.hand_over->capacity() / kMaxBurst;
    const size_t received = kMostTurns * ((run.budget + kMaxBurst - 1U) / kMaxBurst) * run.queues.size();
    const size_t most = run.queues.empty() ? waiting : std::min(waiting, received);
    bool taken = false;
    for (size_t from = 0; from < workers; ++from) {
        for (size_t bursts = most; bursts != 0; --bursts) {
            run.hand_over->take(run.worker, from, burst);
            if (burst.count == 0)
                break;
            taken = true;
            const bool is_last = burst.count < kMaxBurst;
            run.worker.now = run.worker.clock.at(dpdk::cycles());
            timer.take_over();
            path.take_over(burst);
            timer.end();
            if (is_last)
                break;
        }
    }
    return taken;
}

// Before the end: what others have received and handed over leaves as it would have. What is handed on once
// more, as a fragment may be, is lost if its owner has ended.
template <typename Path>
void drain(WorkerRun& run, Path& path, Burst& burst, BurstTimer& timer) {
    path.begin_round();  // there may have been none
    --run.receiving;
    bool more = true;
    while (more) {
        more = run.receiving != 0;
        more = take_over(run, path, burst, timer) || more;
    }
}

// Sleeps as the devices allow.
inline void rest(WorkerRun& run) {
    Worker& worker = run.worker;
    if (run.hand_over != nullptr && !run.hand_over->fall_asleep())
        return;
    worker.loop.sleeps.add(1);
    run.rcu.offline(worker.id);
    if (run.sleeper.sleep())
        worker.loop.wakeups.add(1);
    run.rcu.online(worker.id);
    if (run.hand_over != nullptr)
        run.hand_over->wake_up();
}

}  // namespace detail

// Path has process(PortId, Burst&, cycles before receive), take_over(Burst&), errands(span of packets),
// tick(), which tells whether nothing waits for the next one, begin_round(), and serve(), which does a slice
// of what the control thread asks for and tells whether there was anything. begin_round() takes the snapshot
// that holds until the next one.
template <typename Path>
void run_worker(WorkerRun& run, Path& path) {
    Worker& worker = run.worker;
    auto burst = std::make_unique<Burst>();
    detail::BurstTimer timer(worker);
    for (const auto& polled : run.queues)
        run.sleeper.watch(*polled.device, polled.queue);
    run.rcu.join(worker.id);
    uint32_t idle = 0;
    detail::TickTimer timers;
    dpdk::Patience patience(dpdk::cycles_per_second());
    uint64_t round_began = dpdk::cycles();
    uint64_t idle_since = round_began;
    while (!run.stop.load(std::memory_order_relaxed)) {
        run.rcu.quiescent(worker.id);
        bool busy = detail::begin_round(run, path);
        busy = path.serve() || busy;
        if (busy) [[unlikely]]
            timer.pause();
        else
            timer.go_on(round_began);
        busy = detail::poll_queues(run, path, *burst, timer) || busy;
        busy = detail::take_over(run, path, *burst, timer) || busy;
        if (std::exchange(worker.control_has_work, false))
            run.control_bell.ring();
        // With the last burst, if there was one.
        const uint64_t round_ended = timer.ended() > round_began ? timer.ended() : dpdk::cycles();
        bool looked_away = false;
        if (busy) {
            idle = 0;
            worker.loop.busy_cycles.add(round_ended - round_began);
        } else {
            ++idle;
            worker.loop.empty_rounds.add(1);
        }
        if (busy || idle % 64 == 0 || idle > run.sleeper.idle_rounds()) {
            worker.now = worker.clock.at(round_ended);
            if (timers.is_due(worker.now)) {
                looked_away = true;
                const bool all = path.tick();
                timers.looked(worker.now, all);
                idle = all ? idle : 0;
            }
        }
        if (run.poll == dpdk::Poll::adaptive) {
            if (busy) {
                run.sleeper.found_work();
                if (patience.slept()) [[unlikely]]
                    patience.pause_ended(round_began - idle_since, dpdk::preemptions());
                idle_since = round_ended;
            } else if (idle > run.sleeper.idle_rounds() && patience.is_over(round_ended - idle_since) &&
                       run.sleeper.arm()) {
                looked_away = true;
                patience.sleeps();
                detail::rest(run);
            }
        }
        const uint64_t next_began = looked_away ? dpdk::cycles() : round_ended;
        worker.loop.total_cycles.add(next_began - round_began);
        round_began = next_began;
    }
    detail::drain(run, path, *burst, timer);
    run.rcu.leave(worker.id);
}

}  // namespace sluice::pipeline
