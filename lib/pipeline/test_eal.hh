// DPDK for tests that need packet buffers: a process can start it once only.
#pragma once

#include <gtest/gtest.h>

#include "dpdk/eal.hh"

namespace sluice::pipeline {

class WithEal : public testing::Test {
  protected:
    static void SetUpTestSuite() {
        static const auto eal = dpdk::Eal::start({.worker_cpus = {},
                                                  .control_cpus = dpdk::allowed_cpus(),
                                                  .pci_devices = {},
                                                  .memory_mb = 64,
                                                  .hugepages = dpdk::Hugepages::off,
                                                  .extra_args = {}});
        ASSERT_TRUE(eal) << eal.error().message;
    }
};

}  // namespace sluice::pipeline
