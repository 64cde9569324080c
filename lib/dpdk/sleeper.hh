// How an idle worker sleeps: on receive interrupts and descriptors where its devices have them, by naps where
// not. Owned and used by one worker's thread; its bell may be rung by any.
#pragma once

#include <cstdint>
#include <utility>
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

    // Sleeps until something arrives, the bell rings, or the time is over; true if it ended before its time.
    // With a device that can only be polled among them the sleep is at most its nap.
    bool sleep(Duration most);
    // Sleeps until the bell rings or the time is over, whatever the devices say: a tap whose kernel side is
    // down looks readable all the time.
    void doze(Duration most) const;

    // Ends the present or the next sleep.
    [[nodiscard]] const Bell& bell() const { return bell_; }

    // Empty rounds before it is worth to sleep.
    [[nodiscard]] uint32_t idle_rounds() const { return idle_rounds_; }

  private:
    struct Interrupt {
        const Device* device;
        uint16_t queue;
        int descriptor;
    };
    Sleeper(int epoll, Bell bell) : epoll_(epoll), bell_(std::move(bell)) {}
    int epoll_;
    Bell bell_;
    std::vector<Interrupt> interrupts_;
    bool naps_ = false;
    Duration nap_ = std::chrono::seconds(1);
    uint32_t idle_rounds_ = 1;
};

}  // namespace sluice::dpdk
