#include "dpdk/fanout.hh"

#include <linux/if_packet.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cstdint>
#include <cstring>

namespace {

thread_local bool without_defrag = false;

}  // namespace

namespace sluice::dpdk {

FanoutWithoutDefrag::FanoutWithoutDefrag() {
    without_defrag = true;
}

FanoutWithoutDefrag::~FanoutWithoutDefrag() {
    without_defrag = false;
}

}  // namespace sluice::dpdk

// Stands before the C library's in the program's symbols, so that the driver's call arrives here.
extern "C" int setsockopt(int socket, int level, int name, const void* value, socklen_t length) noexcept {
    uint32_t fanout = 0;
    if (without_defrag && level == SOL_PACKET && name == PACKET_FANOUT && length == sizeof fanout) {
        std::memcpy(&fanout, value, sizeof fanout);
        fanout &= ~(uint32_t{PACKET_FANOUT_FLAG_DEFRAG} << 16);
        value = &fanout;
    }
    return static_cast<int>(syscall(SYS_setsockopt, socket, level, name, value, length));
}
