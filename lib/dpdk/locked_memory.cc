#include "dpdk/locked_memory.hh"

#include <link.h>
#include <sys/mman.h>

#include <cerrno>
#include <span>
#include <system_error>

namespace sluice::dpdk {
namespace {

// Reads code and constants of the program, which comes first, with the drivers that are linked in; a segment
// that cannot be had whole is read when it is used, as without a lock. Libraries are not read ahead: of
// shared ones DPDK loads drivers for every device there is.
int lock_program(dl_phdr_info* object, size_t, void*) {
    for (const auto& header : std::span(object->dlpi_phdr, object->dlpi_phnum)) {
        if (header.p_type == PT_LOAD && (header.p_flags & PF_W) == 0)
            // NOLINTNEXTLINE(performance-no-int-to-ptr): the loader gives addresses as numbers
            mlock(reinterpret_cast<const void*>(object->dlpi_addr + header.p_vaddr), header.p_memsz);
    }
    return 1;
}

}  // namespace

Expected<void> lock_memory() {
    if (mlockall(MCL_CURRENT | MCL_FUTURE | MCL_ONFAULT) != 0)
        return fail("memory cannot be locked: " + std::generic_category().message(errno),
                    "give the process CAP_IPC_LOCK");
    dl_iterate_phdr(lock_program, nullptr);
    return {};
}

}  // namespace sluice::dpdk
