#include "dpdk/bell.hh"

#include <sys/eventfd.h>
#include <unistd.h>

#include <cerrno>
#include <cstdint>
#include <cstring>
#include <utility>

namespace sluice::dpdk {

Expected<Bell> Bell::create() {
    const int event = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    if (event < 0)
        return fail(std::string("no descriptor for waking a thread: ") + std::strerror(errno),
                    "raise ulimit -n");
    return Bell(event);
}

Bell::Bell(Bell&& other) noexcept : event_(std::exchange(other.event_, -1)) {}

Bell::~Bell() {
    if (event_ >= 0)
        close(event_);
}

void Bell::ring() const {
    const uint64_t one = 1;
    [[maybe_unused]] const auto put = write(event_, &one, sizeof one);
}

void Bell::clear() const {
    uint64_t value = 0;
    [[maybe_unused]] const auto got = read(event_, &value, sizeof value);
}

}  // namespace sluice::dpdk
