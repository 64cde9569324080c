#include "dpdk/locked_memory.hh"

#include <link.h>
#include <sys/mman.h>

#include <cerrno>
#include <span>
#include <system_error>

namespace sluice::dpdk {
namespace {

// Locking reads the pages. A segment that cannot be had whole is read when it is used, as without a lock.
int lock_segments(dl_phdr_info* object, size_t, void*) {
    for (const auto& header : std::span(object->dlpi_phdr, object->dlpi_phnum)) {
        if (header.p_type == PT_LOAD)
            mlock(reinterpret_cast<const void*>(object->dlpi_addr + header.p_vaddr), header.p_memsz);
    }
    return 0;
}

}  // namespace

Expected<void> lock_memory() {
    if (mlockall(MCL_CURRENT | MCL_FUTURE | MCL_ONFAULT) != 0)
        return fail("memory cannot be locked: " + std::generic_category().message(errno),
                    "give the process CAP_IPC_LOCK");
    dl_iterate_phdr(lock_segments, nullptr);
    return {};
}

}  // namespace sluice::dpdk
