// How an idle worker sleeps: on receive interrupts and descriptors where its devices have them, by naps where
// not. Owned and used by one worker's thread; its bell may be rung by any.
#pragma once

#include <poll.h>

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "base/error.hh"
#include "base/time.hh"
#include "dpdk/bell.hh"
#include "dpdk/device.hh"

namespace sluice::dpdk {

class Sleeper {
  public:
    static Expected<Sleeper> create();
    Sleeper(Sleeper&& other) noexcept;
    Sleeper& operator=(Sleeper&&) = delete;
    Sleeper(const Sleeper&) = delete;
    ~Sleeper();

    // To be called on the worker's thread, for each queue it polls.
    void watch(const Device& device, uint16_t queue);
    // The same for a queue with these descriptors, which are readable while it has something.
    void watch(std::span<const int> descriptors);
    // The same for a queue that can only be polled.
    void watch(Duration nap);

    // Before the last look at the queues: whatever arrives from now on ends the sleep. True if all interrupts
    // were on already, so that the look has been taken.
    bool arm();
    // The worker has something to do: interrupts are off, and naps are short again.
    void found_work() {
        naps_taken_ = 0;
        if (armed_) [[unlikely]]
            switch_off();
    }

    // Sleeps until something arrives, the bell rings, or `most` or longest() is over; true if it ended
    // before.
    bool sleep(Duration most = std::chrono::hours(1));
    // The most that the next sleep lasts. With a queue that can only be polled among them it is a nap: as the
    // profile says at first, then longer step by step while nothing comes, up to a millisecond.
    [[nodiscard]] Duration longest() const;

    // The queue that was the place-th to be watched gave something: what woke the worker was no false alarm.
    void gave(size_t place) {
        if (alarmed_) [[unlikely]]
            believe(place);
    }

    // Ends the present or the next sleep.
    [[nodiscard]] const Bell& bell() const { return bell_; }

    // Empty rounds before it is worth to sleep.
    [[nodiscard]] uint32_t idle_rounds() const { return idle_rounds_; }

  private:
    // A descriptor that ends a sleep. One that has done so again and again for nothing is left alone for a
    // while, so that others can: a tap whose kernel side is down looks readable all the time.
    struct Source {
        size_t place;                    // of its queue among the watched
        int descriptor = -1;             // readable while there is something, or
        const Device* device = nullptr;  // the one that interrupts
        uint16_t queue = 0;
        bool is_switched = false;  // the interrupt is on only while the worker sleeps
        uint32_t false_alarms = 0;
        bool is_left_alone = false;
    };
    Sleeper(int interrupts, Bell bell);
    void add(const Source& source);
    void listen(size_t number, bool on);
    void listen_again();
    void switch_off();
    void hear_all();
    void hear(size_t number);
    void believe(size_t place);

    static constexpr size_t kBell = 0;
    static constexpr size_t kInterrupts = 1;
    static constexpr size_t kFirstSource = 2;

    int interrupts_;  // an epoll descriptor for those
    Bell bell_;
    std::vector<Source> sources_;
    // What a sleep waits for. Not in an epoll instance, which every packet that a socket sends or receives
    // would tell, also while the worker is awake.
    std::vector<pollfd> awaited_;
    size_t watched_ = 0;
    bool switched_ = false;      // an interrupt is among the sources
    bool armed_ = false;         // it is on
    bool alarmed_ = false;       // a source has false alarms
    uint32_t sleeps_alone_ = 0;  // that those left alone have before them; 0: there are none
    Duration nap_{};             // the shortest of all queues; 0: all have something that wakes
    uint32_t naps_taken_ = 0;    // since there was something to do
    uint32_t idle_rounds_ = 1;
};

}  // namespace sluice::dpdk
