// The last stage: hands the frames of a burst to their devices, a batch for each port.
#pragma once

#include <span>

#include "dpdk/device.hh"
#include "pipeline/interfaces.hh"
#include "pipeline/worker.hh"

namespace sluice::pipeline {

// Devices by port. Every worker sends through the queue of its own number, where a device has so many. What a
// device does not take at once is dropped and counted. While more comes (Worker::more_comes) frames wait for
// those, as many as their device wants at once.
void flush(Worker& worker, const Interfaces& interfaces, std::span<const dpdk::Device> devices);

// Counts the first `sent` frames of a port's queue as sent, and drops the others.
void settle(Worker& worker, const Interfaces& interfaces, PortId port, size_t sent);

}  // namespace sluice::pipeline
