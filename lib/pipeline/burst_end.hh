// Packets of a burst that go no further.
#pragma once

#include <cstdint>
#include <span>

#include "pipeline/burst.hh"
#include "pipeline/worker.hh"

namespace sluice::pipeline {

// finish() with a drop of the packets at these places, a bit for each: counted and freed together. They are
// done afterwards.
void drop(Worker& worker, Burst& burst, uint64_t places, telemetry::DropReason reason);

// Ends frames that a device gave before they are parsed: counted as received and as dropped, and freed.
void drop_frames(Worker& worker, InterfaceId device, std::span<dpdk::Packet*> frames,
                 telemetry::DropReason reason);

// Takes out the packets that are done, so that the next stages do not walk over them.
void close_gaps(Burst& burst);

}  // namespace sluice::pipeline
