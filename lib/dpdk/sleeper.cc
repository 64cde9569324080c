#include "dpdk/sleeper.hh"

#include <fcntl.h>
#include <poll.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <utility>

namespace sluice::dpdk {
namespace {

constexpr uint32_t kFalseAlarms = 16;    // in a row, before a source is left alone
constexpr uint32_t kSleepsAlone = 1000;  // before it is listened to again
constexpr Duration kLongestSleep = std::chrono::milliseconds(200);
constexpr Duration kLongestNap = std::chrono::milliseconds(1);
constexpr uint32_t kNapsAlike = 64;  // before they become twice as long
constexpr uint32_t kMostDoublings = 10;
constexpr Duration kDoze = std::chrono::milliseconds(1);  // the longest sleep meanwhile

pollfd readable(int descriptor) {
    return {.fd = descriptor, .events = POLLIN, .revents = 0};
}

timespec as_timespec(Duration duration) {
    const auto nanoseconds = std::max<int64_t>(duration.count(), 0);
    return {.tv_sec = nanoseconds / 1'000'000'000, .tv_nsec = nanoseconds % 1'000'000'000};
}

// net_tap looks for packets only after a signal, which the kernel gives to any thread of the process: the
// worker would wake and find nothing until that thread has had its turn. So it is given to the worker.
void take_signals(int descriptor) {
    if ((fcntl(descriptor, F_GETFL) & O_ASYNC) == 0)
        return;
    const f_owner_ex self{.type = F_OWNER_TID, .pid = gettid()};
    fcntl(descriptor, F_SETOWN_EX, &self);
}

// An error of a socket, such as that its interface went down, wakes until it is asked for.
void take_error(int descriptor) {
    int error = 0;
    socklen_t size = sizeof error;
    getsockopt(descriptor, SOL_SOCKET, SO_ERROR, &error, &size);
}

}  // namespace

Expected<Sleeper> Sleeper::create() {
    auto bell = Bell::create();
    if (!bell)
        return std::unexpected(bell.error());
    Sleeper sleeper(epoll_create1(EPOLL_CLOEXEC), std::move(*bell));
    if (sleeper.interrupts_ < 0)
        return fail(std::string("no descriptors for a worker: ") + std::strerror(errno), "raise ulimit -n");
    return sleeper;
}

Sleeper::Sleeper(int interrupts, Bell bell)
    : interrupts_(interrupts),
      bell_(std::move(bell)),
      awaited_{readable(bell_.descriptor()), readable(interrupts_)} {}

Sleeper::Sleeper(Sleeper&& other) noexcept
    : interrupts_(std::exchange(other.interrupts_, -1)),
      bell_(std::move(other.bell_)),
      sources_(std::move(other.sources_)),
      awaited_(std::move(other.awaited_)),
      watched_(other.watched_),
      switched_(other.switched_),
      armed_(other.armed_),
      alarmed_(other.alarmed_),
      sleeps_alone_(other.sleeps_alone_),
      nap_(other.nap_),
      naps_taken_(other.naps_taken_),
      idle_rounds_(other.idle_rounds_) {}

Sleeper::~Sleeper() {
    if (interrupts_ >= 0)
        close(interrupts_);
}

void Sleeper::watch(const Device& device, uint16_t queue) {
    const auto& poll = device.profile().poll;
    idle_rounds_ = std::max(idle_rounds_, poll.idle_rounds);
    // Else the kernel may make each nap longer by 50 us.
    prctl(PR_SET_TIMERSLACK, 1UL, 0UL, 0UL, 0UL);
    switch (device.sleep(queue)) {
        case Sleep::interrupt: {
            const bool is_switched = device.switch_interrupt(queue, false);
            take_signals(device.interrupt_descriptor(queue));
            add({.place = watched_++, .device = &device, .queue = queue, .is_switched = is_switched});
            switched_ = switched_ || is_switched;
            return;
        }
        case Sleep::descriptor:
            watch(device.descriptors(queue));
            return;
        case Sleep::nap:
            watch(poll.nap);
            return;
    }
}

void Sleeper::watch(std::span<const int> descriptors) {
    for (const int descriptor : descriptors)
        add({.place = watched_, .descriptor = descriptor});
    ++watched_;
}

void Sleeper::watch(Duration nap) {
    nap_ = nap_ == Duration() ? nap : std::min(nap_, nap);
    ++watched_;
}

void Sleeper::add(const Source& source) {
    sources_.push_back(source);
    awaited_.push_back(readable(-1));
    listen(sources_.size() - 1, true);
}

void Sleeper::listen(size_t number, bool on) {
    auto& source = sources_[number];
    source.is_left_alone = !on;
    if (source.device != nullptr)
        source.device->tell_interrupts(source.queue, interrupts_, number, on);
    else
        awaited_[kFirstSource + number].fd = on ? source.descriptor : -1;
}

bool Sleeper::arm() {
    if (!switched_ || armed_)
        return true;
    for (const auto& source : sources_) {
        if (source.is_switched)
            source.device->switch_interrupt(source.queue, true);
    }
    armed_ = true;
    return false;
}

void Sleeper::switch_off() {
    for (const auto& source : sources_) {
        if (source.is_switched)
            source.device->switch_interrupt(source.queue, false);
    }
    armed_ = false;
}

Duration Sleeper::longest() const {
    Duration length = kLongestSleep;
    if (nap_ != Duration()) {
        const uint32_t doublings = std::min(naps_taken_ / kNapsAlike, kMostDoublings);
        length = std::min(nap_ * (1U << doublings), std::max(nap_, kLongestNap));
    }
    return sleeps_alone_ != 0 ? std::min(length, kDoze) : length;
}

bool Sleeper::sleep(Duration most) {
    if (sleeps_alone_ != 0) {
        --sleeps_alone_;
        if (sleeps_alone_ == 0)
            listen_again();
    }
    const timespec timeout = as_timespec(std::min(most, longest()));
    naps_taken_ += nap_ != Duration() ? 1 : 0;
    const int count = ppoll(awaited_.data(), awaited_.size(), &timeout, nullptr);
    if (count == 0) {
        for (auto& source : sources_)
            source.false_alarms = source.is_left_alone ? source.false_alarms : 0;
    }
    if (count > 0)
        hear_all();
    // A signal is news as well: net_tap's tell of packets.
    return count > 0 || (count < 0 && errno == EINTR);
}

void Sleeper::hear_all() {
    if (awaited_[kBell].revents != 0)
        bell_.clear();
    if (awaited_[kInterrupts].revents != 0) {
        std::array<size_t, 16> numbers;
        for (const size_t number : Device::take_interrupts(interrupts_, numbers))
            hear(number);
        if (armed_)
            switch_off();
    }
    for (size_t number = 0; number < sources_.size(); ++number) {
        const auto& told = awaited_[kFirstSource + number];
        if (told.revents == 0)
            continue;
        if ((told.revents & POLLERR) != 0)
            take_error(told.fd);
        hear(number);
    }
}

void Sleeper::hear(size_t number) {
    alarmed_ = true;
    if (++sources_[number].false_alarms <= kFalseAlarms || sources_[number].is_left_alone)
        return;
    listen(number, false);
    sleeps_alone_ = kSleepsAlone;
}

void Sleeper::listen_again() {
    for (size_t number = 0; number < sources_.size(); ++number) {
        if (sources_[number].is_left_alone)
            listen(number, true);
    }
}

void Sleeper::believe(size_t place) {
    alarmed_ = false;
    for (size_t number = 0; number < sources_.size(); ++number) {
        auto& source = sources_[number];
        if (source.place == place) {
            source.false_alarms = 0;
            if (source.is_left_alone)
                listen(number, true);
        }
        alarmed_ = alarmed_ || source.false_alarms != 0;
    }
    if (std::ranges::none_of(sources_, &Source::is_left_alone))
        sleeps_alone_ = 0;
}

}  // namespace sluice::dpdk
