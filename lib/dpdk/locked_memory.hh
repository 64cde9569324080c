// Memory that the system must not take back.
#pragma once

#include "base/error.hh"

namespace sluice::dpdk {

// Reads the program into memory and keeps there whatever the process has touched: a worker does not wait for
// a disk. Pages that nobody touches, as in reserved ranges and unused stacks, stay free. Needs CAP_IPC_LOCK;
// without it nothing is locked. At start-up.
Expected<void> lock_memory();

}  // namespace sluice::dpdk
