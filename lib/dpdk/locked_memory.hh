// Memory that the system must not take back.
#pragma once

#include "base/error.hh"

namespace sluice::dpdk {

// Loads the program and its libraries into memory and keeps whatever the process has touched there: a worker
// never waits for a disk. Pages that nobody touches, as in reserved ranges and unused stacks, stay free. Needs
// CAP_IPC_LOCK; without it nothing is locked. At start-up.
Expected<void> lock_memory();

}  // namespace sluice::dpdk
