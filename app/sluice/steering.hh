// Several workers: what they share to bring packets to each other, what each has of its own, and by which
// rules a configuration steers.
#pragma once

#include <cstdint>
#include <memory>

#include "base/random.hh"
#include "filter/stage.hh"
#include "pipeline/hand_over.hh"
#include "pipeline/interfaces.hh"
#include "steering/flow_directory.hh"
#include "steering/flow_homes.hh"
#include "steering/plan.hh"
#include "steering/stage.hh"

namespace sluice {

// Of all workers; there is none where there is one worker.
struct SharedSteering {
    // `flows`: of all workers.
    SharedSteering(size_t workers, size_t flows, uint64_t seed);

    Random random;
    pipeline::HandOverRings rings;
    steering::FlowDirectory directory;
};

// Of one worker.
struct WorkerSteering {
    WorkerSteering(WorkerId self, SharedSteering& shared)
        : hand_over(shared.rings, self),
          steerer(hand_over, shared.directory, shared.random),
          homes(self, shared.directory) {}

    pipeline::HandOver hand_over;
    steering::Steerer steerer;
    steering::FlowHomes homes;
};

// Whether workers may own unequal parts of the flows under these rules. Ports of NAT and the rates of limits
// are divided equally, and who owns more flows would run out of them sooner.
bool may_own_unequally(const filter::Ruleset& ruleset);

// What the workers are to go by with this firewall (null: none). `places`: of the hash's, where workers may
// own unequal parts (steering::places_for()).
steering::PlanOptions plan_options(size_t workers, std::span<const uint8_t> places,
                                   const filter::FirewallTables* firewall,
                                   const pipeline::Interfaces& interfaces);

}  // namespace sluice
