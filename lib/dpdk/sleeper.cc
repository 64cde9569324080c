#include "dpdk/sleeper.hh"

#include <poll.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <utility>

namespace sluice::dpdk {
namespace {

void add(int epoll, int fd) {
    epoll_event event{};
    event.events = EPOLLIN;
    event.data.fd = fd;
    epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event);
}

timespec as_timespec(Duration duration) {
    const auto nanoseconds = std::max<int64_t>(duration.count(), 0);
    return {.tv_sec = nanoseconds / 1'000'000'000, .tv_nsec = nanoseconds % 1'000'000'000};
}

}  // namespace

Expected<Sleeper> Sleeper::create() {
    auto bell = Bell::create();
    if (!bell)
        return std::unexpected(bell.error());
    const int epoll = epoll_create1(EPOLL_CLOEXEC);
    if (epoll < 0)
        return fail(std::string("no descriptors for a worker: ") + std::strerror(errno), "raise ulimit -n");
    add(epoll, bell->descriptor());
    return Sleeper(epoll, std::move(*bell));
}

Sleeper::Sleeper(Sleeper&& other) noexcept
    : epoll_(std::exchange(other.epoll_, -1)),
      bell_(std::move(other.bell_)),
      interrupts_(std::move(other.interrupts_)),
      naps_(other.naps_),
      nap_(other.nap_),
      idle_rounds_(other.idle_rounds_) {}

Sleeper::~Sleeper() {
    if (epoll_ >= 0)
        close(epoll_);
}

void Sleeper::watch(const Device& device, uint16_t queue) {
    const auto& poll = device.profile().poll;
    idle_rounds_ = std::max(idle_rounds_, poll.idle_rounds);
    prctl(PR_SET_TIMERSLACK, 1UL, 0UL, 0UL, 0UL);
    if (poll.sleep == Sleep::interrupt) {
        if (const auto fd = device.interrupt_descriptor(queue)) {
            interrupts_.push_back({&device, queue, *fd});
            add(epoll_, *fd);
            return;
        }
    }
    if (poll.sleep != Sleep::nap && !device.descriptors().empty()) {
        for (const int fd : device.descriptors())
            add(epoll_, fd);
        return;
    }
    nap_ = naps_ ? std::min(nap_, poll.nap) : poll.nap;
    naps_ = true;
}

void Sleeper::doze(Duration most) const {
    const timespec timeout = as_timespec(most);
    pollfd bell{.fd = bell_.descriptor(), .events = POLLIN, .revents = 0};
    if (ppoll(&bell, 1, &timeout, nullptr) > 0)
        bell_.clear();
}

bool Sleeper::sleep(Duration most) {
    for (const auto& interrupt : interrupts_)
        interrupt.device->enable_interrupt(interrupt.queue);
    const Duration length = naps_ ? std::min(most, nap_) : most;
    const timespec timeout = as_timespec(length);
    std::array<epoll_event, 16> events;
    const int count = epoll_pwait2(epoll_, events.data(), static_cast<int>(events.size()), &timeout, nullptr);
    for (int i = 0; i < count; ++i) {
        const int fd = events[static_cast<size_t>(i)].data.fd;
        if (fd == bell_.descriptor())
            bell_.clear();
        const auto interrupt = std::ranges::find(interrupts_, fd, &Interrupt::descriptor);
        if (interrupt != interrupts_.end())
            interrupt->device->take_interrupt(fd);
    }
    return count > 0;
}

}  // namespace sluice::dpdk
