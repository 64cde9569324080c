#include "dpdk/patience.hh"

#include <sys/resource.h>

namespace sluice::dpdk {

uint64_t preemptions() {
    rusage usage{};
    getrusage(RUSAGE_THREAD, &usage);
    return static_cast<uint64_t>(usage.ru_nivcsw);
}

}  // namespace sluice::dpdk
